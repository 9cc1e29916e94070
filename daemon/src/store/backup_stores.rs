//! Backup stores in the record: each backup service writes what its store last said; whoever is asked for them reads it.

use super::Store;
use super::batch::{Batch, Query, Row, Sql, StoreError};
use super::services;
use crate::model::backup_store::{BackupStore, Reported, store_name};
use crate::model::service::{Binary, Service};
use crate::model::time::Time;

/// More than anybody has.
const STORES_MAX: i64 = 1000;

/// Parameters: a limit.
const LIST: Sql = Sql {
    name: "backup_stores.list",
    text: "SELECT s.host, s.kind, s.location, s.repository_id, s.used_bytes, s.free_bytes, s.backups, s.reported_at, \
           s.failure, s.asked_at, s.import, (SELECT COUNT(*) FROM backups b WHERE b.store = s.name) \
           FROM backup_stores s ORDER BY s.host LIMIT CAST($1 AS BIGINT)",
};

/// Parameters: host, name, kind, location, repository_id, used_bytes, free_bytes, backups, the time.
const REPORT: Sql = Sql {
    name: "backup_stores.report",
    text: "INSERT INTO backup_stores (host, name, kind, location, repository_id, used_bytes, free_bytes, backups, \
           reported_at, asked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT (host) DO UPDATE SET kind = excluded.kind, \
           location = excluded.location, repository_id = excluded.repository_id, used_bytes = excluded.used_bytes, \
           free_bytes = excluded.free_bytes, backups = excluded.backups, reported_at = excluded.reported_at, \
           failure = NULL, asked_at = excluded.asked_at",
};

/// Parameters: host, name, kind, why, the time. What it said before stays.
const FAILED: Sql = Sql {
    name: "backup_stores.failed",
    text: "INSERT INTO backup_stores (host, name, kind, failure, asked_at) VALUES ($1, $2, $3, $4, $5) \
           ON CONFLICT (host) DO UPDATE SET kind = excluded.kind, failure = excluded.failure, \
           asked_at = excluded.asked_at",
};

/// Parameters: host, import.
const SET_IMPORT: Sql = Sql {
    name: "backup_stores.set_import",
    text: "UPDATE backup_stores SET import = $2 WHERE host = $1",
};

/// Parameters: host.
const IMPORT: Sql = Sql {
    name: "backup_stores.import",
    text: "SELECT import FROM backup_stores WHERE host = $1",
};

/// Parameters: the store's name.
const MARK: Sql = Sql {
    name: "backup_stores.mark",
    text: "SELECT COUNT(*), MAX(COALESCE(updated_at, created_at)) FROM backups WHERE store = $1",
};

pub(super) const ALL: &[Sql] = &[LIST, REPORT, FAILED, SET_IMPORT, IMPORT, MARK];

/// What tells one state of a store's rows from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    rows: i64,
    changed_at: Option<String>,
}

/// Every store that a service ever asked, by service.
pub async fn list(store: &Store) -> Result<Vec<BackupStore>, StoreError> {
    let queries = vec![Query::of(LIST, vec![STORES_MAX.into()]), services::query()];
    let answers = store.read(queries).await?;
    let [rows, services] = &answers[..] else {
        return Err(StoreError::Unreadable { column: 0 });
    };
    let services = services::read_all(services)?;
    let with_service = |row| {
        let mut found = read(row)?;
        let runs = |one: &&Service| one.binary == Binary::Backup && one.host == found.host;
        found.service = services.iter().find(runs).cloned();
        Ok(found)
    };
    rows.iter().map(with_service).collect()
}

/// Adds what a store said of itself.
pub fn reported(batch: &mut Batch, host: &str, kind: &str, report: &Reported) {
    let values = vec![
        host.into(),
        store_name(host).into(),
        kind.into(),
        report.location.as_str().into(),
        report.repository_id.as_str().into(),
        report.used_bytes.into(),
        report.free_bytes.into(),
        report.backups.into(),
        report.at.as_str().into(),
    ];
    batch.add(REPORT, values);
}

/// Adds that a store did not answer, and why.
pub fn failed(batch: &mut Batch, host: &str, kind: &str, why: &str, asked_at: &Time) {
    let values = vec![
        host.into(),
        store_name(host).into(),
        kind.into(),
        why.into(),
        asked_at.as_str().into(),
    ];
    batch.add(FAILED, values);
}

/// Adds the account of an import.
pub fn set_import(batch: &mut Batch, host: &str, account: &str) {
    batch.add(SET_IMPORT, vec![host.into(), account.into()]);
}

/// The account of the last import, if there was one.
pub async fn import(store: &Store, host: &str) -> Result<Option<String>, StoreError> {
    let row = store.row(Query::of(IMPORT, vec![host.into()])).await?;
    match row {
        Some(row) => Ok(row.optional_text(0)?.map(str::to_owned)),
        None => Ok(None),
    }
}

/// Whether the rows of a store are still as they were shows by this.
pub async fn mark(store: &Store, name: &str) -> Result<Mark, StoreError> {
    let row = store.row(Query::of(MARK, vec![name.into()])).await?;
    row.map_or(Ok(Mark::default()), |row| {
        Ok(Mark {
            rows: row.int(0)?,
            changed_at: row.optional_text(1)?.map(str::to_owned),
        })
    })
}

fn read(row: &Row) -> Result<BackupStore, StoreError> {
    let time = |text: &str| Time::from_stored(text.to_owned());
    let report = match row.optional_text(7)? {
        None => None,
        Some(at) => Some(Reported {
            location: row.text(2)?.to_owned(),
            repository_id: row.text(3)?.to_owned(),
            used_bytes: row.int(4)?,
            free_bytes: row.optional_int(5)?,
            backups: row.int(6)?,
            at: time(at),
        }),
    };
    Ok(BackupStore {
        host: row.text(0)?.to_owned(),
        kind: row.text(1)?.to_owned(),
        report,
        failure: row.optional_text(8)?.map(str::to_owned),
        asked_at: time(row.text(9)?),
        import: row.optional_text(10)?.map(str::to_owned),
        rows: row.int(11)?,
        service: None,
    })
}
