//! Retype a volume: give it another type where it lies, or, when its pool cannot have that type, in another pool.
//!
//! `begin` checks what the types alone tell, keeps the new type from being deleted meanwhile, and refuses what it can see
//! already: a volume that would have to move and cannot. The step `check` decides. Whether it may move is the migration
//! policy's word: with `never` a volume whose pool will not do ends in the status it had, with its old type and the
//! reason in words. How it moves, and why a crash at any point is safe, is told in `moving.rs`; a volume that stays
//! passes through the same steps, which then have nothing to do.

use super::begin::Beginning;
use super::edges::placed;
use super::moving;
use super::steps::{Job, Outcome, Plan, Step};
use super::{Ctx, Lane, type_encryption, unreadable, visible_volume, volume_queue};
use crate::error::{Conflict, Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::{VolumeId, VolumeTypeId};
use crate::model::operation::Verb;
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::model::volume_type::VolumeType;
use crate::store::quotas::{self, Of, Resource};
use crate::store::{Batch, retypes, snapshots, volume_types};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::RetypeVolume,
    steps: &[
        Step {
            name: "check",
            run: |job| Box::pin(check(job)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "clear",
            run: |job| Box::pin(moving::clear(job)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "withdraw",
            run: |job| Box::pin(moving::withdraw(job)),
            undo: Some(|job| Box::pin(moving::republish(job))),
            can_cancel: true,
        },
        Step {
            name: "copy",
            run: |job| Box::pin(copy(job)),
            undo: Some(|job| Box::pin(moving::remove(job))),
            can_cancel: true,
        },
        // From here on it only goes forward: what is undone after it finds nothing but the old bytes to take away.
        Step {
            name: "switch",
            run: |job| Box::pin(switch(job)),
            undo: None,
            can_cancel: true,
        },
        Step {
            name: "remove",
            run: |job| Box::pin(moving::remove(job)),
            undo: None,
            can_cancel: false,
        },
        Step {
            name: "republish",
            run: |job| Box::pin(moving::republish(job)),
            undo: None,
            can_cancel: false,
        },
    ],
    deadline: Duration::from_secs(7 * 24 * 3600), // Copying a large volume and overwriting the old one take days.
    done,
    failed,
};

/// What is to happen when the volume's pool cannot have the new type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// Nothing: the volume keeps its type.
    Never,
    /// It may be moved.
    OnDemand,
}

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    volume_type_id: String,
    volume_type: String,
    multiattach: bool,
    policy: Policy,
    from_type_id: String,
    counted: Vec<Counted>,
}

/// What a project has of the volume: the volume, or snapshots of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Counted {
    project_id: String,
    volumes: i64,
    snapshots: i64,
    gigabytes: i64,
}

impl Counted {
    /// Each resource with how much of it.
    fn amounts(&self) -> impl Iterator<Item = (Resource, i64)> {
        let amounts = [
            (Resource::Volumes, self.volumes),
            (Resource::Snapshots, self.snapshots),
            (Resource::Gigabytes, self.gigabytes),
        ];
        amounts.into_iter().filter(|(_, amount)| *amount > 0)
    }
}

/// Accepts the request. `word` is the new type's id or name.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    word: &str,
    policy: Policy,
) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    let wanted = super::volume_types::find(ctx, caller, word).await?;
    refuse_what_types_tell(ctx, &volume, &wanted, policy).await?;
    let why_move = match policy {
        Policy::Never => None,
        Policy::OnDemand => moving::fits_in_place(ctx, &volume, &wanted).await?.err(),
    };
    let may_begin = [VolumeStatus::Available, VolumeStatus::InUse].contains(&volume.status);
    if let (Some(why), true) = (&why_move, may_begin) {
        moving::must_be_movable(ctx, &volume, volume.status.as_str(), why).await?;
    }
    let mut beginning = Beginning::new(ctx, caller, Verb::RetypeVolume, &id);
    beginning.moves_volume(&volume);
    beginning.needs_size_as_read(&volume);
    if let (Some(_), Some(address)) = (&why_move, placed(&volume)) {
        beginning.needs_thawed(id, address);
    }
    let counted = takes_of_new_type(ctx, &mut beginning, &volume, &wanted).await?;
    let encrypted = type_encryption::refusal(&wanted);
    let of_type = vec![wanted.id.to_string().into()];
    beginning.rule(volume_types::IS_PLAIN, of_type, encrypted);
    let asked = Asked {
        volume_type_id: wanted.id.to_string(),
        volume_type: wanted.name.clone(),
        multiattach: wanted.multiattach(),
        policy,
        from_type_id: volume.volume_type_id.to_string(),
        counted,
    };
    let gone = Error::NotFound {
        noun: "Volume type",
        id: word.to_owned(),
    };
    let values = vec![id.to_string().into(), wanted.id.to_string().into()];
    beginning.rule(retypes::INSERT, values, gone);
    let changed = Conflict::Changed {
        noun: "Volume",
        id: id.to_string(),
    };
    let from_type = volume.volume_type_id.to_string();
    let values = vec![id.to_string().into(), from_type.into()];
    beginning.rule(retypes::STILL_HAS, values, Error::Conflict(changed));
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    let host = placed(&volume).unwrap_or_default();
    beginning.commit(volume_queue(host, Lane::Quick)).await?;
    Ok(())
}

/// What a retype would do to a volume's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// The pool that it leaves.
    pub from: String,
    /// The pool that it would move to, as the pools are now.
    pub to: Option<String>,
}

/// Whether the volume would move, and where to; nothing is written, and whether it may is for `begin` to say.
pub async fn rehearse(
    ctx: &Ctx,
    caller: &Caller,
    volume: &Volume,
    word: &str,
    policy: Policy,
) -> Result<Option<Rehearsed>, Error> {
    let wanted = super::volume_types::find(ctx, caller, word).await?;
    let fits = moving::fits_in_place(ctx, volume, &wanted).await?;
    if policy == Policy::Never || fits.is_ok() {
        return Ok(None);
    }
    Ok(Some(Rehearsed {
        from: placed(volume).unwrap_or_default().to_owned(),
        to: moving::place(ctx, volume, &wanted).await?.winner,
    }))
}

/// Takes what the volume and its snapshots come to out of what their projects may have of the new type; what they had
/// of the old one goes back when it has the new one.
async fn takes_of_new_type(
    ctx: &Ctx,
    beginning: &mut Beginning<'_>,
    volume: &Volume,
    wanted: &VolumeType,
) -> Result<Vec<Counted>, Error> {
    let found = snapshots::of_volume(&ctx.store, volume.id)
        .await
        .map_err(unreadable)?;
    let mut by_project: BTreeMap<&str, Counted> = BTreeMap::new();
    let own = by_project.entry(&volume.project_id).or_default();
    own.volumes = 1;
    own.gigabytes = volume.size_gib.get();
    for snapshot in &found {
        let counted = by_project.entry(&snapshot.project_id).or_default();
        counted.snapshots += 1;
        counted.gigabytes += snapshot.size_gib.get();
    }
    for (project_id, counted) in &by_project {
        for (resource, amount) in counted.amounts() {
            beginning.takes_of_type(project_id, Of::Type(wanted.id), resource, amount);
        }
    }
    let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let changed = Conflict::Changed {
        noun: "Volume",
        id: volume.id.to_string(),
    };
    let values = vec![volume.id.to_string().into(), count.into()];
    beginning.rule(snapshots::ARE_ALL, values, Error::Conflict(changed));
    let counted = by_project.into_iter().map(|(project_id, counted)| Counted {
        project_id: project_id.to_owned(),
        ..counted
    });
    Ok(counted.collect())
}

/// What can be refused without a look at any pool.
async fn refuse_what_types_tell(
    ctx: &Ctx,
    volume: &Volume,
    wanted: &VolumeType,
    policy: Policy,
) -> Result<(), Error> {
    let rule = |why: String| Err(Error::Refused(Refusal::Rule { why }));
    let id = volume.id;
    if wanted.id == volume.volume_type_id {
        return Err(Error::Invalid {
            field: "new_type".to_owned(),
            why: format!("volume {id} has the type {} already", wanted.name),
        });
    }
    if wanted.multiattach() != volume.multiattach && volume.status != VolumeStatus::Available {
        return rule(format!(
            "Invalid volume: Volume {id} is {}; whether several hosts may attach it changes only while it is available.",
            volume.status.as_str()
        ));
    }
    let present = volume_types::get(&ctx.store, volume.volume_type_id)
        .await
        .map_err(unreadable)?;
    let is_thick = present.as_ref().is_some_and(VolumeType::is_thick);
    if policy == Policy::Never && wanted.is_thick() && !is_thick {
        return rule(format!(
            "Volume {id} takes space as it is written (thin); the type {} wants it taken at once (thick), which no \
             driver can change where it lies. Ask for the migration policy on-demand, or create a volume of that type \
             from this one.",
            wanted.name
        ));
    }
    Ok(())
}

async fn check(job: &Job) -> Result<Outcome, Error> {
    let asked: Asked = job.asked()?;
    let (volume, wanted) = (job.volume().await?, wanted(job, &asked).await?);
    let Err(reason) = moving::fits_in_place(&job.ctx, &volume, &wanted).await? else {
        return Outcome::nothing();
    };
    if asked.policy == Policy::OnDemand {
        return moving::choose(job, &volume, &wanted, &reason).await;
    }
    Err(Error::NoPool {
        reason: format!(
            "{reason} The migration policy is never, so volume {} keeps its type {} and is as it was; with on-demand it \
             would be moved to a pool that can have the type {}.",
            volume.id, volume.volume_type, asked.volume_type
        ),
    })
}

async fn copy(job: &Job) -> Result<Outcome, Error> {
    let wanted = wanted(job, &job.asked()?).await?;
    moving::copy(job, &wanted).await
}

/// The new type, the pool and the quotas, in one transaction.
async fn switch(job: &Job) -> Result<Outcome, Error> {
    let asked: Asked = job.asked()?;
    let volume = job.volume().await?;
    let mut also = Batch::new();
    let mut next_queue = None;
    if let Some(to) = moving::destination(job).await? {
        moving::switch(&mut also, &volume, &to);
        let from = placed(&volume).unwrap_or_default();
        next_queue = Some(volume_queue(from, Lane::Wipe));
    }
    also.add(
        retypes::APPLY,
        vec![
            volume.id.to_string().into(),
            asked.volume_type_id.as_str().into(),
            i64::from(asked.multiattach).into(),
            Time::now().as_str().into(),
        ],
    );
    let of = Of::Type(type_id(&asked.from_type_id)?);
    for counted in &asked.counted {
        for (resource, amount) in counted.amounts() {
            quotas::give_back_of_type(&mut also, &counted.project_id, of, resource, amount);
        }
    }
    Ok(Outcome { also, next_queue })
}

/// The type that is asked for, which its row keeps from being deleted.
async fn wanted(job: &Job, asked: &Asked) -> Result<VolumeType, Error> {
    let id = type_id(&asked.volume_type_id)?;
    let found = volume_types::get(&job.ctx.store, id)
        .await
        .map_err(unreadable)?;
    found.ok_or_else(|| Error::Internal {
        what: format!("the volume type {id} is gone while a volume is on its way to it"),
    })
}

fn type_id(text: &str) -> Result<VolumeTypeId, Error> {
    text.parse::<VolumeTypeId>().map_err(|_| Error::Internal {
        what: format!("{text} is no type's id"),
    })
}

fn done(job: &Job) -> Result<Batch, Error> {
    let mut batch = Batch::new();
    batch.add(
        retypes::DELETE,
        vec![job.operation.object_id.as_str().into()],
    );
    Ok(batch)
}

/// What was taken of the new type goes back, unless the volume has it by now: then only what was left of it in the old
/// pool could not be cleared away.
fn failed(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let mut batch = Batch::new();
    let volume = job.object_id()?;
    for counted in &asked.counted {
        for (resource, amount) in counted.amounts() {
            let project = &counted.project_id;
            quotas::give_back_of_retype(&mut batch, project, volume, resource, amount);
        }
    }
    batch.extend(done(job)?);
    Ok(batch)
}
