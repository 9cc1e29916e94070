//! What the record keeps for a time only goes in the background: in pieces, each a short commit of its own.
//!
//! A piece that cannot be removed is tried again at the next turn; a record that is late with this only grows.

use super::Ctx;
use super::steps::chain;
use crate::model::time::Time;
use crate::store::{StoreError, events};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often is looked for what is too old.
const INTERVAL: Duration = Duration::from_secs(10);

/// Removes what is too old until `shutdown`.
pub async fn keep_pruning(ctx: Arc<Ctx>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        if let Err(error) = prune(&ctx, &shutdown).await {
            tracing::warn!(error = chain(&error), "what is too old was not removed");
        }
    }
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
