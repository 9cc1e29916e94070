//! Legacy `os-initialize_connection`: make the volume reachable and let the host in. The caller waits for the answer.

use super::begin::Beginning;
use super::connect::{self, Connected};
use super::steps::Plan;
use super::wait::{CONNECT_WAIT, until_done};
use super::{Ctx, visible_volume};
use crate::error::Error;
use crate::model::attachment::Connector;
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::operation::Verb;
use crate::store::Batch;

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::InitializeConnection,
    steps: &[connect::EXPORT, connect::ALLOW],
    deadline: connect::DEADLINE,
    done: |_| Ok(Batch::new()),
    failed: connect::forget_made,
};

/// Connects; the answer is how.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    connector: Connector,
) -> Result<Connected, Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::InitializeConnection, &id);
    beginning.moves_volume(&volume);
    beginning.needs_readonly_as_read(&volume);
    connect::intends(ctx, &mut beginning, &volume, &connector, None).await?;
    let operation = beginning.commit(connect::queue(&volume)).await?;
    until_done(ctx, operation, CONNECT_WAIT).await?;
    let connected = connect::connected(ctx, id, connect::own_mode(&volume)).await?;
    connected.ok_or_else(|| Error::Internal {
        what: format!("volume {id} was connected and has no export"),
    })
}
