//! Extend a volume, attached or not.
//!
//! `begin` takes the quota for the growth and shows `extending`. The pool is asked whether it may grow; then the device
//! grows and logged-in hosts are told, in one step; then the record has the new size. A failure gives the quota back and leaves the old size recorded.

use super::begin::Beginning;
use super::edges::{driver_failed, driver_of, placed, target_failed, target_of, volume_ref};
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, Lane, unreadable, visible_volume, volume_queue};
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::operation::Verb;
use crate::model::size::Gib;
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::schedule;
use crate::store::quotas::{self, Of, Resource};
use crate::store::{Batch, pools, volume_types, volumes};
use crate::target::TargetError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::ExtendVolume,
    steps: &[
        Step {
            name: "check",
            run: |job| Box::pin(check(job)),
            undo: None,
            can_cancel: true,
        },
        // Not undone: a device that hosts may already see larger is never made smaller. A repeat finds it so, and tells
        // them again.
        Step {
            name: "grow",
            run: |job| Box::pin(grow(job)),
            undo: None,
            can_cancel: true,
        },
    ],
    deadline: Duration::from_secs(3600), // A thick file is allocated whole.
    done,
    failed,
};

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    project_id: String,
    old_gib: i64,
    new_gib: i64,
    /// Whether the growth counts for the volume's type already: not in a row of before types were counted.
    #[serde(default)]
    is_counted_by_type: bool,
}

/// Accepts the request. `may_be_attached` is what microversion 3.42 brought.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    new_size_gib: Gib,
    may_be_attached: bool,
) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    if new_size_gib <= volume.size_gib {
        return Err(Error::Invalid {
            field: "new_size".to_owned(),
            why: format!(
                "New size for extend must be greater than current size. (current: {}, extended: {new_size_gib})",
                volume.size_gib
            ),
        });
    }
    let host = placed(&volume).unwrap_or_default();
    let mut beginning = Beginning::new(ctx, caller, Verb::ExtendVolume, &id);
    if may_be_attached {
        beginning.moves_volume(&volume);
    } else {
        beginning.moves_volume_from(
            &volume,
            &[VolumeStatus::Available],
            Some(VolumeStatus::Extending),
        );
    }
    beginning.needs_size_as_read(&volume);
    beginning.needs_thawed(id, host);
    let growth = new_size_gib.get() - volume.size_gib.get();
    beginning.needs_size_allowed(&volume.project_id, new_size_gib);
    let of = Of::Volume(volume.id);
    beginning.takes(&volume.project_id, of, Resource::Gigabytes, growth);
    let asked = Asked {
        project_id: volume.project_id.clone(),
        old_gib: volume.size_gib.get(),
        new_gib: new_size_gib.get(),
        is_counted_by_type: true,
    };
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    beginning.commit(volume_queue(host, Lane::Quick)).await?;
    Ok(())
}

/// The volume as it is to be.
async fn larger(job: &Job) -> Result<Volume, Error> {
    let asked: Asked = job.asked()?;
    let mut volume = job.volume().await?;
    volume.size_gib = Gib::new(asked.new_gib).ok_or_else(|| Error::Internal {
        what: format!("{} GiB is no size", asked.new_gib),
    })?;
    Ok(volume)
}

/// The scheduler's rules for the pool it lies in, as upstream asks them again on extend.
async fn check(job: &Job) -> Result<Outcome, Error> {
    let asked: Asked = job.asked()?;
    let volume = job.volume().await?;
    let store = &job.ctx.store;
    let growth = Gib::new(asked.new_gib - asked.old_gib).ok_or_else(|| Error::Internal {
        what: "an extend that does not grow".to_owned(),
    })?;
    let pools = pools::list(store).await.map_err(unreadable)?;
    let volume_type = volume_types::get(store, volume.volume_type_id)
        .await
        .map_err(unreadable)?;
    let specs = volume_type.map(|one| one.extra_specs).unwrap_or_default();
    let pool = placed(&volume).unwrap_or_default().to_owned();
    let mut request = schedule::Request::extend(growth, specs, pool);
    let was = job
        .input
        .volume
        .as_ref()
        .and_then(|subject| subject.was.as_deref());
    if was == Some(VolumeStatus::InUse.as_str()) {
        request = request.while_attached();
    }
    let placement = schedule::place(&request, &pools);
    match placement.winner {
        Some(_) => Outcome::nothing(),
        None => Err(Error::NoPool {
            reason: placement.explanation.reason(),
        }),
    }
}

async fn grow(job: &Job) -> Result<Outcome, Error> {
    let volume = larger(job).await?;
    let (driver, pool) = driver_of(&job.ctx, placed(&volume).unwrap_or_default())?;
    let volume_ref = volume_ref(&job.ctx, &volume, pool).await?;
    driver
        .extend(&volume_ref)
        .await
        .map_err(|error| driver_failed("growing", &volume.id, error))?;
    announce(job, &volume).await?;
    Outcome::nothing()
}

/// Tells hosts that use it. A target that is away now reads the device's length when it comes back.
async fn announce(job: &Job, volume: &Volume) -> Result<(), Error> {
    match target_of(&job.ctx)?
        .resize(volume.id, volume.size_gib.bytes())
        .await
    {
        Ok(_) => Ok(()),
        Err(error @ TargetError::Unavailable { .. }) => {
            tracing::warn!(volume = %volume.id, %error, "hosts are told of the new size when the target is back");
            Ok(())
        }
        Err(error) => Err(target_failed("telling the hosts", &volume.id, error)),
    }
}

fn done(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let mut batch = Batch::new();
    let values = vec![
        job.operation.object_id.as_str().into(),
        asked.new_gib.into(),
        Time::now().as_str().into(),
    ];
    batch.add(volumes::SET_SIZE, values);
    if !asked.is_counted_by_type {
        let growth = asked.new_gib - asked.old_gib;
        let of = Of::Volume(job.object_id()?);
        quotas::give_back_of_type(
            &mut batch,
            &asked.project_id,
            of,
            Resource::Gigabytes,
            -growth,
        );
    }
    Ok(batch)
}

fn failed(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let growth = asked.new_gib - asked.old_gib;
    let (project, of) = (asked.project_id.as_str(), Of::Volume(job.object_id()?));
    let mut batch = Batch::new();
    quotas::give_back(&mut batch, project, of, Resource::Gigabytes, growth);
    if !asked.is_counted_by_type {
        quotas::give_back_of_type(&mut batch, project, of, Resource::Gigabytes, -growth);
    }
    Ok(batch)
}
