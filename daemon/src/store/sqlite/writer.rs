//! The writing thread: what is queued commits together, each batch in its own savepoint.
//!
//! A batch whose guard fails or whose statement is refused undoes its own savepoint only; its neighbours commit. An
//! error that undoes the whole transaction (full disk, I/O) is told to every batch of the group; if only the COMMIT is
//! refused, the batches are tried one by one, so that nobody pays for a neighbour's fault. Nobody is answered before
//! the COMMIT is done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::SqliteOptions;
use super::connection::{bind, fault, is_taken, named};
use super::reserve::Reserve;
use crate::store::batch::{Batch, EngineError, Guard, Statement, StoreError};
use crate::store::health::Health;

/// One write.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<(), StoreError>>,
    /// Its place in the queue, given back when it is answered.
    pub(super) _place: OwnedSemaphorePermit,
}

/// What the thread can be asked.
#[derive(Debug)]
pub(super) enum Message {
    /// Commit this.
    Write(Job),
    /// Commit what was queued before this, then end, and say so when the connection is closed.
    Close(oneshot::Sender<()>),
}

/// Why a group did not commit; nothing of it happened.
enum Undone {
    /// For a reason that concerns every batch.
    All(StoreError),
    /// The COMMIT itself was refused, by one batch's fault.
    ByOne(StoreError),
}

struct Writer {
    connection: Connection,
    reserve: Reserve,
    health: Arc<Health>,
    group: usize,
    probe_interval: Duration,
    next_probe: Instant,
}

/// Starts the thread.
pub(super) fn start(
    connection: Connection,
    reserve: Reserve,
    health: Arc<Health>,
    options: &SqliteOptions,
) -> Result<Sender<Message>, StoreError> {
    let (sender, inbox) = channel();
    let mut writer = Writer {
        connection,
        reserve,
        health,
        group: options.group.max(1),
        probe_interval: options.probe_interval,
        next_probe: Instant::now() + options.probe_interval,
    };
    thread::Builder::new()
        .name("store-write".to_owned())
        .spawn(move || {
            let closing = writer.serve(&inbox);
            drop(writer);
            if let Some(answer) = closing {
                let _unheard = answer.send(());
            }
        })
        .map_err(|error| StoreError::Broken(error.into()))?;
    Ok(sender)
}

impl Writer {
    /// Commits what comes until it is told to close, or the store is dropped.
    fn serve(&mut self, inbox: &Receiver<Message>) -> Option<oneshot::Sender<()>> {
        loop {
            let first = match self.next(inbox) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    self.probe();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            let mut jobs = VecDeque::new();
            let mut closing = None;
            for message in std::iter::once(first).chain(inbox.try_iter()) {
                match message {
                    Message::Write(job) => jobs.push_back(job),
                    Message::Close(answer) => {
                        closing = Some(answer);
                        break;
                    }
                }
                if jobs.len() >= self.group {
                    break;
                }
            }
            self.serve_group(jobs.into());
            if closing.is_some() {
                self.fold_log();
                return closing;
            }
            if self.health.is_full() && Instant::now() >= self.next_probe {
                self.probe();
            }
        }
    }

    fn next(&self, inbox: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        if self.health.is_full() {
            inbox.recv_timeout(self.next_probe.saturating_duration_since(Instant::now()))
        } else {
            inbox.recv().map_err(|_gone| RecvTimeoutError::Disconnected)
        }
    }

    /// Looks whether the disk has room again.
    fn probe(&mut self) {
        self.next_probe = Instant::now() + self.probe_interval;
        match self.reserve.probe() {
            Ok(()) => self.health.lift(),
            Err(error) => tracing::debug!(%error, "the disk under the record is still full"),
        }
    }

    /// Commits a group and answers each of its batches.
    fn serve_group(&mut self, mut jobs: Vec<Job>) {
        jobs.retain(|job| !job.answer.is_closed());
        let jobs = self.refuse(jobs);
        if jobs.is_empty() {
            return;
        }
        match self.commit(&jobs) {
            Ok(outcomes) => {
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    let _unheard = job.answer.send(outcome);
                }
            }
            Err(Undone::ByOne(_)) if jobs.len() > 1 => {
                for job in jobs {
                    self.serve_group(vec![job]);
                }
            }
            Err(Undone::All(error @ StoreError::Full(_))) => self.serve_full(jobs, &error),
            Err(Undone::ByOne(error) | Undone::All(error)) => self.answer_all(jobs, &error),
        }
    }

    /// Answers what may not be tried in the store's present health; gives back the rest.
    fn refuse(&self, jobs: Vec<Job>) -> Vec<Job> {
        jobs.into_iter()
            .filter_map(|job| match self.health.check_write(job.batch.essential) {
                Ok(()) => Some(job),
                Err(error) => {
                    let _unheard = job.answer.send(Err(error));
                    None
                }
            })
            .collect()
    }

    /// The disk is full: from now on only what is essential is tried, alone, and once more on the reserve.
    fn serve_full(&mut self, jobs: Vec<Job>, error: &StoreError) {
        if !self.health.is_full() {
            self.next_probe = Instant::now() + self.probe_interval;
        }
        self.health.notice(error);
        for job in self.refuse(jobs) {
            let alone = std::slice::from_ref(&job);
            let mut outcome = self.commit(alone);
            if let Err(Undone::All(StoreError::Full(_))) = outcome
                && self.reserve.release()
            {
                outcome = self.commit(alone);
            }
            let outcome = match outcome {
                Ok(outcomes) => outcomes.into_iter().collect(),
                Err(Undone::ByOne(error) | Undone::All(error)) => Err(error),
            };
            if let Err(error) = &outcome {
                self.health.notice(error);
            }
            let _unheard = job.answer.send(outcome);
        }
    }

    fn answer_all(&self, jobs: Vec<Job>, error: &StoreError) {
        self.health.notice(error);
        for job in jobs {
            let _unheard = job.answer.send(Err(error.clone()));
        }
    }

    /// One transaction for the whole group; an outcome for each batch once it has committed.
    fn commit(&self, jobs: &[Job]) -> Result<Vec<Result<(), StoreError>>, Undone> {
        self.run("BEGIN IMMEDIATE").map_err(Undone::All)?;
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            match self.apply_alone(&job.batch) {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => {
                    self.undo();
                    return Err(Undone::All(error));
                }
            }
        }
        if outcomes.iter().all(Result::is_err) {
            self.undo();
            return Ok(outcomes);
        }
        self.run("COMMIT").map_err(|error| {
            self.undo();
            if matches!(error, StoreError::Refused { .. }) {
                Undone::ByOne(error)
            } else {
                Undone::All(error)
            }
        })?;
        Ok(outcomes)
    }

    /// Runs a batch in a savepoint of its own; an outer error says that the whole transaction is lost.
    fn apply_alone(&self, batch: &Batch) -> Result<Result<(), StoreError>, StoreError> {
        self.run("SAVEPOINT batch")?;
        let outcome = self.apply(batch);
        // After some errors SQLite has undone the transaction by itself.
        let lost = self.connection.is_autocommit();
        match outcome {
            Err(
                error @ (StoreError::Full(_)
                | StoreError::Broken(_)
                | StoreError::Unavailable { .. }),
            ) => Err(error),
            Err(error) if lost => Err(error),
            Err(error) => {
                self.run("ROLLBACK TO batch")?;
                self.run("RELEASE batch")?;
                Ok(Err(error))
            }
            Ok(()) => {
                self.run("RELEASE batch")?;
                Ok(Ok(()))
            }
        }
    }

    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        for statement in &batch.statements {
            let rows = self.execute(statement)?;
            if let (Guard::AtLeastOne(guard), 0) = (statement.guard, rows) {
                return Err(StoreError::Conflict { guard });
            }
        }
        Ok(())
    }

    fn execute(&self, statement: &Statement) -> Result<usize, StoreError> {
        let name = statement.sql.name;
        let mut prepared = self
            .connection
            .prepare_cached(statement.sql.text)
            .map_err(|error| named(error, name))?;
        if prepared.column_count() > 0 {
            return Err(StoreError::Refused {
                statement: name.to_owned(),
                source: EngineError::Rows,
            });
        }
        bind(&mut prepared, &statement.values, name)?;
        prepared.raw_execute().map_err(|error| {
            if is_taken(&error) {
                StoreError::Taken { statement: name }
            } else {
                named(error, name)
            }
        })
    }

    fn run(&self, control: &'static str) -> Result<(), StoreError> {
        let mut prepared = self.connection.prepare_cached(control).map_err(fault)?;
        prepared.raw_execute().map_err(fault)?;
        Ok(())
    }

    /// Ends the transaction, if one is open, without a trace; a connection that cannot even do that is broken.
    fn undo(&self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.connection.execute_batch("ROLLBACK")
            && !self.connection.is_autocommit()
        {
            self.health.notice(&StoreError::Broken(error.into()));
        }
    }

    /// Moves the log into the database, so that the next start has nothing to recover.
    fn fold_log(&self) {
        let folded =
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()));
        if let Err(error) = folded {
            tracing::warn!(%error, "the record's log was not folded in; the next start does it");
        }
    }
}
