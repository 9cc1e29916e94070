//! Update an attachment: connect the reserved volume to the host that the connector names. The caller waits.

use super::begin::Beginning;
use super::steps::Plan;
use super::wait::{CONNECT_WAIT, until_done};
use super::{Ctx, Lane, connect, unreadable, visible_attachment, visible_volume, volume_queue};
use crate::error::{Conflict, Error};
use crate::model::attachment::{Attachment, Connector};
use crate::model::caller::Caller;
use crate::model::id::AttachmentId;
use crate::model::operation::Verb;
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::store::{Batch, attachments};

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::UpdateAttachment,
    steps: &[connect::EXPORT, connect::ALLOW],
    deadline: connect::DEADLINE,
    done: |_| Ok(Batch::new()),
    failed: connect::forget,
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
    refuse_other_host(ctx, &volume, &attachment, &connector).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::UpdateAttachment, &id);
    beginning.moves_attachment(&attachment);
    beginning.moves_volume(&volume);
    connect::intends(
        &mut beginning,
        volume.id,
        &connector,
        &id.to_string(),
        attachment.mode,
    )?;
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
    let operation = beginning
        .commit(volume_queue(
            volume.host.as_deref().unwrap_or_default(),
            Lane::Quick,
        ))
        .await?;
    until_done(ctx, operation, CONNECT_WAIT).await?;
    visible_attachment(ctx, caller, id).await
}

/// On a volume that is not multiattach a second host could write at the same time (cinder/volume/manager.py
/// `_connection_create`, duplicate connectors).
async fn refuse_other_host(
    ctx: &Ctx,
    volume: &Volume,
    attachment: &Attachment,
    connector: &Connector,
) -> Result<(), Error> {
    if volume.multiattach {
        return Ok(());
    }
    let held = attachments::of_volume(&ctx.store, volume.id)
        .await
        .map_err(unreadable)?;
    let same_instance = |other: &Attachment| {
        other.instance_uuid.is_some() && other.instance_uuid == attachment.instance_uuid
    };
    let other = held
        .iter()
        .filter(|other| other.id != attachment.id && !same_instance(other))
        .find_map(|other| {
            let theirs = other.connector.as_ref()?;
            (theirs.initiator != connector.initiator).then(|| {
                theirs
                    .host
                    .clone()
                    .unwrap_or_else(|| theirs.initiator.clone())
            })
        });
    match other {
        None => Ok(()),
        Some(host) => Err(Error::Conflict(Conflict::OtherHost {
            volume: volume.id.to_string(),
            host,
        })),
    }
}
