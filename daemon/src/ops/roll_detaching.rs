//! Legacy `os-roll_detaching`: take the announcement of a detach back. One transaction.

use super::begin::Beginning;
use super::{Ctx, visible_volume};
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::operation::Verb;
use crate::store::Batch;

/// Takes it back.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: VolumeId) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::RollDetaching, &id);
    beginning.moves_volume(&volume);
    beginning.commit_at_once(Batch::new()).await
}
