//! Change what the owner says of a volume: name, description, metadata, whether it boots. Done at once; no status moves.

use super::{Ctx, unwritable, visible_volume};
use crate::error::{Conflict, Error, Refusal};
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
    /// Whether it carries something that boots.
    pub bootable: Option<bool>,
    /// The key-value pairs in place of those there are.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Refuses a change of a volume that is to stay as it is.
pub(super) fn is_open(volume: &Volume) -> Result<(), Error> {
    if !matches!(
        volume.status,
        VolumeStatus::Maintenance | VolumeStatus::Uploading
    ) {
        return Ok(());
    }
    Err(Error::Refused(Refusal::Rule {
        why: format!(
            "Invalid volume: Volume {} cannot be updated while its status is {}.",
            volume.id,
            volume.status.as_str()
        ),
    }))
}

/// Changes it; the answer is the volume as it then is.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    request: Request,
) -> Result<Volume, Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    is_open(&volume)?;
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
    if let Some(bootable) = request.bootable {
        set(volumes::SET_BOOTABLE, i64::from(bootable).into());
    }
    if let Some(metadata) = request.metadata {
        set(volumes::REPLACE_METADATA, map_text(&metadata).into());
    }
    match ctx.store.write(batch).await {
        Ok(()) => {}
        // It went away or was closed meanwhile; the look says so.
        Err(StoreError::Conflict { .. }) => {
            is_open(&visible_volume(ctx, caller, id).await?)?;
            return Err(Error::Conflict(Conflict::Changed {
                noun: "Volume",
                id: id.to_string(),
            }));
        }
        Err(error) => return Err(unwritable(error)),
    }
    visible_volume(ctx, caller, id).await
}
