//! Keys in lists to pick from, and what is picked; the menus of an object.

use super::super::columns;
use super::super::event::Effect;
use super::super::item::{Item, Kind, More};
use super::super::key::{Code, Key};
use super::super::keymap::{Act, Screen};
use super::super::layout::layout;
use super::super::picker::{Line, Picker, Run, alias};
use super::super::state::{Effects, Overlay, State};
use super::super::text::quote;
use super::super::theme::Tone;
use super::keys;

/// A key in the topmost list to pick from.
pub(super) fn key(state: &mut State, key: Key) -> Effects {
    let page = isize::try_from(layout(state.size, false).page()).unwrap_or(1);
    let Some(Overlay::Picker(picker)) = state.overlays.last_mut() else {
        return Effects::new();
    };
    match (key.code, key.ctrl) {
        (Code::Esc, _) => {
            state.overlays.pop();
        }
        (Code::Enter, _) => return pick(state),
        (Code::Down, _) | (Code::Char('n'), true) => picker.step(1),
        (Code::Up, _) | (Code::Char('p'), true) => picker.step(-1),
        (Code::PageDown, _) => picker.step(page),
        (Code::PageUp, _) => picker.step(-page),
        (Code::Tab, _) => {
            if let Some(label) = picker.chosen().map(|line| line.label.clone()) {
                picker.input = super::super::input::Input::of(&label);
                picker.narrow(&state.data);
            }
        }
        // An empty line that is taken back closes the list, as a command line does.
        (Code::Backspace, _) if picker.input.is_empty() => {
            state.overlays.pop();
        }
        _ => {
            if picker.input.key(key) {
                picker.narrow(&state.data);
            }
        }
    }
    Effects::new()
}

fn pick(state: &mut State) -> Effects {
    let Some(Overlay::Picker(picker)) = state.overlays.last() else {
        return Effects::new();
    };
    let typed = picker.input.text();
    let by_alias = alias(typed.trim()).and_then(|word| {
        picker
            .lines
            .iter()
            .find(|line| line.label.starts_with(word))
    });
    let Some(line) = by_alias.or_else(|| picker.chosen()).cloned() else {
        return Effects::new();
    };
    if let Some(why) = line.reason {
        state.say(&why, Tone::Warn);
        return Effects::new();
    }
    state.overlays.pop();
    match line.run {
        Run::Act(Act::Leave) if picker_is_palette(&typed) => {
            state.is_over = true;
            Effects::new()
        }
        Run::Act(act) => keys::run(state, act),
        Run::Sort(column) => {
            if let Some((list, _)) = state.list_mut() {
                let is_down = if list.sort.0 == column {
                    !list.sort.1
                } else {
                    false
                };
                list.sort = (column, is_down);
                list.touch();
            }
            Effects::new()
        }
        Run::Copy(text, what) => copy(state, text, what),
        Run::Object(kind, id) => jump(state, kind, &id),
    }
}

/// `:q` means the end, as everywhere.
fn picker_is_palette(typed: &str) -> bool {
    matches!(typed.trim(), "q" | "quit")
}

fn copy(state: &mut State, text: String, what: &str) -> Effects {
    state.say(&format!("Copied {what}"), Tone::Plain);
    vec![Effect::Copy(text)]
}

/// Goes to the list of an object, with the cursor on it. A filter that would hide it is taken off.
pub(super) fn jump(state: &mut State, kind: Kind, id: &str) -> Effects {
    let effects = keys::go(state, Screen::of(kind));
    let (now, project) = (state.now, state.project());
    if let Some((list, data)) = state.list_mut() {
        list.cursor = Some(id.to_owned());
        list.arrange(data, &project, now);
        if list.cursor.as_deref() != Some(id) {
            list.filter.clear();
            list.only_problems = false;
            list.cursor = Some(id.to_owned());
            list.arrange(data, &project, now);
        }
    }
    effects
}

/// Menus and copies of the object under the cursor.
pub(super) fn of_object(state: &mut State, act: Act) -> Effects {
    let Some((kind, item)) = state
        .under_cursor()
        .map(|(kind, item)| (kind, item.clone()))
    else {
        return Effects::new();
    };
    match (act, state.screen) {
        (Act::Zoom, _) => {
            state.cover(Overlay::Detail {
                kind,
                id: item.id.clone(),
                top: 0,
            });
            state.rest_at = (kind == Kind::Operation).then_some(state.now);
            Effects::new()
        }
        (Act::CopyCommand, _) => {
            let command = format!("ashlar {} show {}", kind.noun(), quote(&item.id));
            copy(state, command, "the command line that shows it")
        }
        (Act::Copy, _) => {
            let picker = Picker::new("Copy", copies(&item));
            state.cover(Overlay::Picker(picker));
            Effects::new()
        }
        _ => {
            let lines = relations(state, kind, &item);
            if lines.is_empty() {
                state.say("Nothing else belongs to it", Tone::Plain);
            } else {
                state.cover(Overlay::Picker(Picker::new("Go to", lines)));
            }
            Effects::new()
        }
    }
}

fn line(label: &str, about: &str, run: Run) -> Line {
    Line {
        label: label.to_owned(),
        about: about.to_owned(),
        key: String::new(),
        reason: None,
        run,
    }
}

fn copies(item: &Item) -> Vec<Line> {
    let mut fields = vec![("id", item.id.clone()), ("name", item.name.clone())];
    match &item.more {
        More::Attachment(attachment) => {
            fields.push(("IQN of the target", attachment.iqn.clone()));
            fields.push(("portal", attachment.portal.clone()));
        }
        More::Operation(operation) => {
            fields.push(("error", operation.error.clone()));
            fields.push(("request id", operation.request_id.clone()));
        }
        More::Pool(_)
        | More::Volume(_)
        | More::Snapshot { .. }
        | More::Service { .. }
        | More::Type { .. }
        | More::Session(_) => {}
    }
    let known = fields.into_iter().filter(|(_, text)| !text.is_empty());
    known
        .map(|(what, text)| line(what, &text, Run::Copy(text.clone(), what)))
        .collect()
}

fn relations(state: &State, kind: Kind, item: &Item) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut add = |kind: Kind, found: &Item| {
        let about = format!("{} {}", kind.noun(), found.short_id());
        let label = match kind {
            Kind::Attachment => columns::host_of(found, &state.data),
            Kind::Operation => columns::operation_title(found, &state.data),
            Kind::Pool
            | Kind::Volume
            | Kind::Snapshot
            | Kind::Service
            | Kind::Type
            | Kind::Session => found.title(),
        };
        lines.push(line(&label, &about, Run::Object(kind, found.id.clone())));
    };
    let volume_id = if kind == Kind::Volume {
        item.id.as_str()
    } else {
        item.of.as_str()
    };
    if let Some(volume) = state
        .data
        .get(Kind::Volume, volume_id)
        .filter(|_| kind != Kind::Volume)
    {
        add(Kind::Volume, volume);
    }
    if kind == Kind::Volume {
        state
            .data
            .snapshots_of(volume_id)
            .for_each(|found| add(Kind::Snapshot, found));
        state
            .data
            .attachments_of(volume_id)
            .for_each(|found| add(Kind::Attachment, found));
    }
    let operations = state
        .data
        .of(Kind::Operation)
        .rows()
        .filter(|operation| operation.of == item.id);
    operations
        .take(MOST_OPERATIONS)
        .for_each(|found| add(Kind::Operation, found));
    lines
}

/// An object's newest operations; the rest are in the tasks, under its name.
const MOST_OPERATIONS: usize = 10;

/// The menu of columns to sort by.
pub(super) fn sort(state: &mut State) {
    let Some(list) = state.list() else { return };
    let lines = columns::of(list.kind)
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let about = if at == list.sort.0 {
                "again turns it round"
            } else {
                ""
            };
            line(column.head, about, Run::Sort(at))
        })
        .collect();
    state.cover(Overlay::Picker(Picker::new("Sort by", lines)));
}
