//! `os-force_detach`: an administrator ends an attachment whatever the volume's status. The caller waits.
//!
//! Upstream asks nova first whether an instance still has the volume. There is no nova to ask here, and upstream too
//! goes on when nova knows nothing of it; the host is shut out before the attachment goes, so what it may still have is a
//! device that answers no more.

use super::begin::Beginning;
use super::steps::Plan;
use super::wait::{CONNECT_WAIT, until_done};
use super::{Ctx, connect, detach_volume, only_for_admins, unreadable, visible_volume};
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::{AttachmentId, VolumeId};
use crate::model::operation::Verb;
use crate::store::{Batch, Value, attachments, exports};

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::ForceDetach,
    steps: &[connect::DENY, connect::UNEXPORT],
    deadline: connect::DEADLINE,
    done: connect::forget_left,
    failed: |_| Ok(Batch::new()),
};

/// Ends the attachment, the only one when none is named, and the legacy connection of `initiator`, if one is given.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    attachment_id: Option<AttachmentId>,
    initiator: Option<String>,
) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    only_for_admins(caller, "volume_extension:volume_admin_actions:force_detach")?;
    let held = attachments::of_volume(&ctx.store, id)
        .await
        .map_err(unreadable)?;
    let attachment = detach_volume::choose(id, held, attachment_id).map_err(not_of_volume)?;
    let mut beginning = Beginning::new(ctx, caller, Verb::ForceDetach, &id);
    beginning.frees_room();
    beginning.moves_volume(&volume);
    let gone = attachment.as_ref().map(|one| one.id.to_string());
    if let Some(attachment) = &attachment {
        beginning.moves_attachment(attachment);
    }
    let leaving = |whom: String| -> Vec<Value> {
        vec![
            id.to_string().into(),
            beginning.id().to_string().into(),
            whom.into(),
        ]
    };
    let mut leave = Vec::new();
    if let Some(gone) = &gone {
        leave.push((exports::LEAVE_ATTACHMENT, leaving(gone.clone())));
    }
    if let Some(initiator) = initiator {
        leave.push((exports::LEAVE_LEGACY, leaving(initiator)));
    }
    leave.push((exports::LEAVE_WITH_LAST, leaving(gone.unwrap_or_default())));
    for (sql, values) in leave {
        beginning.also(sql, values);
    }
    let operation = beginning.commit(connect::queue(&volume)).await?;
    until_done(ctx, operation, CONNECT_WAIT).await
}

/// Upstream's code for an attachment that the volume does not have is 400.
fn not_of_volume(error: Error) -> Error {
    let Error::NotFound { .. } = error else {
        return error;
    };
    Error::Refused(Refusal::Rule {
        why: format!("Error force detaching volume - VolumeAttachmentNotFound: {error}"),
    })
}
