//! A transfer: the offer of a volume to whoever knows its key.

use super::id::{TransferId, VolumeId};
use super::time::Time;

/// A transfer as recorded; its key is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// What is offered.
    pub volume_id: VolumeId,
    /// Who offers it.
    pub project_id: String,
    /// The owner's name for the offer.
    pub name: Option<String>,
    /// Whether the volume's snapshots go with it.
    pub with_snapshots: bool,
    /// When it was offered.
    pub created_at: Time,
}
