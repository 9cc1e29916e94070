//! `os-reset_status` of a backup: an administrator says what it is, `available` or `error`. One transaction; `available`
//! needs the backup to be in its store.

use super::begin::Beginning;
use super::edges::engine_of;
use super::{Ctx, only_for_admins, visible_backup};
use crate::backup::{BackupError, Depth};
use crate::driver::Work;
use crate::error::{Error, Refusal};
use crate::model::backup::Backup;
use crate::model::caller::Caller;
use crate::model::id::BackupId;
use crate::model::operation::Verb;
use crate::model::status::BackupStatus;
use crate::store::Batch;
use std::time::Duration;

/// How long the store is given to answer; one that cannot tell in time is no reason to refuse.
const LOOK: Duration = Duration::from_secs(20);

/// Says it.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: BackupId,
    status: BackupStatus,
) -> Result<(), Error> {
    let backup = visible_backup(ctx, caller, id).await?;
    only_for_admins(caller, "volume_extension:backup_admin_actions:reset_status")?;
    if ![BackupStatus::Available, BackupStatus::Error].contains(&status) {
        return Err(refused(&backup, "it can be set to available or error only"));
    }
    if status == BackupStatus::Available {
        is_in_store(ctx, &backup).await?;
    }
    let mut beginning = Beginning::new(ctx, caller, Verb::ResetBackupStatus, &id);
    beginning.moves_backup_to(&backup, BackupStatus::ALL, status);
    beginning.commit_at_once(Batch::new()).await
}

/// Whether the backup is there and whole, as far as this process can see.
async fn is_in_store(ctx: &Ctx, backup: &Backup) -> Result<(), Error> {
    let Ok(engine) = engine_of(ctx, &backup.store) else {
        return Ok(());
    };
    let work = Work::default();
    let looked = engine.verify(Some(backup.id), Depth::Structure, &work);
    match tokio::time::timeout(LOOK, looked).await {
        Ok(Ok(findings)) => match findings.first() {
            None => Ok(()),
            Some(first) => Err(refused(backup, &format!("{first}; delete it"))),
        },
        Ok(Err(error @ (BackupError::Absent { .. } | BackupError::Damaged { .. }))) => {
            Err(refused(backup, &format!("{error}; delete it")))
        }
        Ok(Err(_)) => Ok(()),
        Err(_elapsed) => {
            work.cancel();
            Ok(())
        }
    }
}

fn refused(backup: &Backup, why: &str) -> Error {
    Error::Refused(Refusal::Rule {
        why: format!(
            "Invalid backup: the status of backup {} stays {}: {why}.",
            backup.id,
            backup.status.as_str()
        ),
    })
}
