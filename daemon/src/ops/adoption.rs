//! What taking over volumes and taking over snapshots share: whose word it needs, the pool that is named, and the
//! steps that measure, take over and hand back.
//!
//! The size is the driver's to tell, so `begin` takes quota for a provisional one; the first step sets both right in
//! one guarded transaction. While an adoption is recorded, the bytes are still the administrator's: whatever gives the
//! object up hands them back (see [`hand_back_foreign`]).

use super::edges::{driver_failed, driver_of, placed, snapshot_ref, volume_ref};
use super::steps::{Job, Outcome};
use super::{Ctx, unreadable, unwritable};
use crate::driver::{Driver, ObjectRef};
use crate::error::{Error, OverQuota, Refusal};
use crate::model::caller::{Caller, Role};
use crate::model::id::VolumeTypeId;
use crate::model::pool::Pool;
use crate::model::size::Gib;
use crate::schedule;
use crate::store::quotas::{self, Of, Resource};
use crate::store::{Batch, Sql, StoreError, adoptions, pools, snapshots, volume_types, volumes};
use serde::{Deserialize, Serialize};

/// What is asked, beside the row that was made.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    /// What the administrator calls it.
    pub(super) source: String,
}

/// What lies in a pool beside Ashlar's objects is the administrator's.
pub(super) fn admins_only(caller: &Caller, action: &'static str) -> Result<(), Error> {
    match caller.role {
        Role::Admin => Ok(()),
        Role::Reader | Role::Member => Err(Error::Forbidden { action }),
    }
}

/// The pool that `host` names: `host@backend#pool`, or `host@backend` where that has but one.
pub(super) async fn pool_named(ctx: &Ctx, host: &str) -> Result<Pool, Error> {
    let all = pools::list(&ctx.store).await.map_err(unreadable)?;
    let whole = format!("{host}#");
    let mut named = all
        .into_iter()
        .filter(|pool| pool.address == host || pool.address.starts_with(&whole));
    let found = match (named.next(), named.next()) {
        (Some(pool), None) => pool,
        (Some(_), Some(_)) => {
            return Err(Error::Invalid {
                field: "host".to_owned(),
                why: format!("{host} has several pools: name one, as host@backend#pool"),
            });
        }
        (None, _) => {
            return Err(Error::NotFound {
                noun: "Host",
                id: host.to_owned(),
            });
        }
    };
    if found.is_up {
        return Ok(found);
    }
    Err(Error::Refused(Refusal::Rule {
        why: format!(
            "{} is down: its last report is of {}. Start its volume service and repeat the request.",
            found.address, found.reported_at
        ),
    }))
}

/// An object that is being taken over, as its driver and the record know it.
pub(super) struct Adoption<'a> {
    pub(super) driver: &'a dyn Driver,
    pub(super) object: ObjectRef,
    pub(super) source: String,
    pub(super) id: String,
}

/// The volume that the operation takes over.
pub(super) async fn of_volume(job: &Job) -> Result<Adoption<'_>, Error> {
    let asked: Asked = job.asked()?;
    let volume = job.volume().await?;
    let (driver, pool) = driver_of(&job.ctx, placed(&volume).unwrap_or_default())?;
    Ok(Adoption {
        driver,
        object: ObjectRef::Volume(volume_ref(&job.ctx, &volume, pool).await?),
        source: asked.source,
        id: volume.id.to_string(),
    })
}

/// The snapshot that the operation takes over.
pub(super) async fn of_snapshot(job: &Job) -> Result<Adoption<'_>, Error> {
    let asked: Asked = job.asked()?;
    let snapshot = job.snapshot().await?;
    let (driver, pool) = driver_of(&job.ctx, &snapshot.host)?;
    Ok(Adoption {
        driver,
        object: ObjectRef::Snapshot(snapshot_ref(&snapshot, pool)),
        source: asked.source,
        id: snapshot.id.to_string(),
    })
}

impl Adoption<'_> {
    /// How large it is.
    pub(super) async fn measure(&self) -> Result<Gib, Error> {
        let measured = self.driver.measure(&self.object, &self.source).await;
        measured.map_err(|error| driver_failed("measuring", &self.id, error))
    }

    /// Takes it over.
    pub(super) async fn adopt(&self) -> Result<Outcome, Error> {
        let adopted = self.driver.adopt(&self.object, &self.source).await;
        adopted.map_err(|error| driver_failed("taking over", &self.id, error))?;
        Outcome::nothing()
    }

    /// Gives it back under the name that it had.
    pub(super) async fn hand_back(&self) -> Result<Outcome, Error> {
        let released = self.driver.release(&self.object, Some(&self.source)).await;
        released.map_err(|error| driver_failed("handing back", &self.id, error))?;
        Outcome::nothing()
    }
}

/// Sets the recorded size and the quota right, together or not at all; already so is fine.
pub(super) async fn set_size(
    job: &Job,
    resize: Sql,
    (id, of): (&str, Of),
    (recorded, measured): (Gib, Gib),
) -> Result<(), Error> {
    let more = measured.get() - recorded.get();
    if more == 0 {
        return Ok(());
    }
    let ctx = &job.ctx;
    let project = &job.operation.project_id;
    let limit = ctx.quota.gigabytes;
    let mut batch = Batch::new();
    let values = vec![id.into(), recorded.get().into(), measured.get().into()];
    batch.guard("size", resize, values);
    if let Of::Volume(_) = of {
        let limit = ctx.quota.of(Resource::PerVolumeGigabytes);
        quotas::fits(&mut batch, project, measured.get(), limit);
    }
    if more > 0 {
        quotas::take(&mut batch, project, Resource::Gigabytes, more, limit);
        quotas::take_of_type(&mut batch, project, of, Resource::Gigabytes, more);
    } else {
        quotas::give_back(&mut batch, project, of, Resource::Gigabytes, -more);
    }
    match ctx.store.write(batch).await {
        Ok(()) => Ok(()),
        Err(StoreError::Conflict { guard: "size" }) => Err(Error::Internal {
            what: format!("the size of {id} changed while it was taken over"),
        }),
        Err(StoreError::Conflict { guard }) if guard == Resource::PerVolumeGigabytes.as_str() => {
            Err(Error::OverQuota(OverQuota::PerVolume {
                requested: measured.get(),
                limit: ctx.quota.of(Resource::PerVolumeGigabytes),
            }))
        }
        Err(StoreError::Conflict { .. }) => {
            let usage = quotas::usage(&ctx.store, project)
                .await
                .map_err(unreadable)?;
            let used = usage.get(Resource::Gigabytes.as_str()).copied();
            Err(Error::OverQuota(OverQuota::Gigabytes {
                name: Resource::Gigabytes.as_str().to_owned(),
                requested: more,
                limit,
                used: used.unwrap_or(0),
            }))
        }
        Err(error) => Err(unwritable(error)),
    }
}

/// Sets a volume's size right.
pub(super) async fn set_volume_size(job: &Job, measured: Gib) -> Result<(), Error> {
    let volume = job.volume().await?;
    let sizes = (volume.size_gib, measured);
    let (id, of) = (volume.id.to_string(), Of::Volume(volume.id));
    set_size(job, volumes::RESIZE, (&id, of), sizes).await
}

/// Sets a snapshot's size right.
pub(super) async fn set_snapshot_size(job: &Job, measured: Gib) -> Result<(), Error> {
    let snapshot = job.snapshot().await?;
    let sizes = (snapshot.size_gib, measured);
    let (id, of) = (snapshot.id.to_string(), Of::Snapshot(snapshot.id));
    set_size(job, snapshots::RESIZE, (&id, of), sizes).await
}

/// The scheduler's word whether `pool` may have a volume of this type that adds nothing to it.
pub(super) async fn fits_type(
    ctx: &Ctx,
    pool: &str,
    volume_type: VolumeTypeId,
) -> Result<Result<(), String>, Error> {
    let store = &ctx.store;
    let pools = pools::list(store).await.map_err(unreadable)?;
    let found = volume_types::get(store, volume_type)
        .await
        .map_err(unreadable)?;
    let specs = found.map(|one| one.extra_specs).unwrap_or_default();
    let request = schedule::Request::in_place(specs, pool.to_owned());
    let placement = schedule::place(&request, &pools);
    Ok(match placement.winner {
        Some(_) => Ok(()),
        None => Err(placement.explanation.reason()),
    })
}

/// Hands back what is not wholly Ashlar's, instead of destroying it; `false` when `object` is.
pub(super) async fn hand_back_foreign(
    ctx: &Ctx,
    driver: &dyn Driver,
    object: &ObjectRef,
) -> Result<bool, Error> {
    let id = match object {
        ObjectRef::Volume(volume) => volume.id.to_string(),
        ObjectRef::Snapshot(snapshot) => snapshot.id.to_string(),
    };
    let source = adoptions::source_of(&ctx.store, &id)
        .await
        .map_err(unreadable)?;
    let Some(source) = source else {
        return Ok(false);
    };
    let released = driver.release(object, Some(&source)).await;
    released.map_err(|error| driver_failed("handing back", &id, error))?;
    Ok(true)
}

/// Adds that the object's bytes are nobody's but Ashlar's, or are gone.
pub(super) fn forget(batch: &mut Batch, id: &str) {
    batch.add(adoptions::DELETE, vec![id.into()]);
}
