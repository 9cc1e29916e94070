//! Moving a volume to another pool: the bytes that count, and those that do not.
//!
//! The bytes that count lie where the volume's row says. Everywhere else they are strays, which `store/strays.rs` keeps,
//! and a place is written there before anything is done in it. So a move is one rule: *clear away what is stray*.
//!
//! ```text
//!            the row says   stray   lies in        a crash here
//! choose     A              B       A              goes on, or clears B: nothing is there
//! clear      A              B       A              likewise; what an earlier move left is gone from here on
//! copy       A              B       A, part of B   makes B whole, or clears B
//! switch     B              A       A and B        clears A
//! remove     B                      B, part of A   goes on clearing A
//! ```
//!
//! The undo of the copy is the same function as the removal of what was left, so that it may run at any time: what it
//! takes is never what the row says. What could not be cleared away stays a stray, and is cleared away before the volume
//! moves again, when it is deleted, and when it is handed back.

use super::edges::{driver_failed, driver_of, placed, volume_ref, volume_ref_of};
use super::steps::{Job, Outcome};
use super::{Ctx, Lane, adoption, connect, unreadable, unwritable, volume_queue};
use crate::driver::{ObjectRef, Source, Work};
use crate::error::{Error, Refusal};
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::model::volume_type::VolumeType;
use crate::schedule::{self, Placement};
use crate::store::{Batch, operations, pools, retypes, snapshots, strays, volume_types};

/// Whether the volume can have the type where it lies; if not, why.
pub(super) async fn fits_in_place(
    ctx: &Ctx,
    volume: &Volume,
    wanted: &VolumeType,
) -> Result<Result<(), String>, Error> {
    let address = placed(volume).unwrap_or_default();
    let present = volume_types::get(&ctx.store, volume.volume_type_id)
        .await
        .map_err(unreadable)?;
    if wanted.is_thick() && !present.as_ref().is_some_and(VolumeType::is_thick) {
        let pools = pools::list(&ctx.store).await.map_err(unreadable)?;
        let pool = pools.iter().find(|pool| pool.address == address);
        if pool.is_none_or(|pool| pool.report.thin_provisioning_support) {
            return Ok(Err(format!(
                "The volume takes space as it is written (thin) in {address}, and the type wants it taken at once (thick)."
            )));
        }
    }
    adoption::fits_type(ctx, address, wanted.id).await
}

/// Refuses a volume that cannot move, because of what it is or what hangs on it. `status` is the one it has while no
/// operation is under way.
pub(super) async fn must_be_movable(
    ctx: &Ctx,
    volume: &Volume,
    status: &str,
    why_move: &str,
) -> Result<(), Error> {
    let rule = |why: &str| {
        Err(Error::Refused(Refusal::Rule {
            why: format!(
                "Invalid volume: Volume {} would have to move to another pool, and {why}. It would have to because: {why_move}",
                volume.id
            ),
        }))
    };
    if status != VolumeStatus::Available.as_str() {
        return rule(&format!(
            "a volume moves only while it is available; it is {status}"
        ));
    }
    let kept = snapshots::of_volume(&ctx.store, volume.id)
        .await
        .map_err(unreadable)?;
    match kept.len() {
        0 => Ok(()),
        count => rule(&format!(
            "its {count} snapshot(s) cannot move with it; delete them first"
        )),
    }
}

/// Which pool would take it, among all but its own.
pub(super) async fn place(
    ctx: &Ctx,
    volume: &Volume,
    wanted: &VolumeType,
) -> Result<Placement, Error> {
    let pools = pools::list(&ctx.store).await.map_err(unreadable)?;
    let request = schedule::Request::moving(
        volume.size_gib,
        volume.availability_zone.clone(),
        wanted.extra_specs.clone(),
        placed(volume).unwrap_or_default().to_owned(),
    );
    Ok(schedule::place(&request, &pools))
}

/// Chooses the pool, and writes the choice down before anything is done there.
pub(super) async fn choose(
    job: &Job,
    volume: &Volume,
    wanted: &VolumeType,
    why_move: &str,
) -> Result<Outcome, Error> {
    let ctx = &job.ctx;
    let was = job.input.volume.as_ref().and_then(|one| one.was.as_deref());
    must_be_movable(ctx, volume, was.unwrap_or_default(), why_move).await?;
    let placement = place(ctx, volume, wanted).await?;
    let mut also = Batch::new();
    also.add(
        operations::INSERT_PLACEMENT,
        vec![
            volume.id.to_string().into(),
            job.operation.id.to_string().into(),
            placement.explanation.to_json().to_string().into(),
            Time::now().as_str().into(),
        ],
    );
    let Some(winner) = placement.winner else {
        // Kept although the step fails: it is the answer to the owner's first question.
        ctx.store.write(also).await.map_err(unwritable)?;
        return Err(Error::NoPool {
            reason: format!("{why_move} {}", placement.explanation.reason()),
        });
    };
    must_be_apart(ctx, volume, &winner).await?;
    let values = vec![volume.id.to_string().into(), winner.as_str().into()];
    also.add(retypes::CHOOSE, values);
    strays::expect(&mut also, volume.id, &winner);
    let from = placed(volume).unwrap_or_default();
    Ok(Outcome {
        also,
        next_queue: Some(volume_queue(from, Lane::Copy)),
    })
}

/// Refuses two backends that would show the same bytes as two volumes: what is cleared away of the one would be the
/// other's.
async fn must_be_apart(ctx: &Ctx, volume: &Volume, to: &str) -> Result<(), Error> {
    let from = placed(volume).unwrap_or_default();
    let (source, from_pool) = driver_of(ctx, from)?;
    let (target, to_pool) = driver_of(ctx, to)?;
    let present = source
        .device(&volume_ref(ctx, volume, from_pool).await?)
        .await
        .map_err(|error| driver_failed("opening", &volume.id, error))?;
    match target
        .device(&volume_ref(ctx, volume, to_pool).await?)
        .await
    {
        Ok(other) if other.path == present.path => Err(Error::Refused(Refusal::Rule {
            why: format!(
                "{from} and {to} are the same storage ({}); take one of them out of the configuration.",
                present.path.display()
            ),
        })),
        // Absent, as it should be, or what an earlier move left.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Where the volume moves to; `None` when it stays.
pub(super) async fn destination(job: &Job) -> Result<Option<String>, Error> {
    let found = retypes::destination(&job.ctx.store, job.object_id()?).await;
    found.map_err(unreadable)
}

/// Clears away whatever lies of the volume elsewhere than where its row says: overwritten as a delete does it, removed,
/// and then forgotten. Again: goes on with what is left.
pub(super) async fn clear_strays(ctx: &Ctx, volume: &Volume, work: &Work) -> Result<(), Error> {
    let found = strays::of_volume(&ctx.store, volume.id)
        .await
        .map_err(unreadable)?;
    for host in found {
        let (driver, pool) = driver_of(ctx, &host)?;
        let object = ObjectRef::Volume(volume_ref(ctx, volume, pool).await?);
        let failed = |error| driver_failed("clearing away the stray bytes", &volume.id, error);
        driver.wipe(&object, work).await.map_err(failed)?;
        driver.remove(&object).await.map_err(failed)?;
        let mut batch = Batch::new();
        batch.essential();
        strays::gone(&mut batch, volume.id, &host);
        ctx.store.write(batch).await.map_err(unwritable)?;
    }
    Ok(())
}

/// Before anything is copied: what an earlier move left where this one goes to would be taken for the copy. Clearing
/// forgets the place, and the step's commit expects it again.
pub(super) async fn clear(job: &Job) -> Result<Outcome, Error> {
    let mut also = Batch::new();
    if let Some(to) = destination(job).await? {
        // A cursor would be that of one of several.
        clear_strays(&job.ctx, &job.volume().await?, &Work::default()).await?;
        strays::expect(&mut also, job.object_id()?, &to);
    }
    Ok(Outcome {
        also,
        next_queue: None,
    })
}

/// Takes an export away that Cinder's legacy calls left: nobody may write while it is copied.
pub(super) async fn withdraw(job: &Job) -> Result<Outcome, Error> {
    if destination(job).await?.is_some() {
        connect::withdraw(&job.ctx, job.object_id()?).await?;
    }
    Outcome::nothing()
}

/// Lets in again who was let in, wherever the bytes are now.
pub(super) async fn republish(job: &Job) -> Result<Outcome, Error> {
    if destination(job).await?.is_some() {
        connect::publish(&job.ctx, &job.volume().await?).await?;
    }
    Outcome::nothing()
}

/// Makes the volume whole in the other pool.
pub(super) async fn copy(job: &Job, wanted: &VolumeType) -> Result<Outcome, Error> {
    let Some(to) = destination(job).await? else {
        return Outcome::nothing();
    };
    let (ctx, volume) = (&job.ctx, job.volume().await?);
    let (source, from_pool) = driver_of(ctx, placed(&volume).unwrap_or_default())?;
    let (target, to_pool) = driver_of(ctx, &to)?;
    let device = source
        .device(&volume_ref(ctx, &volume, from_pool).await?)
        .await
        .map_err(|error| driver_failed("opening", &volume.id, error))?;
    let made = volume_ref_of(&volume, wanted.is_thick(), to_pool);
    let copied = target
        .create(&made, &Source::Device(device), &job.work)
        .await;
    copied.map_err(|error| driver_failed("moving", &volume.id, error))?;
    Outcome::nothing()
}

/// Adds that the other pool's bytes count from now on, and those that counted do not.
pub(super) fn switch(batch: &mut Batch, volume: &Volume, to: &str) {
    let from = placed(volume).unwrap_or_default();
    let values = vec![volume.id.to_string().into(), from.into(), to.into()];
    batch.add(retypes::MOVE, values);
    strays::settle(batch, volume.id);
    strays::expect(batch, volume.id, from);
}

/// Removes what does not count any more, or does not yet.
pub(super) async fn remove(job: &Job) -> Result<Outcome, Error> {
    if destination(job).await?.is_some() {
        clear_strays(&job.ctx, &job.volume().await?, &job.work).await?;
    }
    Outcome::nothing()
}
