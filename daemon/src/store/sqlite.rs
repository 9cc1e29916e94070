//! SQLite: one writer thread with group commit, a few readers beside it, on one file in the state directory.
//!
//! # Locking
//! The database is in WAL mode: readers never wait for the writer, nor it for them. Within a process the one writer
//! thread orders all writes. Several processes may open one state directory (the roles of one machine); between them
//! SQLite's own write lock decides, waited for at most `busy_timeout`.
//!
//! # Durability
//! `synchronous=FULL`: a write is answered after the WAL was synced. The threads and their queues are bounded; a full
//! queue, a busy lock or a slow read is `Unavailable` after a deadline, never an endless wait.
//!
//! # File systems
//! The file belongs on a local file system: WAL needs shared memory between processes. It is made readable by its
//! owner only, since it holds secrets. `ashlar.reserve` beside it is room kept back for a full disk (`reserve.rs`).
//!
//! # Failure paths
//! Full disk: read-only until a probe finds room. I/O error, damage, a file that has been moved away: broken for good.

pub mod backup;
pub mod checkup;
mod connection;
mod reader;
mod reserve;
mod writer;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::batch::{Batch, EngineError, Query, Row, StoreError};
use super::health::Health;
use super::migrations;
use connection::{Place, Purpose};
use reserve::Reserve;

/// Writes that may wait for the writer; more wait outside, at most [`ENTRY_TIMEOUT`].
const WRITE_QUEUE: usize = 1024;
/// Reads that may wait for a reader; more wait outside, at most [`ENTRY_TIMEOUT`].
const READ_QUEUE: usize = 1024;
/// How long a call waits for its place in the queue: the daemon is overloaded then, and should say so early.
const ENTRY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a write waits for its COMMIT: a disk that syncs slower than this is as good as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a read may run, all its queries together; then it is interrupted.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long closing waits for what is queued and for the last checkpoint.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// How the embedded engine is to run.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Reading threads, each with a connection.
    pub readers: usize,
    /// How many batches share a COMMIT at most.
    pub group: usize,
    /// How long another process's write lock is waited for.
    pub busy_timeout: Duration,
    /// Room kept back for a full disk; 0 keeps none.
    pub reserve_bytes: u64,
    /// How often a full disk is looked at again.
    pub probe_interval: Duration,
    /// A limit on the database's size, in its pages of 4 KiB; none by default.
    pub max_pages: Option<u32>,
    /// The schema.
    pub migrations: &'static [&'static str],
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            // Reads are answered from the page cache in microseconds: a few threads outrun the API.
            readers: 4,
            // The sync is shared by so many; the last of them still waits well under 10 ms.
            group: 64,
            busy_timeout: Duration::from_secs(5),
            // A few thousand records of an operation's end, and a checkpoint of the WAL.
            reserve_bytes: 16 * 1024 * 1024,
            probe_interval: Duration::from_secs(5),
            max_pages: None,
            migrations: migrations::MIGRATIONS,
        }
    }
}

/// The embedded engine; its threads end when it is closed or dropped.
#[derive(Debug)]
pub(super) struct Sqlite {
    health: Arc<Health>,
    writes: mpsc::Sender<writer::Message>,
    write_places: Arc<Semaphore>,
    reads: mpsc::Sender<reader::Message>,
    readers: usize,
    read_places: Arc<Semaphore>,
}

impl Sqlite {
    /// Opens or makes the record in `dir`, brings its schema up to date and starts the threads.
    pub(super) async fn open(dir: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let dir = dir.to_owned();
        tokio::task::spawn_blocking(move || Self::open_blocking(&dir, &options))
            .await
            .map_err(|_panic| StoreError::Broken(EngineError::ThreadGone))?
    }

    fn open_blocking(dir: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        let place = Place::of(dir);
        let reserve = Reserve::new(dir, options.reserve_bytes);
        let connection = match place.prepare(options) {
            // Recovery must be able to start on a full disk: it is what makes room.
            Err(StoreError::Full(_)) if reserve.release() => place.prepare(options)?,
            other => other?,
        };
        let health = Arc::new(Health::new());
        if let Err(error) = reserve.keep() {
            health.notice(&StoreError::Full(error.into()));
        }
        let readers = (0..options.readers.max(1))
            .map(|_| place.connect(Purpose::Read, options))
            .collect::<Result<Vec<_>, _>>()?;
        let writes = writer::start(connection, reserve, Arc::clone(&health), options)?;
        let count = readers.len();
        let reads = reader::start(readers, &health)?;
        Ok(Self {
            health,
            readers: count,
            writes,
            write_places: Arc::new(Semaphore::new(WRITE_QUEUE)),
            reads,
            read_places: Arc::new(Semaphore::new(READ_QUEUE)),
        })
    }

    /// Its health.
    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// Writes a batch. When the caller goes away before its turn came, nothing happens; later, all of it does.
    pub(super) async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.health.check_write(batch.essential)?;
        let place = enter(&self.write_places, "write").await?;
        let (answer, answered) = oneshot::channel();
        let job = writer::Job {
            batch,
            answer,
            _place: place,
        };
        if self.writes.send(writer::Message::Write(job)).is_err() {
            return Err(self.thread_gone());
        }
        match tokio::time::timeout(WRITE_TIMEOUT, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_dropped)) => Err(self.thread_gone()),
            Err(_elapsed) => Err(StoreError::Uncertain {
                why: format!("no commit within {} s", WRITE_TIMEOUT.as_secs()),
            }),
        }
    }

    /// Answers all queries from one view.
    pub(super) async fn read(&self, queries: Vec<Query>) -> Result<Vec<Vec<Row>>, StoreError> {
        self.health.check()?;
        let place = enter(&self.read_places, "read").await?;
        let (answer, answered) = oneshot::channel();
        let job = reader::Job {
            queries,
            deadline: Instant::now() + READ_TIMEOUT,
            answer,
            _place: place,
        };
        if self.reads.send(reader::Message::Read(job)).is_err() {
            return Err(self.thread_gone());
        }
        // The reader interrupts itself at the deadline; a second one is for a disk that hangs.
        match tokio::time::timeout(2 * READ_TIMEOUT, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_dropped)) => Err(self.thread_gone()),
            Err(_elapsed) => Err(too_slow()),
        }
    }

    /// Takes no more calls, lets the queued writes commit and folds the WAL into the database.
    pub(super) async fn close(&self) {
        self.write_places.close();
        self.read_places.close();
        let ended = async {
            // The writer last: it folds the log in when nobody reads from it any more.
            let mut waits = Vec::with_capacity(self.readers);
            for _ in 0..self.readers {
                let (answer, answered) = oneshot::channel();
                // A thread that is gone already drops its answer, which ends the wait for it too.
                drop(self.reads.send(reader::Message::Close(answer)));
                waits.push(answered);
            }
            for answered in waits {
                let _ended = answered.await;
            }
            let (answer, answered) = oneshot::channel();
            drop(self.writes.send(writer::Message::Close(answer)));
            let _ended = answered.await;
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, ended).await.is_err() {
            tracing::warn!("the record did not close in time; the next start recovers its log");
        }
    }

    fn thread_gone(&self) -> StoreError {
        if self.write_places.is_closed() {
            return closed();
        }
        let error = StoreError::Broken(EngineError::ThreadGone);
        self.health.notice(&error);
        error
    }
}

async fn enter(places: &Arc<Semaphore>, what: &str) -> Result<OwnedSemaphorePermit, StoreError> {
    match tokio::time::timeout(ENTRY_TIMEOUT, Arc::clone(places).acquire_owned()).await {
        Ok(Ok(place)) => Ok(place),
        Ok(Err(_closed)) => Err(closed()),
        Err(_elapsed) => Err(StoreError::Unavailable {
            why: format!(
                "no place in the {what} queue within {} s",
                ENTRY_TIMEOUT.as_secs()
            ),
        }),
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable {
        why: "it is being closed".to_owned(),
    }
}

fn too_slow() -> StoreError {
    StoreError::Unavailable {
        why: format!("the read took longer than {} s", READ_TIMEOUT.as_secs()),
    }
}

#[cfg(test)]
mod tests;
