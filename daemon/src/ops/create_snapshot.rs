//! Create a snapshot of a volume, attached or not.
//!
//! `begin` records the snapshot as `creating` and holds the volume, so that nothing changes under it. The one step
//! keeps the volume's content as of one instant; hosts' writes are watched, and held for a moment where the file
//! system cannot share blocks.

use super::begin::Beginning;
use super::edges::{driver_failed, driver_of, live_writes, snapshot_ref, volume_ref};
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, Lane, visible_volume, volume_queue};
use crate::driver::ObjectRef;
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::{SnapshotId, VolumeId};
use crate::model::operation::Verb;
use crate::model::snapshot::Snapshot;
use crate::model::status::{SnapshotStatus, VolumeStatus};
use crate::model::time::Time;
use crate::store::quotas::{Of, Resource};
use crate::store::{Batch, snapshots};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::CreateSnapshot,
    steps: &[Step {
        name: "capture",
        run: |job| Box::pin(capture(job)),
        undo: Some(|job| Box::pin(remove(job))),
        can_cancel: true,
    }],
    deadline: Duration::from_secs(24 * 3600), // A copy where the file system cannot share blocks.
    done: |_| Ok(Batch::new()),
    failed: |_| Ok(Batch::new()),
};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// The owner's name for it.
    pub name: Option<String>,
    /// The owner's description.
    pub description: Option<String>,
    /// Key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// Whether the volume may be in use (`force`, or microversion 3.66).
    pub may_be_attached: bool,
}

/// Accepts the request; the answer is the snapshot as recorded.
pub async fn begin(ctx: &Ctx, caller: &Caller, request: Request) -> Result<Snapshot, Error> {
    let volume = visible_volume(ctx, caller, request.volume_id).await?;
    if volume.status == VolumeStatus::InUse && !request.may_be_attached {
        return Err(Error::Refused(Refusal::Status {
            noun: "volume",
            id: volume.id.to_string(),
            is: volume.status.as_str().to_owned(),
            wants: vec![VolumeStatus::Available.as_str()],
        }));
    }
    let snapshot = Snapshot {
        id: SnapshotId::random(),
        volume_id: volume.id,
        project_id: caller.project_id.clone(),
        user_id: caller.user_id.clone(),
        name: request.name,
        description: request.description,
        size_gib: volume.size_gib,
        status: SnapshotStatus::Creating,
        host: volume.host.clone().unwrap_or_default(),
        metadata: request.metadata,
        created_at: Time::now(),
        updated_at: None,
    };
    let mut beginning = Beginning::new(ctx, caller, Verb::CreateSnapshot, &snapshot.id);
    beginning.reads_volume(&volume);
    beginning.needs_size_as_read(&volume);
    beginning.needs_thawed(volume.id, &snapshot.host);
    let too_many = Refusal::Rule {
        why: format!(
            "Volume {} has {} snapshots already, the most that Ashlar keeps of one volume; delete some first.",
            volume.id,
            snapshots::PER_VOLUME_MAX
        ),
    };
    beginning.rule(
        snapshots::HAS_ROOM,
        vec![
            volume.id.to_string().into(),
            snapshots::PER_VOLUME_MAX.into(),
        ],
        Error::Refused(too_many),
    );
    let (of, gigabytes) = (Of::Volume(volume.id), snapshot.size_gib.get());
    beginning.takes(&caller.project_id, of, Resource::Snapshots, 1);
    beginning.takes(&caller.project_id, of, Resource::Gigabytes, gigabytes);
    beginning.makes_snapshot(&snapshot);
    beginning
        .commit(volume_queue(&snapshot.host, Lane::Copy))
        .await?;
    Ok(snapshot)
}

async fn capture(job: &Job) -> Result<Outcome, Error> {
    let ctx = &job.ctx;
    let snapshot = job.snapshot().await?;
    let volume = job.volume_by_id(Some(snapshot.volume_id)).await?;
    let (driver, pool) = driver_of(ctx, &snapshot.host)?;
    let live = live_writes(ctx, volume.id).await?;
    let volume_ref = volume_ref(ctx, &volume, pool).await?;
    let kept = driver
        .snapshot(&volume_ref, &snapshot_ref(&snapshot, pool), live, &job.work)
        .await;
    kept.map_err(|error| driver_failed("the snapshot", &volume.id, error))?;
    Outcome::nothing()
}

async fn remove(job: &Job) -> Result<Outcome, Error> {
    let snapshot = job.snapshot().await?;
    let (driver, pool) = driver_of(&job.ctx, &snapshot.host)?;
    let object = ObjectRef::Snapshot(snapshot_ref(&snapshot, pool));
    driver
        .remove(&object)
        .await
        .map_err(|error| driver_failed("clearing away", &snapshot.id, error))?;
    Outcome::nothing()
}
