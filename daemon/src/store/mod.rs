//! RECORD: SQLite or PostgreSQL behind one set of functions; the only SQL.
//!
//! One SQL text serves both engines (parameters `$1..` wherever they stand; columns only TEXT and BIGINT; how texts
//! compare is written in `like.rs`). A write is a guarded [`Batch`]: its statements commit together or not at
//! all. A read is one or several [`Query`]s on one consistent view. `batch.rs` holds those words, `sqlite.rs` and
//! `postgres.rs` the engines, `health.rs` what they know of themselves, `migrations.rs` how the
//! schema comes about; one file a noun holds that noun's statements.
//!
//! A call that ends in [`StoreError::Unavailable`] did nothing and may be repeated; after [`StoreError::Uncertain`]
//! only a look tells. [`StoreError::Full`] and [`StoreError::Broken`] concern the whole store: see [`Store::broken`].

pub mod adoptions;
pub mod attachments;
pub mod backup_runs;
pub mod backup_sets;
pub mod backup_stores;
pub mod backups;
pub mod batch;
mod contract;
pub mod counts;
mod domain_tests;
mod event_tests;
pub mod events;
pub mod exports;
mod health;
pub mod intent;
pub mod journal;
mod journal_tests;
pub mod json;
pub mod like;
pub mod list;
mod list_tests;
pub mod messages;
pub mod migrations;
pub mod operations;
mod pool_usages;
pub mod pools;
mod postgres;
pub mod qos_specs;
mod quota_tests;
pub mod quotas;
pub mod retypes;
pub mod schema;
pub mod services;
pub mod snapshots;
mod sqlite;
pub mod statuses;
pub mod strays;
pub mod tokens;
pub mod transfers;
pub mod type_access;
pub mod volume_types;
pub mod volumes;
pub mod watched;

use crate::meter;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

pub use batch::{Batch, EngineError, Guard, Query, Row, Sql, Statement, StoreError, Value};
use health::Health;
pub use postgres::PostgresOptions;
use secrecy::SecretString;
pub use sqlite::{SqliteOptions, backup, checkup};
use tokio::sync::watch;

/// Rows that one query may answer: lists are paged far below, and what is not must not fill the memory.
pub const MAX_ROWS: usize = 100_000;
/// Statements of one batch: a cascade over the largest volume fits; the writer is not kept from others for long.
pub const MAX_STATEMENTS: usize = 10_000;

/// The record. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    engine: Arc<Engine>,
    commits: watch::Sender<u64>,
}

#[derive(Debug)]
enum Engine {
    Sqlite(sqlite::Sqlite),
    Postgres(Box<postgres::Postgres>),
}

impl Store {
    /// Opens or makes `ashlar.db` in a state directory that exists, and brings its schema up to date.
    pub async fn open_sqlite(dir: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let engine = Engine::Sqlite(sqlite::Sqlite::open(dir, options).await?);
        Ok(Self::on(engine))
    }

    /// Connects to a database of UTF8 and locale C that exists, and brings its schema up to date.
    pub async fn open_postgres(
        url: &SecretString,
        options: PostgresOptions,
    ) -> Result<Self, StoreError> {
        let engine = Engine::Postgres(Box::new(postgres::Postgres::open(url, &options).await?));
        Ok(Self::on(engine))
    }

    fn on(engine: Engine) -> Self {
        Self {
            engine: Arc::new(engine),
            commits: watch::Sender::new(0),
        }
    }

    /// Commits a batch; everything in it has happened, durably, when this returns `Ok`, and nothing otherwise.
    pub async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        check(&batch)?;
        if batch.statements.is_empty() {
            return self.health().check();
        }
        let begun = Instant::now();
        let outcome = match &*self.engine {
            Engine::Sqlite(engine) => engine.write(intent::bind(batch, true)).await,
            Engine::Postgres(engine) => engine.write(&intent::bind(batch, false)).await,
        };
        meter::written(&outcome, begun.elapsed());
        if let Err(error) = outcome {
            intent::note(&error);
            return Err(error);
        }
        self.commits
            .send_modify(|count| *count = count.wrapping_add(1));
        Ok(())
    }

    /// Changes after every commit of this process; those of others must be looked for.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Answers all queries, in order, from one consistent view that holds every write that was answered before.
    pub async fn read(&self, queries: Vec<Query>) -> Result<Vec<Vec<Row>>, StoreError> {
        for query in &queries {
            check_values(&query.values, &query.text)?;
        }
        let begun = Instant::now();
        let answers = match &*self.engine {
            Engine::Sqlite(engine) => engine.read(queries).await,
            Engine::Postgres(engine) => engine.read(&queries).await,
        };
        meter::read(begun.elapsed());
        answers
    }

    /// The first row of one query.
    pub async fn row(&self, query: Query) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(query).await?.into_iter().next())
    }

    /// The rows of one query.
    pub async fn rows(&self, query: Query) -> Result<Vec<Row>, StoreError> {
        let mut answers = self.read(vec![query]).await?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// Whether writes that are not essential are refused because the disk under the record is full.
    pub fn is_read_only(&self) -> bool {
        self.health().is_full()
    }

    /// Waits, for ever if all goes well, until the record cannot be trusted any more; then the process must end.
    pub async fn broken(&self) -> StoreError {
        self.health().broken().await
    }

    /// Takes no more calls, waits with a deadline for those under way, and leaves the record tidy.
    pub async fn close(&self) {
        match &*self.engine {
            Engine::Sqlite(engine) => engine.close().await,
            Engine::Postgres(engine) => engine.close(),
        }
    }

    fn health(&self) -> &Health {
        match &*self.engine {
            Engine::Sqlite(engine) => engine.health(),
            Engine::Postgres(engine) => engine.health(),
        }
    }
}

/// Every fixed statement, for the test that prepares them on both engines.
pub fn statements() -> Vec<Sql> {
    [
        adoptions::ALL,
        attachments::ALL,
        backup_runs::ALL,
        backup_sets::ALL,
        backup_stores::ALL,
        backups::ALL,
        counts::ALL,
        events::ALL,
        exports::ALL,
        intent::ALL,
        messages::ALL,
        operations::ALL,
        journal::ALL,
        pools::ALL,
        qos_specs::ALL,
        quotas::ALL,
        retypes::ALL,
        services::ALL,
        snapshots::ALL,
        statuses::ALL,
        strays::ALL,
        tokens::ALL,
        transfers::ALL,
        type_access::ALL,
        volume_types::ALL,
        volumes::ALL,
    ]
    .concat()
}

fn check(batch: &Batch) -> Result<(), StoreError> {
    if batch.statements.len() > MAX_STATEMENTS {
        return Err(StoreError::Refused {
            statement: "a batch".to_owned(),
            source: EngineError::TooMany {
                limit: MAX_STATEMENTS,
                what: "statements",
            },
        });
    }
    for statement in &batch.statements {
        check_values(&statement.values, statement.sql.name)?;
    }
    Ok(())
}

fn check_values(values: &[Value], statement: &str) -> Result<(), StoreError> {
    let nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
    match values.iter().position(nul) {
        None => Ok(()),
        Some(index) => Err(StoreError::Refused {
            statement: statement.to_owned(),
            source: EngineError::Nul {
                position: index + 1,
            },
        }),
    }
}

/// How many parameters a text has, if they are `$1` to some `$n` without a gap.
fn parameters(text: &str) -> Option<usize> {
    let mut numbers = Vec::<usize>::new();
    for piece in text.split('$').skip(1) {
        let end = piece.find(|character: char| !character.is_ascii_digit());
        numbers.push(piece.get(..end.unwrap_or(piece.len()))?.parse().ok()?);
    }
    numbers.sort_unstable();
    numbers.dedup();
    let count = numbers.len();
    numbers.into_iter().eq(1..=count).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::parameters;

    #[test]
    fn parameters_are_counted_when_there_is_no_gap() {
        assert_eq!(parameters("a = $2 AND b = $1 AND c = $2"), Some(2));
        assert_eq!(parameters("a"), Some(0));
        for text in ["a = $2", "a = $1 AND b = $3", "a = $0", "a = $x", "$"] {
            assert_eq!(parameters(text), None, "{text}");
        }
    }
}
