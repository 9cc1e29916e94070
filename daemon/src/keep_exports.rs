//! Keeps what the kernel exports as the record has it: `systemctl restart target` clears all of LIO, ours too, and a
//! step may have been unable to tell the kernel what it had to.

use crate::ops::{Ctx, recover};
use crate::store::exports;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the exports are counted. Hosts ride out a gap: their initiators retry for minutes.
const LOOK: Duration = Duration::from_secs(2);

/// Looks until `shutdown`. What is missing twice in a row is made again: `targetctl restore` clears everything before it
/// makes it anew, and would trip over what came back in between.
pub(crate) async fn keep(ctx: Arc<Ctx>, shutdown: CancellationToken) {
    let mut was_missing = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.cancelled() => return,
        }
        let is_missing = match is_any_missing(&ctx).await {
            Ok(is_missing) => is_missing,
            Err(why) => {
                tracing::error!(why, "the exports were not looked at; trying again");
                continue;
            }
        };
        let doubted = ctx.gate.take_doubt();
        if doubted || (is_missing && was_missing) {
            if is_missing {
                tracing::warn!(
                    "exports are missing in the kernel; was target.service restarted? They are made again"
                );
            }
            if let Err(error) = recover::exports_match_the_record(&ctx).await {
                ctx.gate.doubt();
                tracing::error!(%error, "the exports were not compared with the record; trying again");
            }
        }
        was_missing = is_missing;
    }
}

async fn is_any_missing(ctx: &Ctx) -> Result<bool, String> {
    let Some(target) = ctx.target.as_deref() else {
        return Ok(false);
    };
    let wanted = exports::all(&ctx.store)
        .await
        .map_err(|error| error.to_string())?;
    if wanted.is_empty() {
        return Ok(false);
    }
    let found = target.exports().await.map_err(|error| error.to_string())?;
    let found: BTreeSet<_> = found.into_iter().map(|export| export.volume_id).collect();
    Ok(wanted
        .iter()
        .any(|export| !found.contains(&export.volume_id)))
}
