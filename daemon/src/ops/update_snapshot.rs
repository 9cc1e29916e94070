//! Change what the owner says of a snapshot: name and description. Done at once; no status moves.

use super::{Ctx, unwritable, visible_snapshot};
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::id::SnapshotId;
use crate::model::snapshot::Snapshot;
use crate::model::time::Time;
use crate::store::{Batch, Sql, StoreError, snapshots};

/// What is asked; `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The new name, or none.
    pub name: Option<Option<String>>,
    /// The new description, or none.
    pub description: Option<Option<String>>,
}

/// Changes it; the answer is the snapshot as it then is.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: SnapshotId,
    request: Request,
) -> Result<Snapshot, Error> {
    visible_snapshot(ctx, caller, id).await?;
    let now = Time::now();
    let mut batch = Batch::new();
    let mut set = |sql: Sql, text: Option<String>| {
        let values = vec![id.to_string().into(), text.into(), now.as_str().into()];
        batch.guard("snapshot", sql, values);
    };
    if let Some(name) = request.name {
        set(snapshots::SET_NAME, name);
    }
    if let Some(description) = request.description {
        set(snapshots::SET_DESCRIPTION, description);
    }
    match ctx.store.write(batch).await {
        Ok(()) => {}
        // It went away meanwhile; the look below says so.
        Err(StoreError::Conflict { .. }) => {}
        Err(error) => return Err(unwritable(error)),
    }
    visible_snapshot(ctx, caller, id).await
}
