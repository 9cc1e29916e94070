//! The link to the daemon: the event stream, answers, and what is asked when. The daemon may die, the console may not:
//! the last data stays, its age is told, and connecting is tried for ever.

use super::super::clock::{Ms, SECOND};
use super::super::data::Loaded;
use super::super::event::{Answer, Ask, Effect, Stream, Trouble};
use super::super::item::{Item, Kind, More, Step};
use super::super::keymap::Screen;
use super::super::list::List;
use super::super::state::{Effects, Overlay, Phase, State};
use super::super::theme::Tone;
use super::{SILENCE_MS, dialogs};

/// Waits between tries; the last one for ever.
const BACKOFF_MS: &[Ms] = &[500, 1000, 2000, 4000, 8000, 15_000];
/// Events are gathered for so long before their objects are asked for.
const GATHER_MS: Ms = 100;
/// More changed objects than this are a new listing.
const ONES_MAX: usize = 16;
/// How often a daemon without events is asked, and one whose lists are long.
const POLL_MS: Ms = 4 * SECOND;
const POLL_LONG_MS: Ms = 60 * SECOND;
/// From how many rows on a list counts as long.
const LONG_ROWS: usize = 2000;
/// Unfocused, everything is asked for so much more seldom.
const UNFOCUSED: Ms = 8;
/// What is asked for at the start, the screens first that people look at first.
const LISTED: &[Kind] = &[
    Kind::Volume,
    Kind::Pool,
    Kind::Operation,
    Kind::Attachment,
    Kind::Snapshot,
    Kind::Type,
    Kind::Service,
    Kind::Session,
];
/// What a daemon without events is asked for again and again.
const POLLED: &[Kind] = &[
    Kind::Volume,
    Kind::Operation,
    Kind::Attachment,
    Kind::Snapshot,
    Kind::Pool,
    Kind::Session,
];

/// The event stream.
pub(super) fn stream(state: &mut State, stream: Stream) -> Effects {
    match stream {
        Stream::Hello(newest) => hello(state, newest),
        Stream::Beat => {
            heard(state);
            Effects::new()
        }
        Stream::Change {
            id,
            kind,
            object_id,
            is_deleted,
        } => {
            heard(state);
            state.link.event_id = Some(id);
            change(state, &kind, object_id, is_deleted);
            Effects::new()
        }
        Stream::Gap(newest) => {
            heard(state);
            state.link.event_id = Some(newest);
            state.say(
                "Some changes were missed: everything is listed anew",
                Tone::Warn,
            );
            list_all(state)
        }
        Stream::Absent => {
            state.link.is_connecting = false;
            let was_down = state.link.phase != Phase::Polling;
            state.link.phase = Phase::Polling;
            heard(state);
            state.link.tries = 0;
            if was_down {
                list_all(state)
            } else {
                Effects::new()
            }
        }
        Stream::Lost(trouble) => lost(state, &trouble),
    }
}

fn hello(state: &mut State, newest: u64) -> Effects {
    state.link.is_connecting = false;
    state.link.tries = 0;
    // A daemon whose newest event is older than the last one seen here has another record.
    let is_resumed = state.link.event_id.is_some_and(|seen| seen <= newest)
        && state.link.phase != Phase::Polling;
    let is_whole = LISTED
        .iter()
        .all(|kind| state.data.of(*kind).loaded != Loaded::Never);
    state.link.phase = Phase::Live;
    heard(state);
    if is_resumed && is_whole {
        // What was under way when the link broke got no answer.
        let pending: Vec<Kind> = state.fetches.again.iter().copied().collect();
        return pending
            .into_iter()
            .flat_map(|kind| list(state, kind))
            .collect();
    }
    state.link.event_id = Some(newest);
    list_all(state)
}

/// The daemon gave a sign of life.
fn heard(state: &mut State) {
    state.link.heard_at = Some(state.now);
}

fn lost(state: &mut State, trouble: &Trouble) -> Effects {
    state.link.is_connecting = false;
    state
        .fetches
        .again
        .extend(state.fetches.listing.iter().copied());
    state.fetches.listing.clear();
    state.fetches.one.clear();
    if trouble.code == 401 || trouble.code == 403 {
        let why = if trouble.code == 401 {
            "the daemon does not know this token"
        } else {
            "your role may not read here"
        };
        state.link.phase = Phase::Denied(format!("{why}: {}", trouble.why));
        return Effects::new();
    }
    let since = match &state.link.phase {
        Phase::Down { since, .. } => *since,
        Phase::Live | Phase::Polling => state.link.heard_at.unwrap_or(state.now),
        Phase::Connecting | Phase::Denied(_) => state.now,
    };
    let step = usize::try_from(state.link.tries)
        .unwrap_or(usize::MAX)
        .min(BACKOFF_MS.len() - 1);
    let mut wait = BACKOFF_MS[step];
    // So that many consoles do not come back at the same instant: +-20 %, out of the clock's last digits.
    wait += wait * ((state.now % 41) - 20) / 100;
    if let Some(retry_after_s) = trouble.retry_after_s {
        wait = wait.max(i64::try_from(retry_after_s).unwrap_or(60).min(600) * SECOND);
    }
    state.link.tries = state.link.tries.saturating_add(1);
    state.link.phase = Phase::Down {
        since,
        tries: state.link.tries,
        next_at: state.now + wait,
        why: trouble.why.clone(),
    };
    Effects::new()
}

fn connect(state: &mut State) -> Effects {
    if state.link.is_connecting {
        return Effects::new();
    }
    state.link.is_connecting = true;
    vec![Effect::Connect {
        since: state.link.event_id,
    }]
}

/// `r`: asks again now; without a link, tries now.
pub(super) fn refresh(state: &mut State) -> Effects {
    match state.link.phase {
        Phase::Down { .. } | Phase::Denied(_) => connect(state),
        Phase::Connecting => Effects::new(),
        Phase::Live | Phase::Polling => {
            let mut effects = list_all(state);
            effects.push(Effect::Ask(Ask::Quota));
            effects
        }
    }
}

/// What the time has come for.
pub(super) fn due(state: &mut State) -> Effects {
    let now = state.now;
    match &state.link.phase {
        Phase::Down { next_at, .. } if *next_at <= now => return connect(state),
        Phase::Live if state.link.heard_at.is_some_and(|at| now - at >= SILENCE_MS) => {
            let why = format!("no sign of life for {} s", SILENCE_MS / SECOND);
            return lost(state, &Trouble::lost(&why));
        }
        Phase::Connecting
        | Phase::Live
        | Phase::Polling
        | Phase::Down { .. }
        | Phase::Denied(_) => {}
    }
    let mut effects = Effects::new();
    if state.fetches.dirty_at.is_some_and(|at| at <= now) {
        state.fetches.dirty_at = None;
        effects.extend(ask_dirty(state));
    }
    effects.extend(poll(state));
    effects
}

fn poll(state: &mut State) -> Effects {
    let (kinds, every): (&[Kind], Ms) = match (&state.link.phase, state.screen) {
        (Phase::Polling, _) => (POLLED, POLL_MS),
        // Counters of sessions are no events.
        (Phase::Live, Screen::Attachments) => (&[Kind::Session], POLL_MS),
        // Nor are heartbeats of services.
        (Phase::Live, Screen::Nodes) => (&[Kind::Service], POLL_MS),
        _ => {
            state.link.poll_at = None;
            return Effects::new();
        }
    };
    let is_long = kinds
        .iter()
        .any(|kind| state.data.of(*kind).slots().len() > LONG_ROWS);
    let every = if is_long { POLL_LONG_MS } else { every };
    let every = if state.is_focused {
        every
    } else {
        every * UNFOCUSED
    };
    match state.link.poll_at {
        Some(at) if at > state.now => Effects::new(),
        Some(_) => {
            state.link.poll_at = Some(state.now + every);
            kinds.iter().flat_map(|kind| list(state, *kind)).collect()
        }
        None => {
            state.link.poll_at = Some(state.now + every);
            Effects::new()
        }
    }
}

/// A daemon without events is asked again soon after a change.
pub(super) fn look_soon(state: &mut State) {
    if state.link.phase == Phase::Polling {
        state.link.poll_at = Some(state.now + GATHER_MS);
    }
}

fn list_all(state: &mut State) -> Effects {
    let mut effects = Effects::new();
    if state.whoami.is_none() {
        effects.push(Effect::Ask(Ask::Whoami));
    }
    effects.extend(LISTED.iter().flat_map(|kind| list(state, *kind)));
    if state.data.quota.is_none() {
        effects.push(Effect::Ask(Ask::Quota));
    }
    effects
}

/// Lists a kind, unless that is under way: then again when it has ended.
pub(super) fn list(state: &mut State, kind: Kind) -> Effects {
    state.fetches.again.remove(&kind);
    if !state.fetches.listing.insert(kind) {
        state.fetches.again.insert(kind);
        return Effects::new();
    }
    vec![Effect::Ask(Ask::List(kind))]
}

/// An event named an object.
fn change(state: &mut State, kind: &str, object_id: String, is_deleted: bool) {
    let Some(kind) = Kind::of_event(kind) else {
        return;
    };
    if [Kind::Volume, Kind::Snapshot].contains(&kind) {
        state.fetches.is_quota_old = true;
        state.fetches.dirty_at.get_or_insert(state.now + GATHER_MS);
    }
    if is_deleted {
        state.data.of_mut(kind).remove(&object_id);
        state.fetches.dirty.remove(&(kind, object_id));
        return;
    }
    state.fetches.dirty.insert((kind, object_id));
    if state.fetches.dirty_at.is_none() {
        state.fetches.dirty_at = Some(state.now + GATHER_MS);
    }
}

/// Asks for what changed: one by one, or the whole list when it is much.
fn ask_dirty(state: &mut State) -> Effects {
    let mut effects = Effects::new();
    if state.shows_quota() && std::mem::take(&mut state.fetches.is_quota_old) {
        effects.push(Effect::Ask(Ask::Quota));
    }
    let dirty = std::mem::take(&mut state.fetches.dirty);
    for kind in Kind::ALL {
        let ids: Vec<&String> = dirty
            .iter()
            .filter(|(of, _)| of == kind)
            .map(|(_, id)| id)
            .collect();
        if ids.is_empty() {
            continue;
        }
        let has_single = [
            Kind::Volume,
            Kind::Snapshot,
            Kind::Attachment,
            Kind::Operation,
            Kind::Type,
        ]
        .contains(kind);
        if ids.len() > ONES_MAX || !has_single {
            effects.extend(list(state, *kind));
            continue;
        }
        for id in ids {
            let one = (*kind, id.clone());
            if state.fetches.listing.contains(kind) || !state.fetches.one.insert(one.clone()) {
                // An answer that is under way may be older than this change.
                state.fetches.dirty.insert(one);
            } else {
                effects.push(Effect::Ask(Ask::One(*kind, id.clone())));
            }
        }
    }
    if !state.fetches.dirty.is_empty() {
        state.fetches.dirty_at = Some(state.now + GATHER_MS);
    }
    effects
}

/// An answer.
pub(super) fn answer(state: &mut State, answer: Answer) -> Effects {
    match answer {
        Answer::Whoami(Ok(whoami)) => state.whoami = Some(whoami),
        Answer::Whoami(Err(trouble)) => return trouble_of(state, &trouble),
        Answer::Page {
            kind,
            items,
            is_first,
            is_last,
        } => return page(state, kind, items, is_first, is_last),
        Answer::NoPage(kind, trouble) => return no_page(state, kind, &trouble),
        Answer::One(kind, id, result) => return one(state, kind, &id, result),
        Answer::Raw(ticket, result) => raw(state, ticket, &result),
        Answer::Plan(ticket, result) => dialogs::planned(state, ticket, &result),
        Answer::Placement(ticket, result) => super::forms::placed(state, ticket, &result),
        Answer::Quota(Ok(quota)) => state.data.quota = Some(quota),
        Answer::Quota(Err(trouble)) => return trouble_of(state, &trouble),
    }
    Effects::new()
}

fn page(state: &mut State, kind: Kind, items: Vec<Item>, is_first: bool, is_last: bool) -> Effects {
    if state.link.phase == Phase::Polling {
        heard(state);
    }
    let now = state.now;
    let table = state.data.of_mut(kind);
    if is_first {
        table.begin();
    }
    for item in items {
        // A listing of operations names no steps: those that are known stay.
        let known = table.steps_of(&item.id);
        table.put(with_steps(item, known));
    }
    table.at = Some(now);
    if !is_last {
        return Effects::new();
    }
    table.finish();
    end_of_list(state, kind)
}

fn with_steps(mut item: Item, known: Vec<Step>) -> Item {
    if let More::Operation(operation) = &mut item.more
        && operation.steps.is_empty()
    {
        operation.steps = known;
    }
    item
}

fn end_of_list(state: &mut State, kind: Kind) -> Effects {
    state.fetches.listing.remove(&kind);
    if state.fetches.again.remove(&kind) {
        list(state, kind)
    } else {
        Effects::new()
    }
}

fn no_page(state: &mut State, kind: Kind, trouble: &Trouble) -> Effects {
    let effects = end_of_list(state, kind);
    if trouble.is_lost() || trouble.code == 401 {
        return trouble_of(state, trouble);
    }
    let why = match trouble.code {
        404 => format!("This daemon has no list of {}s.", kind.noun()),
        403 => format!("Your role cannot list {}s.", kind.noun()),
        code => format!(
            "The {}s could not be listed: {} (answer {code}).",
            kind.noun(),
            trouble.why
        ),
    };
    let table = state.data.of_mut(kind);
    // What was there stays; only a list that never came is refused.
    if table.loaded != Loaded::Whole || trouble.code == 403 {
        table.loaded = Loaded::Refused(why);
    }
    effects
}

fn one(state: &mut State, kind: Kind, id: &str, result: Result<Option<Item>, Trouble>) -> Effects {
    state.fetches.one.remove(&(kind, id.to_owned()));
    match result {
        Ok(Some(item)) => state.data.of_mut(kind).put(item),
        Ok(None) => state.data.of_mut(kind).remove(id),
        Err(trouble) => return trouble_of(state, &trouble),
    }
    Effects::new()
}

/// A question without an answer is the end of the link, when nothing else watches it.
fn trouble_of(state: &mut State, trouble: &Trouble) -> Effects {
    let is_watched = state.link.phase == Phase::Live;
    let is_down = matches!(state.link.phase, Phase::Down { .. });
    if trouble.code == 401 || (trouble.is_lost() && !is_watched && !is_down) {
        return lost(state, trouble);
    }
    if !trouble.is_lost() {
        state.say(
            &format!(
                "The daemon refused: {} (answer {}) {}",
                trouble.why, trouble.code, trouble.request_id
            ),
            Tone::Warn,
        );
    }
    Effects::new()
}

fn raw(state: &mut State, ticket: u64, result: &Result<Vec<String>, Trouble>) {
    for overlay in &mut state.overlays {
        if let Overlay::Reading(reading) = overlay
            && reading.asked == Some(ticket)
        {
            reading.asked = None;
            reading.lines = match result {
                Ok(lines) => lines.clone(),
                Err(trouble) => vec![super::super::state::refusal("reading it", trouble)],
            };
        }
    }
}

/// The list of a kind, to be changed.
pub(super) fn list_of(state: &mut State, kind: Kind) -> Option<&mut List> {
    state.lists.get_mut(kind.index())
}
