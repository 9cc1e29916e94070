//! What waits for, or is worked on by, the services that make and remove backups: the journal by its queues.

use super::run_backup_sets::unlistable;
use super::{Ctx, LOOK, LOOKS_AT_ONCE, Lane, STORE_AT_ONCE};
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::operation::{Operation, Phase};
use crate::store::list::{Direction, Filter, ListRequest};
use crate::store::operations;
use std::collections::BTreeMap;

/// An operation in a queue.
#[derive(Debug)]
pub struct Queued {
    /// The operation.
    pub operation: Operation,
    /// How many of its queue are worked on at once.
    pub at_once: usize,
    /// Its place in the queue, from 1.
    pub position: usize,
}

/// What is in the queues, as far as the caller sees it, in the order in which it was begun. Places count the operations of
/// others, too.
pub async fn list(ctx: &Ctx, caller: &Caller) -> Result<Vec<Queued>, Error> {
    let live = Phase::ALL.into_iter().filter(|phase| !phase.is_over());
    let request = ListRequest {
        filters: vec![Filter {
            values: live.map(|phase| phase.as_str().into()).collect(),
            ..Filter::equal("phase", "")
        }],
        sort: vec![("created_at", Direction::Ascending)],
        limit: operations::LIVE_MAX,
        ..ListRequest::default()
    };
    let live = operations::list(&ctx.store, &request)
        .await
        .map_err(unlistable)?;
    let mut lengths: BTreeMap<String, usize> = BTreeMap::new();
    let mut queued = Vec::new();
    for operation in live {
        let Some(at_once) = at_once(&operation.queue) else {
            continue;
        };
        let length = lengths.entry(operation.queue.clone()).or_default();
        *length += 1;
        if caller.sees(&operation.project_id) {
            queued.push(Queued {
                position: *length,
                operation,
                at_once,
            });
        }
    }
    Ok(queued)
}

/// How many of a queue are worked on at once; `None` when it is no queue of backups.
fn at_once(queue: &str) -> Option<usize> {
    let parts: Vec<&str> = queue.split(':').collect();
    match (parts.first(), parts.last()) {
        (Some(&"backup"), Some(&LOOK)) => Some(LOOKS_AT_ONCE),
        (Some(&"backup"), _) => Some(STORE_AT_ONCE),
        (Some(&"volume"), Some(lane)) if *lane == Lane::Backup.as_str() => {
            Some(Lane::Backup.at_once())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{SCHEDULER_QUEUE, backup_queue, look_queue, volume_queue};

    #[test]
    fn queues_by_their_names() {
        assert_eq!(at_once(&backup_queue("h@nas")), Some(1));
        assert_eq!(at_once(&look_queue("h@nas")), Some(2));
        assert_eq!(at_once(&volume_queue("h@b#pool", Lane::Backup)), Some(2));
        assert_eq!(at_once(&volume_queue("h@b#pool", Lane::Copy)), None);
        assert_eq!(at_once(SCHEDULER_QUEUE), None);
    }
}
