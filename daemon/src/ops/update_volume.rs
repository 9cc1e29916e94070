//! Change what the owner says of a volume: name, description, metadata. Done at once; no status moves.

use super::{Ctx, unwritable, visible_volume};
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::store::json::map_text;
use crate::store::{Batch, volumes};
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
    let mut volume = visible_volume(ctx, caller, id).await?;
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
    volume.name = request.name.unwrap_or(volume.name);
    volume.description = request.description.unwrap_or(volume.description);
    volume.metadata = request.metadata.unwrap_or(volume.metadata);
    let now = Time::now();
    let mut batch = Batch::new();
    batch.add(
        volumes::UPDATE,
        vec![
            id.to_string().into(),
            volume.name.clone().into(),
            volume.description.clone().into(),
            map_text(&volume.metadata).into(),
            now.as_str().into(),
        ],
    );
    ctx.store.write(batch).await.map_err(unwritable)?;
    volume.updated_at = Some(now);
    Ok(volume)
}
