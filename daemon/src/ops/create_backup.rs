//! Create a backup of a volume, attached or not, or of a snapshot.
//!
//! `begin` chooses the store, records the backup as `creating` and holds what is copied. A volume that hosts may write to
//! is frozen first: a snapshot of the driver's, called after the backup and recorded nowhere else, is what is copied, and
//! the last step takes it away again. An incremental backup names its parent, so that the engine need not read what is
//! the same; what comes out is whole all the same, and nothing depends on the parent.

use super::backup_stores::{self, Wanted};
use super::begin::Beginning;
use super::edges::{
    driver_failed, driver_of, engine_failed, engine_of, live_writes, placed, snapshot_ref,
    volume_ref,
};
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, Lane, unreadable, visible_snapshot, visible_volume, volume_queue};
use crate::backup::{Description, Source};
use crate::driver::{ObjectRef, SnapshotRef};
use crate::error::{Conflict, Error, Refusal};
use crate::model::backup::{Backup, DescribedVolume};
use crate::model::backup_store::store_name;
use crate::model::caller::Caller;
use crate::model::id::{BackupId, BackupRunId, BackupSetId, SnapshotId, VolumeId};
use crate::model::operation::Verb;
use crate::model::service::service_host;
use crate::model::size::Gib;
use crate::model::snapshot::Snapshot;
use crate::model::status::{BackupStatus, VolumeStatus};
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::store::quotas::Resource;
use crate::store::{Batch, backup_runs, backups, exports, snapshots};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::CreateBackup,
    steps: &[
        Step {
            name: "freeze",
            run: |job| Box::pin(freeze(job)),
            undo: Some(|job| Box::pin(release(job))),
            can_cancel: true,
        },
        Step {
            name: "copy",
            run: |job| Box::pin(copy(job)),
            undo: Some(|job| Box::pin(remove(job))),
            can_cancel: true,
        },
        Step {
            name: "release",
            run: |job| Box::pin(release(job)),
            undo: None,
            can_cancel: false,
        },
    ],
    deadline: Duration::from_secs(7 * 24 * 3600), // A first copy of a large volume over a slow line takes days.
    done: |_| Ok(Batch::new()),
    failed,
};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// The snapshot of it that is to be copied instead.
    pub snapshot_id: Option<SnapshotId>,
    /// Which store; the default one when absent (Cinder's `container`).
    pub store: Option<String>,
    /// The owner's name for it.
    pub name: Option<String>,
    /// The owner's description.
    pub description: Option<String>,
    /// Key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// A zone that the backup service must be in.
    pub availability_zone: Option<String>,
    /// Whether it is made on top of the volume's newest backup.
    pub is_incremental: bool,
    /// Whether the volume may be in use.
    pub may_be_attached: bool,
    /// The run of a backup set that asks for it.
    pub of_run: Option<OfRun>,
}

/// A run of a backup set. It asks for one backup of a volume, and builds it on nothing where there is nothing.
#[derive(Debug, Clone, Copy)]
pub struct OfRun {
    /// The set.
    pub set_id: BackupSetId,
    /// Its run.
    pub run_id: BackupRunId,
}

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    /// Where the bytes lie: `host@backend#pool`.
    address: String,
    /// Whether hosts may write meanwhile.
    freezes: bool,
}

/// Accepts the request; the answer is the backup as recorded.
pub async fn begin(ctx: &Ctx, caller: &Caller, request: Request) -> Result<Backup, Error> {
    let volume = visible_volume(ctx, caller, request.volume_id).await?;
    let snapshot = match request.snapshot_id {
        Some(id) => Some(snapshot_of(ctx, caller, &volume, id).await?),
        None => None,
    };
    if snapshot.is_none() && volume.status == VolumeStatus::InUse && !request.may_be_attached {
        return Err(rule(
            "Invalid volume: Backing up an in-use volume must use the force flag.",
        ));
    }
    let of_run = request.of_run;
    let (backup, address) = draw_up(ctx, caller, request, &volume, snapshot.as_ref()).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::CreateBackup, &backup.id);
    let mut freezes = false;
    match &snapshot {
        Some(snapshot) => {
            beginning.moves_snapshot(snapshot);
            beginning.shares_volume(volume.id);
        }
        None => {
            let connected = exports::connections(&ctx.store, volume.id).await;
            // Cinder's legacy calls let hosts in to a volume that is available.
            let is_let_in = !connected.map_err(unreadable)?.is_empty();
            freezes = volume.status == VolumeStatus::InUse || is_let_in;
            beginning.moves_volume(&volume);
            beginning.needs_size_as_read(&volume);
        }
    }
    if freezes {
        beginning.needs_thawed(volume.id, &address);
    }
    let (project, gigabytes) = (&caller.project_id, backup.size_gib.get());
    beginning.takes_in_all(project, Resource::Backups, 1);
    beginning.takes_in_all(project, Resource::BackupGigabytes, gigabytes);
    beginning.makes_backup(&backup);
    if let Some(OfRun { run_id, .. }) = of_run {
        let changed = Conflict::Changed {
            noun: "Backup run",
            id: run_id.to_string(),
        };
        let values = backup_runs::take_values(run_id, volume.id, backup.id);
        beginning.rule(backup_runs::TAKE, values, Error::Conflict(changed));
    }
    let queue = volume_queue(&address, Lane::Backup);
    let asked = Asked { address, freezes };
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    beginning.commit(queue).await?;
    Ok(backup)
}

/// The backup as it is asked for, with where the bytes lie; nothing is recorded yet.
async fn draw_up(
    ctx: &Ctx,
    caller: &Caller,
    request: Request,
    volume: &Volume,
    snapshot: Option<&Snapshot>,
) -> Result<(Backup, String), Error> {
    let address = placed(volume).unwrap_or_default().to_owned();
    let wanted = Wanted {
        store: request.store.as_deref(),
        availability_zone: request.availability_zone.as_deref(),
        near: service_host(&address).split('@').next(),
        for_storing: true,
    };
    let service = backup_stores::find(ctx, wanted).await?;
    let store = store_name(&service.host).to_owned();
    let instant = snapshot.map(|one| one.created_at.clone());
    let parent = match request.is_incremental {
        true => parent(ctx, caller, volume.id, &store, instant.as_ref()).await?,
        false => None,
    };
    if request.is_incremental && parent.is_none() && request.of_run.is_none() {
        let why = "Invalid backup: No backups available to do an incremental backup.";
        return Err(rule(why));
    }
    let size_gib = snapshot.map_or(volume.size_gib, |one| one.size_gib);
    let now = Time::now();
    let backup = Backup {
        id: BackupId::random(),
        project_id: caller.project_id.clone(),
        user_id: caller.user_id.clone(),
        volume_id: volume.id,
        snapshot_id: request.snapshot_id,
        parent_id: parent,
        name: request.name,
        description: request.description,
        metadata: request.metadata,
        size_gib,
        status: BackupStatus::Creating,
        store,
        host: service.host,
        availability_zone: service.availability_zone,
        fail_reason: None,
        object_count: 0,
        data_bytes: 0,
        added_bytes: 0,
        data_timestamp: instant.unwrap_or_else(|| now.clone()),
        volume: as_it_is(volume, size_gib),
        restored_volume_id: None,
        verified: None,
        proven_at: None,
        created_at: now,
        updated_at: None,
        set_id: request.of_run.map(|run| run.set_id),
    };
    Ok((backup, address))
}

async fn snapshot_of(
    ctx: &Ctx,
    caller: &Caller,
    volume: &Volume,
    id: SnapshotId,
) -> Result<Snapshot, Error> {
    let snapshot = visible_snapshot(ctx, caller, id).await?;
    if snapshot.volume_id == volume.id {
        return Ok(snapshot);
    }
    Err(rule(&format!(
        "Invalid volume: Volume {} does not match with snapshot.volume_id {}.",
        volume.id, snapshot.volume_id
    )))
}

/// The backup to build upon: the volume's newest, of before the snapshot if one is copied.
async fn parent(
    ctx: &Ctx,
    caller: &Caller,
    volume: VolumeId,
    store: &str,
    before: Option<&Time>,
) -> Result<Option<BackupId>, Error> {
    let found = backups::newest(&ctx.store, &caller.project_id, volume, store, before).await;
    Ok(found.map_err(unreadable)?.map(|one| one.id))
}

fn rule(why: &str) -> Error {
    Error::Refused(Refusal::Rule {
        why: why.to_owned(),
    })
}

/// The volume as it is now, or as large as it was when its snapshot was taken.
fn as_it_is(volume: &Volume, size_gib: Gib) -> DescribedVolume {
    DescribedVolume {
        id: volume.id.to_string(),
        name: volume.name.clone(),
        description: volume.description.clone(),
        size_gib: u64::try_from(size_gib.get()).unwrap_or_default(),
        volume_type: volume.volume_type.clone(),
        availability_zone: volume.availability_zone.clone(),
        bootable: volume.bootable,
        metadata: volume.metadata.clone(),
        image_metadata: volume.image_metadata.clone(),
    }
}

/// What a backup says of itself in its store, and in an exported record.
pub(super) fn describe(backup: &Backup) -> Description {
    Description {
        id: backup.id,
        project_id: backup.project_id.clone(),
        user_id: backup.user_id.clone(),
        name: backup.name.clone(),
        description: backup.description.clone(),
        metadata: backup.metadata.clone(),
        created_at: backup.created_at.as_str().to_owned(),
        data_timestamp: backup.data_timestamp.as_str().to_owned(),
        parent_id: backup.parent_id,
        snapshot_id: backup.snapshot_id.map(|id| id.to_string()),
        volume: backup.volume.clone(),
    }
}

/// The driver's snapshot that a frozen volume is copied from.
fn frozen(backup: &Backup, pool: &str) -> SnapshotRef {
    SnapshotRef {
        id: SnapshotId::from(backup.id.uuid()),
        volume_id: backup.volume_id,
        pool: pool.to_owned(),
        size_gib: backup.size_gib,
    }
}

async fn freeze(job: &Job) -> Result<Outcome, Error> {
    let (ctx, asked) = (&job.ctx, job.asked::<Asked>()?);
    let backup = job.backup().await?;
    let mut outcome = Outcome::default();
    if backup.snapshot_id.is_some() {
        return Ok(outcome);
    }
    if asked.freezes {
        let volume = job.volume().await?;
        let (driver, pool) = driver_of(ctx, &asked.address)?;
        let live = live_writes(ctx, volume.id).await?;
        let volume_ref = volume_ref(ctx, &volume, pool).await?;
        let kept = driver
            .snapshot(&volume_ref, &frozen(&backup, pool), live, &job.work)
            .await;
        kept.map_err(|error| driver_failed("freezing", &volume.id, error))?;
    }
    let values = vec![backup.id.to_string().into(), Time::now().as_str().into()];
    outcome.also.add(backups::SET_DATA_TIMESTAMP, values);
    Ok(outcome)
}

async fn copy(job: &Job) -> Result<Outcome, Error> {
    let (ctx, asked) = (&job.ctx, job.asked::<Asked>()?);
    let backup = job.backup().await?;
    let engine = engine_of(ctx, &backup.store)?;
    let (driver, pool) = driver_of(ctx, &asked.address)?;
    let object = source(job, &asked, &backup, pool).await?;
    let device = match &object {
        ObjectRef::Volume(volume) => driver.device(volume).await,
        ObjectRef::Snapshot(snapshot) => driver.open_snapshot(snapshot).await,
    };
    let parts = async |since: Option<&SnapshotRef>| {
        let parts = driver.parts(&object, since).await;
        let parts =
            parts.map_err(|error| driver_failed("looking over", &backup.volume_id, error))?;
        Ok::<_, Error>(parts.map(ranges))
    };
    let mut source = Source {
        device: device.map_err(|error| driver_failed("opening", &backup.volume_id, error))?,
        data: None,
        parent: backup.parent_id,
        changed: None,
    };
    if let Some(since) = snapshot_of_parent(ctx, &backup, pool).await? {
        source.changed = parts(Some(&since)).await?;
    }
    if source.changed.is_none() {
        source.data = parts(None).await?;
    }
    let stored = engine.store(&describe(&backup), &source, &job.work).await;
    let stored = stored.map_err(|error| engine_failed("copying", &backup.volume_id, error))?;
    tracing::info!(
        backup = %backup.id,
        read_bytes = stored.read_bytes,
        added_bytes = stored.added_bytes,
        "copied"
    );
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut outcome = Outcome::default();
    let values = vec![
        backup.id.to_string().into(),
        count(stored.objects).into(),
        count(stored.data_bytes).into(),
        count(stored.added_bytes).into(),
    ];
    outcome.also.add(backups::SET_STORED, values);
    Ok(outcome)
}

/// The snapshot that the parent is a copy of, while it is there: what is unlike it is unlike the parent.
async fn snapshot_of_parent(
    ctx: &Ctx,
    backup: &Backup,
    pool: &str,
) -> Result<Option<SnapshotRef>, Error> {
    let Some(parent) = backup.parent_id else {
        return Ok(None);
    };
    let parent = backups::get(&ctx.store, parent).await.map_err(unreadable)?;
    let Some(id) = parent.and_then(|parent| parent.snapshot_id) else {
        return Ok(None);
    };
    let snapshot = snapshots::get(&ctx.store, id).await.map_err(unreadable)?;
    let snapshot = snapshot.filter(|one| one.volume_id == backup.volume_id);
    Ok(snapshot.map(|one| snapshot_ref(&one, pool)))
}

fn ranges(parts: Vec<Range<u64>>) -> Vec<(u64, u64)> {
    let range = |part: Range<u64>| (part.start, part.end - part.start);
    parts.into_iter().map(range).collect()
}

/// What is copied, in the words of its driver.
async fn source(job: &Job, asked: &Asked, backup: &Backup, pool: &str) -> Result<ObjectRef, Error> {
    if backup.snapshot_id.is_some() {
        let snapshot = job.snapshot().await?;
        return Ok(ObjectRef::Snapshot(snapshot_ref(&snapshot, pool)));
    }
    if asked.freezes {
        return Ok(ObjectRef::Snapshot(frozen(backup, pool)));
    }
    let volume = volume_ref(&job.ctx, &job.volume().await?, pool).await?;
    Ok(ObjectRef::Volume(volume))
}

/// Takes away what the copying needed: the driver's snapshot, or only its being open.
async fn release(job: &Job) -> Result<Outcome, Error> {
    let asked: Asked = job.asked()?;
    let backup = job.backup().await?;
    let (driver, pool) = driver_of(&job.ctx, &asked.address)?;
    if let ObjectRef::Snapshot(snapshot) = source(job, &asked, &backup, pool).await? {
        let failed = |error| driver_failed("letting go", &backup.volume_id, error);
        driver.close_snapshot(&snapshot).await.map_err(failed)?;
        if asked.freezes {
            let object = ObjectRef::Snapshot(snapshot);
            driver.remove(&object).await.map_err(failed)?;
        }
    }
    Outcome::nothing()
}

async fn remove(job: &Job) -> Result<Outcome, Error> {
    let backup = job.backup().await?;
    let removed = engine_of(&job.ctx, &backup.store)?.remove(backup.id).await;
    removed.map_err(|error| engine_failed("clearing away", &backup.id, error))?;
    Outcome::nothing()
}

/// Writes into the backup's row why the operation on it failed.
pub(super) fn failed(job: &Job) -> Result<Batch, Error> {
    let mut batch = Batch::new();
    let why = job.operation.error.as_deref().unwrap_or_default();
    backups::failed(&mut batch, &job.operation.object_id, why);
    Ok(batch)
}
