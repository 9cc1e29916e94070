//! `os-reset_status` of a snapshot: an administrator says what it is. One transaction; a status that an operation shows
//! while it runs cannot be asked for, since none would end it.

use super::begin::Beginning;
use super::{Ctx, only_for_admins, visible_snapshot};
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::SnapshotId;
use crate::model::operation::Verb;
use crate::model::status::SnapshotStatus;
use crate::store::Batch;

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
        return Err(Error::Refused(Refusal::Rule {
            why: format!(
                "Invalid snapshot: the status of snapshot {id} stays {}: it cannot be set to {}, which an operation alone shows while it runs, and none would end it.",
                snapshot.status.as_str(),
                status.as_str()
            ),
        }));
    }
    let mut beginning = Beginning::new(ctx, caller, Verb::ResetSnapshotStatus, &id);
    beginning.moves_snapshot_to(&snapshot, SnapshotStatus::ALL, status);
    beginning.commit_at_once(Batch::new()).await
}
