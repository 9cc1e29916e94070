//! Attachments in the record.

use super::Store;
use super::batch::{Row, Sql, StoreError, Value};
use super::list::{self, ListError, ListRequest, Shape};
use crate::model::attachment::{AttachMode, Attachment, Connector};
use crate::model::id::{AttachmentId, VolumeId};
use crate::model::status::AttachmentStatus;
use crate::model::time::Time;

/// What of attachments may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.volume_id, t.project_id, t.instance_uuid, t.attached_host, t.mountpoint, t.attach_mode, \
             t.status, t.connector, t.attached_at, t.detached_at, t.created_at, t.updated_at FROM attachments t",
    count: "SELECT COUNT(*) FROM attachments t",
    columns: &[
        "id",
        "volume_id",
        "project_id",
        "instance_uuid",
        "attached_host",
        "attach_mode",
        "status",
        "attached_at",
        "detached_at",
        "created_at",
        "updated_at",
    ],
};

/// Parameters: [`insert_values`].
pub const INSERT: Sql = Sql {
    name: "attachments.insert",
    text: "INSERT INTO attachments (id, volume_id, project_id, instance_uuid, attached_host, mountpoint, \
           attach_mode, status, initiator, connector, attached_at, created_at) \
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
};

/// Parameters: id, attached_host, mountpoint, initiator, connector, updated_at. The connector is now known.
pub const SET_CONNECTOR: Sql = Sql {
    name: "attachments.set_connector",
    text: "UPDATE attachments SET attached_host = $2, mountpoint = COALESCE($3, mountpoint), initiator = $4, \
           connector = $5, updated_at = $6 WHERE id = $1",
};

/// Parameters: id, attached_at. The host has the device.
pub const SET_ATTACHED_AT: Sql = Sql {
    name: "attachments.set_attached_at",
    text: "UPDATE attachments SET attached_at = COALESCE(attached_at, $2) WHERE id = $1",
};

/// Parameters: id.
pub const DELETE: Sql = Sql {
    name: "attachments.delete",
    text: "DELETE FROM attachments WHERE id = $1",
};

/// Parameters: volume_id. With the volume go the attachments that ended in an error.
pub const DELETE_OF_VOLUME: Sql = Sql {
    name: "attachments.delete_of_volume",
    text: "DELETE FROM attachments WHERE volume_id = $1",
};

/// Parameters: volume_id. The hosts that could not be shut out.
pub const SET_ERROR_DETACHING: Sql = Sql {
    name: "attachments.set_error_detaching",
    text: "UPDATE attachments SET status = 'error_detaching' \
           WHERE volume_id = $1 AND status IN ('attached', 'attaching')",
};

/// Parameters: volume_id, project_id. The volume has another owner, and with it what is left of its attachments.
pub const SET_PROJECT: Sql = Sql {
    name: "attachments.set_project",
    text: "UPDATE attachments SET project_id = $2 WHERE volume_id = $1",
};

/// Parameters: volume_id, attachment id, instance. A guard: no attachment for another instance, or for none, holds
/// the volume.
pub const IS_ONLY_HOLDER: Sql = Sql {
    name: "attachments.is_only_holder",
    text: "UPDATE volumes SET id = id WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM attachments a \
           WHERE a.volume_id = volumes.id AND a.id <> $2 AND a.status IN ('reserved', 'attaching', 'attached', 'error_detaching') \
           AND COALESCE(a.instance_uuid, '') <> COALESCE(CAST($3 AS TEXT), 'none'))",
};

pub(super) const ALL: &[Sql] = &[
    INSERT,
    SET_CONNECTOR,
    SET_ATTACHED_AT,
    DELETE,
    DELETE_OF_VOLUME,
    SET_ERROR_DETACHING,
    SET_PROJECT,
    IS_ONLY_HOLDER,
];

/// The attachment, or `None`.
pub async fn get(store: &Store, id: AttachmentId) -> Result<Option<Attachment>, StoreError> {
    let row = list::one(store, &SHAPE, "id", id.to_string()).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of attachments.
pub async fn list(store: &Store, request: &ListRequest) -> Result<Vec<Attachment>, ListError> {
    let rows = list::page(store, &SHAPE, request).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Every attachment of a volume, oldest first.
pub async fn of_volume(store: &Store, volume: VolumeId) -> Result<Vec<Attachment>, StoreError> {
    let rows = list::with(store, &SHAPE, "volume_id", volume.to_string()).await?;
    rows.iter().map(read).collect()
}

/// The parameters of [`INSERT`].
pub fn insert_values(attachment: &Attachment) -> Vec<Value> {
    let connector = attachment.connector.as_ref();
    vec![
        attachment.id.to_string().into(),
        attachment.volume_id.to_string().into(),
        attachment.project_id.as_str().into(),
        attachment.instance_uuid.clone().into(),
        attachment.attached_host.clone().into(),
        attachment.mountpoint.clone().into(),
        attachment.mode.as_str().into(),
        attachment.status.as_str().into(),
        connector
            .map(|connector| connector.initiator.clone())
            .into(),
        connector.map(|connector| connector.text.clone()).into(),
        attachment.attached_at.as_ref().map(Time::as_str).into(),
        attachment.created_at.as_str().into(),
    ]
}

fn read(row: &Row) -> Result<Attachment, StoreError> {
    let time = |column| -> Result<Option<Time>, StoreError> {
        Ok(row
            .optional_text(column)?
            .map(|text| Time::from_stored(text.to_owned())))
    };
    Ok(Attachment {
        id: row.parsed(0, |text| text.parse().ok())?,
        volume_id: row.parsed(1, |text| text.parse().ok())?,
        project_id: row.text(2)?.to_owned(),
        instance_uuid: row.optional_text(3)?.map(str::to_owned),
        attached_host: row.optional_text(4)?.map(str::to_owned),
        mountpoint: row.optional_text(5)?.map(str::to_owned),
        mode: row.parsed(6, AttachMode::parse)?,
        status: row.parsed(7, AttachmentStatus::parse)?,
        connector: row.optional_parsed(8, read_connector)?,
        attached_at: time(9)?,
        detached_at: time(10)?,
        created_at: Time::from_stored(row.text(11)?.to_owned()),
        updated_at: time(12)?,
    })
}

/// A connector from its JSON text, as sent by a host or as stored; `None` when it names no initiator.
pub fn read_connector(text: &str) -> Option<Connector> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let field = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    Some(Connector {
        initiator: field("initiator")?.to_lowercase(),
        host: field("host").map(str::to_owned),
        multipath: value
            .get("multipath")
            .and_then(serde_json::Value::as_bool)
            .unwrap_or(false),
        text: text.to_owned(),
    })
}
