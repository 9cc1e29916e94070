//! Acts that change something: from a key to a form or a dialog, and from the daemon's answer to a word on it.

use serde_json::Value;

use super::super::change::Change;
use super::super::clock::SECOND;
use super::super::data::Data;
use super::super::dialog::{Dialog, Outcome};
use super::super::event::{Ask, Effect, Ticket, Trouble};
use super::super::form::{Form, Purpose};
use super::super::item::{Item, Kind};
use super::super::keymap::{self, Act};
use super::super::rules;
use super::super::state::{Effects, Overlay, State, refusal};
use super::super::text::width;
use super::super::theme::Tone;
use super::{dialogs, link};

/// A key asked for a change: opens its form or dialog, or says why not (law 4). The objects are those of this instant.
pub(super) fn begin(state: &mut State, act: Act) -> Effects {
    if let Some(why) = reason(state, act) {
        state.say(&why, Tone::Warn);
        return Effects::new();
    }
    let Some(kind) = state.screen.kind() else {
        return Effects::new();
    };
    let ids = state
        .list()
        .map(|list| list.targets(&state.data))
        .unwrap_or_default();
    let items: Vec<Item> = ids
        .iter()
        .filter_map(|id| state.data.get(kind, id))
        .cloned()
        .collect();
    let by_form = [
        Act::Create,
        Act::Extend,
        Act::Clone,
        Act::Snapshot,
        Act::Attach,
    ];
    if by_form.contains(&act) {
        open_form(state, act, kind, &items)
    } else {
        open_dialog(state, act, &items)
    }
}

/// Why an act cannot be asked for now; `None` when it can.
pub(super) fn reason(state: &State, act: Act) -> Option<String> {
    if !act.is_mutating() {
        return None;
    }
    let Some(kind) = state.screen.kind() else {
        return Some("nothing is selected here: 3 opens the volumes".to_owned());
    };
    if !keymap::binding(act).is_some_and(|binding| binding.applies(state.screen)) {
        return Some(format!("a {} cannot be {}", kind.noun(), act.done()));
    }
    if let Some(why) = state.cannot_change() {
        return Some(why);
    }
    if act == Act::Create {
        return None;
    }
    let ids = state
        .list()
        .map(|list| list.targets(&state.data))
        .unwrap_or_default();
    if ids.is_empty() {
        let is_gone = state.list().is_some_and(|list| list.cursor.is_some());
        return Some(if is_gone {
            "it is gone".to_owned()
        } else {
            "nothing is selected".to_owned()
        });
    }
    if ids.len() > 1 && [Act::Extend, Act::Clone, Act::Attach].contains(&act) {
        return Some(format!(
            "{} are marked; this is for one at a time: Esc clears the marks",
            ids.len()
        ));
    }
    let items = ids.iter().filter_map(|id| state.data.get(kind, id));
    let refused: Vec<String> = items
        .filter_map(|item| rules::allowed(act, item, &state.data).err())
        .collect();
    match refused.as_slice() {
        [] => None,
        [one] if ids.len() == 1 => Some(one.clone()),
        [one, ..] => Some(format!("{} of {} cannot: {one}", refused.len(), ids.len())),
    }
}

fn open_form(state: &mut State, act: Act, kind: Kind, items: &[Item]) -> Effects {
    let refs: Vec<&Item> = items.iter().collect();
    let form = match (act, refs.as_slice()) {
        (Act::Create, _) => Form::create(None, &state.data),
        (Act::Clone, [one]) => Form::create(Some((kind, one)), &state.data),
        (Act::Extend, [one]) => Form::extend(one),
        (Act::Attach, [one]) => Form::attach(one),
        (Act::Snapshot, many) if !many.is_empty() => Form::snapshot(many),
        _ => return Effects::new(),
    };
    let mut form = Box::new(form);
    if let Some(draft) = state.draft.take_if(|draft| draft.purpose == form.purpose) {
        form = draft;
    }
    state.cover(Overlay::Form(form));
    // What is left of the quota is told in the form: as of now, not as of the start.
    state.fetches.is_quota_old = false;
    vec![Effect::Ask(Ask::Quota)]
}

fn open_dialog(state: &mut State, act: Act, items: &[Item]) -> Effects {
    let mut dialog = match (act, items) {
        (Act::Delete, _) if items.iter().all(|item| item.volume().is_some()) => {
            let change = |item: &Item| Change::DeleteVolume {
                id: item.id.clone(),
                title: item.title(),
                is_cascade: false,
            };
            let mut dialog = Dialog::new("Delete", "volume", named(items, change));
            dialog.cascade = Some(false);
            dialog
        }
        (Act::Delete, _) => {
            let change = |item: &Item| Change::DeleteSnapshot {
                id: item.id.clone(),
                title: item.title(),
            };
            Dialog::new("Delete", "snapshot", named(items, change))
        }
        (Act::Detach, _) => Dialog::new("Detach", "attachment", detachments(state, items)),
        (Act::Complete, _) => {
            let change = |item: &Item| {
                let title = state.data.volume_title(&item.of);
                let id = item.id.clone();
                (title.clone(), Change::CompleteAttachment { id, title })
            };
            Dialog::light("Complete", "attachment", items.iter().map(change).collect())
        }
        (Act::Cancel, _) => {
            let change = |item: &Item| Change::CancelOperation {
                id: item.id.clone(),
                title: operation(state, item),
            };
            Dialog::light("Cancel", "operation", named(items, change))
        }
        (Act::Retry, _) => {
            let change = |item: &Item| Change::RetryOperation {
                id: item.id.clone(),
                title: operation(state, item),
            };
            Dialog::light("Retry", "operation", named(items, change))
        }
        _ => return Effects::new(),
    };
    unname_doubles(&mut dialog, &state.data);
    state.cover(Overlay::Dialog(Box::new(dialog)));
    dialogs::ask_plans(state)
}

fn operation(state: &State, item: &Item) -> String {
    super::super::columns::operation_title(item, &state.data)
}

fn named(items: &[Item], change: impl Fn(&Item) -> Change) -> Vec<(String, Change)> {
    items
        .iter()
        .map(|item| (item.title(), change(item)))
        .collect()
}

/// The attachments of these volumes, or these attachments.
fn detachments(state: &State, items: &[Item]) -> Vec<(String, Change)> {
    let mut found = Vec::new();
    for item in items {
        match item.volume() {
            Some(volume) => {
                let listed = state
                    .data
                    .attachments_of(&item.id)
                    .map(|attachment| attachment.id.clone());
                let mut ids: Vec<String> = listed.collect();
                if ids.is_empty() {
                    ids = volume.hosts.iter().map(|(id, _)| id.clone()).collect();
                }
                found.extend(ids.into_iter().map(|id| {
                    (
                        item.title(),
                        Change::DeleteAttachment {
                            id,
                            title: item.title(),
                        },
                    )
                }));
            }
            None => {
                let title = state.data.volume_title(&item.of);
                found.push((
                    title.clone(),
                    Change::DeleteAttachment {
                        id: item.id.clone(),
                        title,
                    },
                ));
            }
        }
    }
    found
}

/// The longest name that is typed; of longer ones, the start of the id.
const TYPED_CELLS_MAX: usize = 40;

/// A name that two objects have says nothing: those are told by their ids. What cannot well be typed is not asked for.
fn unname_doubles(dialog: &mut Dialog, data: &Data) {
    let titles: Vec<String> = dialog
        .targets
        .iter()
        .map(|target| target.title.clone())
        .collect();
    for target in &mut dialog.targets {
        let Some((kind, id)) = target.change.object() else {
            continue;
        };
        let short: String = id.chars().take(8).collect();
        let is_typed = width(&target.word) <= TYPED_CELLS_MAX && target.word.trim() == target.word;
        if !is_typed || data.of(kind).is_double(&target.title) {
            target.word = short.clone();
        }
        let is_double = titles
            .iter()
            .filter(|title| **title == target.title)
            .count()
            > 1;
        if is_double {
            target.title = short;
        }
    }
}

/// The daemon took a change on, or refused it.
pub(super) fn changed(
    state: &mut State,
    ticket: Ticket,
    change: &Change,
    result: Result<Value, Trouble>,
) -> Effects {
    link::look_soon(state);
    let result = match result {
        Ok(value) => {
            keep(state, change, &value);
            Ok(())
        }
        Err(trouble) => Err(trouble),
    };
    for at in (0..state.overlays.len()).rev() {
        match &state.overlays[at] {
            Overlay::Form(form) if form.waiting.contains(&ticket) => {
                form_changed(state, at, ticket, change, result);
                return Effects::new();
            }
            Overlay::Dialog(dialog)
                if dialog
                    .targets
                    .iter()
                    .any(|target| target.outcome == Outcome::Sent(ticket)) =>
            {
                return dialogs::changed(state, at, ticket, &result);
            }
            Overlay::Form(_)
            | Overlay::Dialog(_)
            | Overlay::Picker(_)
            | Overlay::Reading(_)
            | Overlay::Detail { .. }
            | Overlay::Tasks { .. } => {}
        }
    }
    match result {
        Ok(()) => state.say(&accepted(change), Tone::Plain),
        Err(trouble) => state.refuse(&change.what(), &trouble),
    }
    Effects::new()
}

/// What an answer to a change tells of its object is shown at once.
fn keep(state: &mut State, change: &Change, value: &Value) {
    let kinds = [
        ("volume", Kind::Volume),
        ("snapshot", Kind::Snapshot),
        ("operation", Kind::Operation),
    ];
    for (key, kind) in kinds {
        if let Some(item) = value.get(key).and_then(|inner| Item::read(kind, inner)) {
            state.data.of_mut(kind).put(item);
        }
    }
    if let Some((kind, id)) = change.object() {
        state.fetches.dirty.insert((kind, id.to_owned()));
        state.fetches.dirty_at = Some(state.now);
    }
}

fn accepted(change: &Change) -> String {
    format!("Accepted: {}", change.what())
}

fn form_changed(
    state: &mut State,
    at: usize,
    ticket: Ticket,
    change: &Change,
    result: Result<(), Trouble>,
) {
    let Some(Overlay::Form(form)) = state.overlays.get_mut(at) else {
        return;
    };
    form.waiting.retain(|other| *other != ticket);
    match result {
        Ok(()) => {
            // Of several, those that went well are not sent again.
            if let (Purpose::Snapshot(ids), Change::CreateSnapshot { volume_id, .. }) =
                (&mut form.purpose, change)
            {
                ids.retain(|id| id != volume_id);
            }
            if form.waiting.is_empty() && form.refused.is_none() {
                state.overlays.remove(at);
            }
            state.say(&accepted(change), Tone::Plain);
        }
        Err(trouble) => {
            let text = refusal(&change.what(), &trouble);
            form.refused = Some(text.clone());
            let until = state.now + 15 * SECOND;
            state.messages.push_back((until - 15 * SECOND, text));
        }
    }
}
