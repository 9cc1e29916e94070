//! Looking one object up for a caller: another project's answers as one that does not exist.

use crate::api::Api;
use crate::api::call::shown;
use crate::api::error::Fault;
use crate::error::Error;
use crate::model::attachment::Attachment;
use crate::model::caller::{Caller, Role};
use crate::model::id::{AttachmentId, SnapshotId, VolumeId};
use crate::model::snapshot::Snapshot;
use crate::model::volume::Volume;
use crate::model::volume_type::VolumeType;
use crate::store::{self, StoreError};

/// The record could not be read.
pub(super) fn unread(source: StoreError) -> Error {
    Error::Store {
        doing: "read",
        source,
    }
}

pub(super) async fn volume(api: &Api, caller: &Caller, id: VolumeId) -> Result<Volume, Fault> {
    let found = store::volumes::get(&api.ctx.store, id).await.map_err(unread)?;
    found
        .filter(|volume| caller.sees(&volume.project_id))
        .ok_or_else(|| Fault::not_found("Volume", &id.to_string()))
}

pub(super) async fn snapshot(api: &Api, caller: &Caller, id: SnapshotId) -> Result<Snapshot, Fault> {
    let found = store::snapshots::get(&api.ctx.store, id).await.map_err(unread)?;
    found
        .filter(|snapshot| caller.sees(&snapshot.project_id))
        .ok_or_else(|| Fault::not_found("Snapshot", &id.to_string()))
}

pub(super) async fn attachment(
    api: &Api,
    caller: &Caller,
    id: AttachmentId,
) -> Result<Attachment, Fault> {
    let found = store::attachments::get(&api.ctx.store, id).await.map_err(unread)?;
    found
        .filter(|attachment| caller.sees(&attachment.project_id))
        .ok_or_else(|| Fault::not_found("Volume attachment", &id.to_string()))
}

/// A type by name or id; private ones are the administrators'.
pub(super) async fn volume_type(api: &Api, caller: &Caller, word: &str) -> Result<VolumeType, Fault> {
    let found = store::volume_types::find(&api.ctx.store, word).await.map_err(unread)?;
    found
        .filter(|volume_type| volume_type.is_public || caller.role == Role::Admin)
        .ok_or_else(|| Fault::not_found("Volume type", &shown(word)))
}
