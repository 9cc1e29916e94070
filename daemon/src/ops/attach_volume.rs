//! Legacy `os-attach`: note that an instance or host has the device; the volume is `in-use`. One transaction.

use super::begin::Beginning;
use super::{Ctx, visible_volume};
use crate::error::{Conflict, Error, Refusal};
use crate::model::attachment::{AttachMode, Attachment};
use crate::model::caller::Caller;
use crate::model::id::{AttachmentId, VolumeId};
use crate::model::operation::Verb;
use crate::model::status::{self, AttachmentStatus, VolumeStatus};
use crate::model::time::Time;
use crate::store::{Batch, attachments};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The instance that has it, or
    pub instance_uuid: Option<String>,
    /// the host that has it.
    pub host_name: Option<String>,
    /// The device name there.
    pub mountpoint: Option<String>,
    /// Read-write or read-only.
    pub mode: AttachMode,
}

/// Notes it.
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    id: VolumeId,
    request: Request,
) -> Result<(), Error> {
    let volume = visible_volume(ctx, caller, id).await?;
    if volume.is_readonly() && request.mode == AttachMode::ReadWrite {
        return Err(Error::Refused(Refusal::Rule {
            why: format!(
                "Invalid attaching mode 'rw' for volume {id}: the volume is read-only; attach it with mode ro."
            ),
        }));
    }
    let attachment = Attachment {
        id: AttachmentId::random(),
        volume_id: id,
        project_id: volume.project_id.clone(),
        instance_uuid: request.instance_uuid,
        attached_host: request.host_name,
        mountpoint: request.mountpoint,
        mode: request.mode,
        status: AttachmentStatus::Attached,
        connector: None,
        attached_at: Some(Time::now()),
        detached_at: None,
        created_at: Time::now(),
        updated_at: None,
    };
    let mut beginning = Beginning::new(ctx, caller, Verb::AttachVolume, &id);
    let row = status::row(Verb::AttachVolume).volume;
    let mut from = row.map(|one| one.from.to_vec()).unwrap_or_default();
    if volume.multiattach {
        from.push(VolumeStatus::InUse);
    }
    beginning.moves_volume_from(&volume, &from, Some(VolumeStatus::InUse));
    beginning.needs_readonly_as_read(&volume);
    beginning.makes_attachment(&attachment);
    if !volume.multiattach {
        // `attaching` may be another attachment's doing.
        beginning.rule(
            attachments::IS_ONLY_HOLDER,
            vec![
                id.to_string().into(),
                attachment.id.to_string().into(),
                attachment.instance_uuid.clone().into(),
            ],
            Error::Conflict(Conflict::Changed {
                noun: "Volume",
                id: id.to_string(),
            }),
        );
    }
    beginning.commit_at_once(Batch::new()).await
}
