//! Unmanage a snapshot: hand its bytes back to the administrator, whole, and forget it.
//!
//! One step; then the row goes and the quota returns. A failure leaves the snapshot in `error`; it may be repeated.

use super::adoption::{self, admins_only};
use super::begin::Beginning;
use super::edges::{driver_failed, driver_of, snapshot_ref};
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, Lane, visible_snapshot, volume_queue};
use crate::driver::ObjectRef;
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::id::SnapshotId;
use crate::model::operation::Verb;
use crate::store::Batch;
use crate::store::quotas::{self, Of, Resource};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::UnmanageSnapshot,
    steps: &[Step {
        name: "release",
        run: |job| Box::pin(release(job)),
        undo: None,
        can_cancel: false,
    }],
    deadline: Duration::from_secs(600), // A rename and an fsync, on a disk that may be busy.
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
    admins_only(caller, "snapshot_extension:snapshot_unmanage")?;
    let snapshot = visible_snapshot(ctx, caller, id).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::UnmanageSnapshot, &id);
    beginning.moves_snapshot(&snapshot);
    beginning.shares_volume(snapshot.volume_id);
    beginning.needs_thawed(snapshot.volume_id, &snapshot.host);
    let asked = Asked {
        project_id: snapshot.project_id.clone(),
        gigabytes: snapshot.size_gib.get(),
    };
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    beginning
        .commit(volume_queue(&snapshot.host, Lane::Quick))
        .await?;
    Ok(())
}

async fn release(job: &Job) -> Result<Outcome, Error> {
    let snapshot = job.snapshot().await?;
    let (driver, pool) = driver_of(&job.ctx, &snapshot.host)?;
    let object = ObjectRef::Snapshot(snapshot_ref(&snapshot, pool));
    if !adoption::hand_back_foreign(&job.ctx, driver, &object).await? {
        driver
            .release(&object, None)
            .await
            .map_err(|error| driver_failed("handing back", &snapshot.id, error))?;
    }
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
