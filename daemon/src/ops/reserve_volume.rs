//! Legacy `os-reserve`: hold a volume for an attach. One transaction.

use super::begin::Beginning;
use super::{Ctx, visible_volume};
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::operation::Verb;
use crate::model::status::VolumeStatus;
use crate::store::Batch;

/// Holds it.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: VolumeId) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::ReserveVolume, &id);
    if volume.multiattach && volume.status == VolumeStatus::InUse {
        beginning.moves_volume_from(
            &volume,
            &[VolumeStatus::InUse],
            Some(VolumeStatus::Attaching),
        );
    } else {
        beginning.moves_volume(&volume);
    }
    beginning.commit_at_once(Batch::new()).await
}
