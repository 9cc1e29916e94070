//! Waiting for an operation: for the calls whose answer is its result (a connection).

use super::{Ctx, unreadable};
use crate::error::Error;
use crate::model::id::OperationId;
use crate::model::operation::Phase;
use crate::store::operations;
use std::time::Duration;
use tokio::time::Instant;

/// How long a request waits for its connection. Below the 60 s after which common clients and proxies give up.
pub(super) const CONNECT_WAIT: Duration = Duration::from_secs(50);

/// Returns when the operation has ended well; its failure, or the end of patience, is the error. The operation itself
/// does not depend on anybody waiting.
pub(super) async fn until_done(
    ctx: &Ctx,
    id: OperationId,
    patience: Duration,
) -> Result<(), Error> {
    let mut listener = ctx.doorbell.listen();
    let started = Instant::now();
    loop {
        let operation = operations::get(&ctx.store, id).await.map_err(unreadable)?;
        if let Some(operation) = operation {
            match operation.phase {
                Phase::Done => return Ok(()),
                Phase::Cancelled => return Err(Error::Cancelled),
                Phase::Failed => {
                    let reason = operation.error.unwrap_or_default();
                    return Err(Error::OperationFailed {
                        verb: operation.verb.as_str(),
                        reason,
                    });
                }
                Phase::Queued | Phase::Running | Phase::Undoing => {}
            }
        }
        if started.elapsed() >= patience {
            return Err(Error::TimedOut {
                operation: id.to_string(),
                waited_s: patience.as_secs(),
            });
        }
        listener.heard().await;
    }
}
