//! A record with many volumes in it, made by copying one that the daemon made itself.
//!
//! A hundred thousand creates over the wire would take minutes that say nothing; the copies are rows of the same
//! shape, whatever columns there are.

use anyhow::{Context as _, ensure};
use ashlar_tests::Result;
use ashlar_tests::daemon::Daemon;
use rusqlite::Connection;

use crate::flows::new_volume;
use crate::rig::http;

/// The project that owns a thousand of them; the rest is the caller's.
pub(crate) const SMALL_PROJECT: &str = "small";
const SMALL_COUNT: i64 = 1000;

/// Makes one volume, stops the daemon, copies the row until there are `count`, and starts the daemon again.
pub(crate) fn fill(daemon: &mut Daemon, count: i64) -> Result<()> {
    let id = new_volume(&mut http(daemon)?)?;
    daemon.stop()?;
    copy(daemon, &id, count)?;
    daemon.start_again()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that fills a record that no daemon has open"
)]
fn copy(daemon: &Daemon, id: &str, count: i64) -> Result<()> {
    let mut record = Connection::open(daemon.state_dir().join("ashlar.db"))?;
    let transaction = record.transaction()?;
    let columns: Vec<String> = transaction
        .prepare("SELECT name FROM pragma_table_info('volumes')")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    ensure!(
        columns.iter().any(|name| name == "id"),
        "no table of volumes"
    );
    let values: Vec<String> = columns.iter().map(|name| value_of(name)).collect();
    let statement = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2 - 1)
         INSERT INTO volumes ({}) SELECT {} FROM n, volumes WHERE id = ?1",
        columns.join(", "),
        values.join(", "),
    );
    let made = transaction.execute(&statement, (id, count))?;
    ensure!(
        i64::try_from(made).ok() == Some(count - 1),
        "{made} of {count} rows"
    );
    transaction.execute_batch("ANALYZE")?;
    transaction.commit().context("copying volumes")
}

/// What a copy has in a column.
fn value_of(column: &str) -> String {
    match column {
        // A version 4 UUID with the number in its last part.
        "id" => "printf('%08x-0000-4000-8000-%012x', abs(random()) % 4294967296, n)".to_owned(),
        "name" => "printf('copy-%06d', n)".to_owned(),
        "project_id" => format!("CASE WHEN n <= {SMALL_COUNT} THEN '{SMALL_PROJECT}' ELSE project_id END"),
        "created_at" => "printf('2026-01-%02dT%02d:%02d:%02d.%06d', 1 + n / 86400 % 28, n / 3600 % 24, n / 60 % 60, n % 60, n)".to_owned(),
        other => other.to_owned(),
    }
}
