//! What a backup set keeps, and the giving up of the rest: each through its own delete, as its owner would.
//!
//! Only what the set made counts, and of that only what is good ([`Retention`]). A backup that went wrong keeps nothing
//! and is given up once the set has tried again, so that failures do not fill the quota; likewise one whose delete
//! failed. Whatever else is under way with a backup is left alone.

use super::run_backup_sets::unlistable;
use super::{Ctx, delete_backup, unreadable};
use crate::error::Error;
use crate::model::backup::Backup;
use crate::model::backup_set::BackupSet;
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::retention::{Reason, Retention};
use crate::model::status::BackupStatus;
use crate::model::time::Time;
use crate::store::backups;

/// Backups that are given up after one run; the rest after the next.
const REMOVALS_MAX: i64 = 1000;

/// What becomes of a backup of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is kept, for these reasons.
    Kept(Vec<Reason>),
    /// No rule keeps it.
    Unneeded,
    /// It went wrong, and the set has tried again since.
    Superseded,
    /// It is not good (yet), or something is being done with it: left alone.
    LeftAlone,
}

impl Verdict {
    /// Whether it is given up.
    pub fn goes(&self) -> bool {
        matches!(self, Verdict::Unneeded | Verdict::Superseded)
    }
}

/// What becomes of each of a set's backups of one volume, those of the newest content first; with `coming`, once there is
/// one more of that time.
pub fn judge(retention: &Retention, made: &[Backup], coming: Option<&Time>) -> Vec<Verdict> {
    let is_good = |one: &&Backup| one.status == BackupStatus::Available;
    let times = made
        .iter()
        .filter(is_good)
        .map(|one| one.data_timestamp.clone());
    // What is coming is the newest, whatever its time.
    let times: Vec<Time> = coming.cloned().into_iter().chain(times).collect();
    let kept = retention.keeps(&times);
    let mut kept = kept.into_iter().skip(usize::from(coming.is_some()));
    let newest = made.iter().map(|one| &one.created_at).max();
    let judged = made.iter().map(|one| match one.status {
        BackupStatus::Available => match kept.next() {
            Some(reasons) if reasons.is_empty() => Verdict::Unneeded,
            reasons => Verdict::Kept(reasons.unwrap_or_default()),
        },
        BackupStatus::Error | BackupStatus::ErrorDeleting if !retention.removes() => {
            Verdict::LeftAlone
        }
        BackupStatus::ErrorDeleting => Verdict::Superseded,
        BackupStatus::Error if coming.is_some() || newest > Some(&one.created_at) => {
            Verdict::Superseded
        }
        BackupStatus::Error
        | BackupStatus::Creating
        | BackupStatus::Deleting
        | BackupStatus::Deleted
        | BackupStatus::Restoring => Verdict::LeftAlone,
    });
    judged.collect()
}

/// How the giving up went.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// Deletes that were begun.
    pub(super) count: i64,
    /// What is still there, and why.
    pub(super) problem: Option<String>,
}

/// Begins the deletes of what the set keeps no longer. What cannot be deleted now stays until after the next run.
pub(super) async fn remove(ctx: &Ctx, caller: &Caller, set: &BackupSet) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    if !set.retention.removes() {
        return Ok(removed);
    }
    let mut refused: (i64, Option<String>) = (0, None);
    for volume in volumes(ctx, set).await? {
        let made = backups::of_set(&ctx.store, set.id, volume)
            .await
            .map_err(unlistable)?;
        let verdicts = judge(&set.retention, &made, None);
        for (backup, _) in made
            .iter()
            .zip(verdicts)
            .filter(|(_, verdict)| verdict.goes())
        {
            if removed.count + refused.0 == REMOVALS_MAX {
                return Ok(removed);
            }
            match delete_backup::begin(ctx, caller, backup.id).await {
                Ok(()) => removed.count += 1,
                Err(Error::NotFound { .. }) => {} // Somebody else did.
                Err(error) => {
                    refused.0 += 1;
                    refused.1.get_or_insert_with(|| error.to_string());
                }
            }
        }
    }
    removed.problem = refused.1.map(|why| {
        format!(
            "{} backups that are kept no longer are still there, the first because: {why}",
            refused.0
        )
    });
    Ok(removed)
}

/// The volumes that a set has backups of; they may be gone.
pub(super) async fn volumes(ctx: &Ctx, set: &BackupSet) -> Result<Vec<VolumeId>, Error> {
    backups::volumes_of_set(&ctx.store, set.id)
        .await
        .map_err(unreadable)
}
