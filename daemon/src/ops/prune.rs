//! What the record keeps for a time only goes in the background: in pieces, each a short commit of its own.
//!
//! A piece that cannot be removed is tried again at the next turn; a record that is late with this only grows.

use super::Ctx;
use crate::error::chain;
use crate::model::time::Time;
use crate::store::{StoreError, events, journal};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often is looked for what is too old.
const INTERVAL: Duration = Duration::from_secs(10);

/// How often the journal is looked through: it grows slower, and to count what is kept of it takes longer.
const JOURNAL_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Removes what is too old until `shutdown`.
pub async fn keep_pruning(ctx: Arc<Ctx>, shutdown: CancellationToken) {
    let mut journal_at = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        if let Err(error) = prune(&ctx, &shutdown).await {
            tracing::warn!(error = chain(&error), "what is too old was not removed");
        }
        if Instant::now() < journal_at {
            continue;
        }
        journal_at = Instant::now() + JOURNAL_INTERVAL;
        if let Err(error) = prune_journal(&ctx, &shutdown).await {
            tracing::warn!(
                error = chain(&error),
                "what is too old in the journal was not removed"
            );
        }
    }
}

/// Operations that are over, with their steps, and placements of volumes that are gone.
async fn prune_journal(ctx: &Ctx, shutdown: &CancellationToken) -> Result<(), StoreError> {
    let oldest_at = Time::before(Duration::from_secs(journal::RETENTION_S));
    while journal::prune(&ctx.store, journal::RETENTION_OPERATIONS, &oldest_at).await? {
        if shutdown.is_cancelled() {
            break;
        }
    }
    Ok(())
}

async fn prune(ctx: &Ctx, shutdown: &CancellationToken) -> Result<(), StoreError> {
    let oldest_at = Time::before(Duration::from_secs(events::RETENTION_S));
    while events::prune(&ctx.store, events::RETENTION_EVENTS, &oldest_at).await? {
        if shutdown.is_cancelled() {
            break;
        }
    }
    Ok(())
}
