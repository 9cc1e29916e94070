//! Restore a backup: into a new volume, made as every other is, or over one that is there.
//!
//! What is overwritten is lost from the first byte on: a volume whose restore failed or was cancelled in its midst ends in
//! `error_restoring`, never in the status it had. A new volume that could not be filled keeps its row and no bytes. The
//! backup is as it was in any case.

use super::backup_stores::{self, Wanted};
use super::begin::Beginning;
use super::create_volume::{self, From};
use super::edges::{driver_failed, driver_of, engine_failed, engine_of, placed, volume_ref};
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, Lane, SCHEDULER_QUEUE, connect, visible_backup, visible_volume, volume_queue};
use crate::driver::Device;
use crate::error::{Error, Refusal};
use crate::model::backup::Backup;
use crate::model::caller::Caller;
use crate::model::id::{BackupId, VolumeId};
use crate::model::operation::Verb;
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::model::volume_type::VolumeType;
use crate::store::json::map_text;
use crate::store::{Batch, backups, volumes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::RestoreBackup,
    steps: &[
        Step {
            name: "place",
            run: |job| Box::pin(place(job)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "make",
            run: |job| Box::pin(make(job)),
            undo: Some(|job| Box::pin(unmake(job))),
            can_cancel: true,
        },
        // An export left by initialize_connection lets a host write to what is being restored.
        Step {
            name: "withdraw",
            run: |job| Box::pin(withdraw(job)),
            undo: Some(|job| Box::pin(republish(job))),
            can_cancel: true,
        },
        Step {
            name: "restore",
            run: |job| Box::pin(async { fill(job, is_new(job)?).await }),
            undo: Some(|job| Box::pin(cannot_be_as_before(job))),
            can_cancel: true,
        },
        Step {
            name: "republish",
            run: |job| Box::pin(republish(job)),
            undo: None,
            can_cancel: false,
        },
    ],
    deadline: Duration::from_secs(7 * 24 * 3600), // A large volume over a slow line takes days.
    done,
    failed: |_| Ok(Batch::new()),
};

/// What Cinder says of a volume that a restore made.
const DESCRIPTION: &str = "auto-created_from_restore_from_backup";

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The volume that is overwritten; a new one when absent.
    pub volume_id: Option<VolumeId>,
    /// What a new volume is called.
    pub name: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    /// Whether the volume is made for it.
    is_new: bool,
    /// What the content carries with it.
    bootable: bool,
    image_metadata: BTreeMap<String, String>,
}

/// Accepts the request; the answer is the volume that will hold it.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: BackupId,
    request: Request,
) -> Result<Volume, Error> {
    let backup = visible_backup(ctx, caller, id).await?;
    if let Some(volume) = request.volume_id {
        return over(ctx, caller, &backup, volume).await;
    }
    let named = request
        .name
        .unwrap_or_else(|| format!("restore_backup_{id}"));
    let (volume, volume_type) = draw_up(ctx, caller, &backup, named).await?;
    into_new(ctx, caller, &backup, volume, &volume_type).await
}

/// A volume that a backup goes into, with its type; nothing is recorded yet.
pub(super) async fn draw_up(
    ctx: &Ctx,
    caller: &Caller,
    backup: &Backup,
    named: String,
) -> Result<(Volume, VolumeType), Error> {
    let request = create_volume::Request {
        size_gib: Some(backup.size_gib),
        name: Some(named),
        description: Some(DESCRIPTION.to_owned()),
        volume_type: None,
        availability_zone: None,
        metadata: BTreeMap::new(),
        from: From::Backup(backup.id),
    };
    let (mut volume, volume_type) = create_volume::draw_up(ctx, caller, request).await?;
    volume.status = VolumeStatus::RestoringBackup;
    Ok((volume, volume_type))
}

/// Into a volume that is yet to be made.
pub(super) async fn into_new(
    ctx: &Ctx,
    caller: &Caller,
    backup: &Backup,
    mut volume: Volume,
    volume_type: &VolumeType,
) -> Result<Volume, Error> {
    must_be_reachable(ctx, backup).await?;
    volume.bootable = backup.volume.bootable;
    volume.image_metadata = backup.volume.image_metadata.clone();
    let mut beginning = Beginning::new(ctx, caller, Verb::RestoreBackup, &volume.id);
    moves(&mut beginning, backup, &volume, true);
    create_volume::makes(&mut beginning, &volume, volume_type);
    beginning.commit(SCHEDULER_QUEUE.to_owned()).await?;
    Ok(volume)
}

/// Over a volume that is there.
async fn over(ctx: &Ctx, caller: &Caller, backup: &Backup, id: VolumeId) -> Result<Volume, Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    if backup.size_gib > volume.size_gib {
        return Err(Error::Refused(Refusal::Rule {
            why: format!(
                "Invalid volume: volume size {} is too small to restore backup of size {}.",
                volume.size_gib, backup.size_gib
            ),
        }));
    }
    must_be_reachable(ctx, backup).await?;
    let address = placed(&volume).unwrap_or_default().to_owned();
    let mut beginning = Beginning::new(ctx, caller, Verb::RestoreBackup, &id);
    moves(&mut beginning, backup, &volume, false);
    beginning.moves_volume(&volume);
    beginning.needs_size_as_read(&volume);
    beginning.needs_thawed(id, &address);
    beginning
        .commit(volume_queue(&address, Lane::Backup))
        .await?;
    Ok(volume)
}

fn moves(beginning: &mut Beginning<'_>, backup: &Backup, volume: &Volume, is_new: bool) {
    beginning.moves_backup(backup);
    let asked = Asked {
        is_new,
        bootable: backup.volume.bootable,
        image_metadata: backup.volume.image_metadata.clone(),
    };
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    let values = vec![backup.id.to_string().into(), volume.id.to_string().into()];
    beginning.also(backups::SET_RESTORED, values);
}

pub(super) async fn must_be_reachable(ctx: &Ctx, backup: &Backup) -> Result<(), Error> {
    let wanted = Wanted {
        store: Some(&backup.store),
        ..Wanted::default()
    };
    backup_stores::find(ctx, wanted).await.map(drop)
}

fn is_new(job: &Job) -> Result<bool, Error> {
    Ok(job.asked::<Asked>()?.is_new)
}

async fn place(job: &Job) -> Result<Outcome, Error> {
    if is_new(job)? {
        return create_volume::place(job, Some(Lane::Backup)).await;
    }
    Outcome::nothing()
}

async fn make(job: &Job) -> Result<Outcome, Error> {
    if is_new(job)? {
        return create_volume::make(job).await;
    }
    Outcome::nothing()
}

async fn unmake(job: &Job) -> Result<Outcome, Error> {
    if is_new(job)? {
        return create_volume::unmake(job).await;
    }
    Outcome::nothing()
}

async fn withdraw(job: &Job) -> Result<Outcome, Error> {
    if !is_new(job)? {
        connect::withdraw(&job.ctx, job.volume().await?.id).await?;
    }
    Outcome::nothing()
}

async fn republish(job: &Job) -> Result<Outcome, Error> {
    if !is_new(job)? {
        connect::publish(&job.ctx, &job.volume().await?).await?;
    }
    Outcome::nothing()
}

/// Where the volume that a backup goes into is read and written.
pub(super) async fn device_of(job: &Job, volume: &Volume) -> Result<Device, Error> {
    let ctx = &job.ctx;
    let (driver, pool) = driver_of(ctx, placed(volume).unwrap_or_default())?;
    let device = driver.device(&volume_ref(ctx, volume, pool).await?).await;
    device.map_err(|error| driver_failed("opening", &volume.id, error))
}

/// Writes the backup into the volume, which reads as zeros so far when it `is_blank`.
pub(super) async fn fill(job: &Job, is_blank: bool) -> Result<Outcome, Error> {
    let (backup, volume) = (job.backup().await?, job.volume().await?);
    let engine = engine_of(&job.ctx, &backup.store)?;
    let device = device_of(job, &volume).await?;
    let restored = engine
        .restore(backup.id, &device, is_blank, &job.work)
        .await;
    restored.map_err(|error| engine_failed("restoring", &volume.id, error))?;
    Outcome::nothing()
}

/// Nobody knows any more what was there: said so, which also makes a cancel end as the failure that it is.
async fn cannot_be_as_before(job: &Job) -> Result<Outcome, Error> {
    if is_new(job)? {
        return Outcome::nothing();
    }
    let volume = job.volume().await?.id;
    Err(Error::Refused(Refusal::Rule {
        why: format!(
            "volume {volume} may hold neither what it held nor what the backup does; restore into it again once its status \
             is reset, or delete it."
        ),
    }))
}

fn done(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let mut batch = Batch::new();
    if let (false, Some(volume)) = (asked.is_new, &job.input.volume) {
        let now = Time::now();
        let mut set = |sql, value| {
            batch.add(
                sql,
                vec![volume.id.as_str().into(), value, now.as_str().into()],
            );
        };
        set(volumes::SET_BOOTABLE, i64::from(asked.bootable).into());
        set(
            volumes::REPLACE_IMAGE_METADATA,
            map_text(&asked.image_metadata).into(),
        );
    }
    Ok(batch)
}
