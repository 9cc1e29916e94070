//! At start, and whenever the target came back: make its exports match the record.
//!
//! Operations need no recovery of their own: the worker finds their rows and goes on with the same code. What is
//! repaired here is the target's state, which a crash of either side may have left behind or ahead.

use super::steps::chain;
use super::{Ctx, connect, unreadable};
use crate::error::Error;
use crate::store::{exports, volumes};

/// Exports every volume that is to be reachable and lets everybody in who is to be. A volume that cannot be served
/// is logged and does not keep the others from being served. Exports whose volume the record does not know to be
/// exported are left to the operation that works on them, or named in the log: a name alone does not make them ours.
pub async fn exports_match_the_record(ctx: &Ctx) -> Result<(), Error> {
    let Some(target) = ctx.target.as_deref() else {
        return Ok(());
    };
    let wanted = exports::all(&ctx.store).await.map_err(unreadable)?;
    let mut failed = 0;
    for export in &wanted {
        let Some(volume) = volumes::get(&ctx.store, export.volume_id)
            .await
            .map_err(unreadable)?
        else {
            continue;
        };
        if let Err(error) = connect::publish(ctx, &volume).await {
            failed += 1;
            tracing::error!(volume = %volume.id, error = chain(&error), "the volume cannot be served");
        }
    }
    match target.exports().await {
        Ok(found) => {
            for export in found {
                if !wanted.iter().any(|row| row.volume_id == export.volume_id) {
                    tracing::warn!(volume = %export.volume_id, "the target exports a volume that the record does not; it is left as it is");
                }
            }
        }
        Err(error) => tracing::error!(
            error = chain(&error),
            "the target does not list its exports"
        ),
    }
    tracing::info!(exports = wanted.len(), failed, "exports match the record");
    Ok(())
}
