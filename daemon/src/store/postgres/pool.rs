//! A bounded set of connections: lent to one call at a time, replaced when they are gone.
//!
//! A connection comes back only when its call says that it is between transactions; one whose call failed, was
//! dropped or ran out of time is closed, and the server undoes what it had begun.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{Config, NoTls};

use super::session::{Session, fault, unavailable};
use crate::store::batch::StoreError;

/// How long a call waits for a connection: the daemon is overloaded then, and should say so early.
const LEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long making a connection may take, name resolution and log-in included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections that are all set alike.
pub(super) struct Pool {
    config: Config,
    places: Arc<Semaphore>,
    // A std mutex: it is never held across an await.
    idle: Mutex<Vec<Session>>,
}

/// A connection that is lent; closed when dropped, unless it was given back.
pub(super) struct Lease<'a> {
    pub(super) session: Session,
    pool: &'a Pool,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    /// At most `size` connections, with `settings` in PostgreSQL's `-c name=value` form; none is made yet.
    pub(super) fn new(mut config: Config, settings: &str, size: usize) -> Self {
        // What the owner of the URL set comes later on the line, and wins.
        let settings = match config.get_options() {
            Some(given) => format!("{settings} {given}"),
            None => settings.to_owned(),
        };
        config.options(settings);
        Self {
            config,
            places: Arc::new(Semaphore::new(size.max(1))),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Lends a connection, one that was used before if `reuse`.
    pub(super) async fn lend(&self, reuse: bool) -> Result<Lease<'_>, StoreError> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place = match tokio::time::timeout(LEASE_TIMEOUT, place).await {
            Ok(Ok(place)) => place,
            Ok(Err(_closed)) => return Err(because("it is being closed".to_owned())),
            Err(_elapsed) => {
                let seconds = LEASE_TIMEOUT.as_secs();
                return Err(because(format!(
                    "no connection was free within {seconds} s"
                )));
            }
        };
        let idle = if reuse { self.take_idle() } else { None };
        let session = match idle {
            Some(session) => session,
            None => self.connect().await?,
        };
        Ok(Lease {
            session,
            pool: self,
            _place: place,
        })
    }

    /// Makes a connection outside the bound: for opening the record.
    pub(super) async fn connect(&self) -> Result<Session, StoreError> {
        let made = tokio::time::timeout(CONNECT_TIMEOUT, self.config.connect(NoTls)).await;
        let Ok(made) = made else {
            let seconds = CONNECT_TIMEOUT.as_secs();
            return Err(because(format!(
                "PostgreSQL did not answer within {seconds} s"
            )));
        };
        let (client, connection) = made.map_err(|error| unavailable(&fault(&error)))?;
        // It ends when the client is dropped, or the server goes.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %fault(&error), "a connection to PostgreSQL ended");
            }
        });
        Ok(Session::new(client))
    }

    /// Lends no more and closes what is idle.
    pub(super) fn close(&self) {
        self.places.close();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn take_idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(session) = idle.pop() {
            if !session.is_closed() {
                return Some(session);
            }
        }
        None
    }
}

impl Lease<'_> {
    /// Gives the connection back: it is in no transaction.
    pub(super) fn give_back(self) {
        if !self.session.is_closed() && !self.pool.places.is_closed() {
            let mut idle = self
                .pool
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            idle.push(self.session);
        }
    }
}

fn because(why: String) -> StoreError {
    StoreError::Unavailable { why }
}
