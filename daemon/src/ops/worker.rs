//! The worker: takes what its queues hold and carries it out, a bounded number at once.
//!
//! A queue has one worker (a lock on the state directory sees to that), so taking an operation is remembered in
//! memory and costs no commit. At start the same loop finds what a crash left: recovery is the same code as doing.

use super::Ctx;
use super::steps::{self, Left};
use crate::model::id::OperationId;
use crate::store::operations;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// At most so many operations are worked on at once; the rest wait in the journal.
const AT_ONCE: usize = 64;

/// How long an operation rests when the record could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// How long steps may go on after `shutdown`; longer ones are cut off as by a crash and taken up at the next start.
const GRACE: Duration = Duration::from_secs(10);

/// Works until `shutdown`, then lets the steps that are under way end. What is not done by then is taken up at the
/// next start.
pub async fn run_worker(ctx: Arc<Ctx>, queues: Vec<String>, shutdown: CancellationToken) {
    let queues: Arc<[String]> = queues.into();
    let taken: Arc<Mutex<HashSet<OperationId>>> = Arc::default();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let tasks = TaskTracker::new();
    let mut listener = ctx.doorbell.listen();
    while !shutdown.is_cancelled() {
        for queue in queues.iter() {
            take(&ctx, &queues, queue, &taken, &places, &tasks).await;
        }
        tokio::select! {
            () = listener.heard() => {}
            () = shutdown.cancelled() => {}
        }
    }
    tasks.close();
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        tracing::info!(
            left = tasks.len(),
            "operations are under way; they go on at the next start"
        );
    }
}

async fn take(
    ctx: &Arc<Ctx>,
    queues: &Arc<[String]>,
    queue: &str,
    taken: &Arc<Mutex<HashSet<OperationId>>>,
    places: &Arc<Semaphore>,
    tasks: &TaskTracker,
) {
    let room = i64::try_from(2 * AT_ONCE).unwrap_or(i64::MAX);
    let found = match operations::live(&ctx.store, queue, room).await {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(
                queue,
                error = steps::chain(&error),
                "the queue cannot be read"
            );
            return;
        }
    };
    for operation in found {
        let id = operation.id;
        if !lock(taken).contains(&id) {
            let Ok(place) = Arc::clone(places).try_acquire_owned() else {
                return;
            };
            lock(taken).insert(id);
            let (ctx, taken, queues) = (Arc::clone(ctx), Arc::clone(taken), Arc::clone(queues));
            tasks.spawn(async move {
                let bell = ctx.doorbell.clone();
                let left = steps::carry_out(ctx, operation, &queues).await;
                drop(place);
                match left {
                    Left::Settled => {
                        lock(&taken).remove(&id);
                        bell.ring(); // A place is free, or the next queue has it.
                    }
                    // Not at once: what keeps the record from being written will not be over yet.
                    Left::Unrecorded => {
                        tokio::time::sleep(RETRY).await;
                        lock(&taken).remove(&id);
                    }
                    Left::Unread => {} // Stays taken: looking again would find the same.
                }
            });
        }
    }
}

fn lock(taken: &Mutex<HashSet<OperationId>>) -> std::sync::MutexGuard<'_, HashSet<OperationId>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}
