//! The backup service's report: what its store has, or why it does not answer, written to the record. Whoever is asked for
//! the stores reads it there, since a store may be out of its reach, or hang.
//!
//! To ask a store costs seconds of a processor (its key) and a process, so it is asked when its rows changed, and rarely
//! otherwise.

use super::Ctx;
use crate::backup::{BackupEngine, StoreReport};
use crate::error::chain;
use crate::model::backup_store::{Reported, store_name};
use crate::model::time::Time;
use crate::store::{Batch, StoreError, backup_stores};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How often is looked whether the rows of a store changed.
const LOOK: Duration = Duration::from_secs(10);
/// A store whose rows changed, or that did not answer, is asked again no sooner.
const INTERVAL_MIN: Duration = Duration::from_secs(60);
/// A store is asked again at the latest.
const INTERVAL: Duration = Duration::from_secs(600);
/// How long a store may take to answer.
const ANSWER: Duration = Duration::from_secs(60);

/// Asks the store of the service `host` once, and writes what it said; whether it said anything.
pub(super) async fn report(
    ctx: &Ctx,
    host: &str,
    engine: &dyn BackupEngine,
    within: Duration,
) -> bool {
    let asked_at = Time::now();
    let answer = timeout(within, engine.report()).await;
    let mut batch = Batch::new();
    let is_there = match answer {
        Ok(Ok(report)) => {
            let location = report.location.as_str();
            tracing::debug!(
                store = host,
                location,
                backups = report.backups,
                "backup store reported"
            );
            backup_stores::reported(
                &mut batch,
                host,
                engine.kind().as_str(),
                &told(report, asked_at),
            );
            true
        }
        Ok(Err(error)) => {
            let why = chain(&error);
            tracing::warn!(
                store = host,
                error = why,
                "the backup store cannot be used; asking again"
            );
            backup_stores::failed(&mut batch, host, engine.kind().as_str(), &why, &asked_at);
            false
        }
        Err(_elapsed) => {
            let why = format!("it did not answer within {} s", within.as_secs());
            tracing::warn!(
                store = host,
                error = why,
                "the backup store cannot be used; asking again"
            );
            backup_stores::failed(&mut batch, host, engine.kind().as_str(), &why, &asked_at);
            false
        }
    };
    if let Err(error) = ctx.store.write(batch).await {
        let error = chain(&error);
        tracing::error!(
            store = host,
            error,
            "the backup store's report was not recorded"
        );
    }
    is_there
}

fn told(report: StoreReport, at: Time) -> Reported {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Reported {
        location: report.location,
        repository_id: report.repository_id,
        used_bytes: count(report.used_bytes),
        free_bytes: report.free_bytes.map(count),
        backups: count(report.backups),
        at,
    }
}

/// Asks again and again; the store was asked just before.
pub(super) async fn keep_reporting(ctx: &Ctx, host: &str, engine: &dyn BackupEngine) {
    let mut asked_at = Instant::now();
    let mut is_there = true;
    let mut seen = mark(ctx, host).await;
    loop {
        sleep(LOOK).await;
        let now = mark(ctx, host).await;
        let is_due = asked_at.elapsed() >= INTERVAL_MIN && (now != seen || !is_there);
        if is_due || asked_at.elapsed() >= INTERVAL {
            seen = now;
            is_there = report(ctx, host, engine, ANSWER).await;
            asked_at = Instant::now();
        }
    }
}

/// How the store's rows are; of a record that cannot be read the same each time.
async fn mark(ctx: &Ctx, host: &str) -> backup_stores::Mark {
    let read: Result<_, StoreError> = backup_stores::mark(&ctx.store, store_name(host)).await;
    read.unwrap_or_default()
}
