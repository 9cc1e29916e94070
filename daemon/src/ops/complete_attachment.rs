//! Complete an attachment: the host has the device; the volume is `in-use`. One transaction.

use super::begin::Beginning;
use super::{Ctx, visible_attachment, visible_volume};
use crate::error::{Error, Refusal};
use crate::model::caller::Caller;
use crate::model::id::AttachmentId;
use crate::model::operation::Verb;
use crate::model::time::Time;
use crate::store::{Batch, attachments};

/// Notes it. Unlike upstream it sets the time, and refuses an attachment that was never connected.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: AttachmentId) -> Result<(), Error> {
    let attachment = visible_attachment(ctx, caller, id).await?;
    let volume = visible_volume(ctx, caller, attachment.volume_id).await?;
    if attachment.connector.is_none() {
        return Err(Error::Refused(Refusal::Rule {
            why: format!(
                "Attachment {id} has no connector yet: update it with the host's connector first."
            ),
        }));
    }
    let mut beginning = Beginning::new(ctx, caller, Verb::CompleteAttachment, &id);
    beginning.moves_attachment(&attachment);
    beginning.moves_volume(&volume);
    let mut ends = Batch::new();
    ends.add(
        attachments::SET_ATTACHED_AT,
        vec![id.to_string().into(), Time::now().as_str().into()],
    );
    beginning.commit_at_once(ends).await
}
