//! From rows to edges: which driver has an object, what it calls it, and what its failure means for the owner.

use super::steps::Job;
use super::{Ctx, unreadable};
use crate::backup::{BackupEngine, BackupError};
use crate::driver::{Driver, DriverError, LiveWrites, SnapshotRef, VolumeRef};
use crate::error::{EdgeError, Error};
use crate::model::backup::Backup;
use crate::model::id::{SnapshotId, VolumeId};
use crate::model::snapshot::Snapshot;
use crate::model::volume::Volume;
use crate::model::volume_type::VolumeType;
use crate::store::{backups, snapshots, volume_types, volumes};
use crate::target::{Target, TargetError};
use std::sync::Arc;

/// The driver of `host@backend#pool`, and the pool's name in it.
pub(super) fn driver_of<'ctx, 'address>(
    ctx: &'ctx Ctx,
    address: &'address str,
) -> Result<(&'ctx dyn Driver, &'address str), Error> {
    let parts = address
        .split_once('#')
        .and_then(|(service, pool)| Some((service.split_once('@')?.1, pool)))
        .and_then(|(backend, pool)| Some((ctx.drivers.get(backend)?.as_ref(), pool)));
    parts.ok_or_else(|| Error::Unavailable {
        what: "the backend",
        why: format!(
            "{address} is not configured on host {}; put it back into the configuration",
            ctx.host
        ),
    })
}

/// The target of this host.
pub(super) fn target_of(ctx: &Ctx) -> Result<&dyn Target, Error> {
    ctx.target.as_deref().ok_or_else(|| Error::Unavailable {
        what: "the target",
        why: format!("host {} does not run the role volume", ctx.host),
    })
}

/// The volume in the words of its driver.
pub(super) async fn volume_ref(ctx: &Ctx, volume: &Volume, pool: &str) -> Result<VolumeRef, Error> {
    let volume_type = volume_types::get(&ctx.store, volume.volume_type_id)
        .await
        .map_err(unreadable)?;
    let thick = volume_type.as_ref().is_some_and(VolumeType::is_thick);
    Ok(volume_ref_of(volume, thick, pool))
}

/// The same where its type is known, or is yet to be had.
pub(super) fn volume_ref_of(volume: &Volume, thick: bool, pool: &str) -> VolumeRef {
    VolumeRef {
        id: volume.id,
        pool: pool.to_owned(),
        size_gib: volume.size_gib,
        thick,
    }
}

/// The snapshot in the words of its driver.
pub(super) fn snapshot_ref(snapshot: &Snapshot, pool: &str) -> SnapshotRef {
    SnapshotRef {
        id: snapshot.id,
        volume_id: snapshot.volume_id,
        pool: pool.to_owned(),
        size_gib: snapshot.size_gib,
    }
}

/// The handle on hosts' writes to a volume, if any host may be writing.
pub(super) async fn live_writes(
    ctx: &Ctx,
    volume: VolumeId,
) -> Result<Option<Arc<dyn LiveWrites>>, Error> {
    let target = target_of(ctx)?;
    target
        .live_writes(volume)
        .await
        .map_err(|error| target_failed("watching the writes", &volume, error))
}

/// A driver's failure, with what was being attempted.
pub(super) fn driver_failed(
    step: &'static str,
    object: &impl ToString,
    error: DriverError,
) -> Error {
    match error {
        DriverError::Cancelled => Error::Cancelled,
        error @ (DriverError::Absent { .. }
        | DriverError::NotManageable { .. }
        | DriverError::NoSpace { .. }
        | DriverError::Io { .. }
        | DriverError::NotConsistent { .. }
        | DriverError::Unsupported { .. }
        | DriverError::Unavailable { .. }) => Error::Backend {
            step,
            object: object.to_string(),
            reason: error.to_string(),
            source: Box::new(EdgeError::Driver(error)),
        },
    }
}

/// The engine of a backup store, as far as this host has it.
pub(super) fn engine_of<'ctx>(
    ctx: &'ctx Ctx,
    store: &str,
) -> Result<&'ctx dyn BackupEngine, Error> {
    let found = ctx.backups.get(store).map(AsRef::as_ref);
    found.ok_or_else(|| Error::Unavailable {
        what: "the backup store",
        why: format!(
            "{store} is not configured on host {}, or could not be opened there; see to its [[backup_store]]",
            ctx.host
        ),
    })
}

/// An engine's failure, with what was being attempted.
pub(super) fn engine_failed(
    step: &'static str,
    object: &impl ToString,
    error: BackupError,
) -> Error {
    match error {
        BackupError::Cancelled => Error::Cancelled,
        error @ (BackupError::Absent { .. }
        | BackupError::Damaged { .. }
        | BackupError::NoSpace { .. }
        | BackupError::WrongKey { .. }
        | BackupError::ReadOnly { .. }
        | BackupError::Device { .. }
        | BackupError::Unavailable { .. }) => Error::Backend {
            step,
            object: object.to_string(),
            reason: error.to_string(),
            source: Box::new(EdgeError::Backup(error)),
        },
    }
}

/// A target's failure, with what was being attempted.
pub(super) fn target_failed(
    step: &'static str,
    object: &impl ToString,
    error: TargetError,
) -> Error {
    Error::Backend {
        step,
        object: object.to_string(),
        reason: error.to_string(),
        source: Box::new(EdgeError::Target(error)),
    }
}

impl Job {
    /// The volume that the operation moves, as recorded now.
    pub(super) async fn volume(&self) -> Result<Volume, Error> {
        let id = self
            .input
            .volume
            .as_ref()
            .and_then(|subject| subject.id.parse().ok());
        self.volume_by_id(id).await
    }

    /// A volume that the operation only reads.
    pub(super) async fn volume_by_id(&self, id: Option<VolumeId>) -> Result<Volume, Error> {
        let found = match id {
            Some(id) => volumes::get(&self.ctx.store, id)
                .await
                .map_err(unreadable)?,
            None => None,
        };
        found.ok_or_else(|| self.lost("volume"))
    }

    /// The snapshots that the operation moves, as recorded now.
    pub(super) async fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        let mut found = Vec::new();
        for subject in &self.input.snapshots {
            found.push(self.snapshot_by_id(subject.id.parse().ok()).await?);
        }
        Ok(found)
    }

    /// The one snapshot that the operation moves.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, Error> {
        let id = self
            .input
            .snapshots
            .first()
            .and_then(|subject| subject.id.parse().ok());
        self.snapshot_by_id(id).await
    }

    /// A snapshot that the operation only reads.
    pub(super) async fn snapshot_by_id(&self, id: Option<SnapshotId>) -> Result<Snapshot, Error> {
        let found = match id {
            Some(id) => snapshots::get(&self.ctx.store, id)
                .await
                .map_err(unreadable)?,
            None => None,
        };
        found.ok_or_else(|| self.lost("snapshot"))
    }

    /// The backup that the operation makes or moves.
    pub(super) async fn backup(&self) -> Result<Backup, Error> {
        let id = (self.input.backup.as_ref()).and_then(|subject| subject.id.parse().ok());
        let found = match id {
            Some(id) => backups::get(&self.ctx.store, id)
                .await
                .map_err(unreadable)?,
            None => None,
        };
        found.ok_or_else(|| self.lost("backup"))
    }

    fn lost(&self, noun: &'static str) -> Error {
        Error::Internal {
            what: format!("the {noun} of operation {} has no row", self.operation.id),
        }
    }
}

/// Where a volume's bytes lie; a volume that was never placed has no bytes.
pub(super) fn placed(volume: &Volume) -> Option<&str> {
    volume.host.as_deref()
}
