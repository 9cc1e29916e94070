//! Take a volume that is offered: volume, snapshots and what both projects use change hands in one transaction, or
//! nothing does. Of several who accept, or accept and withdraw, the one whose transaction removes the offer wins.

use super::begin::Beginning;
use super::create_transfer::{connected, key_hash, unavailable_snapshot};
use super::{Ctx, get_transfer, transfer_not_found, unreadable, volume_types};
use crate::error::{Conflict, Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::TransferId;
use crate::model::operation::Verb;
use crate::model::snapshot::Snapshot;
use crate::model::time::Time;
use crate::model::transfer::Transfer;
use crate::model::volume::Volume;
use crate::store::quotas::{Of, Resource};
use crate::store::{Batch, Value, attachments, exports, snapshots, transfers, volumes};
use secrecy::SecretString;
use subtle::ConstantTimeEq as _;

/// Takes it for the caller's project; the answer is the offer that was taken.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: TransferId,
    key: &SecretString,
) -> Result<Transfer, Error> {
    // Whoever has the key may see the offer, whosever it is.
    let transfer = get_transfer(ctx, id).await?;
    fits(ctx, id, key).await?;
    let volume = volumes::get(&ctx.store, transfer.volume_id)
        .await
        .map_err(unreadable)?
        .ok_or_else(|| transfer_not_found(id))?;
    may_have(ctx, caller, &volume).await?;
    let volume_id = volume.id.to_string();
    let mut beginning = Beginning::new(ctx, caller, Verb::AcceptTransfer, &volume_id);
    let taken = vec![id.to_string().into()];
    beginning.rule(transfers::TAKE, taken, transfer_not_found(id));
    beginning.moves_volume(&volume);
    beginning.needs_size_as_read(&volume);
    let of_volume: Vec<Value> = vec![volume_id.as_str().into()];
    beginning.rule(
        volumes::IS_UNCONNECTED,
        of_volume.clone(),
        connected(&volume_id),
    );
    let moved = if transfer.with_snapshots {
        takes_snapshots(ctx, &mut beginning, caller, &volume).await?
    } else {
        Vec::new()
    };
    takes_quota(&mut beginning, caller, &volume, &moved);
    let owner: Vec<Value> = vec![
        volume_id.as_str().into(),
        caller.project_id.as_str().into(),
        caller.user_id.as_str().into(),
        Time::now().as_str().into(),
    ];
    beginning.also(volumes::SET_OWNER, owner.clone());
    beginning.also(attachments::SET_PROJECT, owner[..2].to_vec());
    // With it go credentials that the giver may know.
    beginning.also(exports::DELETE_UNUSED, of_volume);
    beginning.commit_at_once(Batch::new()).await?;
    Ok(transfer)
}

/// Whether the key is the one that was told when the volume was offered.
async fn fits(ctx: &Ctx, id: TransferId, key: &SecretString) -> Result<(), Error> {
    let lock = transfers::lock(&ctx.store, id).await.map_err(unreadable)?;
    let lock = lock.ok_or_else(|| transfer_not_found(id))?;
    let hash = key_hash(&lock.salt, key);
    if bool::from(hash.as_bytes().ct_eq(lock.key_hash.as_bytes())) {
        return Ok(());
    }
    tracing::warn!(transfer = %id, "an attempt to accept with a wrong key");
    Err(Error::Refused(Refusal::Rule {
        why: format!("Invalid auth key: Attempt to transfer {id} with invalid auth key."),
    }))
}

/// What no counter says: the type is one of the receiver's.
async fn may_have(ctx: &Ctx, caller: &Caller, volume: &Volume) -> Result<(), Error> {
    let visible = volume_types::visible(ctx, caller, volume.volume_type_id).await;
    if let Err(Error::NotFound { .. }) = visible {
        return Err(Error::Refused(Refusal::Rule {
            why: format!(
                "Invalid volume: volume {} is of a private type that project {} may not use.",
                volume.id, caller.project_id
            ),
        }));
    }
    visible?;
    Ok(())
}

/// Every snapshot of the volume: none is being made or destroyed, and none came since they were looked at.
async fn takes_snapshots(
    ctx: &Ctx,
    beginning: &mut Beginning<'_>,
    caller: &Caller,
    volume: &Volume,
) -> Result<Vec<Snapshot>, Error> {
    let found = snapshots::of_volume(&ctx.store, volume.id)
        .await
        .map_err(unreadable)?;
    let id = volume.id.to_string();
    beginning.rule(
        snapshots::ALL_AVAILABLE,
        vec![id.as_str().into()],
        unavailable_snapshot(&id),
    );
    let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let changed = Conflict::Changed {
        noun: "Volume",
        id: id.clone(),
    };
    beginning.rule(
        snapshots::ARE_ALL,
        vec![id.as_str().into(), count.into()],
        Error::Conflict(changed),
    );
    let owner = vec![
        id.into(),
        caller.project_id.as_str().into(),
        caller.user_id.as_str().into(),
        Time::now().as_str().into(),
    ];
    beginning.also(snapshots::SET_OWNER, owner);
    Ok(found)
}

/// First back to the giver, then from the receiver: so it also holds for a project that takes its own volume back.
fn takes_quota(
    beginning: &mut Beginning<'_>,
    caller: &Caller,
    volume: &Volume,
    moved: &[Snapshot],
) {
    let of = Of::Volume(volume.id);
    let mut gigabytes = volume.size_gib.get();
    beginning.gives_back(&volume.project_id, of, Resource::Volumes, 1);
    beginning.gives_back(&volume.project_id, of, Resource::Gigabytes, gigabytes);
    for snapshot in moved {
        let size = snapshot.size_gib.get();
        beginning.gives_back(&snapshot.project_id, of, Resource::Snapshots, 1);
        beginning.gives_back(&snapshot.project_id, of, Resource::Gigabytes, size);
        gigabytes += size;
    }
    beginning.needs_size_allowed(&caller.project_id, volume.size_gib);
    beginning.takes(&caller.project_id, of, Resource::Volumes, 1);
    beginning.takes(&caller.project_id, of, Resource::Gigabytes, gigabytes);
    if !moved.is_empty() {
        let count = i64::try_from(moved.len()).unwrap_or(i64::MAX);
        beginning.takes(&caller.project_id, of, Resource::Snapshots, count);
    }
}
