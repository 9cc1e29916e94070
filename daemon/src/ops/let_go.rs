//! A host that is still logged in when its attachment is to go: cut off at once, waited for, or refused, by the policy
//! `target.detach`.
//!
//! Looked at before the operation begins, so a refusal changes nothing. Between the look and the operation a host may
//! log in: then it is cut, as by `cut`. A target that does not answer cannot tell, and the detach goes on, since that
//! is how a host is shut out of a target that hangs; so does one in a process that has no target (roles in several
//! processes). A force-detach does not come here: it always cuts.

use super::Ctx;
use super::unreadable;
use crate::error::{Conflict, Error};
use crate::model::id::VolumeId;
use crate::store::exports::{self, ConnectionRow};
use crate::target::Session;
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(500);
/// As `sessions.rs` has it: a target that lives answers out of its memory.
const ANSWER: Duration = Duration::from_secs(3);

/// What a detach does about a host that is still logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DetachPolicy {
    /// Ends its session, as Cinder does.
    #[default]
    Cut,
    /// Waits so long until it has logged out, then refuses. Cinder's clients wait for a minute.
    Wait(Duration),
    /// Refuses.
    Refuse,
}

/// Heeds the policy for those connections of a volume that are to go.
pub(super) async fn heed(
    ctx: &Ctx,
    volume: VolumeId,
    goes: impl Fn(&ConnectionRow) -> bool,
) -> Result<(), Error> {
    let known = exports::connections(&ctx.store, volume)
        .await
        .map_err(unreadable)?;
    let (going, staying): (Vec<_>, Vec<_>) = known.into_iter().partition(goes);
    // A host that keeps another attachment of the volume keeps its session.
    let going: Vec<String> = going
        .into_iter()
        .map(|one| one.initiator)
        .filter(|one| !staying.iter().any(|other| other.initiator == *one))
        .collect();
    let Some(session) = logged_in(ctx, volume, &going).await else {
        return Ok(());
    };
    match ctx.detach_policy {
        DetachPolicy::Cut => {
            tracing::warn!(
                %volume, initiator = session.initiator, peer = session.peer,
                "the host is still logged in; its session is cut (target.detach)"
            );
            Ok(())
        }
        DetachPolicy::Refuse => Err(still_there(volume, &session)),
        DetachPolicy::Wait(at_most) => {
            tracing::info!(%volume, initiator = session.initiator, "waiting for the host to log out (target.detach)");
            let gone = async {
                while logged_in(ctx, volume, &going).await.is_some() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            let waited = tokio::time::timeout(at_most, gone).await;
            waited.map_err(|_elapsed| still_there(volume, &session))
        }
    }
}

/// A session of one of the initiators, if the target tells of one.
async fn logged_in(ctx: &Ctx, volume: VolumeId, initiators: &[String]) -> Option<Session> {
    let target = ctx.target.as_deref()?;
    if initiators.is_empty() {
        return None;
    }
    let told = tokio::time::timeout(ANSWER, target.sessions_of(volume)).await;
    let sessions = told.ok()?.ok()?;
    sessions
        .into_iter()
        .find(|one| initiators.contains(&one.initiator))
}

fn still_there(volume: VolumeId, session: &Session) -> Error {
    Error::Conflict(Conflict::StillLoggedIn {
        volume: volume.to_string(),
        initiator: session.initiator.clone(),
        peer: session.peer.clone(),
    })
}
