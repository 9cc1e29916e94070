//! Each process says which services it runs, so that the scheduler and the administrator know who is there.
//!
//! A beat that cannot be written is logged and tried again at the next; meanwhile the services grow old, and after a
//! minute nothing new is placed on them. Knows nothing of what the services do.

use super::Ctx;
use crate::error::chain;
use crate::model::service::Binary;
use crate::store::{Batch, services};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a process says so (Cinder's `report_interval`); a sixth of the time after which a service is down.
const INTERVAL: Duration = Duration::from_secs(10);

/// Says it once.
pub async fn beat(ctx: &Ctx, runs: &[(Binary, String)]) {
    let mut batch = Batch::new();
    for (binary, host) in runs {
        let values = services::beat_values(*binary, host, &ctx.availability_zone);
        batch.add(services::BEAT, values);
    }
    if let Err(error) = ctx.store.write(batch).await {
        tracing::error!(
            error = chain(&error),
            "the services' heartbeat was not recorded"
        );
    }
}

/// Says it until `shutdown`.
pub async fn keep_beating(ctx: Arc<Ctx>, runs: Vec<(Binary, String)>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => beat(&ctx, &runs).await,
            () = shutdown.cancelled() => return,
        }
    }
}
