//! Connecting a host to a volume and disconnecting it: what attachments and Cinder's legacy calls share.
//!
//! The intent is in the record before anything is done: an `exports` row (this volume is to be reachable, with these
//! credentials) and a `connections` row an initiator and attachment (this one is to be let in, or is leaving). The
//! steps make the target match, each in the volume's turn at the gate; `recover` makes it match again after a crash
//! of either side. A row that is leaving goes only when the target has shut its initiator out.

use super::begin::Beginning;
use super::edges::{driver_failed, driver_of, placed, target_failed, target_of, volume_ref};
use super::steps::{Job, Outcome, Step};
use super::{Ctx, Lane, SCHEDULER_QUEUE, unreadable, unwritable, volume_queue};
use crate::error::{Conflict, Error};
use crate::model::attachment::{AttachMode, Attachment, Connector};
use crate::model::id::VolumeId;
use crate::model::qos::FrontEnd;
use crate::model::status::VolumeStatus;
use crate::model::volume::Volume;
use crate::store::exports::{self, ConnectionRow, ExportRow};
use crate::store::{Batch, Value, qos_specs, retypes, volumes};
use crate::target::{Access, Address, Chap, Credentials, Export};
use secrecy::SecretString;
use std::time::Duration;

/// How long connecting or disconnecting may take before it is undone.
pub(super) const DEADLINE: Duration = Duration::from_secs(45);

/// How a host reaches a volume: what a `connection_info` is made of.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The volume.
    pub volume_id: VolumeId,
    /// What the initiator must prove, and what the target proves in turn.
    pub chap: Chap,
    /// Where it logs in.
    pub address: Address,
    /// Whether its writes are refused.
    pub mode: AttachMode,
    /// What the host is to keep the volume to.
    pub qos: Option<FrontEnd>,
}

/// Makes the volume reachable. Its undo also takes back [`ALLOW`]: shuts out whom this operation let in, and nobody
/// who was let in before.
pub(super) const EXPORT: Step = Step {
    name: "export",
    run: |job| Box::pin(export(job)),
    undo: Some(|job| Box::pin(take_back(job))),
    can_cancel: true,
};

/// Lets the initiator in.
pub(super) const ALLOW: Step = Step {
    name: "allow",
    run: |job| Box::pin(allow(job)),
    undo: None,
    can_cancel: true,
};

/// Shuts out who is leaving, unless another attachment lets it in too. Not undone: a host that was told to leave may
/// have left.
pub(super) const DENY: Step = Step {
    name: "deny",
    run: |job| Box::pin(deny(job)),
    undo: None,
    can_cancel: false,
};

/// Takes the export away, unless somebody else is let in.
pub(super) const UNEXPORT: Step = Step {
    name: "unexport",
    run: |job| Box::pin(unexport(job)),
    undo: None,
    can_cancel: false,
};

/// The queue for what a host waits for. A volume that was never placed has no host either: the scheduler, which every
/// system has, finds nothing to do.
pub(super) fn queue(volume: &Volume) -> String {
    match placed(volume) {
        Some(host) => volume_queue(host, Lane::Quick),
        None => SCHEDULER_QUEUE.to_owned(),
    }
}

/// Adds the intent that `connector` is let in to `volume`: for an attachment, which must be its only host, or for
/// Cinder's legacy calls, which connect a second host before they disconnect the first (a live migration).
pub(super) async fn intends(
    ctx: &Ctx,
    beginning: &mut Beginning<'_>,
    volume: &Volume,
    connector: &Connector,
    attachment: Option<&Attachment>,
) -> Result<(), Error> {
    let (volume_id, initiator) = (volume.id.to_string(), connector.initiator.as_str());
    let attachment_id = attachment.map(|one| one.id.to_string()).unwrap_or_default();
    if let Some(attachment) = attachment {
        let values: Vec<Value> = vec![
            volume_id.as_str().into(),
            initiator.into(),
            attachment_id.as_str().into(),
            attachment.instance_uuid.clone().into(),
        ];
        let refusal = other_host(ctx, volume, initiator).await?;
        beginning.rule(exports::IS_ONLY_HOST, values, refusal);
    }
    let credentials = exports::insert_values(volume.id, &fresh_chap(ctx.mutual_chap)?);
    beginning.also(exports::INSERT, credentials);
    let mode = attachment.map_or_else(|| own_mode(volume), |one| one.mode);
    let values: Vec<Value> = vec![
        volume_id.into(),
        initiator.into(),
        attachment_id.into(),
        i64::from(mode == AttachMode::ReadOnly).into(),
        beginning.id().to_string().into(),
    ];
    beginning.also(exports::CONNECT, values);
    Ok(())
}

/// How a volume lets in who has no attachment to say it.
pub(super) fn own_mode(volume: &Volume) -> AttachMode {
    if volume.is_readonly() {
        AttachMode::ReadOnly
    } else {
        AttachMode::ReadWrite
    }
}

/// The refusal of a second host, with the name of the first.
async fn other_host(ctx: &Ctx, volume: &Volume, initiator: &str) -> Result<Error, Error> {
    let known = exports::connections(&ctx.store, volume.id)
        .await
        .map_err(unreadable)?;
    let other = known.into_iter().find(|one| one.initiator != initiator);
    Ok(Error::Conflict(Conflict::OtherHost {
        volume: volume.id.to_string(),
        host: other.map_or_else(|| "that just came".to_owned(), |one| one.initiator),
    }))
}

/// The end of a connect that failed: what it made is to go. If the target could not be told, the rows stay as leaving
/// until it can.
pub(super) fn forget_made(job: &Job) -> Result<Batch, Error> {
    let mut batch = leave_made(job);
    batch.add(exports::DELETE_UNUSED, vec![volume_of(job).into()]);
    Ok(batch)
}

/// The end of a disconnect: those who were leaving have left.
pub(super) fn forget_left(job: &Job) -> Result<Batch, Error> {
    Ok(left(volume_of(job)))
}

fn leave_made(job: &Job) -> Batch {
    let mut batch = Batch::new();
    let values = vec![volume_of(job).into(), job.operation.id.to_string().into()];
    batch.add(exports::LEAVE_MADE, values);
    batch
}

fn left(volume: &str) -> Batch {
    let mut batch = Batch::new();
    batch.essential();
    batch.add(exports::DELETE_LEFT, vec![volume.into()]);
    batch.add(exports::DELETE_UNUSED, vec![volume.into()]);
    batch
}

fn volume_of(job: &Job) -> &str {
    let subject = job.input.volume.as_ref();
    subject.map_or("", |subject| subject.id.as_str())
}

/// What a connected host is told; `None` while the target has no export for it.
pub async fn connected(
    ctx: &Ctx,
    volume: VolumeId,
    mode: AttachMode,
) -> Result<Option<Connected>, Error> {
    let export = exports::get(&ctx.store, volume).await.map_err(unreadable)?;
    let Some(ExportRow {
        volume_id,
        chap,
        address: Some(address),
    }) = export
    else {
        return Ok(None);
    };
    let qos = qos_specs::front_end(&ctx.store, volume)
        .await
        .map_err(unreadable)?;
    Ok(Some(Connected {
        volume_id,
        chap,
        address,
        mode,
        qos,
    }))
}

/// Makes the target match the record for one volume: exported while somebody is to be let in, and nobody else let in.
/// `known` are those whom the target lets in as far as was seen. In the volume's turn.
async fn matches(ctx: &Ctx, volume: &Volume, known: &[String]) -> Result<(), Error> {
    let Some(row) = exports::get(&ctx.store, volume.id)
        .await
        .map_err(unreadable)?
    else {
        return unexport_volume(ctx, volume.id).await;
    };
    let (staying, leaving) = connections(ctx, volume.id).await?;
    if staying.is_empty() {
        unexport_volume(ctx, volume.id).await?;
    } else {
        export_volume(ctx, volume).await?;
        for initiator in leaving.iter().chain(known) {
            if !staying.iter().any(|one| one.initiator == *initiator) {
                deny_one(ctx, volume.id, initiator).await?;
            }
        }
        for connection in &staying {
            allow_one(ctx, connection, &row.chap).await?;
        }
    }
    if staying.is_empty() || !leaving.is_empty() {
        let rest = left(&volume.id.to_string());
        ctx.store.write(rest).await.map_err(unwritable)?;
    }
    Ok(())
}

/// After a volume's device was replaced: whoever is to be let in is let in again.
pub(super) async fn publish(ctx: &Ctx, volume: &Volume) -> Result<(), Error> {
    let _turn = ctx.gate.turn(volume.id).await;
    matches(ctx, volume, &[]).await
}

/// After a crash or a restart of the target; `known` are those whom it lets in. A volume whose bytes an operation is
/// making, replacing or destroying is left to that operation.
pub(super) async fn repair(ctx: &Ctx, id: VolumeId, known: &[String]) -> Result<(), Error> {
    let _turn = ctx.gate.turn(id).await;
    let volume = volumes::get(&ctx.store, id).await.map_err(unreadable)?;
    let Some(volume) = volume else {
        return Ok(());
    };
    let left_to_operation = [
        VolumeStatus::Creating,
        VolumeStatus::Deleting,
        VolumeStatus::Reverting,
        VolumeStatus::RestoringBackup,
    ];
    if left_to_operation.contains(&volume.status) {
        return Ok(());
    }
    // One that moves is copied from a device that nobody may write to.
    let moves = volume.status == VolumeStatus::Retyping
        && retypes::destination(&ctx.store, id)
            .await
            .map_err(unreadable)?
            .is_some();
    if moves {
        return Ok(());
    }
    matches(ctx, &volume, known).await
}

/// Who is to be let in, and the initiators that are leaving.
async fn connections(
    ctx: &Ctx,
    volume: VolumeId,
) -> Result<(Vec<ConnectionRow>, Vec<String>), Error> {
    let found = exports::connections(&ctx.store, volume)
        .await
        .map_err(unreadable)?;
    let (leaving, staying): (Vec<_>, Vec<_>) = found.into_iter().partition(|one| one.is_leaving);
    let leaving = leaving.into_iter().map(|one| one.initiator).collect();
    Ok((staying, leaving))
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
    let _turn = job.ctx.gate.turn(volume.id).await;
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
    let _turn = job.ctx.gate.turn(volume.id).await;
    let row = exports::get(&job.ctx.store, volume.id)
        .await
        .map_err(unreadable)?;
    let row = row.ok_or_else(|| Error::Internal {
        what: format!("volume {} has no export row", volume.id),
    })?;
    for connection in &connections(&job.ctx, volume.id).await?.0 {
        allow_one(&job.ctx, connection, &row.chap).await?;
    }
    Outcome::nothing()
}

async fn take_back(job: &Job) -> Result<Outcome, Error> {
    let volume = job.volume().await?;
    let mut leave = leave_made(job);
    leave.essential();
    job.ctx.store.write(leave).await.map_err(unwritable)?;
    shut_out(&job.ctx, &volume).await?;
    withdraw_unused(&job.ctx, &volume).await?;
    let rest = left(&volume.id.to_string());
    job.ctx.store.write(rest).await.map_err(unwritable)?;
    Outcome::nothing()
}

async fn deny(job: &Job) -> Result<Outcome, Error> {
    shut_out(&job.ctx, &job.volume().await?).await?;
    Outcome::nothing()
}

async fn unexport(job: &Job) -> Result<Outcome, Error> {
    withdraw_unused(&job.ctx, &job.volume().await?).await?;
    Outcome::nothing()
}

async fn shut_out(ctx: &Ctx, volume: &Volume) -> Result<(), Error> {
    if placed(volume).is_none() {
        return Ok(());
    }
    let _turn = ctx.gate.turn(volume.id).await;
    let (staying, leaving) = connections(ctx, volume.id).await?;
    for initiator in &leaving {
        if !staying.iter().any(|one| one.initiator == *initiator) {
            deny_one(ctx, volume.id, initiator).await?;
        }
    }
    Ok(())
}

async fn withdraw_unused(ctx: &Ctx, volume: &Volume) -> Result<(), Error> {
    if placed(volume).is_none() {
        return Ok(());
    }
    let _turn = ctx.gate.turn(volume.id).await;
    if connections(ctx, volume.id).await?.0.is_empty() {
        unexport_volume(ctx, volume.id).await?;
    }
    Ok(())
}

/// Takes a volume's export away, whoever is let in; already so is fine.
pub(super) async fn withdraw(ctx: &Ctx, volume: VolumeId) -> Result<(), Error> {
    let _turn = ctx.gate.turn(volume).await;
    unexport_volume(ctx, volume).await
}

async fn unexport_volume(ctx: &Ctx, volume: VolumeId) -> Result<(), Error> {
    let gone = target_of(ctx)?.unexport(volume).await;
    gone.map_err(|error| {
        ctx.gate.doubt();
        target_failed("taking the export away", &volume, error)
    })?;
    Ok(())
}

async fn deny_one(ctx: &Ctx, volume: VolumeId, initiator: &str) -> Result<(), Error> {
    let denied = target_of(ctx)?.deny(volume, initiator).await;
    denied.map_err(|error| {
        ctx.gate.doubt();
        target_failed("shutting the host out", &volume, error)
    })?;
    Ok(())
}

/// Credentials of an export, of both directions if the target is to prove itself too.
fn fresh_chap(is_mutual: bool) -> Result<Chap, Error> {
    let Credentials { user, secret } = fresh_credentials()?;
    Ok(Chap {
        user,
        secret,
        mutual: is_mutual.then(fresh_credentials).transpose()?,
    })
}

fn fresh_credentials() -> Result<Credentials, Error> {
    loop {
        let mut random = [0_u8; 36];
        getrandom::fill(&mut random).map_err(|error| Error::Internal {
            what: format!("the system gave no random numbers: {error}"),
        })?;
        if let Some(credentials) = credentials(&random) {
            return Ok(credentials);
        }
    }
}

/// With Cinder's lengths: user 20 characters, secret 16 (96 bits from 64 letters). `None` for the one in eight million
/// that the kernel's target would take for none.
fn credentials(random: &[u8; 36]) -> Option<Credentials> {
    let letter = |byte: &u8| {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        char::from(LETTERS[usize::from(byte & 63)])
    };
    let (user, secret) = random.split_at(20);
    let [user, secret] = [user, secret].map(|bytes| bytes.iter().map(letter).collect::<String>());
    let is_none = |text: &str| text.starts_with("NULL");
    (!is_none(&user) && !is_none(&secret)).then(|| Credentials {
        user,
        secret: SecretString::from(secret),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn credentials_are_those_that_every_target_takes() {
        let plain = credentials(&[0; 36]).unwrap();
        assert_eq!(plain.user, "A".repeat(20));
        assert_eq!(plain.secret.expose_secret(), "A".repeat(16));
        let null = [13, 20, 11, 11];
        for at in [0, 20] {
            let mut random = [0; 36];
            random[at..at + 4].copy_from_slice(&null);
            assert!(credentials(&random).is_none(), "NULL at {at}");
        }
    }

    #[test]
    fn the_target_proves_itself_only_where_it_was_asked_for_and_with_a_secret_of_its_own() {
        assert!(fresh_chap(false).unwrap().mutual.is_none());
        let chap = fresh_chap(true).unwrap();
        let told = format!("{chap:?}");
        let mutual = chap.mutual.unwrap();
        assert_ne!(mutual.user, chap.user);
        let secrets = [&chap.secret, &mutual.secret].map(ExposeSecret::expose_secret);
        assert_ne!(secrets[0], secrets[1]);
        for secret in secrets {
            assert!(secret.len() == 16 && !told.contains(secret), "{told}");
        }
    }
}
