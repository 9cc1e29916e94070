//! Change what the owner says of a volume: name, description, metadata. Done at once; no status moves.

use super::{Ctx, unwritable, visible_volume};
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::store::json::map_text;
use crate::store::{Batch, Sql, StoreError, Value, volumes};
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

/// Changes it; the answer is the volume as it then is.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    request: Request,
) -> Result<Volume, Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    if matches!(
        volume.status,
        VolumeStatus::Maintenance | VolumeStatus::Uploading
    ) {
        return Err(Error::Refused(Refusal::Rule {
            why: format!(
                "Invalid volume: Volume {id} cannot be updated while its status is {}.",
                volume.status.as_str()
            ),
        }));
    }
    // Only what is asked is written: a change of the name never takes back another client's of the metadata.
    let now = Time::now();
    let mut batch = Batch::new();
    let mut set = |sql: Sql, value: Value| {
        let values = vec![id.to_string().into(), value, now.as_str().into()];
        batch.guard("volume", sql, values);
    };
    if let Some(name) = request.name {
        set(volumes::SET_NAME, name.into());
    }
    if let Some(description) = request.description {
        set(volumes::SET_DESCRIPTION, description.into());
    }
    if let Some(metadata) = request.metadata {
        set(volumes::REPLACE_METADATA, map_text(&metadata).into());
    }
    match ctx.store.write(batch).await {
        Ok(()) => {}
        // It went away meanwhile; the look below says so.
        Err(StoreError::Conflict { .. }) => {}
        Err(error) => return Err(unwritable(error)),
    }
    visible_volume(ctx, caller, id).await
}
