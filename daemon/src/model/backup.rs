//! A backup: a copy of a volume that outlives it.

use super::id::{BackupId, BackupSetId, SnapshotId, VolumeId};
use super::size::Gib;
use super::status::BackupStatus;
use super::time::Time;
use std::collections::BTreeMap;

/// A backup as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    /// Its id.
    pub id: BackupId,
    /// The owner.
    pub project_id: String,
    /// Who asked for it.
    pub user_id: String,
    /// The volume that was copied; it may be gone.
    pub volume_id: VolumeId,
    /// The snapshot that was asked to be copied, if one was.
    pub snapshot_id: Option<SnapshotId>,
    /// The backup that it was made on top of; nothing depends on it.
    pub parent_id: Option<BackupId>,
    /// The owner's name for it.
    pub name: Option<String>,
    /// The owner's description.
    pub description: Option<String>,
    /// The owner's key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// The size of what was copied.
    pub size_gib: Gib,
    /// Where it is in its life.
    pub status: BackupStatus,
    /// The backup store that has it (Cinder's `container`).
    pub store: String,
    /// The backup service, `host@store`, that it was given to.
    pub host: String,
    /// The zone of that service.
    pub availability_zone: String,
    /// Why it went wrong, if it did.
    pub fail_reason: Option<String>,
    /// Of how many objects it is made.
    pub object_count: i64,
    /// Bytes of it that are not zero.
    pub data_bytes: i64,
    /// Bytes by which it made its store grow.
    pub added_bytes: i64,
    /// The instant that its content is of.
    pub data_timestamp: Time,
    /// The volume as it was.
    pub volume: DescribedVolume,
    /// The volume that it was restored into last.
    pub restored_volume_id: Option<VolumeId>,
    /// When its row was made.
    pub created_at: Time,
    /// When its row last changed.
    pub updated_at: Option<Time>,
    /// The backup set that made it; the set may be gone.
    pub set_id: Option<BackupSetId>,
}

/// A volume as it was when it was copied: what a volume made from the copy carries again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedVolume {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Its size in GiB.
    pub size_gib: u64,
    /// Its type, by name.
    pub volume_type: String,
    /// Its zone.
    pub availability_zone: String,
    /// Whether it can be booted from.
    pub bootable: bool,
    /// Its owner's key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// What its image said.
    pub image_metadata: BTreeMap<String, String>,
}
