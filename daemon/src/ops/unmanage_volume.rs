//! Unmanage a volume: hand its bytes back to the administrator, whole, and forget it.
//!
//! `begin` refuses an attached volume and one with snapshots. The steps take the export away and hand the bytes back;
//! then the row goes and the quota returns. A failure leaves the volume in `error_unmanaging`; it may be repeated.

use super::adoption::{self, admins_only};
use super::begin::Beginning;
use super::connect;
use super::edges::{driver_failed, driver_of, placed, volume_ref};
use super::moving;
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, Lane, SCHEDULER_QUEUE, visible_volume, volume_queue};
use crate::driver::{ObjectRef, Work};
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::operation::Verb;
use crate::store::quotas::{self, Of, Resource};
use crate::store::{Batch, attachments, exports, snapshots, volumes};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::UnmanageVolume,
    steps: &[
        Step {
            name: "unexport",
            run: |job| Box::pin(unexport(job)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "release",
            run: |job| Box::pin(release(job)),
            undo: None,
            can_cancel: false,
        },
    ],
    deadline: Duration::from_secs(600), // A rename and an fsync, on a disk that may be busy.
    done,
    failed: |_| Ok(Batch::new()),
};

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    project_id: String,
    gigabytes: i64,
}

/// Accepts the request.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: VolumeId) -> Result<(), Error> {
    admins_only(caller, "volume_extension:volume_unmanage")?;
    let volume = visible_volume(ctx, caller, id).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::UnmanageVolume, &id);
    beginning.moves_volume(&volume);
    beginning.rule(
        volumes::IS_NOT_ATTACHED,
        vec![id.to_string().into()],
        Error::Refused(Refusal::Attached { id: id.to_string() }),
    );
    beginning.needs_size_as_read(&volume);
    let dependants = snapshots::of_volume(&ctx.store, id)
        .await
        .map_err(super::unreadable)?;
    let has_snapshots = Refusal::Rule {
        why: format!(
            "Invalid volume: Volume {id} still has {} snapshot(s) and cannot be unmanaged: unmanage or delete them first.",
            dependants.len().max(1)
        ),
    };
    beginning.rule(
        volumes::HAS_NO_SNAPSHOTS,
        vec![id.to_string().into()],
        Error::Refused(has_snapshots),
    );
    if let Some(address) = placed(&volume) {
        beginning.needs_thawed(id, address);
    }
    let asked = Asked {
        project_id: volume.project_id.clone(),
        gigabytes: volume.size_gib.get(),
    };
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    let queue = match placed(&volume) {
        Some(host) => volume_queue(host, Lane::Quick),
        None => SCHEDULER_QUEUE.to_owned(), // It was never placed and has no bytes.
    };
    beginning.commit(queue).await?;
    Ok(())
}

async fn unexport(job: &Job) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    if placed(&volume).is_some() {
        connect::withdraw(&job.ctx, volume.id).await?;
    }
    Outcome::nothing()
}

async fn release(job: &Job) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    let Some(host) = placed(&volume) else {
        return Outcome::nothing();
    };
    moving::clear_strays(&job.ctx, &volume, &Work::default()).await?;
    let (driver, pool) = driver_of(&job.ctx, host)?;
    let object = ObjectRef::Volume(volume_ref(&job.ctx, &volume, pool).await?);
    if !adoption::hand_back_foreign(&job.ctx, driver, &object).await? {
        driver
            .release(&object, None)
            .await
            .map_err(|error| driver_failed("handing back", &volume.id, error))?;
    }
    Outcome::nothing()
}

fn done(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let volume = job.operation.object_id.as_str();
    let mut batch = Batch::new();
    batch.add(exports::DISCONNECT_ALL, vec![volume.into()]);
    batch.add(exports::DELETE_UNUSED, vec![volume.into()]);
    batch.add(attachments::DELETE_OF_VOLUME, vec![volume.into()]);
    adoption::forget(&mut batch, volume);
    let (project, of) = (asked.project_id.as_str(), Of::Volume(job.object_id()?));
    quotas::give_back(&mut batch, project, of, Resource::Volumes, 1);
    quotas::give_back(
        &mut batch,
        project,
        of,
        Resource::Gigabytes,
        asked.gigabytes,
    );
    Ok(batch)
}
