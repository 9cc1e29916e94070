//! A snapshot: a volume's content at one instant.

use super::id::{SnapshotId, VolumeId};
use super::size::Gib;
use super::status::SnapshotStatus;
use super::time::Time;
use std::collections::BTreeMap;

/// A snapshot as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The volume it is of.
    pub volume_id: VolumeId,
    /// The owner.
    pub project_id: String,
    /// Who created it.
    pub user_id: String,
    /// The owner's name for it.
    pub name: Option<String>,
    /// The owner's description.
    pub description: Option<String>,
    /// The volume's size when it was taken.
    pub size_gib: Gib,
    /// Where it is in its life.
    pub status: SnapshotStatus,
    /// `host@backend#pool` of its volume, where its bytes lie.
    pub host: String,
    /// The owner's key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// When its row was made.
    pub created_at: Time,
    /// When its row last changed.
    pub updated_at: Option<Time>,
}
