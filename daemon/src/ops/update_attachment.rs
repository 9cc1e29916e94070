//! Update an attachment: connect the reserved volume to the host that the connector names. The caller waits.

use super::begin::Beginning;
use super::steps::Plan;
use super::wait::{CONNECT_WAIT, until_done};
use super::{Ctx, connect, visible_attachment, visible_volume};
use crate::error::Error;
use crate::model::attachment::{Attachment, Connector};
use crate::model::caller::Caller;
use crate::model::id::AttachmentId;
use crate::model::operation::Verb;
use crate::model::time::Time;
use crate::store::{Batch, attachments};

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::UpdateAttachment,
    steps: &[connect::EXPORT, connect::ALLOW],
    deadline: connect::DEADLINE,
    done: |_| Ok(Batch::new()),
    failed: connect::forget_made,
};

/// Connects; the answer is the attachment as it then is.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: AttachmentId,
    connector: Connector,
    mountpoint: Option<String>,
) -> Result<Attachment, Error> {
    let attachment = visible_attachment(ctx, caller, id).await?;
    let volume = visible_volume(ctx, caller, attachment.volume_id).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::UpdateAttachment, &id);
    beginning.moves_attachment(&attachment);
    beginning.moves_volume(&volume);
    connect::intends(ctx, &mut beginning, &volume, &connector, Some(&attachment)).await?;
    beginning.also(
        attachments::SET_CONNECTOR,
        vec![
            id.to_string().into(),
            connector.host.clone().into(),
            mountpoint.into(),
            connector.initiator.as_str().into(),
            connector.text.as_str().into(),
            Time::now().as_str().into(),
        ],
    );
    let operation = beginning.commit(connect::queue(&volume)).await?;
    until_done(ctx, operation, CONNECT_WAIT).await?;
    visible_attachment(ctx, caller, id).await
}
