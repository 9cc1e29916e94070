//! At start, and whenever the target came back or may not have heard: make its exports match the record.
//!
//! Operations need no recovery of their own: the worker finds their rows and goes on with the same code. What is
//! repaired here is the target's state, which a crash of either side may have left behind or ahead.

use super::{Ctx, connect, unreadable};
use crate::error::Error;
use crate::error::chain;
use crate::model::id::VolumeId;
use crate::store::{exports, volumes};
use std::collections::BTreeMap;

/// Exports every volume that is to be reachable, lets everybody in who is to be, and shuts out everybody else. A
/// volume that cannot be served is logged and does not keep the others from being served. An export whose volume has
/// no row is named in the log and left as it is: a name alone does not make it ours.
pub async fn exports_match_the_record(ctx: &Ctx) -> Result<(), Error> {
    let Some(target) = ctx.target.as_deref() else {
        return Ok(());
    };
    let wanted = exports::all(&ctx.store).await.map_err(unreadable)?;
    let mut known: BTreeMap<VolumeId, Vec<String>> = BTreeMap::new();
    match target.exports().await {
        Ok(found) => known.extend(found.into_iter().map(|one| (one.volume_id, one.initiators))),
        Err(error) => {
            ctx.gate.doubt();
            tracing::error!(
                error = chain(&error),
                "the target does not list its exports; it is asked again"
            );
        }
    }
    for export in &wanted {
        known.entry(export.volume_id).or_default();
    }
    let mut failed = 0;
    for (id, initiators) in &known {
        if volumes::get(&ctx.store, *id)
            .await
            .map_err(unreadable)?
            .is_none()
        {
            tracing::warn!(volume = %id, "the target exports a volume that the record does not know; it is left as it is");
        } else if let Err(error) = connect::repair(ctx, *id, initiators).await {
            failed += 1;
            tracing::error!(volume = %id, error = chain(&error), "the volume cannot be served");
        }
    }
    tracing::info!(exports = wanted.len(), failed, "exports match the record");
    Ok(())
}
