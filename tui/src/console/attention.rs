//! What needs somebody: derived from the daemon's own words, worst first. Nothing here is a forecast.

use super::columns::{self, POOL_BAD_SHARE, POOL_WARN_SHARE};
use super::item::{Item, Kind, More};
use super::state::State;
use super::theme::Tone;

/// How many lines the dashboard has.
const ITEMS_MAX: usize = 50;

/// Something that needs somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attention {
    /// How bad it is.
    pub(crate) tone: Tone,
    /// The object.
    pub(crate) kind: Kind,
    /// Its id.
    pub(crate) id: String,
    /// `volume web-0412`.
    pub(crate) what: String,
    /// Why it is here.
    pub(crate) why: String,
}

/// All of it, what hurts now before what will.
pub(crate) fn items(state: &State) -> Vec<Attention> {
    let mut found = Vec::new();
    let data = &state.data;
    for item in data.of(Kind::Pool).rows() {
        let Some(share) = columns::used_share(item).filter(|share| *share >= POOL_WARN_SHARE)
        else {
            continue;
        };
        let tone = if share >= POOL_BAD_SHARE {
            Tone::Bad
        } else {
            Tone::Warn
        };
        found.push(of(tone, Kind::Pool, item, format!("{share:.0}% used")));
    }
    for item in data.of(Kind::Service).rows() {
        if let More::Service { state, reason, .. } = &item.more
            && state == "down"
        {
            found.push(of(Tone::Bad, Kind::Service, item, format!("down {reason}")));
        }
    }
    for kind in [Kind::Volume, Kind::Snapshot, Kind::Attachment] {
        for item in data
            .of(kind)
            .rows()
            .filter(|item| Tone::of_status(&item.status) == Tone::Bad)
        {
            let why = match failure_of(state, &item.id) {
                Some(error) => format!("{}: {error}", item.status),
                None => item.status.clone(),
            };
            found.push(of(Tone::Bad, kind, item, why));
        }
    }
    for item in data.of(Kind::Operation).rows() {
        let Some(operation) = item.operation() else {
            continue;
        };
        if !operation.stuck.is_empty() {
            let mut one = of(Tone::Warn, Kind::Operation, item, operation.stuck.clone());
            one.what = columns::operation_title(item, data);
            found.push(one);
        }
    }
    found.sort_by_key(|one| one.tone != Tone::Bad);
    found.truncate(ITEMS_MAX);
    found
}

fn of(tone: Tone, kind: Kind, item: &Item, why: String) -> Attention {
    let name = if kind == Kind::Attachment {
        item.short_id().to_owned()
    } else {
        item.title()
    };
    Attention {
        tone,
        kind,
        id: item.id.clone(),
        what: format!("{} {name}", kind.noun()),
        why,
    }
}

/// Why the last failed operation on an object failed.
pub(crate) fn failure_of(state: &State, id: &str) -> Option<String> {
    let of_it = state
        .data
        .of(Kind::Operation)
        .rows()
        .filter(|item| item.of == id && item.status == "failed");
    let last = of_it.max_by_key(|item| item.created_at)?;
    last.operation()
        .map(|operation| operation.error.clone())
        .filter(|error| !error.is_empty())
}
