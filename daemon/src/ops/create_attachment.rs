//! Create an attachment: reserve a volume for a host, and connect it at once when the connector is already known.
//!
//! Without a connector it is one transaction: attachment and volume become `reserved`. With one, the steps make the
//! volume reachable and let the host in, and the caller waits for that.

use super::begin::Beginning;
use super::steps::Plan;
use super::wait::{CONNECT_WAIT, until_done};
use super::{Ctx, connect, visible_attachment, visible_volume};
use crate::error::{Conflict, Error};
use crate::model::attachment::{AttachMode, Attachment, Connector};
use crate::model::caller::Caller;
use crate::model::id::{AttachmentId, VolumeId};
use crate::model::operation::Verb;
use crate::model::status::{self, AttachmentStatus, VolumeStatus};
use crate::model::time::Time;
use crate::model::volume::Volume;
use crate::store::{Batch, attachments};

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::CreateAttachment,
    steps: &[connect::EXPORT, connect::ALLOW],
    deadline: connect::DEADLINE,
    done: |_| Ok(Batch::new()),
    failed: connect::forget_made,
};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which volume.
    pub volume_id: VolumeId,
    /// For which instance, if any.
    pub instance_uuid: Option<String>,
    /// The host, if it is known already.
    pub connector: Option<Connector>,
    /// The device name that the host means to use.
    pub mountpoint: Option<String>,
    /// Read-write or read-only.
    pub mode: AttachMode,
}

/// Reserves, and connects when there is a connector; the answer is the attachment as it then is.
pub async fn begin(ctx: &Ctx, caller: &Caller, request: Request) -> Result<Attachment, Error> {
    let volume = visible_volume(ctx, caller, request.volume_id).await?;
    let connector = request.connector.clone();
    let shares = may_share(ctx, &volume, &request).await?;
    let attachment = new_attachment(&volume, request);
    let mut beginning = Beginning::new(ctx, caller, Verb::CreateAttachment, &attachment.id);
    // The volume first: the rules below look at other rows, which its lock keeps as they are.
    beginning.moves_volume_from(&volume, &from(shares), None);
    beginning.needs_readonly_as_read(&volume);
    beginning.makes_attachment(&attachment);
    if !volume.multiattach {
        beginning.rule(
            attachments::IS_ONLY_HOLDER,
            vec![
                volume.id.to_string().into(),
                attachment.id.to_string().into(),
                attachment.instance_uuid.clone().into(),
            ],
            Error::Conflict(Conflict::Changed {
                noun: "Volume",
                id: volume.id.to_string(),
            }),
        );
    }
    beginning.shows_attachments(&volume);
    match connector {
        None => {
            beginning.commit_at_once(Batch::new()).await?;
        }
        Some(connector) => {
            connect::intends(ctx, &mut beginning, &volume, &connector, Some(&attachment)).await?;
            let operation = beginning.commit(connect::queue(&volume)).await?;
            until_done(ctx, operation, CONNECT_WAIT).await?;
        }
    }
    visible_attachment(ctx, caller, attachment.id).await
}

/// Whether the volume may have further attachments: it is multiattach, or they are for the same instance (a live
/// migration; cinder/volume/api.py `_attachment_reserve`). Only chooses the statuses; the rule decides.
async fn may_share(ctx: &Ctx, volume: &Volume, request: &Request) -> Result<bool, Error> {
    let Some(instance) = request
        .instance_uuid
        .as_ref()
        .filter(|_| !volume.multiattach)
    else {
        return Ok(volume.multiattach);
    };
    let held = attachments::of_volume(&ctx.store, volume.id)
        .await
        .map_err(super::unreadable)?;
    Ok(!held.is_empty()
        && held
            .iter()
            .all(|one| one.instance_uuid.as_ref() == Some(instance)))
}

fn from(shares: bool) -> Vec<VolumeStatus> {
    let mut from: Vec<VolumeStatus> = status::row(Verb::CreateAttachment)
        .volume
        .map(|one| one.from.to_vec())
        .unwrap_or_default();
    if shares {
        from.extend([
            VolumeStatus::Reserved,
            VolumeStatus::Attaching,
            VolumeStatus::InUse,
        ]);
    }
    from
}

fn new_attachment(volume: &Volume, request: Request) -> Attachment {
    let status = match &request.connector {
        None => AttachmentStatus::Reserved,
        Some(_) => AttachmentStatus::Attaching,
    };
    Attachment {
        id: AttachmentId::random(),
        volume_id: volume.id,
        project_id: volume.project_id.clone(),
        instance_uuid: request.instance_uuid,
        attached_host: request
            .connector
            .as_ref()
            .and_then(|connector| connector.host.clone()),
        mountpoint: request.mountpoint,
        // As in Cinder the volume's flag counts for more than what is asked.
        mode: if volume.is_readonly() {
            AttachMode::ReadOnly
        } else {
            request.mode
        },
        status,
        connector: request.connector,
        attached_at: None,
        detached_at: None,
        created_at: Time::now(),
        updated_at: None,
    }
}
