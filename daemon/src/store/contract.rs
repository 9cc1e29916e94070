//! What every engine must do, as tests that run on each: SQLite here, PostgreSQL on a private server.
//!
//! Also [`prepare_all`], which the list of all statements is held against.
#![cfg(test)]

pub(super) mod cases;
mod server;

use secrecy::SecretString;

use super::{PostgresOptions, Sql, SqliteOptions, Store, parameters};

/// The small schema that the cases use.
pub(super) const SCHEMA: &[&str] = &[
    "CREATE TABLE things (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT,
        status TEXT NOT NULL,
        size_gib BIGINT NOT NULL
    );
    CREATE UNIQUE INDEX things_name ON things (name);",
    "CREATE TABLE parts (
        id TEXT NOT NULL PRIMARY KEY,
        thing_id TEXT NOT NULL REFERENCES things (id)
    );
    CREATE TABLE usages (
        project_id TEXT NOT NULL,
        resource TEXT NOT NULL,
        in_use BIGINT NOT NULL,
        PRIMARY KEY (project_id, resource)
    );",
];

/// A store on an engine, with what must outlive it.
pub(super) struct Fixture {
    pub(super) store: Store,
    _dir: Option<tempfile::TempDir>,
}

/// A fresh SQLite store.
pub(super) async fn sqlite() -> Option<Fixture> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(dir.path(), options()).await.unwrap();
    Some(Fixture {
        store,
        _dir: Some(dir),
    })
}

/// A store in a fresh PostgreSQL database; `None`, and a line that says why, where there is no PostgreSQL.
pub(super) async fn postgres() -> Option<Fixture> {
    let url = postgres_database("C").await?;
    let options = PostgresOptions {
        migrations: SCHEMA,
        ..PostgresOptions::default()
    };
    let store = Store::open_postgres(&url, options).await.unwrap();
    Some(Fixture { store, _dir: None })
}

/// The URL of a fresh PostgreSQL database; `None`, and a line that says why, where there is no PostgreSQL.
pub(crate) async fn postgres_database(locale: &str) -> Option<SecretString> {
    match server::server().await {
        Ok(server) => Some(server.database(locale).await),
        Err(why) => {
            skipped(why);
            None
        }
    }
}

/// Says that a test was not run; whoever counts results looks for this line.
pub(super) fn skipped(why: &str) {
    use std::io::Write;
    // Past the capture of the test's output, which is shown for failures only.
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _unheard = writeln!(std::io::stderr(), "skipped: {name}: {why}");
}

/// The options of a SQLite store for tests.
pub(super) fn options() -> SqliteOptions {
    SqliteOptions {
        reserve_bytes: 1 << 20,
        migrations: SCHEMA,
        ..SqliteOptions::default()
    }
}

/// Makes a test of each case for each engine.
macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                if let Some(fixture) = super::sqlite().await {
                    super::cases::$case(&fixture.store).await;
                    fixture.store.close().await;
                }
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                if let Some(fixture) = super::postgres().await {
                    super::cases::$case(&fixture.store).await;
                    fixture.store.close().await;
                }
            })*
        }
    };
}

contract!(
    a_batch_happens_whole_or_not_at_all,
    a_guard_that_touches_nothing_undoes_all,
    a_bad_batch_leaves_its_neighbours_alone,
    a_taken_key_names_its_statement,
    nulls_and_unicode_come_back_as_they_went_in,
    texts_order_by_bytes_and_nulls_where_told,
    like_is_case_sensitive_and_escapes,
    conditions_and_counts_read_as_numbers,
    of_two_that_race_one_wins,
    racing_quotas_never_exceed_the_limit,
    a_read_sees_one_view,
    what_was_answered_is_read,
    big_values_come_back,
    parameters_must_match,
    what_is_not_a_write_is_refused,
    a_read_cannot_write,
    a_value_with_nul_is_refused,
    an_orphan_is_refused_and_undone,
    limits_are_errors,
    nothing_is_taken_after_close,
);

#[tokio::test]
async fn every_statement_fits_both_engines() {
    prepare_all(super::migrations::MIGRATIONS, &super::statements()).await;
}

#[tokio::test]
async fn the_statements_of_the_cases_fit_both_engines() {
    prepare_all(SCHEMA, cases::STATEMENTS).await;
}

/// Checks that each statement's name is its own and that both engines take every text, on the schema given.
pub(crate) async fn prepare_all(migrations: &'static [&'static str], statements: &[Sql]) {
    let mut faults = Vec::new();
    for (index, sql) in statements.iter().enumerate() {
        if parameters(sql.text).is_none() {
            faults.push(format!("{}: its parameters are not $1 to $n", sql.name));
        }
        if statements[..index]
            .iter()
            .any(|other| other.name == sql.name)
        {
            faults.push(format!("{}: the name is used twice", sql.name));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        migrations,
        ..options()
    };
    let store = Store::open_sqlite(dir.path(), options).await.unwrap();
    store.close().await;
    let connection = rusqlite::Connection::open_with_flags(
        dir.path().join("ashlar.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    for sql in statements {
        if let Err(error) = connection.prepare(sql.text) {
            faults.push(format!("{}: SQLite: {error}", sql.name));
        }
    }
    if let Some(url) = postgres_database("C").await {
        let options = PostgresOptions {
            migrations,
            ..PostgresOptions::default()
        };
        faults.extend(super::postgres::prepare_all(&url, &options, statements).await);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
