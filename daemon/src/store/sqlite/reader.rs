//! The reading threads: each has a connection, all take from one queue, each call sees one view.
//!
//! Threads of our own and not the runtime's blocking pool: a point read then costs a hand-over, not a spawn.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::connection::{fault, select};
use super::too_slow;
use crate::store::batch::{Query, Row, StoreError};
use crate::store::health::Health;

/// How many of SQLite's instructions pass between two looks at the clock: well under a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// One call.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) queries: Vec<Query>,
    pub(super) deadline: Instant,
    pub(super) answer: oneshot::Sender<Result<Vec<Vec<Row>>, StoreError>>,
    /// Its place in the queue, given back when it is answered.
    pub(super) _place: OwnedSemaphorePermit,
}

/// What a thread can be asked.
#[derive(Debug)]
pub(super) enum Message {
    /// Answer this.
    Read(Job),
    /// End, and say so when the connection is closed; each thread takes one.
    Close(oneshot::Sender<()>),
}

/// The clock that SQLite looks at while it works: when to give up, in ms since the thread began.
#[derive(Debug, Clone)]
struct Alarm {
    began: Instant,
    at_ms: Arc<AtomicU64>,
}

impl Alarm {
    fn set(&self, deadline: Instant) {
        let at = deadline.saturating_duration_since(self.began).as_millis();
        self.at_ms
            .store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn rings(&self) -> bool {
        self.began.elapsed().as_millis() > u128::from(self.at_ms.load(Ordering::Relaxed))
    }
}

/// Starts a thread for each connection.
pub(super) fn start(
    connections: Vec<Connection>,
    health: &Arc<Health>,
) -> Result<mpsc::Sender<Message>, StoreError> {
    let (sender, inbox) = mpsc::channel();
    let inbox = Arc::new(Mutex::new(inbox));
    for (number, mut connection) in connections.into_iter().enumerate() {
        let alarm = Alarm {
            began: Instant::now(),
            at_ms: Arc::new(AtomicU64::new(0)),
        };
        let watched = alarm.clone();
        connection
            .progress_handler(STEPS_BETWEEN_LOOKS, Some(move || watched.rings()))
            .map_err(fault)?;
        let (inbox, health) = (Arc::clone(&inbox), Arc::clone(health));
        thread::Builder::new()
            .name(format!("store-read-{number}"))
            .spawn(move || {
                let closing = serve(&connection, &inbox, &health, &alarm);
                drop(connection);
                if let Some(answer) = closing {
                    let _unheard = answer.send(());
                }
            })
            .map_err(|error| StoreError::Broken(error.into()))?;
    }
    Ok(sender)
}

/// Answers calls until it is told to close, or the store is dropped.
fn serve(
    connection: &Connection,
    inbox: &Mutex<mpsc::Receiver<Message>>,
    health: &Health,
    alarm: &Alarm,
) -> Option<oneshot::Sender<()>> {
    loop {
        // The lock is held while waiting: the others wait for it instead of for the queue, and one is woken per call.
        let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let job = match next {
            Ok(Message::Read(job)) => job,
            Ok(Message::Close(answer)) => return Some(answer),
            Err(_dropped) => return None,
        };
        if job.answer.is_closed() {
            continue;
        }
        let outcome = health.check().and_then(|()| {
            alarm.set(job.deadline);
            view(connection, &job.queries)
        });
        let outcome = outcome.map_err(|error| {
            if alarm.rings() && matches!(error, StoreError::Unavailable { .. }) {
                too_slow()
            } else {
                error
            }
        });
        if let Err(error @ StoreError::Broken(_)) = &outcome {
            health.notice(error);
        }
        // The caller may be gone; a read leaves nothing behind.
        let _unheard = job.answer.send(outcome);
    }
}

/// Answers all queries from one view; a single one has its own by itself.
fn view(connection: &Connection, queries: &[Query]) -> Result<Vec<Vec<Row>>, StoreError> {
    if let [query] = queries {
        return Ok(vec![select(connection, query)?]);
    }
    let transaction = connection.unchecked_transaction().map_err(fault)?;
    let answers = queries
        .iter()
        .map(|query| select(&transaction, query))
        .collect::<Result<Vec<_>, _>>()?;
    transaction.commit().map_err(fault)?;
    Ok(answers)
}
