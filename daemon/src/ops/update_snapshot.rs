//! Change what the owner says of a snapshot: name and description. Done at once; no status moves.

use super::{Ctx, unwritable, visible_snapshot};
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::id::SnapshotId;
use crate::model::snapshot::Snapshot;
use crate::model::time::Time;
use crate::store::json::map_text;
use crate::store::{Batch, snapshots};

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
    let mut snapshot = visible_snapshot(ctx, caller, id).await?;
    snapshot.name = request.name.unwrap_or(snapshot.name);
    snapshot.description = request.description.unwrap_or(snapshot.description);
    let now = Time::now();
    let mut batch = Batch::new();
    batch.add(
        snapshots::UPDATE,
        vec![
            id.to_string().into(),
            snapshot.name.clone().into(),
            snapshot.description.clone().into(),
            map_text(&snapshot.metadata).into(),
            now.as_str().into(),
        ],
    );
    ctx.store.write(batch).await.map_err(unwritable)?;
    snapshot.updated_at = Some(now);
    Ok(snapshot)
}
