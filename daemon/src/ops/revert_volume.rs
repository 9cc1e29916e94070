//! Revert a volume to its newest snapshot.
//!
//! `begin` refuses any other snapshot, one of another volume, and one from before an extend. The content is built
//! beside and put in place whole, so that a crash leaves the old or the new content, never a mixture.

use super::begin::Beginning;
use super::edges::{driver_failed, driver_of, placed, snapshot_ref, volume_ref};
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, Lane, connect, unreadable, visible_snapshot, visible_volume, volume_queue};
use crate::error::{Conflict, Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::{SnapshotId, VolumeId};
use crate::model::operation::Verb;
use crate::store::{Batch, snapshots};
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::RevertVolume,
    steps: &[
        // An export left by initialize_connection holds the old device open.
        Step {
            name: "withdraw",
            run: |job| Box::pin(withdraw(job)),
            undo: Some(|job| Box::pin(republish(job))),
            can_cancel: true,
        },
        Step {
            name: "restore",
            run: |job| Box::pin(restore(job)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "republish",
            run: |job| Box::pin(republish(job)),
            undo: None,
            can_cancel: false,
        },
    ],
    deadline: Duration::from_secs(24 * 3600), // A copy where the file system cannot share blocks.
    done: |_| Ok(Batch::new()),
    failed: |_| Ok(Batch::new()),
};

/// Accepts the request.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    snapshot_id: SnapshotId,
) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    let snapshot = visible_snapshot(ctx, caller, snapshot_id).await?;
    if snapshot.volume_id != id {
        let (snapshot, volume) = (snapshot_id.to_string(), id.to_string());
        return Err(Error::Refused(Refusal::NotOfThisVolume {
            snapshot,
            volume,
        }));
    }
    let newest = snapshots::of_volume(&ctx.store, id)
        .await
        .map_err(unreadable)?;
    let newest = newest.first().map_or(snapshot_id, |newest| newest.id);
    if newest != snapshot_id {
        let (volume, newest) = (id.to_string(), newest.to_string());
        return Err(Error::Refused(Refusal::NotNewest { volume, newest }));
    }
    if snapshot.size_gib != volume.size_gib {
        return Err(Error::Refused(Refusal::SizeDiffers {
            volume: id.to_string(),
            volume_gib: volume.size_gib.get(),
            snapshot_gib: snapshot.size_gib.get(),
        }));
    }
    let mut beginning = Beginning::new(ctx, caller, Verb::RevertVolume, &id);
    beginning.moves_volume(&volume);
    beginning.moves_snapshot(&snapshot);
    beginning.needs_thawed(id, &snapshot.host);
    let changed = Error::Conflict(Conflict::Changed {
        noun: "Volume",
        id: id.to_string(),
    });
    let is_newest = vec![snapshot_id.to_string().into(), id.to_string().into()];
    beginning.rule(snapshots::IS_NEWEST, is_newest, changed);
    beginning.needs_size_as_read(&volume);
    beginning
        .commit(volume_queue(&snapshot.host, Lane::Copy))
        .await?;
    Ok(())
}

async fn withdraw(job: &Job) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    connect::withdraw(&job.ctx, volume.id).await?;
    Outcome::nothing()
}

async fn restore(job: &Job) -> Result<Outcome, Error> {
    let (volume, snapshot) = (job.volume().await?, job.snapshot().await?);
    let (driver, pool) = driver_of(&job.ctx, placed(&volume).unwrap_or_default())?;
    let volume_ref = volume_ref(&job.ctx, &volume, pool).await?;
    let reverted = driver
        .revert(&volume_ref, &snapshot_ref(&snapshot, pool), &job.work)
        .await;
    reverted.map_err(|error| driver_failed("reverting", &volume.id, error))?;
    Outcome::nothing()
}

async fn republish(job: &Job) -> Result<Outcome, Error> {
    connect::publish(&job.ctx, &job.volume().await?).await?;
    Outcome::nothing()
}
