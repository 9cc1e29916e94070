//! A volume: a block device of a fixed size in one pool, owned by a project.

use super::id::{SnapshotId, VolumeId, VolumeTypeId};
use super::size::Gib;
use super::status::VolumeStatus;
use super::time::Time;
use std::collections::BTreeMap;

impl Volume {
    /// Whether hosts may write to it.
    pub fn is_readonly(&self) -> bool {
        self.readonly.unwrap_or(false)
    }
}

/// A volume as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Its id, from which serial numbers and names at the edges are derived.
    pub id: VolumeId,
    /// The owner.
    pub project_id: String,
    /// Who created it.
    pub user_id: String,
    /// The owner's name for it; need not be unique.
    pub name: Option<String>,
    /// The owner's description.
    pub description: Option<String>,
    /// Its size.
    pub size_gib: Gib,
    /// Where it is in its life.
    pub status: VolumeStatus,
    /// `host@backend#pool` once the scheduler has chosen; `None` before.
    pub host: Option<String>,
    /// Where the owner wants it, or where it is.
    pub availability_zone: String,
    /// Its type.
    pub volume_type_id: VolumeTypeId,
    /// The type's name, joined in when read.
    pub volume_type: String,
    /// The snapshot it was made from.
    pub snapshot_id: Option<SnapshotId>,
    /// The volume it was cloned from.
    pub source_volid: Option<VolumeId>,
    /// Whether several hosts may attach it at once (from its type).
    pub multiattach: bool,
    /// Whether it carries something that boots.
    pub bootable: bool,
    /// The owner's key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// Whether hosts may only read it; `None` until somebody said so.
    pub readonly: Option<bool>,
    /// What is known of the image that it carries.
    pub image_metadata: BTreeMap<String, String>,
    /// When its row was made.
    pub created_at: Time,
    /// When its row last changed.
    pub updated_at: Option<Time>,
}
