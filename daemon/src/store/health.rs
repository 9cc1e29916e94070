//! What the store knows of its own health: well, full (read-only), or broken for good.
//!
//! ```text
//!   well ──SQLITE_FULL, SQLSTATE 53100──► full ──a probe found room──► well
//!     └────────────┬───────────────────────┘
//!                  └──I/O error, damage──► broken, never left: the process ends itself
//! ```
//!
//! Knows no engine. Cannot fail; a poisoned lock is taken over, since every change under it is one assignment.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::batch::{EngineError, StoreError};

/// The health of one store, shared by its threads.
#[derive(Debug)]
pub(super) struct Health {
    broken: watch::Sender<Option<EngineError>>,
    // A std mutex: it is never held across an await.
    full: Mutex<Option<EngineError>>,
}

impl Health {
    /// A store that is well.
    pub(super) fn new() -> Self {
        Self {
            broken: watch::Sender::new(None),
            full: Mutex::new(None),
        }
    }

    /// Refuses when the store is broken.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.broken.borrow().clone() {
            Some(cause) => Err(StoreError::Broken(cause)),
            None => Ok(()),
        }
    }

    /// Refuses when the store is broken, or full and the batch is not one that may use the reserve.
    pub(super) fn check_write(&self, essential: bool) -> Result<(), StoreError> {
        self.check()?;
        match self.full() {
            Some(cause) if !essential => Err(StoreError::Full(cause)),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes from an error what it says about the store as a whole.
    pub(super) fn notice(&self, error: &StoreError) {
        if let StoreError::Full(cause) = error {
            let mut full = self.lock();
            if full.is_none() {
                tracing::error!(%cause, "the disk under the record is full; writes are refused until there is room");
                *full = Some(cause.clone());
            }
        } else if let StoreError::Broken(cause) = error {
            // The first cause is the one that tells; what follows follows from it.
            self.broken.send_if_modified(|broken| {
                let first = broken.is_none();
                if first {
                    tracing::error!(%cause, "the record failed; nothing more is read or written");
                    *broken = Some(cause.clone());
                }
                first
            });
        }
    }

    /// There is room again.
    pub(super) fn lift(&self) {
        if self.lock().take().is_some() {
            tracing::info!("the disk under the record has room again; writes are taken");
        }
    }

    /// Whether writes are refused for want of room.
    pub(super) fn is_full(&self) -> bool {
        self.lock().is_some()
    }

    /// Waits, for ever if all goes well, until the store is broken.
    pub(super) async fn broken(&self) -> StoreError {
        let mut watch = self.broken.subscribe();
        loop {
            if let Some(cause) = watch.borrow_and_update().clone() {
                return StoreError::Broken(cause);
            }
            // The sender is in `self`, so this cannot be the end of the channel.
            if watch.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn full(&self) -> Option<EngineError> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<EngineError>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(limit: usize) -> EngineError {
        EngineError::TooMany { limit, what: "" }
    }

    #[test]
    fn full_refuses_all_but_the_essential_and_is_lifted() {
        let health = Health::new();
        health.notice(&StoreError::Full(cause(1)));
        assert!(health.is_full());
        assert!(matches!(
            health.check_write(false),
            Err(StoreError::Full(_))
        ));
        assert!(health.check_write(true).is_ok());
        assert!(health.check().is_ok());
        health.lift();
        assert!(health.check_write(false).is_ok());
    }

    #[tokio::test]
    async fn broken_stays_and_tells_the_first_cause() {
        let health = Health::new();
        health.notice(&StoreError::Broken(cause(1)));
        health.notice(&StoreError::Broken(cause(2)));
        health.lift();
        assert!(health.check_write(true).is_err());
        let told = health.broken().await;
        assert!(matches!(
            told,
            StoreError::Broken(EngineError::TooMany { limit: 1, .. })
        ));
    }
}
