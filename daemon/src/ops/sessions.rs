//! Which hosts are logged in at this host's target, and the end of one session that an administrator asks for.
//!
//! The target is asked and the record is not: sessions come and go without the daemon, and are over with the target's
//! process. A target that does not answer is told as such soon; who asks for the list must never hang on it.

use super::Ctx;
use super::edges::target_of;
use super::services::admins_only;
use crate::driver::Done;
use crate::error::Error;
use crate::model::caller::Caller;
use crate::model::id::SessionId;
use crate::target::{Target, TargetError};
use std::future::Future;
use std::time::Duration;

/// What is told of a session; the API hears of no target.
pub use crate::target::Session;

/// A target that lives lists its sessions out of its memory; one that takes longer is stopped or hangs.
const LIST_WAIT: Duration = Duration::from_secs(3);
/// A little longer than the target waits for a session's last write to end.
const KICK_WAIT: Duration = Duration::from_secs(35);

/// Every session, the oldest first.
pub async fn list(ctx: &Ctx, caller: &Caller) -> Result<Vec<Session>, Error> {
    admins_only(caller, "session:list")?;
    listed(ctx, target_of(ctx)?).await
}

/// Ends one session. The host may log in again while it is let in.
pub async fn kick(ctx: &Ctx, caller: &Caller, id: SessionId) -> Result<(), Error> {
    admins_only(caller, "session:kick")?;
    let target = target_of(ctx)?;
    // A target that hangs is noticed by this, and not only when a last write had all its time to end.
    let known = listed(ctx, target).await?;
    let done = within(ctx, KICK_WAIT, target.kick(id)).await?;
    let known = known.iter().find(|session| session.id == id);
    if done == Done::AlreadySo && known.is_none() {
        return Err(Error::NotFound {
            noun: "Session",
            id: id.to_string(),
        });
    }
    let (volume, initiator) = known
        .map(|session| (session.volume_id.to_string(), session.initiator.as_str()))
        .unwrap_or_default();
    tracing::info!(session = %id, volume, initiator, user = caller.user_id, "session kicked");
    Ok(())
}

async fn listed(ctx: &Ctx, target: &dyn Target) -> Result<Vec<Session>, Error> {
    let mut sessions = within(ctx, LIST_WAIT, target.sessions()).await?;
    sessions.sort_by(|a, b| (&a.since, a.id).cmp(&(&b.since, b.id)));
    Ok(sessions)
}

/// The target's answer, if it comes in time.
async fn within<T>(
    ctx: &Ctx,
    limit: Duration,
    answer: impl Future<Output = Result<T, TargetError>>,
) -> Result<T, Error> {
    let unavailable = |why| Error::Unavailable {
        what: "The target",
        why,
    };
    let look = format!(
        "look whether `ashlard target` runs on host {}, and ask again",
        ctx.host
    );
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::warn!(
                error = crate::error::chain(&error),
                "the target did not do what was asked"
            );
            Err(unavailable(match error {
                TargetError::Unavailable { .. } => format!("it does not answer; {look}"),
                error @ (TargetError::NotExported { .. }
                | TargetError::NotKicked { .. }
                | TargetError::Refused { .. }) => error.to_string(),
            }))
        }
        Err(_elapsed) => Err(unavailable(format!(
            "it did not answer within {} s; {look}",
            limit.as_secs()
        ))),
    }
}
