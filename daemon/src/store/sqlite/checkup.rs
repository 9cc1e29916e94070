//! A look through a record, or a copy of one, for damage and contradictions; changes nothing.
//!
//! What is looked for: what SQLite itself calls damage, rows that refer to nothing, objects in a status that only a
//! running operation explains and that none has, and counters that are not the sums they should be. A record that
//! cannot be read at all is an error, everything else a finding.

use super::backup::{BackupError, Held, held, is_ours, open, record_of};
use super::connection::{FLAGS, fault};
use crate::model::status::{
    BackupStatus, SnapshotStatus, VolumeStatus, backup_only_during, snapshot_only_during,
    volume_only_during,
};
use crate::store::batch::StoreError;
use crate::store::migrations;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// More findings of one kind tell nothing new.
const FINDINGS_MAX: usize = 20;

/// What a look at a record found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Which file was looked at.
    pub path: PathBuf,
    /// What it holds.
    pub held: Held,
    /// What is wrong with it; empty when nothing is.
    pub findings: Vec<String>,
}

/// Looks at the record of `dir`, or at a copy, without changing it; also while a daemon runs.
pub fn check(dir: &Path, copy: Option<&Path>) -> Result<Checked, BackupError> {
    let (path, flags) = match copy {
        Some(path) => (path.to_owned(), OpenFlags::SQLITE_OPEN_READ_ONLY),
        None => (record_of(dir)?, FLAGS),
    };
    let unreadable = |source| BackupError::Unreadable {
        path: path.clone(),
        source,
    };
    let connection = open(&path, flags).map_err(unreadable)?;
    is_ours(&connection, &path)?;
    // One view for all that follows: what is counted belongs together.
    connection
        .execute_batch("PRAGMA query_only = true; BEGIN")
        .map_err(|error| unreadable(fault(error)))?;
    let held = held(&connection, &path).map_err(unreadable)?;
    let mut findings = damage(&connection).map_err(unreadable)?;
    let known = migrations::version(migrations::MIGRATIONS);
    if held.schema > known {
        let found = held.schema;
        findings.push(StoreError::TooNew { found, known }.to_string());
    } else if findings.is_empty() {
        findings = unexplained(&connection).map_err(unreadable)?;
        findings.extend(miscounted(&connection).map_err(unreadable)?);
    }
    Ok(Checked {
        path: path.clone(),
        held,
        findings,
    })
}

/// Damage to the database itself.
pub(super) fn damage(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut found = texts(
        connection,
        &format!("SELECT * FROM pragma_integrity_check LIMIT {FINDINGS_MAX}"),
    )?;
    found.retain(|line| line != "ok");
    let orphans = format!(
        "SELECT 'a row of ' || \"table\" || ' refers to a row of ' || parent || ' that is not there' \
         FROM pragma_foreign_key_check LIMIT {FINDINGS_MAX}"
    );
    found.extend(texts(connection, &orphans)?);
    Ok(found)
}

/// Objects in a status that only a live operation explains, and that none has.
fn unexplained(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let quoted = |words: Vec<&str>| format!("'{}'", words.join("', '"));
    let volumes = volume_only_during().into_iter().map(VolumeStatus::as_str);
    let snapshots = snapshot_only_during()
        .into_iter()
        .map(SnapshotStatus::as_str);
    let backups = backup_only_during().into_iter().map(BackupStatus::as_str);
    let mut found = Vec::new();
    for (noun, table, statuses) in [
        ("volume", "volumes", quoted(volumes.collect())),
        ("snapshot", "snapshots", quoted(snapshots.collect())),
        ("backup", "backups", quoted(backups.collect())),
    ] {
        if !has(connection, table)? {
            continue;
        }
        let query = format!(
            "SELECT '{noun} ' || t.id || ' is ' || t.status || ', and no operation is at it' FROM {table} t \
             WHERE t.status IN ({statuses}) AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.object_id = t.id) \
             LIMIT {FINDINGS_MAX}"
        );
        found.extend(texts(connection, &query)?);
    }
    Ok(found)
}

/// Projects whose counted volumes, snapshots or backups are not those that are there.
fn miscounted(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for table in ["volumes", "snapshots", "backups"] {
        if !has(connection, table)? {
            continue;
        }
        let query = format!(
            "SELECT 'project ' || u.project_id || ' is said to have ' || u.in_use || ' {table}, and has ' || \
             (SELECT COUNT(*) FROM {table} t WHERE t.project_id = u.project_id) FROM quota_usages u \
             WHERE u.resource = '{table}' AND u.in_use <> \
             (SELECT COUNT(*) FROM {table} t WHERE t.project_id = u.project_id) LIMIT {FINDINGS_MAX}"
        );
        found.extend(texts(connection, &query)?);
    }
    Ok(found)
}

/// Whether there is such a table: a copy may be of an older schema.
fn has(connection: &Connection, table: &str) -> Result<bool, StoreError> {
    let query = format!("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = '{table}'");
    Ok(!texts(connection, &query)?.is_empty())
}

fn texts(connection: &Connection, query: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(query).map_err(fault)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(fault)?;
    rows.collect::<Result<_, _>>().map_err(fault)
}
