//! Legacy `os-terminate_connection`: shut the host out, and take the export away when nobody else needs it.

use super::begin::Beginning;
use super::connect;
use super::steps::Plan;
use super::wait::{CONNECT_WAIT, until_done};
use super::{Ctx, let_go, visible_volume};
use crate::error::Error;
use crate::model::attachment::Connector;
use crate::model::caller::Caller;
use crate::model::id::VolumeId;
use crate::model::operation::Verb;
use crate::store::{Batch, exports};

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::TerminateConnection,
    steps: &[connect::DENY, connect::UNEXPORT],
    deadline: connect::DEADLINE,
    done: connect::forget_left,
    failed: |_| Ok(Batch::new()),
};

/// Disconnects; returns once the host can write no more.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    connector: Connector,
) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    let_go::heed(ctx, id, |one| one.initiator == connector.initiator).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::TerminateConnection, &id);
    beginning.moves_volume(&volume);
    let leaving = vec![
        id.to_string().into(),
        beginning.id().to_string().into(),
        connector.initiator.into(),
    ];
    beginning.also(exports::LEAVE_LEGACY, leaving);
    let operation = beginning.commit(connect::queue(&volume)).await?;
    until_done(ctx, operation, CONNECT_WAIT).await
}
