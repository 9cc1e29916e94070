//! Lists to pick from: the palette, the help, the menus. All narrow as one types, and Enter runs what is under the
//! cursor (a help that cannot be used is only read once).

use super::clock::Ms;
use super::data::Data;
use super::input::Input;
use super::item::{Item, Kind};
use super::keymap::{Act, Screen, TABLE};

/// What picking a line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Run {
    /// As if the key of this act had been pressed.
    Act(Act),
    /// Sort by this column.
    Sort(usize),
    /// Copy this text; told as this.
    Copy(String, &'static str),
    /// Go to an object.
    Object(Kind, String),
}

/// A line to pick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What is matched.
    pub(crate) label: String,
    /// What it is about.
    pub(crate) about: String,
    /// Its key.
    pub(crate) key: String,
    /// Why it cannot be run now.
    pub(crate) reason: Option<String>,
    /// What it does.
    pub(crate) run: Run,
}

/// A list to pick from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picker {
    /// Its title.
    pub(crate) title: String,
    /// What was typed.
    pub(crate) input: Input,
    /// All lines.
    pub(crate) lines: Vec<Line>,
    /// The shown lines, best first.
    pub(crate) shown: Vec<usize>,
    /// The position of the cursor in them.
    pub(crate) at: usize,
    /// Whether objects are searched too.
    pub(crate) is_palette: bool,
}

/// How many objects the palette offers.
const OBJECTS_MAX: usize = 20;

impl Picker {
    /// All of these lines.
    pub(crate) fn new(title: &str, lines: Vec<Line>) -> Self {
        let shown = (0..lines.len()).collect();
        Self {
            title: title.to_owned(),
            input: Input::default(),
            lines,
            shown,
            at: 0,
            is_palette: false,
        }
    }

    /// The line under the cursor.
    pub(crate) fn chosen(&self) -> Option<&Line> {
        self.lines.get(*self.shown.get(self.at)?)
    }

    /// Moves the cursor.
    pub(crate) fn step(&mut self, by: isize) {
        let last = self.shown.len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(by).min(last);
    }

    /// What was typed changed: shows what matches, best first.
    pub(crate) fn narrow(&mut self, data: &Data) {
        let wanted = self.input.text().trim().to_lowercase();
        if self.is_palette {
            self.lines
                .retain(|line| !matches!(line.run, Run::Object(..)));
            self.lines.extend(objects(data, &wanted));
        }
        let mut scored: Vec<(i32, usize)> = self
            .lines
            .iter()
            .enumerate()
            .filter_map(|(at, line)| {
                score(&wanted, &line.label.to_lowercase()).map(|score| (-score, at))
            })
            .collect();
        scored.sort_unstable();
        self.shown = scored.into_iter().map(|(_, at)| at).collect();
        self.at = 0;
    }
}

/// How well the letters of `wanted` are found, in order, in `text`; runs of letters and starts of words count more.
pub(crate) fn score(wanted: &str, text: &str) -> Option<i32> {
    let letters: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut score = 0;
    let mut last: Option<usize> = None;
    for c in wanted.chars().filter(|c| *c != ' ') {
        let found = letters.iter().skip(at).position(|letter| *letter == c)? + at;
        let starts_word = found == 0
            || letters
                .get(found - 1)
                .is_some_and(|before| !before.is_alphanumeric());
        score += match last {
            Some(last) if last + 1 == found => 8,
            _ if starts_word => 6,
            _ => 1,
        };
        last = Some(found);
        at = found + 1;
    }
    // A shorter text is the nearer one.
    let spare = i32::try_from(letters.len())
        .unwrap_or(i32::MAX / 2)
        .min(200);
    Some(score * 256 - spare)
}

fn objects(data: &Data, wanted: &str) -> Vec<Line> {
    if wanted.chars().count() < 2 {
        return Vec::new();
    }
    let kinds = [Kind::Volume, Kind::Snapshot, Kind::Pool];
    let mut found: Vec<(i32, Line)> = Vec::new();
    for kind in kinds {
        for slot in data.of(kind).slots().iter().filter(|slot| !slot.is_gone) {
            let label = slot.item.title();
            if let Some(score) = score(wanted, &label.to_lowercase()) {
                found.push((-score, object_line(kind, &slot.item, label)));
            }
        }
    }
    found.sort_by_key(|(score, _)| *score);
    found.truncate(OBJECTS_MAX);
    found.into_iter().map(|(_, line)| line).collect()
}

fn object_line(kind: Kind, item: &Item, label: String) -> Line {
    Line {
        about: format!("{} {}", kind.noun(), item.short_id()),
        label,
        key: "go".to_owned(),
        reason: None,
        run: Run::Object(kind, item.id.clone()),
    }
}

/// The lines of a screen's acts: those that apply, as `noun verb` where the command line has the words.
pub(crate) fn acts(screen: Screen, reason: &dyn Fn(Act) -> Option<String>) -> Vec<Line> {
    let applies = TABLE.iter().filter(|binding| binding.applies(screen));
    applies
        .map(|binding| {
            let label = match binding.command(screen.kind()) {
                Some((noun, verb)) => format!("{noun} {verb}"),
                None => name(binding.act, binding.hint),
            };
            Line {
                label,
                about: binding.about.to_owned(),
                key: binding.keys.join(" "),
                reason: reason(binding.act),
                run: Run::Act(binding.act),
            }
        })
        .collect()
}

fn name(act: Act, hint: &str) -> String {
    if let Act::Go(screen) = act {
        return screen.title().to_lowercase();
    }
    let spelt = format!("{act:?}");
    let mut words = String::new();
    for c in spelt.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.extend(c.to_lowercase());
    }
    if hint.is_empty() || words.contains(hint) {
        words
    } else {
        format!("{hint} ({words})")
    }
}

/// Other words for commands, as people type them.
const ALIASES: &[(&str, &str)] = &[
    ("vol", "volumes"),
    ("snap", "snapshots"),
    ("att", "attachments"),
    ("tasks", "tasks"),
    ("operations", "tasks"),
    ("services", "nodes"),
    ("quit", "quit"),
    ("q", "quit"),
    ("ro", "read-only"),
];

/// What the typed word stands for, when it is another word for something.
pub(crate) fn alias(typed: &str) -> Option<&'static str> {
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == typed)
        .map(|(_, word)| *word)
}

/// The palette of a screen.
pub(crate) fn palette(screen: Screen, reason: &dyn Fn(Act) -> Option<String>) -> Picker {
    let mut lines = acts(screen, reason);
    // Verbs of other lists, too: they say where they work.
    for binding in TABLE
        .iter()
        .filter(|binding| !binding.applies(screen) && binding.act.is_mutating())
    {
        if let super::keymap::On::Kinds([kind, ..]) = binding.on
            && let Some((noun, verb)) = binding.command(Some(*kind))
        {
            let to = Screen::of(*kind);
            lines.push(Line {
                label: format!("{noun} {verb}"),
                about: format!("{}; opens {}", binding.about, to.title()),
                key: binding.keys.join(" "),
                reason: None,
                run: Run::Act(Act::Go(to)),
            });
        }
    }
    let mut picker = Picker::new(":", lines);
    picker.is_palette = true;
    picker
}

/// A text that is looked at: what the daemon tells of an object, or the messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    /// Its title.
    pub(crate) title: String,
    /// Its lines.
    pub(crate) lines: Vec<String>,
    /// The first visible one.
    pub(crate) top: usize,
    /// The question whose answer it will show.
    pub(crate) asked: Option<u64>,
    /// When it was opened.
    pub(crate) at: Ms,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_starts_of_words_win() {
        let best = |wanted: &str, texts: &[&str]| {
            let scored = texts
                .iter()
                .filter_map(|text| score(wanted, text).map(|score| (score, (*text).to_owned())));
            scored.max().map(|(_, text)| text)
        };
        assert_eq!(
            best("vde", &["volume delete", "volume extend"]).unwrap(),
            "volume delete"
        );
        assert_eq!(best("ext", &["next", "extend"]).unwrap(), "extend");
        assert_eq!(best("snap", &["snapshots", "snap"]).unwrap(), "snap");
        assert_eq!(score("xyz", "volume"), None);
        assert!(score("", "anything").is_some());
    }

    #[test]
    fn the_palette_names_the_verbs_of_the_command_line() {
        let picker = palette(Screen::Volumes, &|_| None);
        let has = |label: &str| picker.lines.iter().any(|line| line.label == label);
        for label in [
            "volume create",
            "volume delete",
            "volume extend",
            "snapshot create",
            "attachment create",
            "dashboard",
            "operation cancel",
        ] {
            assert!(has(label), "{label}");
        }
        assert_eq!(alias("vol"), Some("volumes"));
    }
}
