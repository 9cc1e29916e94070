//! Which tables hold visible objects, and the triggers that write an event for every change of one.
//!
//! The triggers are made out of [`WATCHED`], with the columns that the database has, whenever the record is opened and
//! the triggers in it were made from something else: a new column or table cannot be forgotten, and no statement has to
//! think of events. A test holds every table of the schema to [`WATCHED`] or [`SILENT`]. Knows no engine's
//! connection; the engines differ in a few words (`Dialect`). Fails nowhere.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A table whose rows are objects that somebody may look at.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// The table.
    pub table: &'static str,
    /// What an event calls the object.
    pub kind: &'static str,
    /// The column of its id.
    pub id: &'static str,
    /// Who may know of it.
    pub audience: Audience,
    /// The column of its status, if it has one.
    pub status: Option<&'static str>,
    /// Columns whose change alone makes no event: when it was written, if nothing else is new.
    pub quiet: &'static [&'static str],
}

/// Who may know of an object.
#[derive(Debug, Clone, Copy)]
pub enum Audience {
    /// The project in this column, and administrators.
    Project(&'static str),
    /// Everybody while this column is 1, else administrators.
    WhenPublic(&'static str),
    /// Administrators.
    Admins,
}

/// Every table whose changes leave events; a new noun is a line here.
pub const WATCHED: &[Watched] = &[
    Watched {
        table: "volumes",
        kind: "volume",
        id: "id",
        audience: Audience::Project("project_id"),
        status: Some("status"),
        quiet: &["updated_at"],
    },
    Watched {
        table: "snapshots",
        kind: "snapshot",
        id: "id",
        audience: Audience::Project("project_id"),
        status: Some("status"),
        quiet: &["updated_at"],
    },
    Watched {
        table: "backups",
        kind: "backup",
        id: "id",
        audience: Audience::Project("project_id"),
        status: Some("status"),
        quiet: &["updated_at"],
    },
    Watched {
        table: "backup_sets",
        kind: "backup_set",
        id: "id",
        audience: Audience::Project("project_id"),
        status: None,
        quiet: &["updated_at"],
    },
    Watched {
        table: "backup_runs",
        kind: "backup_run",
        id: "id",
        audience: Audience::Project("project_id"),
        status: None,
        quiet: &[],
    },
    Watched {
        table: "attachments",
        kind: "attachment",
        id: "id",
        audience: Audience::Project("project_id"),
        status: Some("status"),
        quiet: &["updated_at"],
    },
    Watched {
        table: "operations",
        kind: "operation",
        id: "id",
        audience: Audience::Project("project_id"),
        status: Some("phase"),
        // Twice a second for each copy: who shows a bar asks for the operation.
        quiet: &["bytes_done", "bytes_total", "bytes_per_s", "progress_at"],
    },
    Watched {
        table: "pools",
        kind: "pool",
        id: "address",
        audience: Audience::Admins,
        status: None,
        // Every report writes it, also when nothing else changed.
        quiet: &["reported_at"],
    },
    Watched {
        table: "backup_stores",
        kind: "backup_store",
        id: "host",
        audience: Audience::Admins,
        status: None,
        // Every report writes them, also when nothing else changed.
        quiet: &["reported_at", "asked_at"],
    },
    Watched {
        table: "volume_types",
        kind: "volume_type",
        id: "id",
        audience: Audience::WhenPublic("is_public"),
        status: None,
        quiet: &["updated_at"],
    },
    Watched {
        table: "transfers",
        kind: "transfer",
        id: "id",
        audience: Audience::Project("project_id"),
        status: None,
        quiet: &[],
    },
    Watched {
        table: "services",
        kind: "service",
        id: "id",
        audience: Audience::Admins,
        status: None,
        // Every few seconds; that a service fell silent writes nothing, and so is no event.
        quiet: &["heard_at"],
    },
    Watched {
        table: "messages",
        kind: "message",
        id: "id",
        audience: Audience::Project("project_id"),
        status: None,
        quiet: &[],
    },
    Watched {
        table: "qos_specs",
        kind: "qos_specs",
        id: "id",
        audience: Audience::Admins,
        status: None,
        quiet: &["updated_at"],
    },
];

/// Tables without events, each with its reason.
pub const SILENT: &[(&str, &str)] = &[
    ("events", "the events themselves"),
    ("event_triggers", "what the triggers were made from"),
    ("exports", "holds secrets; its attachments are told of"),
    ("connections", "its attachments are told of"),
    ("placements", "never changes; its volume is told of"),
    ("quota_usages", "a sum of what is told of"),
    ("pool_usages", "a sum of what is told of"),
    ("quota_class_limits", "looked at by nobody who waits"),
    ("volume_type_projects", "who has it is the administrators'"),
    ("default_types", "who has it is the administrators'"),
    ("tokens", "looked at by nobody who waits"),
    ("operation_steps", "its operation is told of"),
    ("claims", "its operation is told of"),
    ("adoptions", "its operation and its object are told of"),
    ("listings", "an answer to one request, which waits for it"),
    ("retypes", "its volume is told of"),
    ("strays", "its volume is told of"),
    ("journal_objects", "its operation is told of"),
    (
        "backup_run_volumes",
        "its backup and the end of its run are told of",
    ),
];

/// How an engine spells what SQL leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

/// What a row's change does to it.
#[derive(Debug, Clone, Copy)]
enum Change {
    Insert,
    Update,
    Delete,
}

/// The script that makes the triggers of one table with these columns.
pub(super) fn triggers(dialect: Dialect, one: &Watched, columns: &[String]) -> String {
    [Change::Insert, Change::Update, Change::Delete]
        .map(|change| trigger(dialect, one, columns, change))
        .concat()
}

/// What a script is recognised by.
pub(super) fn fingerprint(script: &str) -> String {
    let digest = Sha256::digest(script.as_bytes());
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn trigger(dialect: Dialect, one: &Watched, columns: &[String], change: Change) -> String {
    let (verb, body) = match change {
        Change::Insert => ("INSERT", insert(dialect, one, "NEW", "created", "")),
        Change::Update => ("UPDATE", moved(dialect, one)),
        Change::Delete => ("DELETE", insert(dialect, one, "OLD", "deleted", "")),
    };
    let when = match change {
        Change::Update => format!("WHEN ({})", differs(one, columns)),
        Change::Insert | Change::Delete => String::new(),
    };
    let table = one.table;
    let name = format!("event_{table}_{}", verb.to_lowercase());
    match dialect {
        Dialect::Sqlite => format!(
            "DROP TRIGGER IF EXISTS {name};\n\
             CREATE TRIGGER {name} AFTER {verb} ON {table} FOR EACH ROW {when} BEGIN\n{body}END;\n"
        ),
        // At the end of the transaction, under one lock that is held until it has committed: so ids come in the order
        // of commits, and whoever holds the lock waits for nobody's row. The number is Ashlar's own ("AshEvt").
        Dialect::Postgres => format!(
            "CREATE OR REPLACE FUNCTION {name}() RETURNS TRIGGER LANGUAGE plpgsql AS $event$ BEGIN\n\
             PERFORM pg_advisory_xact_lock(71938227992180);\n{body}RETURN NULL;\nEND $event$;\n\
             DROP TRIGGER IF EXISTS {name} ON {table};\n\
             CREATE CONSTRAINT TRIGGER {name} AFTER {verb} ON {table} DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW {when} EXECUTE FUNCTION {name}();\n"
        ),
    }
}

/// An update: whoever may no longer know of the object hears that it is gone.
fn moved(dialect: Dialect, one: &Watched) -> String {
    let (old, new) = (one.audience.sql("OLD"), one.audience.sql("NEW"));
    let gone = match one.audience {
        Audience::Admins => String::new(),
        Audience::Project(_) | Audience::WhenPublic(_) => insert(
            dialect,
            one,
            "OLD",
            "deleted",
            &format!(" WHERE {old} <> {new}"),
        ),
    };
    gone + &insert(dialect, one, "NEW", "changed", "")
}

fn insert(dialect: Dialect, one: &Watched, row: &str, change: &str, condition: &str) -> String {
    let now = match dialect {
        Dialect::Sqlite => "strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000'",
        Dialect::Postgres => {
            "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
        }
    };
    let status = match one.status {
        Some(column) if change != "deleted" => format!("{row}.{column}"),
        Some(_) | None => "CAST(NULL AS TEXT)".to_owned(),
    };
    let (kind, id, audience) = (one.kind, one.id, one.audience.sql(row));
    format!(
        "INSERT INTO events (id, at, kind, object_id, audience, change, status) \
         SELECT (SELECT COALESCE(MAX(e.id), 0) + 1 FROM events e), {now}, '{kind}', {row}.{id}, {audience}, \
         '{change}', {status}{condition};\n"
    )
}

fn differs(one: &Watched, columns: &[String]) -> String {
    columns
        .iter()
        .filter(|column| !one.quiet.contains(&column.as_str()))
        .map(|column| format!("OLD.{column} IS DISTINCT FROM NEW.{column}"))
        .collect::<Vec<_>>()
        .join(" OR ")
}

impl Audience {
    /// The audience of a row, as the events keep it: a project, `*` for everybody, nothing for administrators.
    fn sql(self, row: &str) -> String {
        match self {
            Audience::Project(column) => format!("{row}.{column}"),
            Audience::WhenPublic(column) => {
                format!("CASE WHEN {row}.{column} = 1 THEN '*' ELSE '' END")
            }
            Audience::Admins => "''".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::MIGRATIONS;
    use rusqlite::Connection;

    #[test]
    fn every_table_is_watched_or_silent_with_a_reason() {
        let connection = Connection::open_in_memory().unwrap();
        for script in MIGRATIONS {
            connection.execute_batch(script).unwrap();
        }
        let mut statement = connection
            .prepare(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            )
            .unwrap();
        let tables: Vec<String> = statement
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let watched = WATCHED.iter().map(|one| one.table);
        let known: Vec<&str> = watched.chain(SILENT.iter().map(|one| one.0)).collect();
        for table in &tables {
            let found = known.iter().filter(|one| *one == table).count();
            assert_eq!(found, 1, "{table}: add it to WATCHED or to SILENT");
        }
        for table in known {
            assert!(tables.iter().any(|one| one == table), "{table} is no table");
        }
        assert!(SILENT.iter().all(|(_, reason)| !reason.is_empty()));
    }

    #[test]
    fn quiet_columns_are_left_out() {
        let one = WATCHED.iter().find(|one| one.kind == "operation").unwrap();
        let columns = ["id", "phase", "bytes_done"].map(str::to_owned);
        let script = triggers(Dialect::Sqlite, one, &columns);
        assert!(script.contains("OLD.phase IS DISTINCT FROM NEW.phase"));
        assert!(!script.contains("bytes_done"));
    }
}
