//! Keys in a form, its submit, and the question where a volume would be placed.

use super::super::change::Change;
use super::super::event::{Ask, Effect, Ticket, Trouble};
use super::super::form::{Entry, Form, Purpose};
use super::super::key::{Code, Key};
use super::super::state::{Effects, Overlay, State};
use super::super::theme::Tone;

/// How long after the last key the daemon is asked.
const QUIET_MS: i64 = 300;

/// A key in the topmost form. In a text field no letter is a command.
pub(super) fn key(state: &mut State, key: Key) -> Effects {
    let now = state.now;
    let Some(Overlay::Form(form)) = state.overlays.last_mut() else {
        return Effects::new();
    };
    let last = form.fields.len() + 1;
    match (key.code, key.ctrl) {
        (Code::Esc, _) => close(state),
        (Code::Char('s'), true) | (Code::F(2), _) => return submit(state),
        (Code::Tab | Code::Down, _) => {
            form.focus = if form.focus >= last {
                0
            } else {
                form.focus + 1
            }
        }
        (Code::BackTab | Code::Up, _) => {
            form.focus = if form.focus == 0 {
                last
            } else {
                form.focus - 1
            }
        }
        (Code::Enter, _) if form.focus == last => return submit(state),
        (Code::Enter, _) if form.focus + 1 == last => close(state),
        (Code::Enter, _) => form.focus += 1,
        _ => {
            if edit(form, key) {
                edited(form, now);
            }
        }
    }
    Effects::new()
}

/// Pasted text.
pub(super) fn paste(state: &mut State, text: &str) -> Effects {
    let now = state.now;
    if let Some(Overlay::Form(form)) = state.overlays.last_mut() {
        let focus = form.focus;
        if let Some(Entry::Text(input)) = form.fields.get_mut(focus).map(|field| &mut field.entry) {
            input.paste(text);
            edited(form, now);
        }
    }
    Effects::new()
}

fn edited(form: &mut Form, now: i64) {
    form.is_edited = true;
    form.refused = None;
    form.placement = None;
    form.asked = None;
    if matches!(form.purpose, Purpose::Create(_)) {
        form.ask_at = Some(now + QUIET_MS);
    }
}

fn edit(form: &mut Form, key: Key) -> bool {
    let Some(field) = form.fields.get_mut(form.focus) else {
        return false;
    };
    match &mut field.entry {
        Entry::Text(input) => input.key(key),
        Entry::Choice(options, at) => {
            let len = options.len().max(1);
            match key.code {
                Code::Left => *at = (*at + len - 1) % len,
                Code::Right | Code::Char(' ') => *at = (*at + 1) % len,
                // Typing finds: the next option that begins so.
                Code::Char(c) if !key.ctrl => {
                    let starts =
                        |option: &String| option.to_lowercase().starts_with(c.to_ascii_lowercase());
                    let next = (1..=len)
                        .map(|by| (*at + by) % len)
                        .find(|at| options.get(*at).is_some_and(starts));
                    let Some(next) = next else { return false };
                    *at = next;
                }
                Code::Char(_)
                | Code::Enter
                | Code::Esc
                | Code::Tab
                | Code::BackTab
                | Code::Backspace
                | Code::Delete
                | Code::Up
                | Code::Down
                | Code::Home
                | Code::End
                | Code::PageUp
                | Code::PageDown
                | Code::F(_) => return false,
            }
            true
        }
    }
}

/// Esc: the form goes, what was typed is kept for the next time.
fn close(state: &mut State) {
    if let Some(Overlay::Form(mut form)) = state.overlays.pop()
        && form.is_edited
        && form.waiting.is_empty()
    {
        form.ask_at = None;
        form.asked = None;
        state.draft = Some(form);
        state.say("The form is kept: its key opens it as it was", Tone::Plain);
    }
}

fn submit(state: &mut State) -> Effects {
    let cannot = state.cannot_change();
    let mut ticket = state.next_ticket;
    let Some(Overlay::Form(form)) = state.overlays.last_mut() else {
        return Effects::new();
    };
    if !form.waiting.is_empty() {
        return Effects::new();
    }
    if let Some(why) = cannot {
        form.refused = Some(why);
        return Effects::new();
    }
    match form.changes(&state.data) {
        Ok(changes) => {
            form.refused = None;
            let mut effects = Effects::new();
            for change in changes {
                form.waiting.push(ticket);
                effects.push(Effect::Change {
                    ticket,
                    change,
                    plan_hash: None,
                });
                ticket += 1;
            }
            state.next_ticket = ticket;
            effects
        }
        Err((label, _)) => {
            // The message stands under its field; the cursor goes there.
            form.is_edited = true;
            if let Some(at) = form.fields.iter().position(|field| field.label == label) {
                form.focus = at;
            }
            Effects::new()
        }
    }
}

/// Asks where the volume would be placed, once the typing has paused.
pub(super) fn due(state: &mut State) -> Effects {
    let now = state.now;
    let mut ticket = state.next_ticket;
    let Some(Overlay::Form(form)) = state.overlays.last_mut() else {
        return Effects::new();
    };
    if form.ask_at.is_none_or(|at| at > now) {
        return Effects::new();
    }
    form.ask_at = None;
    let Ok(changes) = form.changes(&state.data) else {
        return Effects::new();
    };
    let Some(change @ Change::CreateVolume { .. }) = changes.into_iter().next() else {
        return Effects::new();
    };
    form.asked = Some(ticket);
    let effects = vec![Effect::Ask(Ask::Placement(ticket, change))];
    ticket += 1;
    state.next_ticket = ticket;
    effects
}

/// The answer to that.
pub(super) fn placed(state: &mut State, ticket: Ticket, result: &Result<Option<String>, Trouble>) {
    for overlay in &mut state.overlays {
        if let Overlay::Form(form) = overlay
            && form.asked == Some(ticket)
        {
            form.asked = None;
            form.placement = match result {
                Ok(words) => words.clone(),
                Err(trouble) if trouble.is_lost() => None,
                Err(trouble) => Some(format!("! {}", trouble.why)),
            };
        }
    }
}
