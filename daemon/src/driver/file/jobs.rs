//! Blocking work off the async threads: bounded, one piece at a time for one object, and stopped when its caller is.
//!
//! A caller may be dropped while its thread still copies (a time-out, a shutdown). The thread then stops at its next
//! check, and until it has, the object stays claimed: a repeat waits for it, and never writes beside it.

use crate::driver::{DriverError, Work};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Copies and wipes at once in one pool: more only make a disk seek. The others wait and can be cancelled meanwhile.
const BULK_JOBS_MAX: usize = 4;
/// How long a call waits for an abandoned one on the same object. That one stops within a slice (8 MiB) and an fsync.
const CLAIM_WAIT: Duration = Duration::from_secs(60);
/// How often a waiting job looks whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(50);

/// Whether a job puts the disk to work for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Some system calls.
    Light,
    /// A copy or a wipe.
    Bulk,
}

type Claims = HashMap<String, Weak<tokio::sync::Mutex<()>>>;

/// The jobs of one pool.
#[derive(Debug)]
pub(super) struct Jobs {
    backend: String,
    claims: Mutex<Claims>,
    bulk: Arc<Semaphore>,
}

/// One piece of work on one object.
#[derive(Debug)]
pub(super) struct Job {
    hold: Arc<Hold>,
    stop: Stop,
}

#[derive(Debug)]
struct Hold {
    backend: String,
    _object: OwnedMutexGuard<()>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// What a thread asks between slices.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    work: Work,
    is_abandoned: Arc<AtomicBool>,
    /// Whether what is done now is what the work's cursor counts.
    reports: bool,
}

impl Stop {
    /// An error once the work is to stop.
    pub(super) fn check(&self) -> Result<(), DriverError> {
        if self.work.is_cancelled() || self.is_abandoned.load(Ordering::Relaxed) {
            return Err(DriverError::Cancelled);
        }
        Ok(())
    }

    /// Tells how far the work is, unless this is only a preliminary of it.
    pub(super) fn report(&self, done_bytes: u64, total_bytes: u64) {
        if self.reports {
            self.work.report(done_bytes, total_bytes);
        }
    }
}

impl Jobs {
    pub(super) fn new(backend: &str) -> Self {
        Self {
            backend: backend.to_owned(),
            claims: Mutex::default(),
            bulk: Arc::new(Semaphore::new(BULK_JOBS_MAX)),
        }
    }

    /// Claims `object`; waits for its turn.
    pub(super) async fn begin(
        &self,
        object: &str,
        weight: Weight,
        work: &Work,
    ) -> Result<Job, DriverError> {
        let claimed = tokio::time::timeout(CLAIM_WAIT, self.claim(object).lock_owned()).await;
        let object = claimed.map_err(|_| {
            let waited_s = CLAIM_WAIT.as_secs();
            let why = format!(
                "earlier work on {object} did not stop within {waited_s} s; the disk may hang"
            );
            self.unavailable(why)
        })?;
        let permit = match weight {
            Weight::Light => None,
            Weight::Bulk => Some(self.permit(work).await?),
        };
        let stop = Stop {
            work: work.clone(),
            is_abandoned: Arc::default(),
            reports: true,
        };
        stop.check()?;
        let hold = Hold {
            backend: self.backend.clone(),
            _object: object,
            _permit: permit,
        };
        let hold = Arc::new(hold);
        Ok(Job { hold, stop })
    }

    fn claim(&self, object: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        // Only live claims stay, so the map is no longer than the calls under way.
        claims.retain(|_, claim| claim.strong_count() > 0);
        if let Some(claim) = claims.get(object).and_then(Weak::upgrade) {
            return claim;
        }
        let claim = Arc::default();
        claims.insert(object.to_owned(), Arc::downgrade(&claim));
        claim
    }

    /// Ends by itself: holders see cancels, and each of them is bounded by its object's size.
    async fn permit(&self, work: &Work) -> Result<OwnedSemaphorePermit, DriverError> {
        let mut acquire = Box::pin(self.bulk.clone().acquire_owned());
        loop {
            match tokio::time::timeout(CANCEL_POLL, &mut acquire).await {
                Ok(Ok(permit)) => return Ok(permit),
                Ok(Err(_)) => return Err(self.unavailable("it is shutting down".to_owned())),
                Err(_) if work.is_cancelled() => return Err(DriverError::Cancelled),
                Err(_) => {}
            }
        }
    }

    fn unavailable(&self, why: String) -> DriverError {
        let backend = self.backend.clone();
        DriverError::Unavailable { backend, why }
    }
}

impl Job {
    /// Runs one blocking part of the work.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        part: impl FnOnce(&Stop) -> Result<T, DriverError> + Send + 'static,
    ) -> Result<T, DriverError> {
        let hold = self.hold.clone();
        let stop = self.stop.clone();
        let thread = tokio::task::spawn_blocking(move || {
            let answer = part(&stop);
            drop(hold);
            answer
        });
        thread.await.unwrap_or_else(|error| {
            let backend = self.hold.backend.clone();
            let why = format!("its thread ended early: {error}");
            Err(DriverError::Unavailable { backend, why })
        })
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The same job past its point of no return: it heeds no cancel and reports no progress.
    pub(super) fn deaf(&self) -> Self {
        let stop = Stop {
            work: Work::default(),
            is_abandoned: Arc::default(),
            reports: false,
        };
        let hold = self.hold.clone();
        Self { hold, stop }
    }

    /// The same job at something that comes before its work: it heeds a cancel, but its progress is not the work's,
    /// which a later run would take for it and resume in the wrong place.
    pub(super) fn quiet(&self) -> Self {
        let stop = Stop {
            work: self.stop.work.clone(),
            is_abandoned: Arc::default(),
            reports: false,
        };
        let hold = self.hold.clone();
        Self { hold, stop }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.stop.is_abandoned.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test(flavor = "multi_thread")]
    async fn an_abandoned_thread_stops_before_a_repeat_begins() {
        let jobs = Jobs::new("b");
        let job = jobs
            .begin("x", Weight::Bulk, &Work::default())
            .await
            .unwrap();
        let (started, has_started) = mpsc::channel();
        let ended = Arc::new(AtomicBool::new(false));
        let thread_ended = ended.clone();
        let call = async move {
            job.run(move |stop| {
                started.send(()).unwrap();
                while stop.check().is_ok() {
                    std::thread::yield_now();
                }
                thread_ended.store(true, Ordering::SeqCst);
                Ok(())
            })
            .await
        };
        let call = tokio::spawn(call);
        tokio::task::spawn_blocking(move || has_started.recv())
            .await
            .unwrap()
            .unwrap();
        call.abort();
        let repeat = jobs
            .begin("x", Weight::Light, &Work::default())
            .await
            .unwrap();
        assert!(ended.load(Ordering::SeqCst));
        repeat.run(|_| Ok(())).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn bulk_work_waits_for_its_turn_and_can_be_cancelled_there() {
        let jobs = Jobs::new("b");
        let mut held = Vec::new();
        for name in ["1", "2", "3", "4"] {
            held.push(
                jobs.begin(name, Weight::Bulk, &Work::default())
                    .await
                    .unwrap(),
            );
        }
        let work = Work::default();
        let fifth = jobs.begin("5", Weight::Bulk, &work);
        let cancel = async { work.cancel() };
        let (answer, ()) = tokio::join!(fifth, cancel);
        assert!(matches!(answer, Err(DriverError::Cancelled)));
        held.pop();
        assert!(
            jobs.begin("5", Weight::Bulk, &Work::default())
                .await
                .is_ok()
        );
    }
}
