//! Legacy `os-detach`: note that the host has let go; the attachment goes. One transaction.

use super::begin::Beginning;
use super::{Ctx, unreadable, visible_volume};
use crate::error::{Error, Refusal};
use crate::model::attachment::Attachment;
use crate::model::caller::Caller;
use crate::model::id::{AttachmentId, VolumeId};
use crate::model::operation::Verb;
use crate::store::{Batch, attachments};

/// Notes it. Without an id there must be one attachment only; with none, the volume becomes available again.
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
    if let Some(attachment) = &attachment {
        beginning.moves_attachment(attachment);
    }
    beginning.moves_volume(&volume);
    beginning.commit_at_once(Batch::new()).await
}

fn choose(
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
