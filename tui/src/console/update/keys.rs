//! Keys: the topmost popup has them first, then the filter being typed, then the table.

use super::super::data::Data;
use super::super::event::{Ask, Effect};
use super::super::input::Input;
use super::super::item::Kind;
use super::super::key::{Code, Key};
use super::super::keymap::{self, Act, Screen};
use super::super::layout::layout;
use super::super::list::List;
use super::super::picker::{self, Picker, Reading};
use super::super::state::{Effects, Overlay, State};
use super::super::theme::Tone;
use super::{REST_MS, acts, dialogs, forms, link, pickers, reading};

/// A key.
pub(super) fn key(state: &mut State, key: Key) -> Effects {
    if key == Key::ctrl('c') {
        return interrupt(state);
    }
    state.is_quit_asked = false;
    match state.overlays.last() {
        Some(Overlay::Picker(_)) => return pickers::key(state, key),
        Some(Overlay::Form(_)) => return forms::key(state, key),
        Some(Overlay::Dialog(_)) => return dialogs::key(state, key),
        Some(Overlay::Reading(_) | Overlay::Detail { .. } | Overlay::Tasks { .. }) => {
            if let Some(effects) = reading::key(state, key) {
                return effects;
            }
        }
        None => {}
    }
    if state.typing.is_some() {
        return filter_key(state, key);
    }
    match keymap::find(key, state.screen) {
        Some(act) => run(state, act),
        None => elsewhere(state, key),
    }
}

/// A key that means something on another screen says why it does nothing here (law 4).
fn elsewhere(state: &mut State, key: Key) -> Effects {
    if let Some(binding) = keymap::elsewhere(key) {
        let why = acts::reason(state, binding.act).unwrap_or_else(|| {
            let about = binding.about;
            format!("{about}: that is for lists; 3 opens the volumes")
        });
        state.say(&why, Tone::Warn);
    }
    Effects::new()
}

/// Pasted text goes where letters go, and is never a command.
pub(super) fn paste(state: &mut State, text: &str) -> Effects {
    match state.overlays.last_mut() {
        Some(Overlay::Form(_)) => return forms::paste(state, text),
        Some(Overlay::Dialog(dialog)) => {
            dialog.typed.paste(text);
        }
        Some(Overlay::Picker(picker)) => {
            picker.input.paste(text);
            picker.narrow(&state.data);
        }
        Some(Overlay::Reading(_) | Overlay::Detail { .. } | Overlay::Tasks { .. }) => {}
        None => {
            if let Some((input, _)) = &mut state.typing {
                input.paste(text);
                apply_filter(state);
            }
        }
    }
    Effects::new()
}

/// ^C: quits now; a form with unsent text asks for a second one.
fn interrupt(state: &mut State) -> Effects {
    let is_unsent = state
        .overlays
        .iter()
        .any(|overlay| matches!(overlay, Overlay::Form(form) if form.is_edited));
    if is_unsent && !state.is_quit_asked {
        state.is_quit_asked = true;
        state.say(
            "A form is unsent: ^C once more quits, Esc goes back to the list",
            Tone::Warn,
        );
        return Effects::new();
    }
    state.is_over = true;
    Effects::new()
}

fn filter_key(state: &mut State, key: Key) -> Effects {
    let Some((input, before)) = &mut state.typing else {
        return Effects::new();
    };
    match (key.code, key.ctrl) {
        (Code::Enter, _) => state.typing = None,
        (Code::Esc, _) => {
            let before = std::mem::take(before);
            state.typing = None;
            set_filter(state, &before);
        }
        (Code::Up | Code::Down, _) => {
            state.typing = None;
            return run(
                state,
                if key.code == Code::Up {
                    Act::Up
                } else {
                    Act::Down
                },
            );
        }
        _ => {
            if input.key(key) {
                apply_filter(state);
            }
        }
    }
    Effects::new()
}

fn apply_filter(state: &mut State) {
    if let Some((input, _)) = &state.typing {
        let text = input.text();
        set_filter(state, &text);
    }
}

fn set_filter(state: &mut State, text: &str) {
    if let Some((list, _)) = state.list_mut() {
        list.filter = text.to_owned();
        list.touch();
    }
}

/// An act, from a key or from a list to pick from.
pub(super) fn run(state: &mut State, act: Act) -> Effects {
    if act.is_mutating() {
        return acts::begin(state, act);
    }
    if let Some(by) = steps(act, state) {
        return step(state, by);
    }
    match (act, state.screen) {
        (Act::Go(screen), _) => return go(state, screen),
        (Act::Quit, _) => state.is_over = true,
        (Act::Leave, _) => leave(state),
        (Act::Back, _) => back(state),
        (Act::Redraw, _) => return vec![Effect::Redraw],
        (Act::Refresh, _) => return link::refresh(state),
        (Act::HistoryBack, _) => {
            if let Some(screen) = state.before.pop() {
                state.after.push(state.screen);
                state.screen = screen;
            }
        }
        (Act::HistoryForward, _) => {
            if let Some(screen) = state.after.pop() {
                state.before.push(state.screen);
                state.screen = screen;
            }
        }
        (Act::ReadOnly, _) => {
            state.is_read_only = !state.is_read_only;
            let word = if state.is_read_only {
                "read-only: nothing can be changed"
            } else {
                "read-write"
            };
            state.say(&format!("This console is {word}"), Tone::Plain);
        }
        (Act::Palette | Act::Help | Act::Actions, _) => open_picker(state, act),
        (Act::TaskDrawer, _) => state.cover(Overlay::Tasks { top: 0 }),
        (Act::Messages, _) => messages(state),
        (Act::Open, _) => return open(state),
        (Act::Yaml, _) => return yaml(state),
        (Act::Zoom | Act::Jump | Act::Copy | Act::CopyCommand, _) => {
            return pickers::of_object(state, act);
        }
        _ => change_list(state, act),
    }
    Effects::new()
}

/// How many rows an act moves the cursor.
fn steps(act: Act, state: &State) -> Option<isize> {
    let page = isize::try_from(layout(state.size, state.has_preview).page()).unwrap_or(1);
    let table = [
        (Act::Up, -1),
        (Act::Down, 1),
        (Act::PageUp, -page),
        (Act::PageDown, page),
        (Act::First, isize::MIN),
        (Act::Last, isize::MAX),
    ];
    table
        .iter()
        .find(|(other, _)| *other == act)
        .map(|(_, by)| *by)
}

fn step(state: &mut State, by: isize) -> Effects {
    if state.screen == Screen::Dash {
        let last = super::super::attention::items(state)
            .len()
            .saturating_sub(1);
        state.dash_at = state.dash_at.saturating_add_signed(by).min(last);
        return Effects::new();
    }
    if let Some((list, data)) = state.list_mut() {
        let is_gone = list
            .cursor
            .as_deref()
            .is_some_and(|id| data.of(list.kind).is_gone(id));
        if is_gone {
            // The row of what is gone goes with the first move away from it.
            list.at = if by < 0 {
                list.at.saturating_sub(1)
            } else {
                list.at
            };
            list.cursor = None;
            list.touch();
        } else {
            list.step(by, data);
        }
    }
    if state.screen == Screen::Tasks {
        state.rest_at = Some(state.now + REST_MS);
    }
    Effects::new()
}

/// Goes to a screen and asks for what only it shows.
pub(super) fn go(state: &mut State, screen: Screen) -> Effects {
    state.typing = None;
    state.go(screen);
    if state.is_stale() {
        return Effects::new();
    }
    match screen {
        Screen::Quotas => vec![Effect::Ask(Ask::Quota)],
        Screen::Attachments => link::list(state, Kind::Session),
        Screen::Pools => link::list(state, Kind::Pool),
        Screen::Nodes => link::list(state, Kind::Service),
        Screen::Dash
        | Screen::Volumes
        | Screen::Snapshots
        | Screen::Backups
        | Screen::Tasks
        | Screen::Types => Effects::new(),
    }
}

/// `q`: back, and at the root the end. The daemon's work goes on.
fn leave(state: &mut State) {
    if !step_back(state)
        && state
            .before
            .pop()
            .map(|screen| state.screen = screen)
            .is_none()
    {
        state.is_over = true;
    }
}

/// Esc: one step back, from a view to the dashboard; never the end.
fn back(state: &mut State) {
    if !step_back(state) {
        state.go(Screen::Dash);
    }
}

/// Popup, filter, problems, marks: whichever there is first.
fn step_back(state: &mut State) -> bool {
    if state.typing.take().is_some() || state.overlays.pop().is_some() {
        return true;
    }
    let Some((list, _)) = state.list_mut() else {
        return false;
    };
    list.range_from = None;
    if !list.filter.is_empty() {
        list.filter.clear();
    } else if list.only_problems {
        list.only_problems = false;
    } else if !list.marks.is_empty() {
        list.marks.clear();
    } else {
        return false;
    }
    list.touch();
    true
}

fn open_picker(state: &mut State, act: Act) {
    let why = {
        let state = &*state;
        move |act: Act| acts::reason(state, act)
    };
    let picker = match (act, state.screen) {
        (Act::Palette, screen) => picker::palette(screen, &why),
        (Act::Help, _) => Picker::new(
            &format!("Keys of {}", state.screen.title()),
            picker::acts(state.screen, &why),
        ),
        _ => {
            let mut lines = picker::acts(state.screen, &why);
            lines.retain(|line| matches!(line.run, picker::Run::Act(act) if act.is_mutating() || OF_OBJECT.contains(&act)));
            Picker::new("What can be done", lines)
        }
    };
    state.cover(Overlay::Picker(picker));
}

/// What looks at the object under the cursor.
const OF_OBJECT: &[Act] = &[
    Act::Open,
    Act::Yaml,
    Act::Copy,
    Act::CopyCommand,
    Act::Jump,
    Act::Mark,
];

fn messages(state: &mut State) {
    let line =
        |(at, text): &(i64, String)| format!("{}  {text}", super::super::clock::time_of_day(*at));
    let mut lines: Vec<String> = state.messages.iter().rev().map(line).collect();
    if lines.is_empty() {
        lines.push("Nothing was said yet.".to_owned());
    }
    let reading = Reading {
        title: "Messages, newest first".to_owned(),
        lines,
        at: state.now,
        ..Reading::default()
    };
    state.cover(Overlay::Reading(reading));
}

fn open(state: &mut State) -> Effects {
    if state.screen == Screen::Dash {
        let items = super::super::attention::items(state);
        if let Some(item) = items.get(state.dash_at) {
            let (kind, id) = (item.kind, item.id.clone());
            return pickers::jump(state, kind, &id);
        }
        return Effects::new();
    }
    if let Some((kind, item)) = state.under_cursor() {
        let id = item.id.clone();
        state.cover(Overlay::Detail { kind, id, top: 0 });
        state.rest_at = (kind == Kind::Operation).then_some(state.now);
    }
    Effects::new()
}

fn yaml(state: &mut State) -> Effects {
    let Some((kind, item)) = state.under_cursor() else {
        return Effects::new();
    };
    let (title, id) = (format!("{} {}", kind.noun(), item.title()), item.id.clone());
    if let Some(why) = state.is_stale().then(|| state.cannot_change()).flatten() {
        state.say(&why, Tone::Warn);
        return Effects::new();
    }
    let ticket = state.ticket();
    let reading = Reading {
        title,
        asked: Some(ticket),
        at: state.now,
        ..Reading::default()
    };
    state.cover(Overlay::Reading(reading));
    vec![Effect::Ask(Ask::Raw(ticket, kind, id))]
}

/// Acts on the list itself.
fn change_list(state: &mut State, act: Act) {
    if act == Act::Preview {
        state.has_preview = !state.has_preview;
        return;
    }
    if act == Act::Sort {
        pickers::sort(state);
        return;
    }
    if act == Act::Filter {
        let filter = state.list().map(|list| list.filter.clone());
        let before = filter.unwrap_or_default();
        state.typing = Some((Input::of(&before), before));
        return;
    }
    let Some((list, data)) = state.list_mut() else {
        return;
    };
    let has_room = if MARKING.contains(&act) {
        let has_room = mark(list, data, act);
        if list.filter.contains("marked") {
            list.touch();
        }
        has_room
    } else {
        order(list, act);
        true
    };
    if !has_room {
        let most = super::super::list::MARKS_MAX;
        let text = format!("At most {most} marks: acts on more are for the command line");
        state.say(&text, Tone::Warn);
    }
}

/// Acts that mark.
const MARKING: &[Act] = &[Act::Mark, Act::Range, Act::Invert];

/// Marks; false when there was no room for all.
fn mark(list: &mut List, data: &Data, act: Act) -> bool {
    let id = |at: &usize| {
        let slot = data.of(list.kind).slot(*at).filter(|slot| !slot.is_gone);
        slot.map(|slot| slot.item.id.clone())
    };
    if act == Act::Mark {
        let Some(id) = list.cursor.clone() else {
            return true;
        };
        let has_room = list.toggle(&id);
        list.step(1, data);
        return has_room;
    }
    if act == Act::Invert {
        let ids: Vec<String> = list.order().iter().filter_map(id).collect();
        return ids.iter().all(|id| list.toggle(id));
    }
    let Some(from) = list.range_from.take() else {
        list.range_from = list.cursor.clone();
        return true;
    };
    let is_from = |at: &usize| {
        let slot = data.of(list.kind).slot(*at);
        slot.is_some_and(|slot| slot.item.id == from)
    };
    // What is filtered out or gone begins no range: only the row under the cursor is marked.
    let from = list.order().iter().position(is_from).unwrap_or(list.at);
    let (first, last) = (from.min(list.at), from.max(list.at));
    let slots = list.order().get(first..=last).unwrap_or_default();
    let ids: Vec<String> = slots.iter().filter_map(id).collect();
    ids.iter()
        .all(|id| list.marks.contains(id) || list.toggle(id))
}

/// Sorts otherwise, or shows only problems.
fn order(list: &mut List, act: Act) {
    let last = super::super::columns::of(list.kind).len() - 1;
    let (column, is_down) = list.sort;
    if act == Act::Problems {
        list.only_problems = !list.only_problems;
    } else if act == Act::SortBefore {
        list.sort.0 = column.saturating_sub(1);
    } else if act == Act::SortAfter {
        list.sort.0 = (column + 1).min(last);
    } else if act == Act::SortReverse {
        list.sort.1 = !is_down;
    }
    list.touch();
}
