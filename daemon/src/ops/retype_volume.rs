//! Retype a volume: give it another type where it lies.
//!
//! `begin` checks what the types alone tell and keeps the new type from being deleted meanwhile. The step asks whether
//! the volume's own pool may have volumes of the new type. When it may not, the volume would have to move, which this
//! version cannot do whatever the migration policy: it ends in the status it had, with its old type and the reason in
//! words.

use super::adoption::fits_type;
use super::begin::Beginning;
use super::edges::placed;
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
    steps: &[Step {
        name: "check",
        run: |job| Box::pin(check(job)),
        undo: None,
        can_cancel: true,
    }],
    deadline: Duration::from_secs(600), // A look at the pools' reports; the scheduler may be busy.
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
    refuse_what_types_tell(ctx, &volume, &wanted).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::RetypeVolume, &id);
    beginning.moves_volume(&volume);
    beginning.needs_size_as_read(&volume);
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
    let is_thick = |one: &VolumeType| {
        let how = one.extra_specs.get("provisioning:type");
        how.is_some_and(|how| how == "thick")
    };
    if is_thick(wanted) && !present.as_ref().is_some_and(is_thick) {
        return rule(format!(
            "Volume {id} takes space as it is written (thin); the type {} wants it taken at once (thick), which no \
             driver can change afterwards. Create a volume of that type from this one instead.",
            wanted.name
        ));
    }
    Ok(())
}

async fn check(job: &Job) -> Result<Outcome, Error> {
    let asked: Asked = job.asked()?;
    let volume = job.volume().await?;
    let wanted = type_id(&asked.volume_type_id)?;
    let pool = placed(&volume).unwrap_or_default();
    let Err(reason) = fits_type(job, pool, wanted).await? else {
        return Outcome::nothing();
    };
    let instead = match asked.policy {
        Policy::Never => "The migration policy is never",
        Policy::OnDemand => "This version cannot move a volume to another pool",
    };
    Err(Error::NoPool {
        reason: format!(
            "{reason} {instead}, so volume {} keeps its type {} and is as it was; to have one of the type {}, create \
             a volume of that type and copy the data.",
            volume.id, volume.volume_type, asked.volume_type
        ),
    })
}

fn done(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let volume = job.operation.object_id.as_str();
    let mut batch = Batch::new();
    batch.add(
        retypes::APPLY,
        vec![
            volume.into(),
            asked.volume_type_id.as_str().into(),
            i64::from(asked.multiattach).into(),
            Time::now().as_str().into(),
        ],
    );
    batch.add(retypes::DELETE, vec![volume.into()]);
    give_back(&mut batch, &asked, &asked.from_type_id)?;
    Ok(batch)
}

/// Returns what was counted to the counters of one of the two types.
fn give_back(batch: &mut Batch, asked: &Asked, volume_type_id: &str) -> Result<(), Error> {
    let of = Of::Type(type_id(volume_type_id)?);
    for counted in &asked.counted {
        for (resource, amount) in counted.amounts() {
            quotas::give_back_of_type(batch, &counted.project_id, of, resource, amount);
        }
    }
    Ok(())
}

fn type_id(text: &str) -> Result<VolumeTypeId, Error> {
    text.parse::<VolumeTypeId>().map_err(|_| Error::Internal {
        what: format!("{text} is no type's id"),
    })
}

fn failed(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let mut batch = Batch::new();
    give_back(&mut batch, &asked, &asked.volume_type_id)?;
    let volume = job.operation.object_id.as_str();
    batch.add(retypes::DELETE, vec![volume.into()]);
    Ok(batch)
}
