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
    /// What was found when it was last looked whether it can be read; `None` when nobody has looked.
    pub verified: Option<Verified>,
    /// When a drill last restored it, and found in the volume what the store has.
    pub proven_at: Option<Time>,
    /// When its row was made.
    pub created_at: Time,
    /// When its row last changed.
    pub updated_at: Option<Time>,
    /// The backup set that made it; the set may be gone.
    pub set_id: Option<BackupSetId>,
}

/// How closely is looked whether a backup can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// That all that it needs is there.
    Structure,
    /// That every byte of it is what was stored.
    Data,
}

impl Depth {
    /// Both.
    pub const ALL: [Depth; 2] = [Depth::Structure, Depth::Data];

    /// The spelling in the record and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Depth::Structure => "structure",
            Depth::Data => "data",
        }
    }

    /// `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|depth| depth.as_str() == word)
    }
}

/// What a look into the store found of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// When it was.
    pub at: Time,
    /// How closely was looked.
    pub depth: Depth,
    /// What is wrong, a line each; none when nothing is.
    pub findings: Vec<String>,
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

/// What a backup store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// A repository in restic's format.
    Restic,
    /// A directory that Cinder's posix or NFS backup driver wrote; it is only read.
    Cinder,
    /// Plain files, for tests.
    Fake,
}

impl StoreKind {
    /// Every one.
    pub const ALL: [StoreKind; 3] = [StoreKind::Restic, StoreKind::Cinder, StoreKind::Fake];

    /// Its name in the configuration and in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            StoreKind::Restic => "restic",
            StoreKind::Cinder => "cinder",
            StoreKind::Fake => "fake",
        }
    }

    /// `None` for a word that is no kind.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Whether nothing is ever written to it or removed from it.
    pub fn is_read_only(self) -> bool {
        match self {
            StoreKind::Cinder => true,
            StoreKind::Restic | StoreKind::Fake => false,
        }
    }
}
