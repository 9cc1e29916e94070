//! What a task means by its writes, beside what they say: only to rehearse them, or only if nothing has changed.
//!
//! An act is rehearsed by doing it: every check and guard runs, on the record as it is, and the last guard of each batch
//! is never met, so that nothing happens. So there is one set of rules, and no code path can write in a rehearsal. The
//! intent belongs to the task, not to the calls: no verb has to hand it on, and none can forget to.

use super::batch::{Batch, Guard, Sql, Statement, StoreError};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The guard that a rehearsed batch ends at.
pub const REHEARSED: &str = "rehearsed";
/// The guard that nothing has changed since.
const UNCHANGED: &str = "unchanged";

/// Touches no row, ever.
const NEVER: Sql = Sql {
    name: "intent.never",
    text: "UPDATE event_triggers SET made_from = made_from WHERE 1 = 0",
};

/// Parameters: the newest event when it was looked, the ids of what was looked at as one text. Touches the one row if
/// no volume, snapshot or attachment was made since, and none of those ids changed.
const IF_UNCHANGED: Sql = Sql {
    name: "intent.if_unchanged",
    text: "UPDATE event_triggers SET made_from = made_from WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.id > $1 \
           AND e.kind IN ('volume', 'snapshot', 'attachment') \
           AND (e.change = 'created' OR $2 LIKE '%' || e.object_id || '%'))",
};

pub(super) const ALL: &[Sql] = &[NEVER, IF_UNCHANGED];

tokio::task_local! {
    static INTENT: Intent;
}

#[derive(Clone)]
enum Intent {
    Rehearse(Arc<Rehearsal>),
    IfUnchanged(Arc<Unchanged>),
}

/// What a rehearsal came to.
#[derive(Debug, Default)]
struct Rehearsal {
    is_reached: AtomicBool,
    // A std mutex: it is never held across an await.
    refusals: Mutex<Vec<String>>,
}

struct Unchanged {
    newest: i64,
    ids: String,
    has_changed: AtomicBool,
}

/// Does something without its writes. Gives what it answered, and whether it would have written: `None` if it was
/// refused before, else the refusals of guards that were passed over to find them all.
pub async fn rehearse<F: Future>(act: F) -> (F::Output, Option<Vec<String>>) {
    let rehearsal = Arc::new(Rehearsal::default());
    let intent = Intent::Rehearse(Arc::clone(&rehearsal));
    let answer = INTENT.scope(intent, act).await;
    let mut refusals = rehearsal
        .refusals
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let refusals = std::mem::take(&mut *refusals);
    let is_reached = rehearsal.is_reached.load(Ordering::Relaxed) || !refusals.is_empty();
    (answer, is_reached.then_some(refusals))
}

/// Does something if none of `ids` has changed, and nothing new was made, since event `newest`; whether it had.
pub async fn if_unchanged<F: Future>(newest: i64, ids: &[String], act: F) -> (F::Output, bool) {
    let unchanged = Arc::new(Unchanged {
        newest,
        ids: ids.join(" "),
        has_changed: AtomicBool::new(false),
    });
    let intent = Intent::IfUnchanged(Arc::clone(&unchanged));
    let answer = INTENT.scope(intent, act).await;
    (answer, unchanged.has_changed.load(Ordering::Relaxed))
}

/// Whether what this task does is a rehearsal.
pub fn is_rehearsal() -> bool {
    INTENT
        .try_with(|intent| matches!(intent, Intent::Rehearse(_)))
        .unwrap_or(false)
}

/// Notes why a rehearsed act would be refused, so that the next reason can be looked for.
pub fn note_refusal(refusal: String) {
    let _not_rehearsing = INTENT.try_with(|intent| {
        if let Intent::Rehearse(rehearsal) = intent {
            let mut refusals = rehearsal
                .refusals
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            refusals.push(refusal);
        }
    });
}

/// A batch with this task's intent. `sees_own_events`: whether the engine writes a batch's events while it runs.
pub(super) fn bind(mut batch: Batch, sees_own_events: bool) -> Batch {
    let guard = |sql, values, name| Statement {
        sql,
        values,
        guard: Guard::AtLeastOne(name),
    };
    let _no_intent = INTENT.try_with(|intent| match intent {
        Intent::Rehearse(_) => batch.statements.push(guard(NEVER, Vec::new(), REHEARSED)),
        Intent::IfUnchanged(unchanged) => {
            let values = vec![unchanged.newest.into(), unchanged.ids.as_str().into()];
            let statement = guard(IF_UNCHANGED, values, UNCHANGED);
            // One writer: nothing comes between. Many: what the batch waited for has committed before its end.
            let place = if sees_own_events {
                0
            } else {
                batch.statements.len()
            };
            batch.statements.insert(place, statement);
        }
    });
    batch
}

/// Notes which guard of an intent stopped a batch.
pub(super) fn note(error: &StoreError) {
    let StoreError::Conflict { guard } = error else {
        return;
    };
    let _no_intent = INTENT.try_with(|intent| match intent {
        Intent::Rehearse(rehearsal) if *guard == REHEARSED => {
            rehearsal.is_reached.store(true, Ordering::Relaxed);
        }
        Intent::IfUnchanged(unchanged) if *guard == UNCHANGED => {
            unchanged.has_changed.store(true, Ordering::Relaxed);
        }
        Intent::Rehearse(_) | Intent::IfUnchanged(_) => {}
    });
}
