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
use super::{Ctx, Lane, unreadable, visible_volume, volume_queue};
use crate::error::{Error, Refusal};
use crate::model::caller::{Caller, Role};
use crate::model::id::{VolumeId, VolumeTypeId};
use crate::model::operation::Verb;
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::model::volume_type::VolumeType;
use crate::store::{Batch, retypes, volume_types};
use serde::{Deserialize, Serialize};
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
    let found = volume_types::find(&ctx.store, word)
        .await
        .map_err(unreadable)?;
    let wanted = found.filter(|found| found.is_public || caller.role == Role::Admin);
    let wanted = wanted.ok_or_else(|| Error::NotFound {
        noun: "Volume type",
        id: word.to_owned(),
    })?;
    refuse_what_types_tell(ctx, &volume, &wanted).await?;
    let asked = Asked {
        volume_type_id: wanted.id.to_string(),
        volume_type: wanted.name.clone(),
        multiattach: wanted.multiattach(),
        policy,
    };
    let mut beginning = Beginning::new(ctx, caller, Verb::RetypeVolume, &id);
    beginning.moves_volume(&volume);
    let gone = Error::NotFound {
        noun: "Volume type",
        id: word.to_owned(),
    };
    let values = vec![id.to_string().into(), wanted.id.to_string().into()];
    beginning.rule(retypes::INSERT, values, gone);
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    let host = placed(&volume).unwrap_or_default();
    beginning.commit(volume_queue(host, Lane::Quick)).await?;
    Ok(())
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
    let wanted = asked.volume_type_id.parse::<VolumeTypeId>();
    let wanted = wanted.map_err(|_| Error::Internal {
        what: format!("{} is no type's id", asked.volume_type_id),
    })?;
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
    Ok(batch)
}

fn failed(job: &Job) -> Result<Batch, Error> {
    let mut batch = Batch::new();
    let volume = job.operation.object_id.as_str();
    batch.add(retypes::DELETE, vec![volume.into()]);
    Ok(batch)
}
