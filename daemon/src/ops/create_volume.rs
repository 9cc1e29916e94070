//! Create a volume: empty, from a snapshot, from a volume, or from a backup (which is a restore).
//!
//! `begin` records the volume as `creating`, takes its quota and holds its source. The scheduler's step places it;
//! the volume service's step makes it. When no pool fits, the volume ends in `error` and the operation's error says
//! which pool failed which test by how much.

use super::begin::Beginning;
use super::edges::{driver_failed, driver_of, live_writes, placed, snapshot_ref, volume_ref};
use super::services::admins_only;
use super::steps::{Job, Outcome, Plan, Step};
use super::{
    Ctx, Lane, SCHEDULER_QUEUE, restore_backup, type_access, type_encryption, unreadable,
    visible_backup, visible_snapshot, visible_volume, volume_queue,
};
use crate::driver::{ObjectRef, Source};
use crate::error::Error;
use crate::model::backup::Backup;
use crate::model::caller::Caller;
use crate::model::id::{BackupId, SnapshotId, VolumeId};
use crate::model::operation::Verb;
use crate::model::size::Gib;
use crate::model::snapshot::Snapshot;
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::model::volume_type::VolumeType;
use crate::schedule::{self, Placement};
use crate::store::quotas::{Of, Resource};
use crate::store::{Batch, operations, pools, volume_types, volumes};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::CreateVolume,
    steps: &[
        Step {
            name: "place",
            run: |job| Box::pin(place(job, None)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "make",
            run: |job| Box::pin(make(job)),
            undo: Some(|job| Box::pin(unmake(job))),
            can_cancel: true,
        },
    ],
    deadline: Duration::from_secs(24 * 3600), // A copy of a large volume takes hours.
    done: |_| Ok(Batch::new()),
    failed: |_| Ok(Batch::new()),
};

/// Where the content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Nowhere: zeros.
    Nothing,
    /// A snapshot.
    Snapshot(SnapshotId),
    /// A volume.
    Volume(VolumeId),
    /// A backup.
    Backup(BackupId),
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The size; that of the source when absent.
    pub size_gib: Option<Gib>,
    /// The owner's name for it.
    pub name: Option<String>,
    /// The owner's description.
    pub description: Option<String>,
    /// A type by id or name; that of the source, or the default, when absent.
    pub volume_type: Option<String>,
    /// A zone; this host's when absent.
    pub availability_zone: Option<String>,
    /// Key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// Where the content comes from.
    pub from: From,
}

enum Origin {
    Nothing,
    Snapshot(Snapshot),
    Volume(Volume),
    Backup(Box<Backup>),
}

/// Accepts the request; the answer is the volume as recorded.
pub async fn begin(ctx: &Ctx, caller: &Caller, request: Request) -> Result<Volume, Error> {
    let origin = origin(ctx, caller, &request).await?;
    let (volume, volume_type) = draw_up_from(ctx, caller, request, &origin).await?;
    if let Origin::Backup(backup) = &origin {
        return restore_backup::into_new(ctx, caller, backup, volume, &volume_type).await;
    }
    let mut beginning = Beginning::new(ctx, caller, Verb::CreateVolume, &volume.id);
    match &origin {
        Origin::Nothing | Origin::Backup(_) => {}
        Origin::Snapshot(snapshot) => beginning.reads_snapshot(snapshot),
        Origin::Volume(source) => {
            beginning.reads_volume(source);
            beginning.needs_size_as_read(source);
        }
    }
    makes(&mut beginning, &volume, &volume_type);
    beginning.commit(SCHEDULER_QUEUE.to_owned()).await?;
    Ok(volume)
}

/// A volume as it is asked for, with its type; nothing is recorded yet.
pub(super) async fn draw_up(
    ctx: &Ctx,
    caller: &Caller,
    request: Request,
) -> Result<(Volume, VolumeType), Error> {
    let origin = origin(ctx, caller, &request).await?;
    draw_up_from(ctx, caller, request, &origin).await
}

async fn draw_up_from(
    ctx: &Ctx,
    caller: &Caller,
    request: Request,
    origin: &Origin,
) -> Result<(Volume, VolumeType), Error> {
    let size_gib = size(&request, origin)?;
    let volume_type = choose_type(ctx, caller, &request, origin).await?;
    let mut volume = new_volume(ctx, caller, request, size_gib, &volume_type, origin);
    if let Some(source) = source_of(ctx, origin).await? {
        volume.bootable = source.bootable;
        volume.image_metadata = source.image_metadata;
    }
    Ok((volume, volume_type))
}

/// Makes the volume that was drawn up: its quota, what must hold of its type, its row.
pub(super) fn makes(beginning: &mut Beginning<'_>, volume: &Volume, volume_type: &VolumeType) {
    must_stay_plain(beginning, volume_type);
    let (project_id, of) = (&volume.project_id, Of::Type(volume_type.id));
    beginning.needs_size_allowed(project_id, volume.size_gib);
    beginning.takes(project_id, of, Resource::Volumes, 1);
    beginning.takes(project_id, of, Resource::Gigabytes, volume.size_gib.get());
    beginning.makes_volume(volume);
}

async fn origin(ctx: &Ctx, caller: &Caller, request: &Request) -> Result<Origin, Error> {
    match request.from {
        From::Nothing => Ok(Origin::Nothing),
        From::Snapshot(id) => visible_snapshot(ctx, caller, id)
            .await
            .map(Origin::Snapshot),
        From::Volume(id) => visible_volume(ctx, caller, id).await.map(Origin::Volume),
        From::Backup(id) => {
            let backup = visible_backup(ctx, caller, id).await?;
            Ok(Origin::Backup(Box::new(backup)))
        }
    }
}

/// The volume whose content the new one begins with: what that carries, this one does.
async fn source_of(ctx: &Ctx, origin: &Origin) -> Result<Option<Volume>, Error> {
    match origin {
        Origin::Nothing | Origin::Backup(_) => Ok(None),
        Origin::Volume(source) => Ok(Some(source.clone())),
        Origin::Snapshot(snapshot) => volumes::get(&ctx.store, snapshot.volume_id)
            .await
            .map_err(unreadable),
    }
}

fn size(request: &Request, origin: &Origin) -> Result<Gib, Error> {
    let least = match origin {
        Origin::Nothing => None,
        Origin::Snapshot(snapshot) => Some(snapshot.size_gib),
        Origin::Volume(volume) => Some(volume.size_gib),
        Origin::Backup(backup) => Some(backup.size_gib),
    };
    match (request.size_gib, least) {
        (None, None) => Err(Error::Invalid {
            field: "size".to_owned(),
            why: "a size in GiB is required when there is no source".to_owned(),
        }),
        (Some(size), Some(least)) if size < least => Err(Error::Invalid {
            field: "size".to_owned(),
            why: format!("{size} GiB is less than the {least} GiB of the source"),
        }),
        (Some(size), _) => Ok(size),
        (None, Some(least)) => Ok(least),
    }
}

async fn choose_type(
    ctx: &Ctx,
    caller: &Caller,
    request: &Request,
    origin: &Origin,
) -> Result<VolumeType, Error> {
    let source = source_of(ctx, origin).await?;
    let inherited = source.map(|volume| volume.volume_type_id.to_string());
    match request.volume_type.as_ref().or(inherited.as_ref()) {
        Some(word) => super::volume_types::find(ctx, caller, word).await,
        None => type_access::default_type(ctx, caller).await,
    }
}

/// Ashlar does not encrypt, so it makes no volume of a type that says so: plain data must not lie under that label. Asked
/// of the record in the same transaction, so that no type is encrypted meanwhile.
fn must_stay_plain(beginning: &mut Beginning<'_>, volume_type: &VolumeType) {
    let refusal = type_encryption::refusal(volume_type);
    let values = vec![volume_type.id.to_string().into()];
    beginning.rule(volume_types::IS_PLAIN, values, refusal);
}

fn new_volume(
    ctx: &Ctx,
    caller: &Caller,
    request: Request,
    size_gib: Gib,
    volume_type: &VolumeType,
    origin: &Origin,
) -> Volume {
    let zone = match origin {
        Origin::Nothing | Origin::Snapshot(_) | Origin::Backup(_) => None,
        Origin::Volume(source) => Some(source.availability_zone.clone()),
    };
    Volume {
        id: VolumeId::random(),
        project_id: caller.project_id.clone(),
        user_id: caller.user_id.clone(),
        name: request.name,
        description: request.description,
        size_gib,
        status: VolumeStatus::Creating,
        host: None,
        availability_zone: request
            .availability_zone
            .or(zone)
            .unwrap_or_else(|| ctx.availability_zone.clone()),
        volume_type_id: volume_type.id,
        volume_type: volume_type.name.clone(),
        snapshot_id: match origin {
            Origin::Snapshot(snapshot) => Some(snapshot.id),
            Origin::Nothing | Origin::Volume(_) | Origin::Backup(_) => None,
        },
        source_volid: match origin {
            Origin::Volume(source) => Some(source.id),
            Origin::Nothing | Origin::Snapshot(_) | Origin::Backup(_) => None,
        },
        multiattach: volume_type.multiattach(),
        bootable: false,
        metadata: request.metadata,
        readonly: None,
        image_metadata: BTreeMap::new(),
        created_at: Time::now(),
        updated_at: None,
    }
}

/// Where a volume would be placed if it were asked for now, and why; nothing is written. What it reads from need not be
/// in a status to be read, and no quota is looked at: an act's plan says that.
pub async fn rehearse_placement(
    ctx: &Ctx,
    caller: &Caller,
    request: Request,
) -> Result<Placement, Error> {
    admins_only(caller, "volume:placement")?;
    let origin = origin(ctx, caller, &request).await?;
    let size_gib = size(&request, &origin)?;
    let volume_type = choose_type(ctx, caller, &request, &origin).await?;
    if volume_type.encryption.is_some() {
        return Err(type_encryption::refusal(&volume_type));
    }
    let volume = new_volume(ctx, caller, request, size_gib, &volume_type, &origin);
    let only_pool = match origin {
        Origin::Nothing | Origin::Backup(_) => None,
        Origin::Snapshot(snapshot) => Some(snapshot.host),
        Origin::Volume(source) => source.host,
    };
    reckon(ctx, &volume, only_pool).await
}

/// The choice among the pools as they are now.
async fn reckon(ctx: &Ctx, volume: &Volume, only_pool: Option<String>) -> Result<Placement, Error> {
    let pools = pools::list(&ctx.store).await.map_err(unreadable)?;
    let volume_type = volume_types::get(&ctx.store, volume.volume_type_id)
        .await
        .map_err(unreadable)?;
    let request = schedule::Request::create(
        volume.size_gib,
        Some(volume.availability_zone.clone()),
        volume_type.map(|one| one.extra_specs).unwrap_or_default(),
        only_pool,
    );
    Ok(schedule::place(&request, &pools))
}

/// Chooses the pool and records the whole explanation with the choice. The volume's service goes on in `lane`, or in the
/// one that a volume of this kind needs.
pub(super) async fn place(job: &Job, lane: Option<Lane>) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    let only_pool = source_pool(job, &volume).await?;
    let placement = reckon(&job.ctx, &volume, only_pool).await?;
    let mut also = Batch::new();
    also.add(
        operations::INSERT_PLACEMENT,
        vec![
            volume.id.to_string().into(),
            job.operation.id.to_string().into(),
            placement.explanation.to_json().to_string().into(),
            Time::now().as_str().into(),
        ],
    );
    let Some(winner) = placement.winner else {
        // The explanation is kept although the step fails: it is the answer to the owner's first question.
        job.ctx.store.write(also).await.map_err(super::unwritable)?;
        return Err(Error::NoPool {
            reason: placement.explanation.reason(),
        });
    };
    also.add(
        volumes::SET_HOST,
        vec![
            volume.id.to_string().into(),
            winner.as_str().into(),
            Time::now().as_str().into(),
        ],
    );
    let is_copy = volume.snapshot_id.is_some() || volume.source_volid.is_some();
    let own = if is_copy { Lane::Copy } else { Lane::Quick };
    let lane = lane.unwrap_or(own);
    Ok(Outcome {
        also,
        next_queue: Some(volume_queue(&winner, lane)),
    })
}

/// A copy is made where its source lies.
async fn source_pool(job: &Job, volume: &Volume) -> Result<Option<String>, Error> {
    if let Some(id) = volume.snapshot_id {
        return Ok(Some(job.snapshot_by_id(Some(id)).await?.host));
    }
    match volume.source_volid {
        Some(id) => Ok(job.volume_by_id(Some(id)).await?.host),
        None => Ok(None),
    }
}

pub(super) async fn make(job: &Job) -> Result<Outcome, Error> {
    let ctx = &job.ctx;
    let volume = job.volume().await?;
    let (driver, pool) = driver_of(ctx, placed(&volume).unwrap_or_default())?;
    let source = match (volume.snapshot_id, volume.source_volid) {
        (Some(id), _) => Source::Snapshot(snapshot_ref(&job.snapshot_by_id(Some(id)).await?, pool)),
        (None, Some(id)) => {
            let source = job.volume_by_id(Some(id)).await?;
            let live = live_writes(ctx, source.id).await?;
            Source::Volume(volume_ref(ctx, &source, pool).await?, live)
        }
        (None, None) => Source::Empty,
    };
    let volume_ref = volume_ref(ctx, &volume, pool).await?;
    let made = driver.create(&volume_ref, &source, &job.work).await;
    made.map_err(|error| driver_failed("making", &volume.id, error))?;
    Outcome::nothing()
}

pub(super) async fn unmake(job: &Job) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    if let Some(host) = placed(&volume) {
        let (driver, pool) = driver_of(&job.ctx, host)?;
        let object = ObjectRef::Volume(volume_ref(&job.ctx, &volume, pool).await?);
        driver
            .remove(&object)
            .await
            .map_err(|error| driver_failed("clearing away", &volume.id, error))?;
    }
    Outcome::nothing()
}
