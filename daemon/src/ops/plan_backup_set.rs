//! What a run of a backup set would do now: each volume's backup is rehearsed, and what would be given up is judged as it
//! would be after the run. Nothing is changed.

use super::retain_backups::{Verdict, judge};
use super::run_backup_sets::{is_full_next, owner, selected, unlistable};
use super::{Ctx, backup_sets, create_backup, retain_backups, unreadable};
use crate::error::Error;
use crate::model::backup::Backup;
use crate::model::backup_set::BackupSet;
use crate::model::caller::Caller;
use crate::model::id::{BackupSetId, VolumeId};
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::store::{backups, intent, volumes};
use std::collections::BTreeMap;

/// Backups that one plan tells of; those of further volumes are left out.
const BACKUPS_MAX: usize = 5000;

/// What a run would do.
#[derive(Debug)]
pub struct Plan {
    /// The volumes that it would back up.
    pub volumes: Vec<PlannedVolume>,
    /// How many more the set is of than one run backs up.
    pub left_out: usize,
    /// The set's backups, and what would become of each.
    pub backups: Vec<(Backup, Verdict)>,
    /// Whether there are more backups than a plan tells of.
    pub is_cut: bool,
}

/// A volume that a run would back up.
#[derive(Debug)]
pub struct PlannedVolume {
    /// Which.
    pub id: VolumeId,
    /// The volume; `None` when it is gone.
    pub volume: Option<Volume>,
    /// Whether all of it would be read.
    pub is_full: bool,
    /// Why it would not be backed up.
    pub problem: Option<String>,
}

/// What a run of the set would do now.
pub async fn plan(ctx: &Ctx, caller: &Caller, id: BackupSetId) -> Result<Plan, Error> {
    let set = backup_sets::visible(ctx, caller, id).await?;
    let (ids, left_out) = selected(ctx, &set).await?;
    let mut planned = Vec::new();
    for id in ids {
        planned.push(of_volume(ctx, &set, id).await?);
    }
    let now = Time::now();
    let (mut judged, mut is_cut) = (Vec::new(), false);
    for volume in retain_backups::volumes(ctx, &set).await? {
        let made = backups::of_set(&ctx.store, set.id, volume)
            .await
            .map_err(unlistable)?;
        let comes = planned
            .iter()
            .any(|one| one.id == volume && one.problem.is_none());
        let verdicts = judge(&set.retention, &made, comes.then_some(&now));
        if judged.len() + made.len() > BACKUPS_MAX {
            is_cut = true;
            break;
        }
        judged.extend(made.into_iter().zip(verdicts));
    }
    Ok(Plan {
        volumes: planned,
        left_out,
        backups: judged,
        is_cut,
    })
}

async fn of_volume(ctx: &Ctx, set: &BackupSet, id: VolumeId) -> Result<PlannedVolume, Error> {
    let request = create_backup::Request {
        volume_id: id,
        snapshot_id: None,
        store: set.how.store.clone(),
        name: Some(set.name.clone()),
        description: None,
        metadata: BTreeMap::new(),
        availability_zone: None,
        // A run builds on what there is, and on nothing where there is nothing: that is never in the way.
        is_incremental: false,
        may_be_attached: set.how.may_be_attached,
        of_run: None,
    };
    let volume = volumes::get(&ctx.store, id).await.map_err(unreadable)?;
    let owner = owner(set, "");
    let (answer, refusals) = intent::rehearse(create_backup::begin(ctx, &owner, request)).await;
    let problem = match (answer, refusals) {
        (_, Some(refusals)) => Some(refusals.join(" ")).filter(|text| !text.is_empty()),
        (Err(error), None) => Some(error.to_string()),
        (Ok(_), None) => None,
    };
    Ok(PlannedVolume {
        id,
        volume: volume.filter(|volume| volume.project_id == set.project_id),
        is_full: is_full_next(ctx, set, id).await?,
        problem,
    })
}
