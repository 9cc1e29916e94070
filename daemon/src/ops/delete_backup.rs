//! Delete a backup: remove it from its store, return its quota. No other backup depends on it, whatever it was made from
//! or others were made from it. Of a store that is only read nothing is removed, so that there, too, none needs another's row.

use super::backup_stores::{self, Wanted};
use super::begin::Beginning;
use super::edges::{engine_failed, engine_of};
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, backup_queue, create_backup, only_for_admins, visible_backup};
use crate::error::Error;
use crate::model::backup::Backup;
use crate::model::caller::Caller;
use crate::model::id::BackupId;
use crate::model::operation::Verb;
use crate::model::status::{self, BackupStatus};
use crate::store::Batch;
use crate::store::quotas::{self, Resource};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::DeleteBackup,
    steps: &[
        Step {
            name: "remove",
            run: |job| Box::pin(remove(job)),
            undo: None,
            can_cancel: false, // What is removed in part is no backup any more.
        },
        Step {
            name: "prune",
            run: |job| Box::pin(prune(job)),
            undo: None,
            can_cancel: false,
        },
    ],
    deadline: Duration::from_secs(24 * 3600), // A large store is pruned in hours.
    done,
    failed: create_backup::failed,
};

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    project_id: String,
    gigabytes: i64,
}

/// Accepts the request.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: BackupId) -> Result<(), Error> {
    let from = status::row(Verb::DeleteBackup).backup;
    let backup = visible_backup(ctx, caller, id).await?;
    begin_from(
        ctx,
        caller,
        &backup,
        from.map(|one| one.from).unwrap_or_default(),
    )
    .await
}

/// The same for an administrator, whatever the backup's status.
pub async fn begin_forced(ctx: &Ctx, caller: &Caller, id: BackupId) -> Result<(), Error> {
    let backup = visible_backup(ctx, caller, id).await?;
    only_for_admins(caller, "volume_extension:backup_admin_actions:force_delete")?;
    begin_from(ctx, caller, &backup, BackupStatus::ALL).await
}

async fn begin_from(
    ctx: &Ctx,
    caller: &Caller,
    backup: &Backup,
    from: &[BackupStatus],
) -> Result<(), Error> {
    let wanted = Wanted {
        store: Some(&backup.store),
        near: Some(&backup.host),
        ..Wanted::default()
    };
    let service = backup_stores::find(ctx, wanted).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::DeleteBackup, &backup.id);
    beginning.moves_backup_from(backup, from);
    beginning.frees_room();
    let asked = Asked {
        project_id: backup.project_id.clone(),
        gigabytes: backup.size_gib.get(),
    };
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    beginning.commit(backup_queue(&service.host)).await?;
    Ok(())
}

async fn remove(job: &Job) -> Result<Outcome, Error> {
    let backup = job.backup().await?;
    let engine = engine_of(&job.ctx, &backup.store)?;
    // What another program made stays where it is, and can be imported again: only the row goes.
    if engine.kind().is_read_only() {
        return Outcome::nothing();
    }
    let removed = engine.remove(backup.id).await;
    removed.map_err(|error| engine_failed("removing", &backup.id, error))?;
    Outcome::nothing()
}

async fn prune(job: &Job) -> Result<Outcome, Error> {
    let store = job.backup().await?.store;
    backup_stores::prune(&job.ctx, &store, &job.operation.queue, &job.work).await;
    Outcome::nothing()
}

fn done(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let mut batch = Batch::new();
    let project = asked.project_id.as_str();
    quotas::give_back_in_all(&mut batch, project, Resource::Backups, 1);
    quotas::give_back_in_all(
        &mut batch,
        project,
        Resource::BackupGigabytes,
        asked.gigabytes,
    );
    Ok(batch)
}
