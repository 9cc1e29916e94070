//! Manage a snapshot: take over what an administrator laid into a volume's pool, as a snapshot of that volume.
//!
//! As for volumes (`manage_volume.rs`), with the volume's own size as the provisional one: a snapshot is never larger
//! than its volume. That it really is one of that volume is the administrator's word.

use super::adoption::{self, Asked, admins_only};
use super::begin::Beginning;
use super::edges::placed;
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, Lane, visible_volume, volume_queue};
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::{SnapshotId, VolumeId};
use crate::model::operation::Verb;
use crate::model::snapshot::Snapshot;
use crate::model::status::SnapshotStatus;
use crate::model::time::Time;
use crate::store::quotas::{Of, Resource};
use crate::store::{Batch, adoptions, snapshots};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::ManageSnapshot,
    steps: &[
        Step {
            name: "measure",
            run: |job| Box::pin(measure(job)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "adopt",
            run: |job| Box::pin(adopt(job)),
            undo: Some(|job| Box::pin(hand_back(job))),
            can_cancel: true,
        },
    ],
    deadline: Duration::from_secs(600), // A rename and an fsync, on a disk that may be busy.
    done,
    failed: |_| Ok(Batch::new()), // The adoption stays recorded, so that nothing destroys what was not handed back.
};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Of which volume it is.
    pub volume_id: VolumeId,
    /// What it is called in the volume's pool.
    pub source: String,
    /// The owner's name for it.
    pub name: Option<String>,
    /// The owner's description.
    pub description: Option<String>,
    /// Key-value pairs.
    pub metadata: BTreeMap<String, String>,
}

/// Accepts the request; the answer is the snapshot as recorded.
pub async fn begin(ctx: &Ctx, caller: &Caller, request: Request) -> Result<Snapshot, Error> {
    admins_only(caller, "snapshot_extension:snapshot_manage")?;
    let volume = visible_volume(ctx, caller, request.volume_id).await?;
    let snapshot = Snapshot {
        id: SnapshotId::random(),
        volume_id: volume.id,
        project_id: caller.project_id.clone(),
        user_id: caller.user_id.clone(),
        name: request.name,
        description: request.description,
        size_gib: volume.size_gib,
        status: SnapshotStatus::Creating,
        host: placed(&volume).unwrap_or_default().to_owned(),
        metadata: request.metadata,
        created_at: Time::now(),
        updated_at: None,
    };
    let mut beginning = Beginning::new(ctx, caller, Verb::ManageSnapshot, &snapshot.id);
    beginning.reads_volume(&volume);
    beginning.needs_size_as_read(&volume);
    let most = snapshots::PER_VOLUME_MAX;
    let too_many = Refusal::Rule {
        why: format!(
            "Volume {} has {most} snapshots already, the most that Ashlar keeps of one volume; delete some first.",
            volume.id
        ),
    };
    beginning.rule(
        snapshots::HAS_ROOM,
        vec![volume.id.to_string().into(), most.into()],
        Error::Refused(too_many),
    );
    let size_gib = snapshot.size_gib.get();
    let of = Of::Volume(volume.id);
    beginning.takes(&caller.project_id, of, Resource::Snapshots, 1);
    beginning.takes(&caller.project_id, of, Resource::Gigabytes, size_gib);
    beginning.makes_snapshot(&snapshot);
    let id = snapshot.id.to_string();
    let source = request.source;
    beginning.also(adoptions::INSERT, vec![id.into(), source.as_str().into()]);
    beginning.asks(serde_json::to_value(Asked { source }).unwrap_or_default());
    beginning
        .commit(volume_queue(&snapshot.host, Lane::Quick))
        .await?;
    Ok(snapshot)
}

async fn measure(job: &Job) -> Result<Outcome, Error> {
    let snapshot = job.snapshot().await?;
    let volume = job.volume_by_id(Some(snapshot.volume_id)).await?;
    let adoption = adoption::of_snapshot(job).await?;
    let measured = adoption.measure().await?;
    if measured > volume.size_gib {
        let why = format!(
            "{} takes {measured} GiB and cannot be a snapshot of volume {}, which has {} GiB.",
            adoption.source, volume.id, volume.size_gib
        );
        return Err(Error::Refused(Refusal::Rule { why }));
    }
    adoption::set_snapshot_size(job, measured).await?;
    Outcome::nothing()
}

async fn adopt(job: &Job) -> Result<Outcome, Error> {
    adoption::of_snapshot(job).await?.adopt().await
}

async fn hand_back(job: &Job) -> Result<Outcome, Error> {
    adoption::of_snapshot(job).await?.hand_back().await
}

fn done(job: &Job) -> Result<Batch, Error> {
    let mut batch = Batch::new();
    adoption::forget(&mut batch, &job.operation.object_id);
    Ok(batch)
}
