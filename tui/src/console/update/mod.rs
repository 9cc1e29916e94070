//! `update(state, event) -> effects`: the only place where the state changes. Pure: time comes with the event, and
//! what must be done outside is returned.

mod acts;
mod dialogs;
mod forms;
mod keys;
mod link;
mod pickers;
mod reading;

use super::clock::{Ms, SECOND};
use super::event::{Ask, Effect, Event};
use super::item::Kind;
use super::keymap::Screen;
use super::layout::layout;
use super::state::{Effects, Overlay, State};

/// How long the order of a list stays as it is after a key (law 2).
pub(crate) const FROZEN_MS: Ms = 1500;
/// Two missed heartbeats, and a second for the way.
pub(crate) const SILENCE_MS: Ms = 11 * SECOND;
/// How long the cursor rests before the object under it is asked for.
pub(crate) const REST_MS: Ms = 80;

/// What the console does first.
pub(crate) fn begin(_: &State) -> Effects {
    vec![Effect::Connect { since: None }]
}

/// One event.
pub(crate) fn update(state: &mut State, now: Ms, event: Event) -> Effects {
    state.now = now;
    let mut effects = match event {
        Event::Key(key) => {
            state.key_at = now;
            // Whoever types looks: not every terminal says that it has the focus again.
            state.is_focused = true;
            keys::key(state, key)
        }
        Event::Paste(text) => {
            state.key_at = now;
            keys::paste(state, &text)
        }
        Event::Resize(width, height) => {
            state.size = (width, height);
            vec![Effect::Redraw]
        }
        Event::Focus(is_focused) => {
            state.is_focused = is_focused;
            Effects::new()
        }
        Event::Wake => Effects::new(),
        Event::Stream(stream) => link::stream(state, stream),
        Event::Answer(answer) => link::answer(state, answer),
        Event::Changed(ticket, change, result) => acts::changed(state, ticket, &change, result),
        Event::Terminate => {
            state.is_over = true;
            Effects::new()
        }
    };
    effects.extend(due(state));
    arrange(state);
    if state.is_over {
        effects.push(Effect::Quit);
    } else if let Some(at) = state.wake_at() {
        effects.push(Effect::WakeAt(at));
    }
    effects
}

/// What the time has come for.
fn due(state: &mut State) -> Effects {
    let now = state.now;
    let mut effects = Effects::new();
    if state.flash.as_ref().is_some_and(|flash| flash.until <= now) {
        state.flash = None;
    }
    effects.extend(link::due(state));
    if state.rest_at.is_some_and(|at| at <= now) {
        state.rest_at = None;
        effects.extend(ask_detail(state));
    }
    effects.extend(forms::due(state));
    effects
}

/// An operation's steps are in no listing: they are asked for where the cursor rests.
fn ask_detail(state: &mut State) -> Effects {
    let wanted = match state.overlays.last() {
        Some(Overlay::Detail {
            kind: Kind::Operation,
            id,
            ..
        }) => Some(id.clone()),
        _ => state
            .under_cursor()
            .filter(|(kind, _)| *kind == Kind::Operation)
            .map(|(_, item)| item.id.clone()),
    };
    match wanted {
        Some(id)
            if !state.is_stale() && state.fetches.one.insert((Kind::Operation, id.clone())) =>
        {
            vec![Effect::Ask(Ask::One(Kind::Operation, id))]
        }
        _ => Effects::new(),
    }
}

/// Puts the visible list in order, unless keys are still coming, and scrolls it.
fn arrange(state: &mut State) {
    let now = state.now;
    let is_frozen = now - state.key_at < FROZEN_MS;
    let page = layout(state.size, state.has_preview).page();
    let mut has_moved = false;
    let project = state.project();
    if let Some((list, data)) = state.list_mut() {
        let was = list.cursor.clone();
        // An empty order has nothing that could move; a key's own wish (filter, sort) is not put off.
        if list.is_old(data) && (!is_frozen || list.order().is_empty() || list.is_touched()) {
            list.arrange(data, &project, now);
        }
        list.follow(page);
        has_moved = was != list.cursor;
    }
    if has_moved && state.screen == Screen::Tasks {
        state.rest_at = Some(now + REST_MS);
    }
}

/// Whether an act cannot be asked for now: its hint is dim.
pub(crate) fn cannot(state: &State, act: super::keymap::Act) -> bool {
    acts::reason(state, act).is_some()
}
