//! A backup store as its service last heard of it: what it has, and whether it answers.

use super::service::Service;
use super::time::Time;

/// A store that a backup service has.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupStore {
    /// The service, `host@store`.
    pub host: String,
    /// What it is, as `kind` in the configuration says it.
    pub kind: String,
    /// What it last told of itself; `None` when it never opened.
    pub report: Option<Reported>,
    /// Why it did not answer when it was asked last; `None` when it did.
    pub failure: Option<String>,
    /// When it was asked last.
    pub asked_at: Time,
    /// The account of the last import of all that it has: JSON text that only `ops` reads.
    pub import: Option<String>,
    /// How many backups the record has in stores of its name, whatever their status.
    pub rows: i64,
    /// Its service, once that was heard.
    pub service: Option<Service>,
}

/// What a store told of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Where it is, without secrets.
    pub location: String,
    /// What it is identified by: two names of one store have the same.
    pub repository_id: String,
    /// Bytes that it takes up.
    pub used_bytes: i64,
    /// Bytes that may still be written; `None` where nobody can tell.
    pub free_bytes: Option<i64>,
    /// How many backups of Ashlar's it has.
    pub backups: i64,
    /// When it told so.
    pub at: Time,
}

impl BackupStore {
    /// The store's name, as backups carry it.
    pub fn name(&self) -> &str {
        store_name(&self.host)
    }

    /// Whether its service is there and it answered when it was asked last.
    pub fn is_up(&self) -> bool {
        self.failure.is_none() && self.service.as_ref().is_some_and(|service| service.is_up)
    }
}

/// The store of the service `host@store`.
pub fn store_name(service_host: &str) -> &str {
    service_host
        .split_once('@')
        .map_or(service_host, |(_, store)| store)
}
