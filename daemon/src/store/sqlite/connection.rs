//! One connection to the database file: how it is opened and set, how values go in and out, what its errors mean.
//!
//! Knows nothing of threads and queues.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::SqliteOptions;
use crate::store::batch::{EngineError, Query, Row, StoreError, Value};
use crate::store::pool_usages;
use crate::store::watched::{self, Dialect, WATCHED};
use crate::store::{MAX_ROWS, migrations};

/// Says that a database is Ashlar's ("Ashl"), so that no other program's file is taken for one.
pub(super) const APPLICATION_ID: i64 = 0x4173_686c;
/// Statements kept prepared by a connection: all fixed ones and the usual lists.
const STATEMENT_CACHE: usize = 256;
/// The WAL is cut back to this after a burst.
const WAL_KEPT_BYTES: i64 = 16 * 1024 * 1024;

/// No URI: a directory's name must not be read as one. No mutex: each connection stays with one thread. No creation:
/// that is [`Place::make`]'s.
pub(super) const FLAGS: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);
/// The database's name in a state directory.
pub(super) const FILE_NAME: &str = "ashlar.db";
/// How the name of a database begins that is still being made.
const NEW: &str = "ashlar.db.new-";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It may change rows.
    Write,
    /// It may not.
    Read,
}

/// Where the database is.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
}

impl Place {
    /// The database of a state directory.
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            path: dir.join(FILE_NAME),
        }
    }

    /// The writer's connection, on a database that exists and has the newest schema.
    pub(super) fn prepare(&self, options: &SqliteOptions) -> Result<Connection, StoreError> {
        self.make()?;
        let mut connection = self.connect(Purpose::Write, options)?;
        self.migrate(&mut connection, options.migrations)?;
        watch(&mut connection)?;
        // Only now: a script may rebuild a table that others refer to.
        connection
            .pragma_update(None, "foreign_keys", true)
            .map_err(fault)?;
        Ok(connection)
    }

    /// Makes an empty database where there is none, whole or not at all.
    ///
    /// It is made beside its place and linked there, already in WAL mode: two processes that start at once would trip
    /// over each other's change of mode. It is never opened but by SQLite, since closing a file drops every lock that
    /// the process has on it, SQLite's own with them.
    fn make(&self) -> Result<(), StoreError> {
        if !self.path.exists() {
            let made = self.make_new();
            // Another process may have been first, and have swept ours away half made.
            if !self.path.exists() {
                made?;
            }
        }
        self.sweep().map_err(beside)
    }

    fn make_new(&self) -> Result<(), StoreError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{NEW}{}-{number}", std::process::id());
        let new = self.path.with_file_name(name);
        // Readable by its owner only, since it holds secrets; the log beside it takes over its mode.
        OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&new)
            .map_err(beside)?;
        let connection = Connection::open_with_flags(&new, FLAGS).map_err(fault)?;
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_row| Ok(()))
            .map_err(fault)?;
        connection
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(fault)?;
        connection
            .close()
            .map_err(|(_connection, error)| fault(error))?;
        std::fs::hard_link(&new, &self.path).map_err(beside)
    }

    /// Removes what a crash left of making, and makes the name itself durable.
    fn sweep(&self) -> std::io::Result<()> {
        let Some(dir) = self.path.parent() else {
            return Ok(());
        };
        for entry in dir.read_dir()? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(NEW) {
                // Another process may be sweeping too.
                let _gone = std::fs::remove_file(entry.path());
            }
        }
        File::open(dir)?.sync_all()
    }

    /// A connection with every setting made, foreign keys aside.
    pub(super) fn connect(
        &self,
        purpose: Purpose,
        options: &SqliteOptions,
    ) -> Result<Connection, StoreError> {
        let connection = Connection::open_with_flags(&self.path, FLAGS).map_err(fault)?;
        self.configure(&connection, purpose, options)?;
        Ok(connection)
    }

    fn configure(
        &self,
        connection: &Connection,
        purpose: Purpose,
        options: &SqliteOptions,
    ) -> Result<(), StoreError> {
        connection
            .busy_timeout(options.busy_timeout)
            .map_err(fault)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        self.check_ours(connection)?;
        if purpose == Purpose::Write {
            let mode: String = connection
                .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
                .map_err(fault)?;
            if mode != "wal" {
                return Err(self.unfit(
                    "its file system has no shared memory for SQLite's WAL; use a local one",
                ));
            }
        }
        let set = |name: &str, value: &dyn rusqlite::ToSql| {
            connection.pragma_update(None, name, value).map_err(fault)
        };
        set("synchronous", &"FULL")?;
        set("journal_size_limit", &WAL_KEPT_BYTES)?;
        // Statement journals in memory: /tmp may be full, small or shared.
        set("temp_store", &"MEMORY")?;
        set("trusted_schema", &false)?;
        set("cell_size_check", &true)?;
        // LIKE as PostgreSQL has it. Deprecated upstream, hence the look at what it did.
        set("case_sensitive_like", &true)?;
        let folded: i64 = connection
            .query_row("SELECT 'a' LIKE 'A'", [], |row| row.get(0))
            .map_err(fault)?;
        if folded != 0 {
            return Err(self.unfit("this SQLite has no case-sensitive LIKE"));
        }
        if let Some(pages) = options.max_pages {
            connection
                .pragma_update_and_check(None, "max_page_count", pages, |_row| Ok(()))
                .map_err(fault)?;
        }
        if purpose == Purpose::Read {
            set("query_only", &true)?;
        }
        Ok(())
    }

    fn check_ours(&self, connection: &Connection) -> Result<(), StoreError> {
        let id = pragma(connection, "application_id")?;
        let empty = || -> Result<bool, StoreError> {
            let objects: i64 = connection
                .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
                .map_err(fault)?;
            Ok(objects == 0)
        };
        if id == APPLICATION_ID || (id == 0 && empty()?) {
            return Ok(());
        }
        Err(self.unfit(
            "it is another program's database; move it away or choose another state directory",
        ))
    }

    fn migrate(
        &self,
        connection: &mut Connection,
        scripts: &'static [&'static str],
    ) -> Result<(), StoreError> {
        let found = pragma(connection, "user_version")?;
        if migrations::missing(scripts, found)?.next().is_none()
            && pragma(connection, "application_id")? == APPLICATION_ID
        {
            return Ok(());
        }
        let transaction = connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)
            .map_err(fault)?;
        // Again, under the lock: another process may have been first.
        let found = pragma(&transaction, "user_version")?;
        for (version, script) in migrations::missing(scripts, found)? {
            transaction
                .execute_batch(script)
                .map_err(|error| named(error, &format!("migration {version}")))?;
            tracing::info!(version, "the record's schema was brought up to date");
        }
        let orphans = transaction
            .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
                row.get::<_, i64>(0)
            })
            .map_err(fault)?;
        if orphans != 0 {
            return Err(self
                .unfit("a migration would leave rows that refer to nothing; nothing was changed"));
        }
        let version = migrations::version(scripts);
        transaction
            .pragma_update(None, "user_version", version)
            .map_err(fault)?;
        transaction
            .pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(fault)?;
        transaction.commit().map_err(fault)
    }

    fn unfit(&self, why: &'static str) -> StoreError {
        StoreError::Unfit {
            place: self.path.display().to_string(),
            why,
        }
    }
}

/// Makes the triggers that write events, unless those that are there were made from the same.
fn watch(connection: &mut Connection) -> Result<(), StoreError> {
    const NAME: &str = "event triggers";
    let refused = |error| named(error, NAME);
    let columns = "SELECT name FROM pragma_table_info(?1) ORDER BY cid";
    let mut wanted = String::new();
    if !has_table(connection, "event_triggers")? {
        return Ok(()); // The small schema of a test.
    }
    for one in WATCHED {
        let mut statement = connection.prepare(columns).map_err(refused)?;
        let found = statement.query_map([one.table], |row| row.get(0));
        let found: Vec<String> = found.and_then(Iterator::collect).map_err(refused)?;
        wanted.push_str(&watched::triggers(Dialect::Sqlite, one, &found));
    }
    wanted.push_str(&pool_usages::triggers(Dialect::Sqlite));
    let made_from = watched::fingerprint(&wanted);
    if trigger_fingerprint(connection)? == Some(made_from.clone()) {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)
        .map_err(fault)?;
    transaction.execute_batch(&wanted).map_err(refused)?;
    transaction
        .execute("DELETE FROM event_triggers", [])
        .and_then(|_| transaction.execute("INSERT INTO event_triggers VALUES (?1)", [made_from]))
        .map_err(refused)?;
    transaction.commit().map_err(fault)
}

pub(super) fn has_table(connection: &Connection, name: &str) -> Result<bool, StoreError> {
    let text = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let found: i64 = connection
        .query_row(text, [name], |row| row.get(0))
        .map_err(fault)?;
    Ok(found > 0)
}

fn trigger_fingerprint(connection: &Connection) -> Result<Option<String>, StoreError> {
    let text = "SELECT MAX(made_from) FROM event_triggers";
    connection
        .query_row(text, [], |row| row.get(0))
        .map_err(fault)
}

/// What an error of the file system beside the engine means.
fn beside(error: std::io::Error) -> StoreError {
    if matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    ) {
        StoreError::Full(error.into())
    } else {
        StoreError::Broken(error.into())
    }
}

pub(super) fn pragma(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    connection
        .pragma_query_value(None, name, |row| row.get(0))
        .map_err(fault)
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Int(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// Gives each parameter its value: `$1` the first, wherever it stands. SQLite itself takes `$1` for a name and numbers
/// names as they appear, so they are bound by name.
pub(super) fn bind(
    statement: &mut rusqlite::Statement<'_>,
    values: &[Value],
    name: &str,
) -> Result<(), StoreError> {
    let count = statement.parameter_count();
    let refused = |wanted| StoreError::Refused {
        statement: name.to_owned(),
        source: EngineError::Parameters {
            wanted,
            given: values.len(),
        },
    };
    if count != values.len() {
        return Err(refused(count));
    }
    for index in 1..=count {
        let digits = statement
            .parameter_name(index)
            .and_then(|spelt| spelt.strip_prefix('$'));
        let number: usize = digits
            .and_then(|digits| digits.parse().ok())
            .unwrap_or_default();
        // As many names as values, each of them one of theirs: then each value has its place.
        let value = number
            .checked_sub(1)
            .and_then(|position| values.get(position));
        let value = value.ok_or_else(|| refused(count))?;
        statement
            .raw_bind_parameter(index, value)
            .map_err(|error| named(error, name))?;
    }
    Ok(())
}

/// Answers one query.
pub(super) fn select(connection: &Connection, query: &Query) -> Result<Vec<Row>, StoreError> {
    let refused = |error| named(error, &query.text);
    let mut statement = connection.prepare_cached(&query.text).map_err(refused)?;
    bind(&mut statement, &query.values, &query.text)?;
    let columns = statement.column_count();
    let mut found = statement.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(refused)? {
        if rows.len() == MAX_ROWS {
            return Err(StoreError::Refused {
                statement: query.text.clone().into_owned(),
                source: EngineError::TooMany {
                    limit: MAX_ROWS,
                    what: "rows",
                },
            });
        }
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            let value = match row.get_ref(column).map_err(refused)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Int(number),
                ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => Value::Text(text.to_owned()),
                    Err(_) => return Err(StoreError::Unreadable { column }),
                },
                ValueRef::Real(_) | ValueRef::Blob(_) => {
                    return Err(StoreError::Refused {
                        statement: query.text.clone().into_owned(),
                        source: EngineError::Column { column },
                    });
                }
            };
            values.push(value);
        }
        rows.push(Row(values));
    }
    Ok(rows)
}

/// What an error means that no single statement is to blame for.
pub(super) fn fault(error: rusqlite::Error) -> StoreError {
    named(error, "of the engine")
}

/// What an error of a named statement means.
pub(super) fn named(error: rusqlite::Error, statement: &str) -> StoreError {
    let Some(code) = error.sqlite_error().copied() else {
        return refused(error, statement);
    };
    match (code.code, code.extended_code) {
        (ErrorCode::DiskFull, _) => StoreError::Full(error.into()),
        // The shared memory beside the log could not grow: the same want of room by another name.
        (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full(error.into()),
        (_, ffi::SQLITE_IOERR_NOMEM) => unavailable(&error),
        (ErrorCode::SystemIoFailure, _)
        | (ErrorCode::DatabaseCorrupt, _)
        | (ErrorCode::NotADatabase, _)
        | (ErrorCode::CannotOpen, _)
        | (ErrorCode::PermissionDenied, _)
        | (ErrorCode::FileLockingProtocolFailed, _)
        | (_, ffi::SQLITE_READONLY_DBMOVED) => StoreError::Broken(error.into()),
        (ErrorCode::DatabaseBusy, _)
        | (ErrorCode::DatabaseLocked, _)
        | (ErrorCode::OutOfMemory, _)
        | (ErrorCode::OperationInterrupted, _) => unavailable(&error),
        _ => refused(error, statement),
    }
}

/// Whether a statement met a unique key that another row has.
pub(super) fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|code| {
        matches!(
            code.extended_code,
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        )
    })
}

fn unavailable(error: &rusqlite::Error) -> StoreError {
    StoreError::Unavailable {
        why: error.to_string(),
    }
}

fn refused(error: rusqlite::Error, statement: &str) -> StoreError {
    StoreError::Refused {
        statement: statement.to_owned(),
        source: error.into(),
    }
}
