//! Delete a volume; with cascade its snapshots too.
//!
//! `begin` refuses an attached volume and, without cascade, one with snapshots. The steps take the export away,
//! overwrite what was written (secure delete, resumable) and remove the rest; then the rows go and the quota returns.
//! What could not be taken over (`manage_volume.rs`) is not ours to overwrite: it is handed back.

use super::adoption;
use super::begin::Beginning;
use super::connect;
use super::edges::{driver_failed, driver_of, placed, snapshot_ref, volume_ref};
use super::moving;
use super::steps::{Job, Outcome, Plan, Step};
use super::{
    Ctx, Lane, SCHEDULER_QUEUE, only_for_admins, unreadable, visible_volume, volume_queue,
};
use crate::driver::{ObjectRef, Work};
use crate::error::{Conflict, Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::operation::Verb;
use crate::model::snapshot::Snapshot;
use crate::model::status::{self, VolumeStatus};
use crate::model::volume::Volume;
use crate::store::quotas::{self, Of, Resource};
use crate::store::{Batch, Value, attachments, exports, snapshots, transfers, volumes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::DeleteVolume,
    steps: &[
        Step {
            name: "unexport",
            run: |job| Box::pin(unexport(job)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "wipe",
            run: |job| Box::pin(wipe(job)),
            undo: None,
            can_cancel: false,
        },
        Step {
            name: "remove",
            run: |job| Box::pin(remove(job)),
            undo: None,
            can_cancel: false,
        },
    ],
    deadline: Duration::from_secs(7 * 24 * 3600), // Overwriting a large volume under a rate limit takes days.
    done,
    failed: |_| Ok(Batch::new()),
};

/// What the quotas get back.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    project_id: String,
    gigabytes: i64,
    /// By project: an administrator's snapshot of somebody's volume counts as the administrator's.
    snapshots: BTreeMap<String, Snapshots>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Snapshots {
    count: i64,
    gigabytes: i64,
}

/// Accepts the request.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: VolumeId, cascade: bool) -> Result<(), Error> {
    let from = status::row(Verb::DeleteVolume).volume;
    let from = from.map(|one| one.from).unwrap_or_default();
    begin_from(ctx, caller, id, cascade, from).await
}

/// The same for an administrator, whatever the volume's status; all other rules hold.
pub async fn begin_forced(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    cascade: bool,
) -> Result<(), Error> {
    visible_volume(ctx, caller, id).await?;
    only_for_admins(caller, "volume_extension:volume_admin_actions:force_delete")?;
    begin_from(ctx, caller, id, cascade, VolumeStatus::ALL).await
}

async fn begin_from(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    cascade: bool,
    from: &[VolumeStatus],
) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    let dependants = snapshots::of_volume(&ctx.store, id)
        .await
        .map_err(unreadable)?;
    let mut beginning = Beginning::new(ctx, caller, Verb::DeleteVolume, &id);
    beginning.frees_room();
    beginning.moves_volume_from(&volume, from, Some(VolumeStatus::Deleting));
    beginning.rule(
        volumes::IS_NOT_ATTACHED,
        vec![id.to_string().into()],
        Error::Refused(Refusal::Attached { id: id.to_string() }),
    );
    beginning.needs_size_as_read(&volume);
    if let Some(address) = placed(&volume) {
        beginning.needs_thawed(id, address);
    }
    let removed: &[Snapshot] = if cascade { &dependants } else { &[] };
    if cascade {
        takes_snapshots(&mut beginning, &volume, removed);
    } else {
        let count = i64::try_from(dependants.len()).unwrap_or(i64::MAX).max(1);
        let refusal = Refusal::HasSnapshots {
            id: id.to_string(),
            count,
        };
        beginning.rule(
            volumes::HAS_NO_SNAPSHOTS,
            vec![id.to_string().into()],
            Error::Refused(refusal),
        );
    }
    let mut snapshots: BTreeMap<String, Snapshots> = BTreeMap::new();
    for snapshot in removed {
        let theirs = snapshots.entry(snapshot.project_id.clone()).or_default();
        theirs.count += 1;
        theirs.gigabytes += snapshot.size_gib.get();
    }
    let asked = Asked {
        project_id: volume.project_id.clone(),
        gigabytes: volume.size_gib.get(),
        snapshots,
    };
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    beginning.commit(queue(&volume)).await?;
    Ok(())
}

fn takes_snapshots(beginning: &mut Beginning<'_>, volume: &Volume, removed: &[Snapshot]) {
    for snapshot in removed {
        beginning.moves_snapshot(snapshot);
    }
    let count = i64::try_from(removed.len()).unwrap_or(i64::MAX);
    let values: Vec<Value> = vec![volume.id.to_string().into(), count.into()];
    let changed = Conflict::Changed {
        noun: "Volume",
        id: volume.id.to_string(),
    };
    beginning.rule(snapshots::ARE_ALL, values, Error::Conflict(changed));
}

/// A volume that was never placed has nothing but its row; the scheduler, which every system has, removes that.
fn queue(volume: &Volume) -> String {
    match placed(volume) {
        Some(host) => volume_queue(host, Lane::Wipe),
        None => SCHEDULER_QUEUE.to_owned(),
    }
}

async fn unexport(job: &Job) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    if placed(&volume).is_some() {
        connect::withdraw(&job.ctx, volume.id).await?;
    }
    Outcome::nothing()
}

/// What a move left elsewhere and the snapshots first, each wiped and removed before the next, so that the recorded
/// cursor always is the volume's.
pub(super) async fn wipe(job: &Job) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    let Some(host) = placed(&volume) else {
        return Outcome::nothing();
    };
    moving::clear_strays(&job.ctx, &volume, &Work::default()).await?;
    let (driver, pool) = driver_of(&job.ctx, host)?;
    for snapshot in job.snapshots().await? {
        let object = ObjectRef::Snapshot(snapshot_ref(&snapshot, pool));
        let failed = |error| driver_failed("deleting the snapshot", &snapshot.id, error);
        if adoption::hand_back_foreign(&job.ctx, driver, &object).await? {
            continue;
        }
        driver
            .wipe(&object, &Work::default())
            .await
            .map_err(failed)?;
        driver.remove(&object).await.map_err(failed)?;
    }
    let object = ObjectRef::Volume(volume_ref(&job.ctx, &volume, pool).await?);
    if adoption::hand_back_foreign(&job.ctx, driver, &object).await? {
        return Outcome::nothing();
    }
    let wiped = driver.wipe(&object, &job.work).await;
    wiped.map_err(|error| driver_failed("overwriting", &volume.id, error))?;
    Outcome::nothing()
}

pub(super) async fn remove(job: &Job) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    if let Some(host) = placed(&volume) {
        let (driver, pool) = driver_of(&job.ctx, host)?;
        let object = ObjectRef::Volume(volume_ref(&job.ctx, &volume, pool).await?);
        driver
            .remove(&object)
            .await
            .map_err(|error| driver_failed("removing", &volume.id, error))?;
    }
    Outcome::nothing()
}

fn done(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let volume = job.operation.object_id.as_str();
    let mut batch = Batch::new();
    batch.add(transfers::DELETE_OF_VOLUME, vec![volume.into()]);
    batch.add(exports::DISCONNECT_ALL, vec![volume.into()]);
    batch.add(exports::DELETE_UNUSED, vec![volume.into()]);
    batch.add(attachments::DELETE_OF_VOLUME, vec![volume.into()]);
    adoption::forget(&mut batch, volume);
    for snapshot in &job.input.snapshots {
        adoption::forget(&mut batch, &snapshot.id);
    }
    let of = Of::Volume(job.object_id()?);
    let mut returns = |project: &str, resource, amount| {
        quotas::give_back(&mut batch, project, of, resource, amount);
    };
    returns(&asked.project_id, Resource::Volumes, 1);
    returns(&asked.project_id, Resource::Gigabytes, asked.gigabytes);
    for (project, theirs) in &asked.snapshots {
        returns(project, Resource::Snapshots, theirs.count);
        returns(project, Resource::Gigabytes, theirs.gigabytes);
    }
    Ok(batch)
}
