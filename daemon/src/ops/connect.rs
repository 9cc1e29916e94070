//! Connecting a host to a volume and disconnecting it: what attachments and Cinder's legacy calls share.
//!
//! The intent is in the record before anything is done: an `exports` row (this volume is to be reachable, with these
//! credentials) and a `connections` row an initiator and attachment (this one is to be let in). The steps make the
//! target match; `recover` makes it match again after a crash of either side.

use super::begin::Beginning;
use super::edges::{driver_failed, driver_of, placed, target_failed, target_of, volume_ref};
use super::steps::{Job, Outcome, Step};
use super::{Ctx, unreadable};
use crate::error::Error;
use crate::model::attachment::{AttachMode, Connector};
use crate::model::id::VolumeId;
use crate::model::volume::Volume;
use crate::store::exports::{self, ConnectionRow, ExportRow};
use crate::store::{Batch, Value};
use crate::target::{Access, Address, Chap, Export};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long connecting or disconnecting may take before it is undone.
pub(super) const DEADLINE: Duration = Duration::from_secs(45);

/// What is asked of the steps below.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Whom it is about; absent for an attachment that never had a connector.
    pub(super) initiator: Option<String>,
    /// The attachment it is for; empty for the legacy calls.
    pub(super) attachment_id: String,
}

/// How a host reaches a volume: what a `connection_info` is made of.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The volume.
    pub volume_id: VolumeId,
    /// What the initiator must prove.
    pub chap: Chap,
    /// Where it logs in.
    pub address: Address,
    /// Whether its writes are refused.
    pub mode: AttachMode,
}

/// Makes the volume reachable.
pub(super) const EXPORT: Step = Step {
    name: "export",
    run: |job| Box::pin(export(job)),
    undo: Some(|job| Box::pin(unexport(job))),
    can_cancel: true,
};

/// Lets the initiator in.
pub(super) const ALLOW: Step = Step {
    name: "allow",
    run: |job| Box::pin(allow(job)),
    undo: Some(|job| Box::pin(deny(job))),
    can_cancel: true,
};

/// Shuts the initiator out, unless another attachment lets it in too. Not undone: a host that was told to leave may
/// have left.
pub(super) const DENY: Step = Step {
    name: "deny",
    run: |job| Box::pin(deny(job)),
    undo: None,
    can_cancel: true,
};

/// Takes the export away, unless somebody else is let in.
pub(super) const UNEXPORT: Step = Step {
    name: "unexport",
    run: |job| Box::pin(unexport(job)),
    undo: None,
    can_cancel: false,
};

/// Adds the intent that `connector` is let in to `volume`.
pub(super) fn intends(
    beginning: &mut Beginning<'_>,
    volume: VolumeId,
    connector: &Connector,
    attachment_id: &str,
    mode: AttachMode,
) -> Result<(), Error> {
    beginning.also(
        exports::INSERT,
        exports::insert_values(volume, &fresh_chap()?),
    );
    let read_only = i64::from(mode == AttachMode::ReadOnly);
    let values: Vec<Value> = vec![
        volume.to_string().into(),
        connector.initiator.as_str().into(),
        attachment_id.into(),
        read_only.into(),
    ];
    beginning.also(exports::CONNECT, values);
    beginning.asks(asked(Some(connector.initiator.clone()), attachment_id));
    Ok(())
}

/// What the steps are asked.
pub(super) fn asked(initiator: Option<String>, attachment_id: &str) -> serde_json::Value {
    serde_json::to_value(Asked {
        initiator,
        attachment_id: attachment_id.to_owned(),
    })
    .unwrap_or_default()
}

/// The end of a disconnect, and of a connect that failed: the intent is gone.
pub(super) fn forget(job: &Job) -> Result<Batch, Error> {
    let asked: Asked = job.asked()?;
    let volume = job
        .input
        .volume
        .as_ref()
        .map(|subject| subject.id.clone())
        .unwrap_or_default();
    let mut batch = Batch::new();
    if let Some(initiator) = asked.initiator {
        let values: Vec<Value> = vec![
            volume.as_str().into(),
            initiator.into(),
            asked.attachment_id.as_str().into(),
        ];
        batch.add(exports::DISCONNECT, values);
    }
    batch.add(exports::DELETE_UNUSED, vec![volume.into()]);
    Ok(batch)
}

/// What a connected host is told; `None` while the target has no export for it.
pub async fn connected(
    ctx: &Ctx,
    volume: VolumeId,
    mode: AttachMode,
) -> Result<Option<Connected>, Error> {
    let export = exports::get(&ctx.store, volume).await.map_err(unreadable)?;
    Ok(export.and_then(
        |ExportRow {
             volume_id,
             chap,
             address,
         }| {
            Some(Connected {
                volume_id,
                chap,
                address: address?,
                mode,
            })
        },
    ))
}

/// Makes the target match the record for one volume: exported, and everybody let in who is to be. For the time after
/// a crash or a restart of the target, and after a volume's device was replaced.
pub(super) async fn publish(ctx: &Ctx, volume: &Volume) -> Result<(), Error> {
    let Some(row) = exports::get(&ctx.store, volume.id)
        .await
        .map_err(unreadable)?
    else {
        return Ok(());
    };
    export_volume(ctx, volume).await?;
    for connection in exports::connections(&ctx.store, volume.id)
        .await
        .map_err(unreadable)?
    {
        allow_one(ctx, &connection, &row.chap).await?;
    }
    Ok(())
}

async fn export_volume(ctx: &Ctx, volume: &Volume) -> Result<Address, Error> {
    let host = placed(volume).ok_or_else(|| Error::Internal {
        what: format!(
            "volume {} was never placed and cannot be exported",
            volume.id
        ),
    })?;
    let (driver, pool) = driver_of(ctx, host)?;
    let volume_ref = volume_ref(ctx, volume, pool).await?;
    let device = driver
        .device(&volume_ref)
        .await
        .map_err(|error| driver_failed("opening", &volume.id, error))?;
    let target = target_of(ctx)?;
    let export = Export {
        volume_id: volume.id,
        device,
    };
    target
        .export(&export)
        .await
        .map_err(|error| target_failed("the export", &volume.id, error))?;
    Ok(target.address(volume.id))
}

async fn allow_one(ctx: &Ctx, connection: &ConnectionRow, chap: &Chap) -> Result<(), Error> {
    let access = Access {
        initiator: connection.initiator.clone(),
        chap: chap.clone(),
        read_only: connection.read_only,
    };
    let allowed = target_of(ctx)?.allow(connection.volume_id, &access).await;
    allowed.map_err(|error| target_failed("letting the host in", &connection.volume_id, error))?;
    Ok(())
}

async fn export(job: &Job) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    let address = export_volume(&job.ctx, &volume).await?;
    let mut also = Batch::new();
    also.add(
        exports::SET_ADDRESS,
        exports::address_values(volume.id, &address),
    );
    Ok(Outcome {
        also,
        next_queue: None,
    })
}

async fn allow(job: &Job) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    let row = exports::get(&job.ctx.store, volume.id)
        .await
        .map_err(unreadable)?;
    let row = row.ok_or_else(|| Error::Internal {
        what: format!("volume {} has no export row", volume.id),
    })?;
    for connection in exports::connections(&job.ctx.store, volume.id)
        .await
        .map_err(unreadable)?
    {
        allow_one(&job.ctx, &connection, &row.chap).await?;
    }
    Outcome::nothing()
}

async fn deny(job: &Job) -> Result<Outcome, Error> {
    let asked: Asked = job.asked()?;
    let volume = job.volume().await?;
    let Some(initiator) = asked.initiator else {
        return Outcome::nothing();
    };
    let others = others(&job.ctx, volume.id, &asked.attachment_id, &initiator).await?;
    if others.iter().any(|other| other.initiator == initiator) {
        return Outcome::nothing();
    }
    let denied = target_of(&job.ctx)?.deny(volume.id, &initiator).await;
    denied.map_err(|error| target_failed("shutting the host out", &volume.id, error))?;
    Outcome::nothing()
}

async fn unexport(job: &Job) -> Result<Outcome, Error> {
    let asked: Asked = job.asked()?;
    let volume = job.volume().await?;
    let initiator = asked.initiator.unwrap_or_default();
    if others(&job.ctx, volume.id, &asked.attachment_id, &initiator)
        .await?
        .is_empty()
    {
        withdraw(&job.ctx, volume.id).await?;
    }
    Outcome::nothing()
}

/// Takes a volume's export away; already so is fine.
pub(super) async fn withdraw(ctx: &Ctx, volume: VolumeId) -> Result<(), Error> {
    let gone = target_of(ctx)?.unexport(volume).await;
    gone.map_err(|error| target_failed("taking the export away", &volume, error))?;
    Ok(())
}

/// The connections of a volume other than the one in question.
async fn others(
    ctx: &Ctx,
    volume: VolumeId,
    attachment_id: &str,
    initiator: &str,
) -> Result<Vec<ConnectionRow>, Error> {
    let mut found = exports::connections(&ctx.store, volume)
        .await
        .map_err(unreadable)?;
    found.retain(|one| one.attachment_id != attachment_id || one.initiator != initiator);
    Ok(found)
}

/// Fresh credentials with Cinder's lengths: user 20 characters, secret 16 (96 bits from 64 letters).
fn fresh_chap() -> Result<Chap, Error> {
    let mut random = [0_u8; 36];
    getrandom::fill(&mut random).map_err(|error| Error::Internal {
        what: format!("the system gave no random numbers: {error}"),
    })?;
    let letter = |byte: &u8| {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        char::from(LETTERS[usize::from(byte & 63)])
    };
    let (user, secret) = random.split_at(20);
    Ok(Chap {
        user: user.iter().map(letter).collect(),
        secret: SecretString::from(secret.iter().map(letter).collect::<String>()),
    })
}
