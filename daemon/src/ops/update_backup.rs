//! Change what the owner says of a backup: name, description, metadata. Done at once; no status moves. What the store says
//! of it stays as it was when it was copied.

use super::{Ctx, unwritable, visible_backup};
use crate::error::Error;
use crate::model::backup::Backup;
use crate::model::caller::Caller;
use crate::model::id::BackupId;
use crate::model::time::Time;
use crate::store::json::map_text;
use crate::store::{Batch, Sql, StoreError, Value, backups};
use std::collections::BTreeMap;

/// What is asked; `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The new name, or none.
    pub name: Option<Option<String>>,
    /// The new description, or none.
    pub description: Option<Option<String>>,
    /// The key-value pairs in place of those there are.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Changes it; the answer is the backup as it then is.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: BackupId,
    request: Request,
) -> Result<Backup, Error> {
    visible_backup(ctx, caller, id).await?;
    let now = Time::now();
    let mut batch = Batch::new();
    let mut set = |sql: Sql, value: Value| {
        let values = vec![id.to_string().into(), value, now.as_str().into()];
        batch.guard("backup", sql, values);
    };
    if let Some(name) = request.name {
        set(backups::SET_NAME, name.into());
    }
    if let Some(description) = request.description {
        set(backups::SET_DESCRIPTION, description.into());
    }
    if let Some(metadata) = request.metadata {
        set(backups::SET_METADATA, map_text(&metadata).into());
    }
    match ctx.store.write(batch).await {
        Ok(()) => {}
        // It went away meanwhile; the look below says so.
        Err(StoreError::Conflict { .. }) => {}
        Err(error) => return Err(unwritable(error)),
    }
    visible_backup(ctx, caller, id).await
}
