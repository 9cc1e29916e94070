//! An attachment: one host's (or instance's) claim on a volume, from reservation to release.

use super::id::{AttachmentId, VolumeId};
use super::status::AttachmentStatus;
use super::time::Time;

/// Whether the host may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachMode {
    /// Read and write.
    ReadWrite,
    /// Read only.
    ReadOnly,
}

impl AttachMode {
    /// Cinder's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            AttachMode::ReadWrite => "rw",
            AttachMode::ReadOnly => "ro",
        }
    }

    /// `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        [AttachMode::ReadWrite, AttachMode::ReadOnly]
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }
}

/// What the host said of itself (Cinder's *connector*), reduced to what Ashlar uses; the whole text is kept beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// The initiator's IQN, lower case: LIO and the RFC compare names so.
    pub initiator: String,
    /// The host's name, if it gave one.
    pub host: Option<String>,
    /// Whether the host wants all portals at once.
    pub multipath: bool,
    /// The connector exactly as sent (JSON text), for the record.
    pub text: String,
}

/// An attachment as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// The volume.
    pub volume_id: VolumeId,
    /// The volume's owner; joined in when read.
    pub project_id: String,
    /// The instance it is for, if any.
    pub instance_uuid: Option<String>,
    /// The host it is for, if known.
    pub attached_host: Option<String>,
    /// The device name that the host said it would use.
    pub mountpoint: Option<String>,
    /// Read-write or read-only.
    pub mode: AttachMode,
    /// Where it is in its life.
    pub status: AttachmentStatus,
    /// What the host said of itself; `None` while only reserved.
    pub connector: Option<Connector>,
    /// When the host said it was complete.
    pub attached_at: Option<Time>,
    /// When it was released.
    pub detached_at: Option<Time>,
    /// When its row was made.
    pub created_at: Time,
    /// When its row last changed.
    pub updated_at: Option<Time>,
}
