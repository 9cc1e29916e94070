//! Change the key-value pairs of a volume, of its image or of a snapshot. Done at once; no status moves.
//!
//! A change is a function of what there is: it is tried on what was read and recorded only if nobody changed that
//! meanwhile, else tried again, so that two clients who each add a key both find theirs.

use super::{Ctx, unwritable, update_volume, visible_snapshot, visible_volume};
use crate::error::{Conflict, Error};
use crate::model::caller::Caller;
use crate::model::id::{SnapshotId, VolumeId};
use crate::model::time::Time;
use crate::store::json::map_text;
use crate::store::{Batch, Sql, StoreError, snapshots, volumes};
use std::collections::BTreeMap;

/// The key-value pairs of an object.
pub type Pairs = BTreeMap<String, String>;

/// Whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A volume.
    Volume(VolumeId),
    /// A volume, as what it knows of its image.
    Image(VolumeId),
    /// A snapshot.
    Snapshot(SnapshotId),
}

/// So often a change is tried before the client is told that others are faster.
const TRIES_MAX: usize = 16;

/// An object has at most so many pairs; a page of a thousand objects must stay one that can be read.
pub const PAIRS_MAX: usize = 256;

/// The pairs, if the object exists for this caller.
pub async fn get(ctx: &Ctx, caller: &Caller, owner: Owner) -> Result<Pairs, Error> {
    Ok(match owner {
        Owner::Volume(id) => visible_volume(ctx, caller, id).await?.metadata,
        Owner::Image(id) => visible_volume(ctx, caller, id).await?.image_metadata,
        Owner::Snapshot(id) => visible_snapshot(ctx, caller, id).await?.metadata,
    })
}

/// A volume in maintenance keeps what is said of it, and so does one that is being uploaded (the statements' guard says
/// the same; this gives the reason).
async fn may_change(ctx: &Ctx, caller: &Caller, owner: Owner) -> Result<(), Error> {
    match owner {
        Owner::Volume(id) | Owner::Image(id) => {
            update_volume::is_open(&visible_volume(ctx, caller, id).await?)
        }
        Owner::Snapshot(_) => Ok(()),
    }
}

/// Changes them; the answer is what there is then.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    owner: Owner,
    change: impl Fn(Pairs) -> Result<Pairs, Error> + Send,
) -> Result<Pairs, Error> {
    let (sql, noun, id): (Sql, _, _) = match owner {
        Owner::Volume(id) => (volumes::SET_METADATA, "Volume", id.to_string()),
        Owner::Image(id) => (volumes::SET_IMAGE_METADATA, "Volume", id.to_string()),
        Owner::Snapshot(id) => (snapshots::SET_METADATA, "Snapshot", id.to_string()),
    };
    for _ in 0..TRIES_MAX {
        may_change(ctx, caller, owner).await?;
        let before = get(ctx, caller, owner).await?;
        let looked_at = map_text(&before);
        let after = change(before)?;
        if after.len() > PAIRS_MAX {
            return Err(Error::Invalid {
                field: "metadata".to_owned(),
                why: format!("{noun} {id} would have more than {PAIRS_MAX} pairs"),
            });
        }
        let mut batch = Batch::new();
        let values = vec![
            id.as_str().into(),
            looked_at.into(),
            map_text(&after).into(),
            Time::now().as_str().into(),
        ];
        batch.guard("same", sql, values);
        match ctx.store.write(batch).await {
            Ok(()) => return Ok(after),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(unwritable(error)),
        }
    }
    Err(Error::Conflict(Conflict::Changed { noun, id }))
}
