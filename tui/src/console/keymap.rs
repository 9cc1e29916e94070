//! The one table of acts and keys: hints, help, palette and the documentation are made from it (law 11).
//!
//! An act that changes storage opens a form or a dialog; none is done by a key alone (law 1).

pub(crate) use super::bindings::TABLE;
use super::item::Kind;
use super::key::Key;
pub(crate) use super::screen::Screen;

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Back,
    Leave,
    Quit,
    Palette,
    Filter,
    Help,
    Actions,
    Mark,
    Range,
    Invert,
    Sort,
    SortBefore,
    SortAfter,
    SortReverse,
    Problems,
    Preview,
    Zoom,
    Yaml,
    Copy,
    CopyCommand,
    Refresh,
    Redraw,
    TaskDrawer,
    Messages,
    Jump,
    HistoryBack,
    HistoryForward,
    ReadOnly,
    Create,
    Extend,
    Clone,
    Snapshot,
    Attach,
    Detach,
    Complete,
    Delete,
    Cancel,
    Retry,
    Go(Screen),
}

impl Act {
    /// Whether it leads to a change of the daemon's objects.
    pub(crate) fn is_mutating(self) -> bool {
        [
            Act::Create,
            Act::Extend,
            Act::Clone,
            Act::Snapshot,
            Act::Attach,
            Act::Detach,
            Act::Complete,
            Act::Delete,
            Act::Cancel,
            Act::Retry,
        ]
        .contains(&self)
    }

    /// The participle, for reasons.
    pub(crate) fn done(self) -> &'static str {
        let words = [
            (Act::Create, "created here"),
            (Act::Extend, "extended"),
            (Act::Clone, "cloned"),
            (Act::Snapshot, "snapshotted"),
            (Act::Attach, "attached"),
            (Act::Detach, "detached"),
            (Act::Complete, "completed"),
            (Act::Delete, "deleted"),
            (Act::Cancel, "cancelled"),
            (Act::Retry, "retried"),
        ];
        words
            .iter()
            .find(|(act, _)| *act == self)
            .map_or("used so", |(_, word)| word)
    }
}

/// Where a row of the table applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// Wherever no popup is open.
    Everywhere,
    /// In every list.
    Lists,
    /// In these lists.
    Kinds(&'static [Kind]),
}

/// A row of the table.
pub(crate) struct Binding {
    /// What is done.
    pub(crate) act: Act,
    /// Its keys, the one for hints first.
    pub(crate) keys: &'static [&'static str],
    /// Where.
    pub(crate) on: On,
    /// The word in the hints; empty ones are in the help only.
    pub(crate) hint: &'static str,
    /// One sentence for the help.
    pub(crate) about: &'static str,
    /// Noun and verb of the command line that do the same; for acts that change something, a noun of `*` is the noun
    /// of the list.
    pub(crate) cli: Option<(&'static str, &'static str)>,
}

impl Binding {
    /// Whether it applies on a screen.
    pub(crate) fn applies(&self, screen: Screen) -> bool {
        match self.on {
            On::Everywhere => true,
            On::Lists => screen.kind().is_some(),
            On::Kinds(kinds) => screen.kind().is_some_and(|kind| kinds.contains(&kind)),
        }
    }

    /// Noun and verb, for a list of this kind.
    pub(crate) fn command(&self, kind: Option<Kind>) -> Option<(&'static str, &'static str)> {
        match (self.cli?, kind) {
            (("*", verb), Some(kind)) => Some((kind.noun(), verb)),
            (("*", _), None) => None,
            (named, _) => Some(named),
        }
    }
}

/// What a key does on a screen.
pub(crate) fn find(key: Key, screen: Screen) -> Option<Act> {
    let has = |binding: &&Binding| {
        binding.applies(screen)
            && binding
                .keys
                .iter()
                .any(|text| Key::parse(text) == Some(key))
    };
    TABLE.iter().find(has).map(|binding| binding.act)
}

/// The row of a key, wherever it applies.
pub(crate) fn elsewhere(key: Key) -> Option<&'static Binding> {
    let has = |binding: &&Binding| {
        let mut keys = binding.keys.iter();
        keys.any(|text| Key::parse(text) == Some(key))
    };
    TABLE.iter().find(has)
}

/// The row of an act.
pub(crate) fn binding(act: Act) -> Option<&'static Binding> {
    TABLE.iter().find(|binding| binding.act == act)
}

/// The hints of a screen, as many as fit: key and word.
pub(crate) fn hints(screen: Screen, cells: usize) -> Vec<(&'static Binding, String)> {
    let mut used = 1;
    let mut shown = Vec::new();
    for binding in TABLE
        .iter()
        .filter(|binding| !binding.hint.is_empty() && binding.applies(screen))
    {
        let key = binding.keys.first().copied().unwrap_or_default();
        let text = format!("{key} {}", binding.hint);
        if used + text.len() + 2 > cells {
            continue;
        }
        used += text.len() + 2;
        shown.push((binding, text));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn no_key_means_two_things_on_one_screen() {
        for (screen, ..) in Screen::ALL {
            let mut seen: HashMap<Key, Act> = HashMap::new();
            for binding in TABLE.iter().filter(|binding| binding.applies(*screen)) {
                for text in binding.keys {
                    let key = Key::parse(text).unwrap_or_else(|| panic!("{text} is no key"));
                    let other = seen.insert(key, binding.act);
                    assert_eq!(other, None, "{text} on {screen:?}");
                }
            }
        }
    }

    #[test]
    fn no_act_has_a_key_that_terminals_take() {
        for text in TABLE.iter().flat_map(|binding| binding.keys) {
            assert!(
                !["^S", "^Q", "^Z", "^[", "^M", "^I", "^H"].contains(text),
                "{text}"
            );
        }
    }

    #[test]
    fn hints_fit_80_columns_and_end_with_help() {
        for (screen, ..) in Screen::ALL {
            let hints = hints(*screen, 80);
            let len: usize = hints.iter().map(|(_, text)| text.len() + 2).sum();
            assert!(len < 80 && hints.len() >= 4, "{screen:?}: {len}");
        }
    }

    #[test]
    fn no_verb_of_the_command_line_names_a_key_that_does_nothing_here() {
        let has = |key: &str, does: &dyn Fn(&Binding) -> bool| {
            TABLE
                .iter()
                .any(|binding| binding.keys.contains(&key) && does(binding))
        };
        for (noun, verb) in crate::verbs::all() {
            let Some(key) = verb.key else { continue };
            let is_there = match verb.level {
                crate::table::Level::Read => has(key, &|binding| {
                    let screen = Screen::ALL
                        .iter()
                        .any(|row| row.0.kind().is_some_and(|kind| kind.noun() == noun.name));
                    matches!(binding.act, Act::Go(_)) || (screen && binding.act == Act::Open)
                }),
                crate::table::Level::Form
                | crate::table::Level::Confirm
                | crate::table::Level::TypeName => has(key, &|binding| {
                    let kinds = Kind::ALL.iter().map(|kind| binding.command(Some(*kind)));
                    kinds
                        .flatten()
                        .any(|command| command == (noun.name, verb.name))
                }),
            };
            assert!(is_there, "{} {} says {key}", noun.name, verb.name);
        }
    }

    #[test]
    fn every_command_is_in_the_table_of_the_command_line_with_the_same_key() {
        for binding in TABLE {
            let On::Kinds(kinds) = binding.on else {
                continue;
            };
            for kind in kinds {
                let (noun, name) = binding.command(Some(*kind)).unwrap();
                let verb =
                    crate::verbs::all().find(|(of, verb)| of.name == noun && verb.name == name);
                let (_, verb) =
                    verb.unwrap_or_else(|| panic!("the command line has no `{noun} {name}`"));
                assert!(
                    verb.level > crate::table::Level::Read,
                    "{noun} {name} changes nothing there"
                );
                // A clone is a create with a source: one verb, two keys.
                if let Some(key) = verb.key.filter(|_| binding.act != Act::Clone) {
                    assert!(
                        binding.keys.contains(&key),
                        "{noun} {name}: {key} there, {:?} here",
                        binding.keys
                    );
                }
            }
        }
    }

    #[test]
    fn every_act_that_changes_something_names_its_command() {
        for binding in TABLE {
            assert_eq!(
                binding.act.is_mutating(),
                binding.cli.is_some(),
                "{:?}",
                binding.act
            );
            assert!(!binding.about.is_empty());
        }
    }
}
