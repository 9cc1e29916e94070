//! `os-reset_status` of a snapshot: an administrator says what it is. One transaction; a status that an operation shows
//! while it runs cannot be asked for, since none would end it, and `available` needs the snapshot's bytes.

use super::begin::Beginning;
use super::edges::{driver_of, snapshot_ref};
use super::{Ctx, only_for_admins, visible_snapshot};
use crate::driver::{DriverError, ObjectRef};
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::SnapshotId;
use crate::model::operation::Verb;
use crate::model::snapshot::Snapshot;
use crate::model::status::SnapshotStatus;
use crate::store::{Batch, snapshots};

/// What a snapshot may be said to be: where it can rest without an operation.
const RESTS: &[SnapshotStatus] = &[
    SnapshotStatus::Available,
    SnapshotStatus::Error,
    SnapshotStatus::ErrorDeleting,
];

/// Says it.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: SnapshotId,
    status: SnapshotStatus,
) -> Result<(), Error> {
    let snapshot = visible_snapshot(ctx, caller, id).await?;
    only_for_admins(
        caller,
        "volume_extension:snapshot_admin_actions:reset_status",
    )?;
    if !RESTS.contains(&status) {
        let why = format!(
            "it cannot be set to {}, which an operation alone shows while it runs, and none would end it",
            status.as_str()
        );
        return Err(refused(&snapshot, &why));
    }
    let mut beginning = Beginning::new(ctx, caller, Verb::ResetSnapshotStatus, &id);
    if status == SnapshotStatus::Available {
        has_bytes(ctx, &snapshot).await?;
        let foreign = "it was taken over in part, and its deletion hands back what is not wholly Ashlar's: delete it and manage it anew";
        let of_snapshot = vec![id.to_string().into()];
        beginning.rule(snapshots::IS_OURS, of_snapshot, refused(&snapshot, foreign));
    }
    beginning.moves_snapshot_to(&snapshot, SnapshotStatus::ALL, status);
    beginning.commit_at_once(Batch::new()).await
}

/// Whether the snapshot's bytes are where they should be, as far as this process can see.
async fn has_bytes(ctx: &Ctx, snapshot: &Snapshot) -> Result<(), Error> {
    let Ok((driver, pool)) = driver_of(ctx, &snapshot.host) else {
        return Ok(());
    };
    let object = ObjectRef::Snapshot(snapshot_ref(snapshot, pool));
    // Measures the object itself: nothing foreign has an empty name.
    match driver.measure(&object, "").await {
        Err(DriverError::NotManageable { .. }) => Err(refused(
            snapshot,
            "its bytes are not there, and it cannot be available; delete it",
        )),
        // What the pool cannot tell now is no reason to refuse.
        Err(_) | Ok(_) => Ok(()),
    }
}

fn refused(snapshot: &Snapshot, why: &str) -> Error {
    Error::Refused(Refusal::Rule {
        why: format!(
            "Invalid snapshot: the status of snapshot {} stays {}: {why}.",
            snapshot.id,
            snapshot.status.as_str()
        ),
    })
}
