//! Delete a snapshot: overwrite what it alone holds (secure delete), remove it, return its quota.

use super::adoption;
use super::begin::Beginning;
use super::edges::{driver_failed, driver_of, snapshot_ref};
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, Lane, only_for_admins, visible_snapshot, volume_queue};
use crate::driver::ObjectRef;
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::id::SnapshotId;
use crate::model::operation::Verb;
use crate::model::status::{self, SnapshotStatus};
use crate::store::Batch;
use crate::store::quotas::{self, Of, Resource};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::DeleteSnapshot,
    steps: &[
        Step {
            name: "wipe",
            run: |job| Box::pin(wipe(job)),
            undo: None,
            can_cancel: false, // What is overwritten in part is no snapshot any more.
        },
        Step {
            name: "remove",
            run: |job| Box::pin(remove(job)),
            undo: None,
            can_cancel: false,
        },
    ],
    deadline: Duration::from_secs(7 * 24 * 3600), // Overwriting under a rate limit takes days.
    done,
    failed: |_| Ok(Batch::new()),
};

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    project_id: String,
    gigabytes: i64,
}

/// Accepts the request.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: SnapshotId) -> Result<(), Error> {
    let from = status::row(Verb::DeleteSnapshot).snapshot;
    let from = from.map(|one| one.from).unwrap_or_default();
    begin_from(ctx, caller, id, from).await
}

/// The same for an administrator, whatever the snapshot's status.
pub async fn begin_forced(ctx: &Ctx, caller: &Caller, id: SnapshotId) -> Result<(), Error> {
    visible_snapshot(ctx, caller, id).await?;
    only_for_admins(
        caller,
        "volume_extension:snapshot_admin_actions:force_delete",
    )?;
    begin_from(ctx, caller, id, SnapshotStatus::ALL).await
}

async fn begin_from(
    ctx: &Ctx,
    caller: &Caller,
    id: SnapshotId,
    from: &[SnapshotStatus],
) -> Result<(), Error> {
    let snapshot = visible_snapshot(ctx, caller, id).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::DeleteSnapshot, &id);
    beginning.moves_snapshot_from(&snapshot, from);
    beginning.frees_room();
    beginning.shares_volume(snapshot.volume_id);
    beginning.needs_thawed(snapshot.volume_id, &snapshot.host);
    let asked = Asked {
        project_id: snapshot.project_id.clone(),
        gigabytes: snapshot.size_gib.get(),
    };
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    beginning
        .commit(volume_queue(&snapshot.host, Lane::Wipe))
        .await?;
    Ok(())
}

async fn wipe(job: &Job) -> Result<Outcome, Error> {
    let snapshot = job.snapshot().await?;
    let (driver, pool) = driver_of(&job.ctx, &snapshot.host)?;
    let object = ObjectRef::Snapshot(snapshot_ref(&snapshot, pool));
    if adoption::hand_back_foreign(&job.ctx, driver, &object).await? {
        return Outcome::nothing();
    }
    let wiped = driver.wipe(&object, &job.work).await;
    wiped.map_err(|error| driver_failed("overwriting", &snapshot.id, error))?;
    Outcome::nothing()
}

async fn remove(job: &Job) -> Result<Outcome, Error> {
    let snapshot = job.snapshot().await?;
    let (driver, pool) = driver_of(&job.ctx, &snapshot.host)?;
    let object = ObjectRef::Snapshot(snapshot_ref(&snapshot, pool));
    driver
        .remove(&object)
        .await
        .map_err(|error| driver_failed("removing", &snapshot.id, error))?;
    Outcome::nothing()
}

fn done(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let (project, of) = (asked.project_id.as_str(), Of::Snapshot(job.object_id()?));
    let mut batch = Batch::new();
    adoption::forget(&mut batch, &job.operation.object_id);
    quotas::give_back(&mut batch, project, of, Resource::Snapshots, 1);
    quotas::give_back(
        &mut batch,
        project,
        of,
        Resource::Gigabytes,
        asked.gigabytes,
    );
    Ok(batch)
}
