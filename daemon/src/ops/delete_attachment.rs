//! Delete an attachment: shut the host out, take the export away when nobody else needs it, release the volume.
//!
//! On return of the operation the host can write no more. The volume gets the status that its remaining attachments
//! say; one in an error status keeps it.

use super::begin::Beginning;
use super::steps::Plan;
use super::wait::{CONNECT_WAIT, until_done};
use super::{Ctx, connect, let_go, unreadable, visible_attachment, visible_volume};
use crate::error::Error;
use crate::model::attachment::Attachment;
use crate::model::caller::Caller;
use crate::model::id::AttachmentId;
use crate::model::operation::Verb;
use crate::model::status::{self, VolumeStatus};
use crate::store::{Batch, attachments, exports};

/// What the steps do.
pub const PLAN: Plan = Plan {
    verb: Verb::DeleteAttachment,
    steps: &[connect::DENY, connect::UNEXPORT],
    deadline: connect::DEADLINE,
    done: connect::forget_left,
    failed: |_| Ok(Batch::new()),
};

/// Releases; the answer is what else is attached.
pub async fn begin(ctx: &Ctx, caller: &Caller, id: AttachmentId) -> Result<Vec<Attachment>, Error> {
    let attachment = visible_attachment(ctx, caller, id).await?;
    let volume = visible_volume(ctx, caller, attachment.volume_id).await?;
    let held = attachments::of_volume(&ctx.store, volume.id)
        .await
        .map_err(unreadable)?;
    let id_text = id.to_string();
    let_go::heed(ctx, volume.id, |one| one.attachment_id == id_text).await?;
    let mut beginning = Beginning::new(ctx, caller, Verb::DeleteAttachment, &id);
    beginning.frees_room();
    beginning.moves_attachment(&attachment);
    // A volume that fell into an error status since it was looked at keeps that, so `detaching` begins in none.
    if WELL.contains(&volume.status) && held.len() <= 1 {
        let detaching = Some(VolumeStatus::Detaching);
        beginning.moves_volume_from(&volume, WELL, detaching);
    } else {
        let row = status::row(Verb::DeleteAttachment).volume;
        let from = row.map(|one| one.from).unwrap_or_default();
        beginning.moves_volume_from(&volume, from, None);
    }
    let leaving = vec![
        volume.id.to_string().into(),
        beginning.id().to_string().into(),
        id.to_string().into(),
    ];
    beginning.also(exports::LEAVE_ATTACHMENT, leaving);
    let operation = beginning.commit(connect::queue(&volume)).await?;
    until_done(ctx, operation, CONNECT_WAIT).await?;
    attachments::of_volume(&ctx.store, volume.id)
        .await
        .map_err(unreadable)
}

/// The statuses of a volume that is in no error.
const WELL: &[VolumeStatus] = &[
    VolumeStatus::Available,
    VolumeStatus::Reserved,
    VolumeStatus::Attaching,
    VolumeStatus::InUse,
    VolumeStatus::Detaching,
];
