//! Manage a volume: take over what an administrator laid into a pool, as a volume.
//!
//! `begin` records the volume as `managing` (shown as creating) with a size of 1 GiB, which nothing is smaller than,
//! and the name of what is to be taken over. The steps ask the scheduler's filters and the driver for the size, set
//! size and quota right, and take it over. When that fails it is handed back under its name, and the volume ends in
//! `error_managing`.

use super::adoption::{self, Asked, admins_only, pool_named};
use super::begin::Beginning;
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, Lane, type_encryption, unreadable, volume_queue};
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::operation::Verb;
use crate::model::size::Gib;
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::model::volume_type::DEFAULT_TYPE_NAME;
use crate::store::quotas::{Of, Resource};
use crate::store::{Batch, adoptions, volume_types};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::ManageVolume,
    steps: &[
        Step {
            name: "measure",
            run: |job| Box::pin(measure(job)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "adopt",
            run: |job| Box::pin(adopt(job)),
            undo: Some(|job| Box::pin(hand_back(job))),
            can_cancel: true,
        },
    ],
    deadline: Duration::from_secs(3600), // A thick file is allocated whole.
    done,
    failed: |_| Ok(Batch::new()), // The adoption stays recorded, so that nothing destroys what was not handed back.
};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// `host@backend#pool`, or `host@backend`.
    pub host: String,
    /// What it is called there.
    pub source: String,
    /// The owner's name for it.
    pub name: Option<String>,
    /// The owner's description.
    pub description: Option<String>,
    /// A type by id or name; the default one when absent.
    pub volume_type: Option<String>,
    /// A zone; the pool's when absent.
    pub availability_zone: Option<String>,
    /// Key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// Whether it carries something that boots.
    pub bootable: bool,
}

/// Accepts the request; the answer is the volume as recorded.
pub async fn begin(ctx: &Ctx, caller: &Caller, request: Request) -> Result<Volume, Error> {
    admins_only(caller, "volume_extension:volume_manage")?;
    let pool = pool_named(ctx, &request.host).await?;
    let word = request
        .volume_type
        .unwrap_or_else(|| DEFAULT_TYPE_NAME.to_owned());
    let found = volume_types::find(&ctx.store, &word)
        .await
        .map_err(unreadable)?;
    let volume_type = found.ok_or(Error::NotFound {
        noun: "Volume type",
        id: word,
    })?;
    let least = Gib::new(1).ok_or_else(|| Error::Internal {
        what: "1 GiB is no size".to_owned(),
    })?;
    let volume = Volume {
        id: VolumeId::random(),
        project_id: caller.project_id.clone(),
        user_id: caller.user_id.clone(),
        name: request.name,
        description: request.description,
        size_gib: least,
        status: VolumeStatus::Managing,
        host: Some(pool.address.clone()),
        availability_zone: request.availability_zone.unwrap_or(pool.availability_zone),
        volume_type_id: volume_type.id,
        volume_type: volume_type.name.clone(),
        snapshot_id: None,
        source_volid: None,
        multiattach: volume_type.multiattach(),
        bootable: request.bootable,
        readonly: None,
        image_metadata: BTreeMap::new(),
        metadata: request.metadata,
        created_at: Time::now(),
        updated_at: None,
    };
    let mut beginning = Beginning::new(ctx, caller, Verb::ManageVolume, &volume.id);
    let of = Of::Type(volume_type.id);
    beginning.takes(&caller.project_id, of, Resource::Volumes, 1);
    beginning.takes(&caller.project_id, of, Resource::Gigabytes, least.get());
    let encrypted = type_encryption::refusal(&volume_type);
    let of_type = vec![volume_type.id.to_string().into()];
    beginning.rule(volume_types::IS_PLAIN, of_type, encrypted);
    beginning.makes_volume(&volume);
    let id = volume.id.to_string();
    let source = request.source;
    beginning.also(adoptions::INSERT, vec![id.into(), source.as_str().into()]);
    beginning.asks(serde_json::to_value(Asked { source }).unwrap_or_default());
    beginning
        .commit(volume_queue(&pool.address, Lane::Quick))
        .await?;
    Ok(volume)
}

async fn measure(job: &Job) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    let pool = volume.host.as_deref().unwrap_or_default();
    if let Err(reason) = adoption::fits_type(&job.ctx, pool, volume.volume_type_id).await? {
        return Err(Error::NoPool { reason });
    }
    let measured = adoption::of_volume(job).await?.measure().await?;
    adoption::set_volume_size(job, measured).await?;
    Outcome::nothing()
}

async fn adopt(job: &Job) -> Result<Outcome, Error> {
    adoption::of_volume(job).await?.adopt().await
}

async fn hand_back(job: &Job) -> Result<Outcome, Error> {
    adoption::of_volume(job).await?.hand_back().await
}

fn done(job: &Job) -> Result<Batch, Error> {
    let mut batch = Batch::new();
    adoption::forget(&mut batch, &job.operation.object_id);
    Ok(batch)
}
