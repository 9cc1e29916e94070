//! Withdraw the offer of a volume: its key opens nothing any more. One transaction.

use super::begin::Beginning;
use super::{Ctx, transfer_not_found, visible_transfer, visible_volume};
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::id::TransferId;
use crate::model::operation::Verb;
use crate::store::{Batch, transfers};

/// Withdraws it.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: TransferId) -> Result<(), Error> {
    let transfer = visible_transfer(ctx, caller, id).await?;
    let volume = visible_volume(ctx, caller, transfer.volume_id).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::DeleteTransfer, &volume.id);
    beginning.frees_room();
    let taken = vec![id.to_string().into()];
    beginning.rule(transfers::TAKE, taken, transfer_not_found(id));
    beginning.moves_volume(&volume);
    beginning.commit_at_once(Batch::new()).await
}
