//! The worker: takes what its queues hold and carries it out, a bounded number at once.
//!
//! A queue has one worker (a lock on the state directory sees to that), so taking an operation is remembered in
//! memory and costs no commit. At start the same loop finds what a crash left: recovery is the same code as doing.

use super::steps::{self, Left};
use super::{
    Ctx, LOOKS_AT_ONCE, Lane, SCHEDULER_QUEUE, STORE_AT_ONCE, backup_queue, look_queue,
    volume_queue,
};
use crate::model::id::OperationId;
use crate::model::operation::Operation;
use crate::store::operations::{self, Place};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// How many operations of a queue are looked at together.
const PART: usize = 128;

/// How long an operation rests when the record could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// How long steps may go on after `shutdown`; longer ones are cut off as by a crash and taken up at the next start.
const GRACE: Duration = Duration::from_secs(10);

/// What a worker takes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    name: String,
    at_once: usize,
    /// Whether an operation of another queue may go on into this one without being put down first.
    is_quick: bool,
}

impl Queue {
    /// The scheduler's queue.
    pub fn scheduler() -> Self {
        let at_once = Lane::Quick.at_once();
        Self {
            name: SCHEDULER_QUEUE.to_owned(),
            at_once,
            is_quick: true,
        }
    }

    /// The queue of the backup service `host@store`.
    pub fn backup(service: &str) -> Self {
        Self {
            name: backup_queue(service),
            at_once: STORE_AT_ONCE,
            is_quick: false,
        }
    }

    /// The queue of the same service for what only looks.
    pub fn look(service: &str) -> Self {
        Self {
            name: look_queue(service),
            at_once: LOOKS_AT_ONCE,
            is_quick: false,
        }
    }

    /// A lane of the volume service `host@backend`.
    pub fn lane(service: &str, lane: Lane) -> Self {
        Self {
            name: volume_queue(service, lane),
            at_once: lane.at_once(),
            is_quick: lane == Lane::Quick,
        }
    }
}

/// What the tasks of a worker share.
struct Worker {
    ctx: Arc<Ctx>,
    quick: Vec<String>,
    taken: Mutex<HashSet<OperationId>>,
    /// What was found and cannot be read, so that it is said once.
    unread: Mutex<HashSet<String>>,
    tasks: TaskTracker,
}

/// Works until `shutdown`, then lets the steps that are under way end. What is not done by then is taken up at the
/// next start.
pub async fn run_worker(ctx: Arc<Ctx>, queues: Vec<Queue>, shutdown: CancellationToken) {
    let mut listener = ctx.doorbell.listen();
    let quick = queues
        .iter()
        .filter(|queue| queue.is_quick)
        .map(|queue| queue.name.clone());
    let worker = Arc::new(Worker {
        ctx,
        quick: quick.collect(),
        taken: Mutex::default(),
        unread: Mutex::default(),
        tasks: TaskTracker::new(),
    });
    let places: Vec<_> = queues
        .into_iter()
        .map(|queue| (Arc::new(Semaphore::new(queue.at_once)), queue))
        .collect();
    while !shutdown.is_cancelled() {
        for (places, queue) in &places {
            worker.take(queue, places).await;
        }
        tokio::select! {
            () = listener.heard() => {}
            () = shutdown.cancelled() => {}
        }
    }
    worker.tasks.close();
    if tokio::time::timeout(GRACE, worker.tasks.wait())
        .await
        .is_err()
    {
        let left = worker.tasks.len();
        tracing::info!(
            left,
            "operations are under way; they go on at the next start"
        );
    }
}

impl Worker {
    /// Takes up what a queue holds, as far as there are places. What is under way, rests or cannot be read stands
    /// before the rest, so it goes on part by part until a place is filled or the queue ends.
    async fn take(self: &Arc<Self>, queue: &Queue, places: &Arc<Semaphore>) {
        let mut after = Some(Place::default());
        while let Some(from) = after
            && places.available_permits() > 0
        {
            // Asked before the queue is read: an operation that ends between the two is in what was read, as it was
            // before its end, and must not be taken up from there a second time. Only this loop takes, so what was
            // not under way is as it was read. Whoever ends rings, and the queue is read again.
            let under_way = self.taken().clone();
            let found = operations::live(&self.ctx.store, &queue.name, &from, PART).await;
            let part = match found {
                Ok(part) => part,
                Err(error) => {
                    let error = crate::error::chain(&error);
                    tracing::error!(queue = queue.name, error, "the queue cannot be read");
                    return;
                }
            };
            for id in part.unreadable {
                if self.unread().insert(id.clone()) {
                    tracing::error!(operation = %id, queue = queue.name, "this version cannot read the operation; it is left as it is");
                }
            }
            let free = part
                .operations
                .into_iter()
                .filter(|one| !under_way.contains(&one.id));
            for operation in free {
                self.take_up(operation, places);
            }
            after = part.next;
        }
    }

    /// Takes up an operation, unless there is no place for it.
    fn take_up(self: &Arc<Self>, operation: Operation, places: &Arc<Semaphore>) {
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            return;
        };
        self.taken().insert(operation.id);
        let worker = Arc::clone(self);
        self.tasks
            .spawn(async move { worker.carry_out(operation, place).await });
    }

    async fn carry_out(self: &Arc<Self>, operation: Operation, place: OwnedSemaphorePermit) {
        let id = operation.id;
        let worker = Arc::clone(self);
        // Every line of the operation carries these; at the level of errors, so that no filter takes them away.
        let span = tracing::error_span!(
            "operation", operation = %id, verb = operation.verb.as_str(), object_id = operation.object_id,
            request_id = operation.request_id, project_id = operation.project_id
        );
        let work = async move {
            steps::carry_out(Arc::clone(&worker.ctx), operation, &worker.quick).await
        }
        .instrument(span);
        // In a task of its own: a step that panics is a mistake in Ashlar, and must not leave its operation taken by
        // nobody until the next start.
        let left = tokio::spawn(work).await.unwrap_or_else(|error| {
            tracing::error!(operation = %id, %error, "a step panicked; the operation will be taken up again");
            Left::Unrecorded
        });
        drop(place);
        match left {
            Left::Settled => {
                self.taken().remove(&id);
                self.ctx.doorbell.ring(); // A place is free, or the next queue has it.
            }
            // Not at once: what keeps the record from being written will not be over yet.
            Left::Unrecorded => {
                tokio::time::sleep(RETRY).await;
                self.taken().remove(&id);
            }
            Left::Unread => {} // Stays taken: looking again would find the same.
        }
    }

    fn unread(&self) -> MutexGuard<'_, HashSet<String>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self) -> MutexGuard<'_, HashSet<OperationId>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
