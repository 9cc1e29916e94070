//! PostgreSQL 15 or later: one database for several machines.
//!
//! # Locking
//! A batch is one transaction at READ COMMITTED. Guards are safe there: an UPDATE that meets a row changed by another
//! transaction waits for it and then evaluates its WHERE again on the row as committed, and `INSERT ... ON CONFLICT DO
//! UPDATE ... WHERE` locks the row it conflicts with before it looks. A guard that reads *other* rows than it changes
//! (`INSERT ... SELECT ... WHERE NOT EXISTS`) is not: such a rule needs a unique key, or a row to lock. Deadlocks and
//! serialization failures repeat the whole batch, at most [`ATTEMPTS`] times.
//!
//! A read of several queries is one REPEATABLE READ, READ ONLY transaction; of one, that statement's own snapshot.
//!
//! # Deadlines
//! `statement_timeout` and `lock_timeout` on the server, one over the whole call here. A lost connection is
//! `Unavailable` before COMMIT was sent and `Uncertain` after; the next call makes a new one. Without TLS as yet: over
//! a unix socket or a trusted network.
//!
//! # Failure paths
//! Full disk (53100): read-only; a write is let through every so often to see. Damage (XX001, XX002, 58030): broken.

mod pool;
mod session;

use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::Config;

use super::batch::{Batch, Guard, Query, Row, StoreError};
use super::health::Health;
use super::migrations;
use super::pool_usages;
use super::watched::{self, Dialect, WATCHED};
use pool::Pool;
use session::{Failure, Session, unavailable};

/// How often a batch is tried that others are in the way of.
const ATTEMPTS: u32 = 8;
/// What passes between two tries, times the number of the try: enough for the other to commit.
const PAUSE: Duration = Duration::from_millis(3);
/// How long a write may take, all tries together.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a read may take, all its queries together.
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the missing migrations may take together.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(600);
/// A connection whose other end vanished is noticed after this.
const LINE_TIMEOUT: Duration = Duration::from_secs(15);
/// The oldest server that the tests run on.
const OLDEST: i64 = 150_000;

const SETTINGS: &str = "-c statement_timeout=10s -c lock_timeout=5s -c standard_conforming_strings=on \
    -c idle_in_transaction_session_timeout=60s -c client_min_messages=warning";
const WRITE_SETTINGS: &str = "-c default_transaction_isolation=read\\ committed";
const READ_SETTINGS: &str =
    "-c default_transaction_isolation=repeatable\\ read -c default_transaction_read_only=on";

/// How the shared engine is to be used.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Connections that write.
    pub writers: usize,
    /// Connections that read.
    pub readers: usize,
    /// How often a write is let through to see whether a full disk has room again.
    pub probe_interval: Duration,
    /// The schema.
    pub migrations: &'static [&'static str],
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            // Twelve a process leave room for eight processes in PostgreSQL's default of 100.
            writers: 6,
            readers: 6,
            probe_interval: Duration::from_secs(5),
            migrations: migrations::MIGRATIONS,
        }
    }
}

/// The shared engine.
pub(super) struct Postgres {
    health: Health,
    writers: Pool,
    readers: Pool,
    probe_interval: Duration,
    next_probe: Mutex<Instant>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects, checks that the database can hold the record, and brings its schema up to date.
    pub(super) async fn open(
        url: &SecretString,
        options: &PostgresOptions,
    ) -> Result<Self, StoreError> {
        // The parser's own error may quote a piece of the URL, hence of the password.
        let mut config =
            Config::from_str(url.expose_secret()).map_err(|_quotes| StoreError::Unfit {
                place: "the PostgreSQL URL".to_owned(),
                why: "it cannot be read; write postgresql://user:password@host:port/database",
            })?;
        if config.get_application_name().is_none() {
            config.application_name("ashlard");
        }
        config
            .tcp_user_timeout(LINE_TIMEOUT)
            .keepalives_idle(LINE_TIMEOUT);
        let pool =
            |more: &str, size| Pool::new(config.clone(), &format!("{SETTINGS} {more}"), size);
        let engine = Self {
            health: Health::new(),
            writers: pool(WRITE_SETTINGS, options.writers),
            readers: pool(READ_SETTINGS, options.readers),
            probe_interval: options.probe_interval,
            next_probe: Mutex::new(Instant::now()),
        };
        let mut session = engine.writers.connect().await?;
        let database = config.get_dbname().unwrap_or("of the user's name");
        let opened = async {
            check_fit(&mut session, database).await?;
            migrate(&mut session, options.migrations).await
        };
        match tokio::time::timeout(MIGRATE_TIMEOUT, opened).await {
            Ok(outcome) => outcome.map_err(told)?,
            Err(_elapsed) => return Err(late("bring its schema up to date", MIGRATE_TIMEOUT)),
        }
        Ok(engine)
    }

    /// Its health.
    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// Commits a batch.
    pub(super) async fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let probes = self.may_probe();
        self.health.check_write(batch.essential || probes)?;
        let committing = AtomicBool::new(false);
        let outcome =
            match tokio::time::timeout(WRITE_TIMEOUT, self.attempt(batch, &committing)).await {
                Ok(outcome) => outcome,
                Err(_elapsed) if committing.load(Ordering::Relaxed) => Err(StoreError::Uncertain {
                    why: format!(
                        "no answer to the commit within {} s",
                        WRITE_TIMEOUT.as_secs()
                    ),
                }),
                Err(_elapsed) => Err(late("take the write", WRITE_TIMEOUT)),
            };
        match &outcome {
            Ok(()) => self.health.lift(),
            Err(error) => self.health.notice(error),
        }
        outcome
    }

    /// Answers all queries from one view.
    pub(super) async fn read(&self, queries: &[Query]) -> Result<Vec<Vec<Row>>, StoreError> {
        self.health.check()?;
        let outcome = match tokio::time::timeout(READ_TIMEOUT, self.look(queries)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(late("answer the read", READ_TIMEOUT)),
        };
        if let Err(error @ StoreError::Broken(_)) = &outcome {
            self.health.notice(error);
        }
        outcome
    }

    /// Lends no more connections; calls under way end by themselves.
    pub(super) fn close(&self) {
        self.writers.close();
        self.readers.close();
    }

    /// While the disk is full: whether it is time to let a write see if it still is.
    fn may_probe(&self) -> bool {
        if !self.health.is_full() {
            return false;
        }
        let mut next = self
            .next_probe
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let due = Instant::now() >= *next;
        if due {
            *next = Instant::now() + self.probe_interval;
        }
        due
    }

    /// Tries a batch until it commits, is refused, or was in others' way too often.
    async fn attempt(&self, batch: &Batch, committing: &AtomicBool) -> Result<(), StoreError> {
        let mut attempt = 1;
        loop {
            // A connection that has been idle may have been lost unnoticed; then a new one is made.
            let mut lease = self.writers.lend(attempt == 1).await?;
            match transact(&mut lease.session, batch, committing).await {
                Ok(()) => {
                    lease.give_back();
                    return Ok(());
                }
                Err(Failure::Told(error)) => {
                    if lease.session.run("ROLLBACK", "rollback").await.is_ok() {
                        lease.give_back();
                    }
                    return Err(error);
                }
                Err(Failure::Lost(fault)) if committing.load(Ordering::Relaxed) => {
                    return Err(StoreError::Uncertain {
                        why: format!("the connection was lost at the commit: {fault}"),
                    });
                }
                Err(Failure::Lost(fault)) if attempt > 1 => return Err(unavailable(&fault)),
                Err(Failure::Lost(_)) => {}
                Err(Failure::Clash(error)) if attempt >= ATTEMPTS => return Err(error),
                Err(Failure::Clash(_)) => {
                    drop(lease);
                    tokio::time::sleep(PAUSE * attempt).await;
                }
            }
            committing.store(false, Ordering::Relaxed);
            attempt += 1;
        }
    }

    async fn look(&self, queries: &[Query]) -> Result<Vec<Vec<Row>>, StoreError> {
        let mut lease = self.readers.lend(true).await?;
        let mut outcome = view(&mut lease.session, queries).await;
        if let Err(Failure::Lost(_)) = outcome {
            drop(lease);
            lease = self.readers.lend(false).await?;
            outcome = view(&mut lease.session, queries).await;
        }
        // After an error the connection may be in a transaction or in the middle of an answer: it is closed.
        if outcome.is_ok() {
            lease.give_back();
        }
        outcome.map_err(told)
    }
}

/// One transaction; on an error it is left to the caller to undo.
async fn transact(
    session: &mut Session,
    batch: &Batch,
    committing: &AtomicBool,
) -> Result<(), Failure> {
    session.run("BEGIN", "begin").await?;
    for statement in &batch.statements {
        let name = statement.sql.name;
        let rows = session
            .execute(statement.sql.text, &statement.values, name)
            .await;
        let rows = rows.map_err(|failure| match failure {
            Failure::Told(StoreError::Taken { .. }) => {
                Failure::Told(StoreError::Taken { statement: name })
            }
            Failure::Told(_) | Failure::Clash(_) | Failure::Lost(_) => failure,
        })?;
        if let (Guard::AtLeastOne(guard), 0) = (statement.guard, rows) {
            return Err(StoreError::Conflict { guard }.into());
        }
    }
    committing.store(true, Ordering::Relaxed);
    session.run("COMMIT", "commit").await
}

/// Answers all queries from one view; a single one has its own by itself.
async fn view(session: &mut Session, queries: &[Query]) -> Result<Vec<Vec<Row>>, Failure> {
    if let [query] = queries {
        return Ok(vec![session.select(query).await?]);
    }
    session.run("BEGIN", "begin").await?;
    let mut answers = Vec::with_capacity(queries.len());
    for query in queries {
        answers.push(session.select(query).await?);
    }
    session.run("COMMIT", "commit").await?;
    Ok(answers)
}

fn told(failure: Failure) -> StoreError {
    match failure {
        Failure::Told(error) | Failure::Clash(error) => error,
        Failure::Lost(fault) => unavailable(&fault),
    }
}

fn late(what: &str, timeout: Duration) -> StoreError {
    StoreError::Unavailable {
        why: format!("PostgreSQL did not {what} within {} s", timeout.as_secs()),
    }
}

/// Refuses a server or database in which texts would compare otherwise than in SQLite.
async fn check_fit(session: &mut Session, database: &str) -> Result<(), Failure> {
    let text = "SELECT CAST(current_setting('server_version_num') AS BIGINT),
        CAST(pg_encoding_to_char(encoding) AS TEXT), CAST(datcollate AS TEXT), CAST(datctype AS TEXT),
        CAST(datlocprovider AS TEXT), current_setting('fsync'), current_setting('synchronous_commit')
        FROM pg_database WHERE datname = current_database()";
    let unfit = |why| {
        Failure::Told(StoreError::Unfit {
            place: format!("the PostgreSQL database {database}"),
            why,
        })
    };
    let rows = session.select(&fixed(text)).await?;
    let row = rows
        .first()
        .ok_or_else(|| unfit("it is not in pg_database"))?;
    if row.int(0)? < OLDEST {
        return Err(unfit(
            "its server is older than PostgreSQL 15; use a newer one",
        ));
    }
    let c = |locale: &str| locale == "C" || locale == "POSIX";
    if row.text(1)? != "UTF8" || !c(row.text(2)?) || !c(row.text(3)?) || row.text(4)? == "i" {
        return Err(unfit(
            "its encoding is not UTF8 or its locale not C, so lists would be ordered differently; \
             make one with: createdb --template=template0 --encoding=UTF8 --locale=C NAME",
        ));
    }
    if row.text(5)? != "on" || row.text(6)? == "off" {
        tracing::warn!(
            "PostgreSQL runs with fsync or synchronous_commit off: a power cut may lose what was answered"
        );
    }
    Ok(())
}

/// Runs the missing scripts in one transaction, under a lock that keeps other starting daemons out.
async fn migrate(session: &mut Session, scripts: &'static [&'static str]) -> Result<(), Failure> {
    const NAME: &str = "schema.version";
    // The number is Ashlar's own ("Ashlar" in ASCII): any constant that other users of the database do not lock.
    session
        .run(
            "BEGIN; SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '1min';
            SELECT pg_advisory_xact_lock(71938229690738);
            CREATE TABLE IF NOT EXISTS ashlar_schema (version BIGINT NOT NULL);
            INSERT INTO ashlar_schema SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM ashlar_schema)",
            NAME,
        )
        .await?;
    let rows = session
        .select(&fixed("SELECT max(version) FROM ashlar_schema"))
        .await?;
    let found = rows.first().map_or(Ok(0), |row| row.int(0))?;
    for (version, script) in migrations::missing(scripts, found)? {
        session.run(script, &format!("migration {version}")).await?;
        tracing::info!(version, "the record's schema was brought up to date");
    }
    let version = migrations::version(scripts).into();
    session
        .execute("UPDATE ashlar_schema SET version = $1", &[version], NAME)
        .await?;
    watch(session).await?;
    session.run("COMMIT", NAME).await
}

/// Makes the triggers that write events, unless those that are there were made from the same.
async fn watch(session: &mut Session) -> Result<(), Failure> {
    const NAME: &str = "event triggers";
    let columns = "SELECT CAST(column_name AS TEXT) FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position";
    let columns = |table: &str| Query {
        text: columns.into(),
        values: vec![table.into()],
    };
    if session.select(&columns("event_triggers")).await?.is_empty() {
        return Ok(()); // The small schema of a test.
    }
    let mut wanted = String::new();
    for one in WATCHED {
        let found = session.select(&columns(one.table)).await?;
        let found = found.iter().map(|row| row.text(0).map(str::to_owned));
        let found: Vec<String> = found.collect::<Result<_, _>>()?;
        wanted.push_str(&watched::triggers(Dialect::Postgres, one, &found));
    }
    wanted.push_str(&pool_usages::triggers(Dialect::Postgres));
    let made_from = watched::fingerprint(&wanted);
    let found = session
        .select(&fixed("SELECT MAX(made_from) FROM event_triggers"))
        .await?;
    if found.first().and_then(|row| row.text(0).ok()) == Some(made_from.as_str()) {
        return Ok(());
    }
    session.run(&wanted, NAME).await?;
    session.run("DELETE FROM event_triggers", NAME).await?;
    let text = "INSERT INTO event_triggers VALUES ($1)";
    session.execute(text, &[made_from.into()], NAME).await?;
    Ok(())
}

fn fixed(text: &'static str) -> Query {
    Query {
        text: text.into(),
        values: Vec::new(),
    }
}

/// Prepares every statement on a fresh database; what is wrong with them, one line a fault.
#[cfg(test)]
pub(super) async fn prepare_all(
    url: &SecretString,
    options: &PostgresOptions,
    statements: &[super::Sql],
) -> Vec<String> {
    let engine = Postgres::open(url, options).await.unwrap();
    let session = engine.writers.connect().await.unwrap();
    let mut faults = Vec::new();
    for sql in statements {
        match session.types(sql.text).await {
            Ok(types) => faults.extend(
                types
                    .iter()
                    .filter(|ty| !session::reads(ty))
                    .map(|ty| format!("{}: PostgreSQL: a column or parameter is {ty}", sql.name)),
            ),
            Err(failure) => faults.push(format!("{}: PostgreSQL: {failure:?}", sql.name)),
        }
    }
    faults
}

#[cfg(test)]
mod tests;
