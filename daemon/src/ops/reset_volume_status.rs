//! `os-reset_status` of a volume: an administrator says what it is, and Ashlar makes it so or says why it cannot be.
//!
//! Upstream writes the word into the row and nothing else. Here the word must be true when the answer comes: a status
//! that an operation shows while it runs cannot be asked for, `available` and its like need the volume's bytes, and
//! what attachments say is not talked over. `attach_status: detached` ends every attachment, and shuts out every host
//! that is let in before the volume says that it is free. While an operation holds the volume, that decides.

use super::begin::Beginning;
use super::edges::{driver_of, placed, volume_ref};
use super::steps::{Job, Outcome, Plan, Step};
use super::wait::{CONNECT_WAIT, until_done};
use super::{Ctx, connect, only_for_admins, unreadable, visible_volume};
use crate::driver::DriverError;
use crate::error::{Error, Refusal};
use crate::model::attachment::Attachment;
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::operation::Verb;
use crate::model::status::{
    AttachmentStatus, VolumeStatus, volume_only_during, volume_status_from,
};
use crate::model::volume::Volume;
use crate::store::exports::{self, ConnectionRow};
use crate::store::{Batch, attachments, transfers, volumes};
use serde::{Deserialize, Serialize};

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::ResetVolumeStatus,
    steps: &[
        Step {
            name: "look",
            run: |job| Box::pin(look(job)),
            undo: None,
            can_cancel: true,
        },
        connect::DENY,
        connect::UNEXPORT,
    ],
    deadline: connect::DEADLINE,
    done,
    failed,
};

/// What is asked; `None` leaves as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Request {
    /// The status.
    pub status: Option<VolumeStatus>,
    /// Whether it is attached (`attach_status`).
    pub is_attached: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    /// Whether the attachments end.
    detaches: bool,
    /// Whether the status promises that the bytes are there.
    needs_bytes: bool,
}

/// What a volume may be said to be: where it can rest without an operation.
const RESTS: &[VolumeStatus] = &[
    VolumeStatus::Available,
    VolumeStatus::Reserved,
    VolumeStatus::Attaching,
    VolumeStatus::InUse,
    VolumeStatus::Detaching,
    VolumeStatus::Maintenance,
    VolumeStatus::Error,
    VolumeStatus::ErrorDeleting,
    VolumeStatus::ErrorManaging,
    VolumeStatus::ErrorExtending,
    VolumeStatus::ErrorBackingUp,
    VolumeStatus::ErrorRestoring,
];

/// Those of them that speak of attachments.
const SPEAKS_OF_HOSTS: &[VolumeStatus] = &[
    VolumeStatus::Available,
    VolumeStatus::Reserved,
    VolumeStatus::Attaching,
    VolumeStatus::InUse,
    VolumeStatus::Detaching,
];

/// Makes it so; on return it is.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    request: Request,
) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    only_for_admins(caller, "volume_extension:volume_admin_actions:reset_status")?;
    let held = attachments::of_volume(&ctx.store, id)
        .await
        .map_err(unreadable)?;
    let said: Vec<AttachmentStatus> = held.iter().map(|one| one.status).collect();
    let detaches = request.is_attached == Some(false);
    if request.is_attached == Some(true) && volume_status_from(&said) != VolumeStatus::InUse {
        return Err(refused(&volume, "an attachment alone makes it attached"));
    }
    let status = match request.status {
        Some(status) => status,
        None if detaches => freed(&volume),
        None => return Ok(()),
    };
    can_be(&volume, status, detaches)?;
    let needs_bytes = SPEAKS_OF_HOSTS.contains(&status);
    if needs_bytes {
        has_bytes(ctx, &volume).await?;
    }
    let mut beginning = Beginning::new(ctx, caller, Verb::ResetVolumeStatus, &id);
    if needs_bytes {
        let foreign = "it was taken over in part, and its deletion hands back what is not wholly Ashlar's: delete it and manage it anew";
        let of_volume = vec![id.to_string().into()];
        beginning.rule(volumes::IS_OURS, of_volume, refused(&volume, foreign));
    }
    let shows_detaching = detaches && SPEAKS_OF_HOSTS.contains(&volume.status);
    let during = shows_detaching.then_some(VolumeStatus::Detaching);
    beginning.moves_volume_to(&volume, VolumeStatus::ALL, during, status);
    if detaches {
        let leaving = vec![id.to_string().into(), beginning.id().to_string().into()];
        beginning.also(exports::LEAVE_ALL, leaving);
    } else {
        agrees(ctx, &mut beginning, &volume, &held, status).await?;
    }
    // An offer of the volume to somebody is over when the volume is something else than offered.
    beginning.also(transfers::DELETE_OF_VOLUME, vec![id.to_string().into()]);
    let asked = Asked {
        detaches,
        needs_bytes,
    };
    beginning.asks(serde_json::to_value(asked).unwrap_or_default());
    let operation = beginning.commit(connect::queue(&volume)).await?;
    until_done(ctx, operation, CONNECT_WAIT).await
}

/// What a volume is without its attachments when nobody says: what it was, if that needs none.
fn freed(volume: &Volume) -> VolumeStatus {
    if SPEAKS_OF_HOSTS.contains(&volume.status) {
        VolumeStatus::Available
    } else if RESTS.contains(&volume.status) {
        volume.status
    } else {
        VolumeStatus::Error
    }
}

fn can_be(volume: &Volume, status: VolumeStatus, detaches: bool) -> Result<(), Error> {
    let word = status.as_str();
    if status == VolumeStatus::AwaitingTransfer {
        return Err(refused(
            volume,
            "only an offer to another project makes it so",
        ));
    }
    if !RESTS.contains(&status) {
        let only = if volume_only_during().contains(&status) {
            "an operation alone shows that status while it runs, and none would end it"
        } else {
            "no operation here would ever end that status"
        };
        return Err(refused(
            volume,
            &format!("it cannot be set to {word}: {only}"),
        ));
    }
    if detaches && SPEAKS_OF_HOSTS.contains(&status) && status != VolumeStatus::Available {
        return Err(refused(
            volume,
            &format!("it cannot be {word} and detached at once"),
        ));
    }
    Ok(())
}

/// Demands that what attachments say is what is asked, and names those that say otherwise.
async fn agrees(
    ctx: &Ctx,
    beginning: &mut Beginning<'_>,
    volume: &Volume,
    held: &[Attachment],
    status: VolumeStatus,
) -> Result<(), Error> {
    if !SPEAKS_OF_HOSTS.contains(&status) {
        return Ok(());
    }
    let (one, other) = if status == VolumeStatus::Detaching {
        (VolumeStatus::InUse, VolumeStatus::InUse)
    } else if status == VolumeStatus::Attaching {
        // Also held by os-reserve, which leaves no attachment.
        (VolumeStatus::Attaching, VolumeStatus::Available)
    } else {
        (status, status)
    };
    let connected = exports::connections(&ctx.store, volume.id)
        .await
        .map_err(unreadable)?;
    let refusal = refused(volume, &otherwise(status, held, &connected));
    let id = volume.id.to_string();
    let values = vec![
        id.as_str().into(),
        one.as_str().into(),
        other.as_str().into(),
    ];
    beginning.rule(volumes::ATTACHMENTS_SAY, values, refusal);
    if status == VolumeStatus::Available {
        let refusal = refused(volume, &otherwise(status, held, &connected));
        beginning.rule(volumes::IS_UNCONNECTED, vec![id.into()], refusal);
    }
    Ok(())
}

/// Who says otherwise, and what to do.
fn otherwise(status: VolumeStatus, held: &[Attachment], connected: &[ConnectionRow]) -> String {
    let attachments = held
        .iter()
        .map(|one| format!("attachment {} is {}", one.id, one.status.as_str()));
    let hosts = connected
        .iter()
        .map(|one| format!("host {} is let in", one.initiator));
    let all: Vec<String> = attachments.chain(hosts).collect();
    let word = status.as_str();
    if all.is_empty() {
        return format!("it cannot be {word}: it has no attachments");
    }
    format!(
        "it cannot be {word}: {}; with attach_status detached its hosts are shut out and its attachments end",
        all.join(", ")
    )
}

/// Whether the volume's bytes are where they should be, as far as this process can see; the step looks where they are.
async fn has_bytes(ctx: &Ctx, volume: &Volume) -> Result<(), Error> {
    let Some(host) = placed(volume) else {
        return Err(refused(
            volume,
            "it was never placed in a pool and has no bytes; delete it",
        ));
    };
    let Ok((driver, pool)) = driver_of(ctx, host) else {
        return Ok(());
    };
    let volume_ref = volume_ref(ctx, volume, pool).await?;
    match driver.device(&volume_ref).await {
        Err(error @ DriverError::Absent { .. }) => Err(refused(
            volume,
            &format!("its bytes are not there ({error}); delete it"),
        )),
        // What the pool cannot tell now is no reason to refuse.
        Err(_) | Ok(_) => Ok(()),
    }
}

fn refused(volume: &Volume, why: &str) -> Error {
    Error::Refused(Refusal::Rule {
        why: format!(
            "Invalid volume: the status of volume {} stays {}: {why}.",
            volume.id,
            volume.status.as_str()
        ),
    })
}

async fn look(job: &Job) -> Result<Outcome, Error> {
    let asked: Asked = job.asked()?;
    if asked.needs_bytes {
        has_bytes(&job.ctx, &job.volume().await?).await?;
    }
    Outcome::nothing()
}

fn done(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let mut batch = connect::forget_left(job)?;
    if asked.detaches {
        let volume = job.operation.object_id.as_str();
        batch.add(attachments::DELETE_OF_VOLUME, vec![volume.into()]);
    }
    Ok(batch)
}

/// Who could not be shut out may still write: its attachment says so.
fn failed(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let mut batch = Batch::new();
    if asked.detaches {
        let volume = job.operation.object_id.as_str();
        batch.add(attachments::SET_ERROR_DETACHING, vec![volume.into()]);
    }
    Ok(batch)
}
