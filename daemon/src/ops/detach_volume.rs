//! Legacy `os-detach`: the host has let go; the attachment goes. The caller waits.
//!
//! By Cinder's rules `os-terminate_connection` came before. If it did not, the host is shut out here: a volume that
//! looks free must not have a host that may still write.

use super::begin::Beginning;
use super::steps::Plan;
use super::wait::{CONNECT_WAIT, until_done};
use super::{Ctx, connect, unreadable, visible_volume};
use crate::error::{Error, Refusal};
use crate::model::attachment::Attachment;
use crate::model::caller::Caller;
use crate::model::id::{AttachmentId, VolumeId};
use crate::model::operation::Verb;
use crate::store::{Batch, Value, attachments, exports};

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::DetachVolume,
    steps: &[connect::DENY, connect::UNEXPORT],
    deadline: connect::DEADLINE,
    done: connect::forget_left,
    failed: |_| Ok(Batch::new()),
};

/// Detaches. Without an id there must be one attachment only; with none, the volume becomes available again.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    attachment_id: Option<AttachmentId>,
) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    let held = attachments::of_volume(&ctx.store, id)
        .await
        .map_err(unreadable)?;
    let attachment = choose(id, held, attachment_id)?;
    let mut beginning = Beginning::new(ctx, caller, Verb::DetachVolume, &id);
    beginning.frees_room();
    beginning.moves_volume(&volume);
    let gone = attachment.as_ref().map(|one| one.id.to_string());
    if let Some(attachment) = &attachment {
        beginning.moves_attachment(attachment);
    }
    let leaving: Vec<Value> = vec![
        id.to_string().into(),
        beginning.id().to_string().into(),
        gone.unwrap_or_default().into(),
    ];
    if attachment.is_some() {
        beginning.also(exports::LEAVE_ATTACHMENT, leaving.clone());
    }
    beginning.also(exports::LEAVE_WITH_LAST, leaving);
    let operation = beginning.commit(connect::queue(&volume)).await?;
    until_done(ctx, operation, CONNECT_WAIT).await
}

/// The attachment that is meant: the one named, else the only one.
pub(super) fn choose(
    volume: VolumeId,
    mut held: Vec<Attachment>,
    wanted: Option<AttachmentId>,
) -> Result<Option<Attachment>, Error> {
    match wanted {
        Some(wanted) => match held.into_iter().find(|one| one.id == wanted) {
            Some(found) => Ok(Some(found)),
            None => Err(Error::NotFound {
                noun: "Volume attachment",
                id: wanted.to_string(),
            }),
        },
        None if held.len() > 1 => Err(Error::Refused(Refusal::Rule {
            why: format!(
                "Volume {volume} has {} attachments: name the one to detach.",
                held.len()
            ),
        })),
        None => Ok(held.pop()),
    }
}
