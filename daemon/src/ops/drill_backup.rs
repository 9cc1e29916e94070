//! Drill: prove that a backup can be restored, by doing it. A scratch volume is made as every other is, filled, compared with the
//! store byte by byte, and deleted as every other is.
//!
//! It counts in the quota of whoever asks, as long as it is there. The time of a drill that went well stands at the backup.
//! One that did not leaves the scratch volume's row, in an error that its owner sees, and no bytes.

use super::begin::Beginning;
use super::edges::{engine_failed, engine_of};
use super::steps::{Job, Outcome, Plan, Step};
use super::{
    Ctx, Lane, SCHEDULER_QUEUE, create_volume, delete_volume, restore_backup, visible_backup,
};
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::id::{BackupId, OperationId};
use crate::model::operation::Verb;
use crate::model::time::Time;
use crate::store::quotas::{self, Of, Resource};
use crate::store::{Batch, backups};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::DrillBackup,
    steps: &[
        Step {
            name: "place",
            run: |job| Box::pin(create_volume::place(job, Some(Lane::Backup))),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "make",
            run: |job| Box::pin(create_volume::make(job)),
            undo: Some(|job| Box::pin(clear_away(job))),
            can_cancel: true,
        },
        Step {
            name: "restore",
            run: |job| Box::pin(restore_backup::fill(job, true)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "compare",
            run: |job| Box::pin(compare(job)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "wipe",
            run: |job| Box::pin(delete_volume::wipe(job)),
            undo: None,
            can_cancel: false,
        },
        Step {
            name: "remove",
            run: |job| Box::pin(delete_volume::remove(job)),
            undo: None,
            can_cancel: false,
        },
    ],
    deadline: Duration::from_secs(7 * 24 * 3600), // A large volume over a slow line takes days.
    done,
    failed: |_| Ok(Batch::new()),
};

/// What the quotas get back.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    project_id: String,
    gigabytes: i64,
}

/// Accepts the request; the answer is the operation.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: BackupId) -> Result<OperationId, Error> {
    let backup = visible_backup(ctx, caller, id).await?;
    restore_backup::must_be_reachable(ctx, &backup).await?;
    let named = format!("drill_backup_{id}");
    let (volume, volume_type) = restore_backup::draw_up(ctx, caller, &backup, named).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::DrillBackup, &id);
    beginning.reads_backup(&backup);
    create_volume::makes(&mut beginning, &volume, &volume_type);
    beginning.is_told_of(&backup.volume_id);
    let asked = Asked {
        project_id: volume.project_id,
        gigabytes: volume.size_gib.get(),
    };
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    beginning.commit(SCHEDULER_QUEUE.to_owned()).await
}

async fn compare(job: &Job) -> Result<Outcome, Error> {
    let (backup, volume) = (job.backup().await?, job.volume().await?);
    let engine = engine_of(&job.ctx, &backup.store)?;
    let device = restore_backup::device_of(job, &volume).await?;
    let compared = engine.compare(backup.id, &device, &job.work).await;
    compared.map_err(|error| engine_failed("comparing what was restored", &backup.id, error))?;
    Outcome::nothing()
}

/// What was restored is somebody's data: it goes as a deleted volume's does.
async fn clear_away(job: &Job) -> Result<Outcome, Error> {
    delete_volume::wipe(job).await?;
    delete_volume::remove(job).await
}

fn done(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let mut batch = Batch::new();
    backups::proven(&mut batch, &job.operation.object_id, &Time::now());
    if let Some(volume) = &job.input.volume
        && let Ok(id) = volume.id.parse()
    {
        let (project, of) = (asked.project_id.as_str(), Of::Volume(id));
        quotas::give_back(&mut batch, project, of, Resource::Volumes, 1);
        quotas::give_back(
            &mut batch,
            project,
            of,
            Resource::Gigabytes,
            asked.gigabytes,
        );
    }
    Ok(batch)
}
