//! Keys in a dialog, its plans, and what comes of its acts.

use super::super::dialog::{Dialog, Focus, Outcome, Planned, Target, seen};
use super::super::event::{Ask, Effect, Plan, Ticket, Trouble};
use super::super::item::Kind;
use super::super::key::{Code, Key};
use super::super::state::{Effects, Overlay, State, refusal};
use super::super::theme::Tone;
use super::link;

/// A key in the topmost dialog. The key that opened it means nothing here, so that holding it cannot walk through.
pub(super) fn key(state: &mut State, key: Key) -> Effects {
    let Some(Overlay::Dialog(dialog)) = state.overlays.last_mut() else {
        return Effects::new();
    };
    match (key.code, key.ctrl) {
        (Code::Esc, _) => {
            state.overlays.pop();
        }
        (Code::Tab | Code::Down | Code::Right, _) if !is_typing(dialog, key) => dialog.turn(1),
        (Code::BackTab | Code::Up | Code::Left, _) if !is_typing(dialog, key) => dialog.turn(-1),
        (Code::PageDown, _) => {
            dialog.top = dialog
                .top
                .saturating_add(1)
                .min(super::super::view::MOST_LINES)
        }
        (Code::PageUp, _) => dialog.top = 0,
        (Code::Enter, _) => return enter(state),
        (Code::Char(' '), false) if dialog.focus == Focus::Cascade => return toggle(state),
        _ => {
            // Letters are for the name, wherever the focus is; they do nothing else.
            if dialog.must_type().is_some() && key != Key::ctrl('d') && dialog.focus != Focus::Go {
                let is_letter = key.typed().is_some();
                if is_letter || dialog.focus == Focus::Typed {
                    dialog.focus = Focus::Typed;
                    dialog.typed.key(key);
                }
            }
        }
    }
    Effects::new()
}

/// Left and Right move in the text while it is being typed.
fn is_typing(dialog: &Dialog, key: Key) -> bool {
    dialog.focus == Focus::Typed && [Code::Left, Code::Right].contains(&key.code)
}

fn enter(state: &mut State) -> Effects {
    let Some(Overlay::Dialog(dialog)) = state.overlays.last_mut() else {
        return Effects::new();
    };
    match dialog.focus {
        Focus::Cancel => {
            state.overlays.pop();
            Effects::new()
        }
        Focus::Cascade => toggle(state),
        Focus::Typed => {
            match dialog.in_the_way() {
                None => dialog.focus = Focus::Go,
                Some(why) => state.say(&format!("Not yet: {why}"), Tone::Warn),
            }
            Effects::new()
        }
        Focus::Go => go(state),
    }
}

fn toggle(state: &mut State) -> Effects {
    if let Some(Overlay::Dialog(dialog)) = state.overlays.last_mut() {
        dialog.cascade = dialog.cascade.map(|cascade| !cascade);
        dialog.ask_again();
    }
    ask_plans(state)
}

/// The armed button: sends each act with the hash of the plan that was shown.
fn go(state: &mut State) -> Effects {
    let cannot = state.cannot_change();
    let Some(Overlay::Dialog(dialog)) = state.overlays.last() else {
        return Effects::new();
    };
    if let Some(why) = cannot.or_else(|| dialog.in_the_way()) {
        state.say(&format!("Not yet: {why}"), Tone::Warn);
        return Effects::new();
    }
    let first = state.next_ticket;
    let mut effects = Effects::new();
    let mut ticket = first;
    if let Some(Overlay::Dialog(dialog)) = state.overlays.last_mut() {
        // After a refusal only what is still open is sent again.
        let open = |target: &&mut Target| target.outcome == Outcome::Unsent;
        for target in dialog.targets.iter_mut().filter(open) {
            let plan_hash = match &target.planned {
                Planned::Known(plan) if !plan.hash.is_empty() => Some(plan.hash.clone()),
                Planned::Asked(_)
                | Planned::Known(_)
                | Planned::Unplanned(_)
                | Planned::Failed(_) => None,
            };
            target.outcome = Outcome::Sent(ticket);
            effects.push(Effect::Change {
                ticket,
                change: target.change.clone(),
                plan_hash,
            });
            ticket += 1;
        }
        dialog.focus = Focus::Cancel;
    }
    state.next_ticket = ticket;
    effects
}

/// Asks for every plan of the topmost dialog that is not known.
pub(super) fn ask_plans(state: &mut State) -> Effects {
    let mut ticket = state.next_ticket;
    let mut effects = Effects::new();
    if let Some(Overlay::Dialog(dialog)) = state.overlays.last_mut() {
        for target in &mut dialog.targets {
            if target.planned == Planned::Asked(0) {
                target.planned = Planned::Asked(ticket);
                effects.push(Effect::Ask(Ask::Plan(ticket, target.change.clone())));
                ticket += 1;
            }
        }
    }
    state.next_ticket = ticket;
    effects
}

/// A plan came.
pub(super) fn planned(state: &mut State, ticket: Ticket, result: &Result<Option<Plan>, Trouble>) {
    let data = &state.data;
    let dialogs = state
        .overlays
        .iter_mut()
        .filter_map(|overlay| match overlay {
            Overlay::Dialog(dialog) => Some(dialog),
            Overlay::Picker(_)
            | Overlay::Form(_)
            | Overlay::Reading(_)
            | Overlay::Detail { .. }
            | Overlay::Tasks { .. } => None,
        });
    for target in dialogs.flat_map(|dialog| &mut dialog.targets) {
        if target.planned == Planned::Asked(ticket) {
            target.planned = match result {
                Ok(Some(plan)) => Planned::Known(plan.clone()),
                Ok(None) => Planned::Unplanned(seen(&target.change, data)),
                Err(trouble) => Planned::Failed(refusal("the plan", trouble)),
            };
        }
    }
}

/// One act of a dialog went well or not.
pub(super) fn changed(
    state: &mut State,
    at: usize,
    ticket: Ticket,
    result: &Result<(), Trouble>,
) -> Effects {
    let is_stale_plan = matches!(result, Err(trouble) if trouble.code == 412);
    let Some(Overlay::Dialog(dialog)) = state.overlays.get_mut(at) else {
        return Effects::new();
    };
    let sent = dialog
        .targets
        .iter_mut()
        .find(|target| target.outcome == Outcome::Sent(ticket));
    let Some(target) = sent else {
        return Effects::new();
    };
    let what = target.change.what();
    target.outcome = match result {
        Ok(()) => Outcome::Done,
        // Nothing was done: what is so now is shown, and asked for anew.
        Err(_) if is_stale_plan => Outcome::Unsent,
        Err(trouble) => Outcome::Failed(refusal(&what, trouble)),
    };
    if is_stale_plan {
        dialog.notice = Some(format!(
            "{}: something changed since this was shown; nothing was done",
            target.title
        ));
        target.planned = Planned::Asked(0);
        dialog.typed = super::super::input::Input::default();
        dialog.focus = Focus::Cancel;
    }
    if let Err(trouble) = result {
        let text = refusal(&what, trouble);
        state.messages.push_back((state.now, text));
    }
    let effects = if is_stale_plan && at + 1 == state.overlays.len() {
        ask_plans(state)
    } else {
        Effects::new()
    };
    settle(state, at);
    effects
}

/// When everything has its answer: closes a dialog that went well, leaves what failed marked.
fn settle(state: &mut State, at: usize) {
    let Some(Overlay::Dialog(dialog)) = state.overlays.get(at) else {
        return;
    };
    let count = |wanted: fn(&Outcome) -> bool| {
        dialog
            .targets
            .iter()
            .filter(|target| wanted(&target.outcome))
            .count()
    };
    let done = count(|outcome| *outcome == Outcome::Done);
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let all = dialog.targets.len();
    if done + failed < all {
        return;
    }
    let what = dialog
        .targets
        .first()
        .map(|target| target.change.what())
        .unwrap_or_default();
    let done_ids: Vec<(Kind, String)> = dialog
        .targets
        .iter()
        .filter(|target| target.outcome == Outcome::Done)
        .filter_map(|target| target.change.object())
        .map(|(kind, id)| (kind, id.to_owned()))
        .collect();
    for (kind, id) in done_ids {
        if let Some(list) = link::list_of(state, kind) {
            list.marks.remove(&id);
        }
    }
    match (failed, all) {
        (0, 1) => state.say(&format!("Accepted: {what}"), Tone::Plain),
        (0, all) => state.say(&format!("Accepted: {all} of {all}"), Tone::Plain),
        (failed, all) => state.say(
            &format!("{done} accepted, {failed} of {all} failed: the dialog says why"),
            Tone::Bad,
        ),
    }
    if failed == 0 {
        state.overlays.remove(at);
    }
}
