//! Backup sets: made, changed, deleted, and asked to run now. Done at once; what they lead to is in `run_backup_sets.rs`.

use super::{Ctx, run_backup_sets, unreadable, unwritable, visible_volume};
use crate::error::{Conflict, Error, Refusal};
use crate::model::backup_run::{BackupRun, Cause};
use crate::model::backup_set::{BackupSet, How, Selection, VOLUMES_MAX};
use crate::model::caller::Caller;
use crate::model::cron::Cron;
use crate::model::id::{BackupSetId, VolumeId};
use crate::model::retention::Retention;
use crate::model::time::Time;
use crate::store::{Batch, StoreError, Value, backup_sets};
use std::collections::BTreeSet;

/// What is asked; in a change, `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The name.
    pub name: Option<String>,
    /// The description, or none.
    pub description: Option<Option<String>>,
    /// Which volumes.
    pub selection: Option<Selection>,
    /// When, or only when somebody asks.
    pub cron: Option<Option<Cron>>,
    /// The store, or the default one.
    pub store: Option<Option<String>>,
    /// Whether backups are made on top of the newest.
    pub is_incremental: Option<bool>,
    /// After how many the next is a full one; 0 means never again.
    pub full_every: Option<u32>,
    /// Whether volumes in use are backed up.
    pub may_be_attached: Option<bool>,
    /// For how long.
    pub retention: Option<Retention>,
    /// Whether it runs at its times.
    pub is_enabled: Option<bool>,
}

/// The set, if it exists for this caller.
pub async fn visible(ctx: &Ctx, caller: &Caller, id: BackupSetId) -> Result<BackupSet, Error> {
    let found = backup_sets::get(&ctx.store, id).await.map_err(unreadable)?;
    found
        .filter(|set| caller.sees(&set.project_id))
        .ok_or_else(|| not_found(id))
}

/// Makes a set. Name and selection must be there.
pub async fn create(ctx: &Ctx, caller: &Caller, request: Request) -> Result<BackupSet, Error> {
    let (name, selection) = match (&request.name, &request.selection) {
        (Some(name), Some(selection)) => (name.clone(), selection.clone()),
        (None, _) => return Err(missing("name")),
        (_, None) => return Err(missing("volumes")),
    };
    let now = Time::now();
    let mut set = BackupSet {
        id: BackupSetId::random(),
        project_id: caller.project_id.clone(),
        user_id: caller.user_id.clone(),
        name,
        description: None,
        selection,
        cron: None,
        how: How::default(),
        retention: Retention::default(),
        is_enabled: true,
        next_at: None,
        created_at: now.clone(),
        updated_at: None,
    };
    apply(ctx, &mut set, request, &now).await?;
    let mut values = backup_sets::values(&set);
    values.push(Value::Int(backup_sets::SETS_MAX));
    let mut batch = Batch::new();
    batch.guard("room", backup_sets::INSERT, values);
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { .. }) => Err(Error::Refused(Refusal::Rule {
            why: format!(
                "The project has {} backup sets, as many as there may be: delete some first.",
                backup_sets::SETS_MAX
            ),
        })),
        written => written.map(|()| set).map_err(unwritable),
    }
}

/// Changes a set; what runs goes on as it was begun. The answer is the set as it then is.
pub async fn update(
    ctx: &Ctx,
    caller: &Caller,
    id: BackupSetId,
    request: Request,
) -> Result<BackupSet, Error> {
    let mut set = visible(ctx, caller, id).await?;
    let now = Time::now();
    set.updated_at = Some(now.clone());
    apply(ctx, &mut set, request, &now).await?;
    let mut batch = Batch::new();
    batch.guard("set", backup_sets::UPDATE, backup_sets::values(&set));
    match ctx.store.write(batch).await {
        Err(StoreError::Conflict { .. }) => Err(not_found(id)),
        written => written.map(|()| set).map_err(unwritable),
    }
}

/// Deletes a set and what is known of its runs. Its backups stay, and so do those that are being made.
pub async fn delete(ctx: &Ctx, caller: &Caller, id: BackupSetId) -> Result<(), Error> {
    visible(ctx, caller, id).await?;
    match ctx.store.write(backup_sets::delete(id)).await {
        Err(StoreError::Conflict { .. }) => Err(not_found(id)),
        written => written.map_err(unwritable),
    }
}

/// Begins a run of the set now, also of one that is disabled; its next time stays.
pub async fn run(ctx: &Ctx, caller: &Caller, id: BackupSetId) -> Result<BackupRun, Error> {
    let set = visible(ctx, caller, id).await?;
    let now = Time::now();
    match run_backup_sets::begin_run(ctx, &set, Cause::Asked, &now).await? {
        Ok(run) => Ok(run),
        Err(run_backup_sets::NotBegun::SetIsGone) => Err(not_found(id)),
        Err(run_backup_sets::NotBegun::IsUnderWay(run)) => Err(Error::Conflict(Conflict::Held {
            noun: "Backup set",
            id: id.to_string(),
            operation: run,
            verb: "run".to_owned(),
        })),
    }
}

/// Writes into the set what is asked, and when it runs next.
async fn apply(ctx: &Ctx, set: &mut BackupSet, request: Request, now: &Time) -> Result<(), Error> {
    if let Some(selection) = &request.selection {
        check(ctx, set, selection).await?;
    }
    let is_timed_anew = request.cron.is_some() || request.is_enabled.is_some();
    let (how, none) = (&mut set.how, |text: Option<String>| {
        text.filter(|text| !text.is_empty())
    });
    set.name = request.name.unwrap_or_else(|| set.name.clone());
    set.description = request
        .description
        .map_or_else(|| set.description.clone(), none);
    set.selection = request.selection.unwrap_or_else(|| set.selection.clone());
    set.cron = request.cron.unwrap_or_else(|| set.cron.clone());
    how.store = request.store.map_or_else(|| how.store.clone(), none);
    how.is_incremental = request.is_incremental.unwrap_or(how.is_incremental);
    how.full_every = request.full_every.unwrap_or(how.full_every);
    how.may_be_attached = request.may_be_attached.unwrap_or(how.may_be_attached);
    set.retention = request.retention.unwrap_or(set.retention);
    set.is_enabled = request.is_enabled.unwrap_or(set.is_enabled);
    // A time that is due and was not begun yet stays so, unless the times themselves are others now.
    if is_timed_anew {
        set.next_at = set.next_after(now);
    }
    Ok(())
}

/// Volumes that are named must be there, and the set's project's own: its backups are made in that name.
async fn check(ctx: &Ctx, set: &BackupSet, selection: &Selection) -> Result<(), Error> {
    let Selection::Volumes(ids) = selection else {
        return Ok(());
    };
    let owner = run_backup_sets::owner(set, "");
    let different: BTreeSet<&VolumeId> = ids.iter().collect();
    if ids.is_empty() || ids.len() > VOLUMES_MAX || different.len() < ids.len() {
        return Err(Error::Invalid {
            field: "volumes.ids".to_owned(),
            why: format!("it must be 1 to {VOLUMES_MAX} volumes, each once."),
        });
    }
    for id in ids {
        visible_volume(ctx, &owner, *id).await?;
    }
    Ok(())
}

fn missing(field: &str) -> Error {
    Error::Invalid {
        field: field.to_owned(),
        why: "it must be there.".to_owned(),
    }
}

fn not_found(id: BackupSetId) -> Error {
    Error::NotFound {
        noun: "Backup set",
        id: id.to_string(),
    }
}
