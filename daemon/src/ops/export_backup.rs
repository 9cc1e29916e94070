//! The record of a backup as a text that another Ashlar imports: what the backup says of itself, and in which store it is.
//! Nothing is written. The bytes stay where they are; whoever imports the record must reach the same store.

use super::{Ctx, create_backup, only_for_admins, visible_backup};
use crate::backup::Description;
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::BackupId;
use crate::model::status::BackupStatus;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Who can read the record: what stands in `backup_service`.
pub const SERVICE: &str = "ashlar";

/// A record, as it stands in `backup_url`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The name of the store.
    pub store: String,
    /// The backup.
    pub backup: Description,
}

impl Record {
    /// Reads what [`Record::to_text`] wrote; `None` for anything else.
    pub fn read(text: &str) -> Option<Self> {
        let json = STANDARD.decode(text.trim()).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// As text.
    pub fn to_text(&self) -> String {
        STANDARD.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The record of a backup.
pub async fn record(ctx: &Ctx, caller: &Caller, id: BackupId) -> Result<Record, Error> {
    let backup = visible_backup(ctx, caller, id).await?;
    only_for_admins(caller, "backup:export-import")?;
    if backup.status != BackupStatus::Available {
        return Err(Error::Refused(Refusal::Rule {
            why: format!(
                "Invalid backup: Backup status must be available and not {}.",
                backup.status.as_str()
            ),
        }));
    }
    Ok(Record {
        store: backup.store.clone(),
        backup: create_backup::describe(&backup),
    })
}
