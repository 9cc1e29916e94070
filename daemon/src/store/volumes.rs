//! Volumes in the record.

use super::Store;
use super::batch::{Row, Sql, StoreError, Value};
use super::json::{map_text, read_map};
use super::list::{self, Comparison, Filter, ListError, ListRequest, Shape};
use crate::model::id::VolumeId;
use crate::model::size::Gib;
use crate::model::status::VolumeStatus;
use crate::model::time::Time;
use crate::model::volume::Volume;
use std::collections::BTreeMap;

/// What of volumes may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.project_id, t.user_id, t.name, t.description, t.size_gib, t.status, t.host, \
             t.availability_zone, t.volume_type_id, y.name, t.snapshot_id, t.source_volid, t.multiattach, t.bootable, \
             t.metadata, t.created_at, t.updated_at, t.readonly, t.image_metadata FROM volumes t JOIN volume_types y ON y.id = t.volume_type_id",
    count: "SELECT COUNT(*) FROM volumes t",
    columns: &[
        "id",
        "project_id",
        "user_id",
        "name",
        "description",
        "size_gib",
        "status",
        "host",
        "availability_zone",
        "volume_type_id",
        "snapshot_id",
        "source_volid",
        "bootable",
        "metadata",
        "created_at",
        "updated_at",
        "image_metadata",
    ],
};

/// Parameters: [`insert_values`].
pub const INSERT: Sql = Sql {
    name: "volumes.insert",
    text: "INSERT INTO volumes (id, project_id, user_id, name, description, size_gib, status, host, \
           availability_zone, volume_type_id, snapshot_id, source_volid, multiattach, bootable, metadata, created_at, \
           image_metadata) \
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
};

/// Parameters: id, name, updated_at.
pub const SET_NAME: Sql = Sql {
    name: "volumes.set_name",
    text: "UPDATE volumes SET name = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, description, updated_at.
pub const SET_DESCRIPTION: Sql = Sql {
    name: "volumes.set_description",
    text: "UPDATE volumes SET description = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, metadata, updated_at. In place of whatever there is.
pub const REPLACE_METADATA: Sql = Sql {
    name: "volumes.replace_metadata",
    text: "UPDATE volumes SET metadata = $2, updated_at = $3 \
           WHERE id = $1 AND status NOT IN ('maintenance', 'uploading')",
};

/// Parameters: id, metadata as looked at, metadata as it is to be, updated_at. A guard: nobody changed it meanwhile.
pub const SET_METADATA: Sql = Sql {
    name: "volumes.set_metadata",
    text: "UPDATE volumes SET metadata = $3, updated_at = $4 \
           WHERE id = $1 AND metadata = $2 AND status NOT IN ('maintenance', 'uploading')",
};

/// Parameters: id, image metadata as looked at, as it is to be, updated_at. A guard: nobody changed it meanwhile.
pub const SET_IMAGE_METADATA: Sql = Sql {
    name: "volumes.set_image_metadata",
    text: "UPDATE volumes SET image_metadata = $3, updated_at = $4 \
           WHERE id = $1 AND image_metadata = $2 AND status NOT IN ('maintenance', 'uploading')",
};

/// Parameters: id, image metadata, updated_at. In place of whatever there is: its content is another's now.
pub const REPLACE_IMAGE_METADATA: Sql = Sql {
    name: "volumes.replace_image_metadata",
    text: "UPDATE volumes SET image_metadata = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, bootable, updated_at.
pub const SET_BOOTABLE: Sql = Sql {
    name: "volumes.set_bootable",
    text: "UPDATE volumes SET bootable = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, readonly, updated_at.
pub const SET_READONLY: Sql = Sql {
    name: "volumes.set_readonly",
    text: "UPDATE volumes SET readonly = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, 1 or 0. A guard: hosts may, or may not, write as they could when it was looked at.
pub const IS_READONLY: Sql = Sql {
    name: "volumes.is_readonly",
    text: "UPDATE volumes SET id = id WHERE id = $1 AND COALESCE(readonly, 0) = $2",
};

/// Parameters: id, a status and another. A guard: what the attachments say is one of them; the same words as in
/// `statuses.rs`, with `model::status::volume_status_from` as their oracle.
pub const ATTACHMENTS_SAY: Sql = Sql {
    name: "volumes.attachments_say",
    text: "UPDATE volumes SET id = id WHERE id = $1 AND CASE \
           WHEN EXISTS (SELECT 1 FROM attachments a WHERE a.volume_id = volumes.id AND a.status IN ('attached', 'error_detaching')) \
           THEN 'in-use' \
           WHEN EXISTS (SELECT 1 FROM attachments a WHERE a.volume_id = volumes.id AND a.status = 'attaching') \
           THEN 'attaching' \
           WHEN EXISTS (SELECT 1 FROM attachments a WHERE a.volume_id = volumes.id AND a.status = 'reserved') \
           THEN 'reserved' ELSE 'available' END IN ($2, $3)",
};

/// Parameters: id, project_id, user_id, updated_at. It has another owner.
pub const SET_OWNER: Sql = Sql {
    name: "volumes.set_owner",
    text: "UPDATE volumes SET project_id = $2, user_id = $3, updated_at = $4 WHERE id = $1",
};

/// Parameters: id. A guard: no host is let in, by an attachment or without one, or is still being shut out.
pub const IS_UNCONNECTED: Sql = Sql {
    name: "volumes.is_unconnected",
    text: "UPDATE volumes SET id = id WHERE id = $1 \
           AND NOT EXISTS (SELECT 1 FROM connections c WHERE c.volume_id = volumes.id)",
};

/// Parameters: id, host, updated_at. Where the scheduler placed it.
pub const SET_HOST: Sql = Sql {
    name: "volumes.set_host",
    text: "UPDATE volumes SET host = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, size_gib, updated_at.
pub const SET_SIZE: Sql = Sql {
    name: "volumes.set_size",
    text: "UPDATE volumes SET size_gib = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, size_gib as looked at, size_gib as it is to be. A guard: nobody changed it meanwhile.
pub const RESIZE: Sql = Sql {
    name: "volumes.resize",
    text: "UPDATE volumes SET size_gib = $3 WHERE id = $1 AND size_gib = $2",
};

/// Parameters: id.
pub const DELETE: Sql = Sql {
    name: "volumes.delete",
    text: "DELETE FROM volumes WHERE id = $1",
};

/// Parameters: id. A guard: no snapshot of the volume is recorded.
pub const HAS_NO_SNAPSHOTS: Sql = Sql {
    name: "volumes.has_no_snapshots",
    text: "UPDATE volumes SET id = id WHERE id = $1 \
           AND NOT EXISTS (SELECT 1 FROM snapshots s WHERE s.volume_id = volumes.id)",
};

/// Parameters: id. A guard: no host has the volume, or could not be shut out of it.
pub const IS_NOT_ATTACHED: Sql = Sql {
    name: "volumes.is_not_attached",
    text: "UPDATE volumes SET id = id WHERE id = $1 \
           AND NOT EXISTS (SELECT 1 FROM attachments a WHERE a.volume_id = volumes.id AND a.status IN ('attaching', 'attached', 'error_detaching'))",
};

/// Parameters: id, size_gib. A guard: the volume still has the size that was looked at.
pub const HAS_SIZE: Sql = Sql {
    name: "volumes.has_size",
    text: "UPDATE volumes SET id = id WHERE id = $1 AND size_gib = $2",
};

/// Parameters: id, project_id. A guard: it has the owner that was read.
pub const HAS_OWNER: Sql = Sql {
    name: "volumes.has_owner",
    text: "UPDATE volumes SET id = id WHERE id = $1 AND project_id = $2",
};

/// Parameters: id. A guard: it is wholly Ashlar's, and nothing of it is to be handed back.
pub const IS_OURS: Sql = Sql {
    name: "volumes.is_ours",
    text: "UPDATE volumes SET id = id WHERE id = $1 \
           AND NOT EXISTS (SELECT 1 FROM adoptions a WHERE a.object_id = volumes.id)",
};

pub(super) const ALL: &[Sql] = &[
    HAS_OWNER,
    IS_OURS,
    INSERT,
    SET_NAME,
    SET_DESCRIPTION,
    SET_METADATA,
    REPLACE_METADATA,
    SET_HOST,
    SET_SIZE,
    RESIZE,
    DELETE,
    HAS_NO_SNAPSHOTS,
    IS_NOT_ATTACHED,
    HAS_SIZE,
    SET_IMAGE_METADATA,
    REPLACE_IMAGE_METADATA,
    SET_BOOTABLE,
    SET_READONLY,
    IS_READONLY,
    ATTACHMENTS_SAY,
    SET_OWNER,
    IS_UNCONNECTED,
];

/// The volume, or `None`.
pub async fn get(store: &Store, id: VolumeId) -> Result<Option<Volume>, StoreError> {
    let row = list::one(store, &SHAPE, "id", id.to_string()).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of volumes.
pub async fn list(store: &Store, request: &ListRequest) -> Result<Vec<Volume>, ListError> {
    let rows = list::page(store, &SHAPE, request).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// How many volumes the filters let through, and how many GiB they have in all.
pub async fn totals(store: &Store, request: &ListRequest) -> Result<(i64, i64), StoreError> {
    const TOTALS: &str =
        "SELECT COUNT(*), CAST(COALESCE(SUM(t.size_gib), 0) AS BIGINT) FROM volumes t";
    let rows = list::all(store, TOTALS, request, "").await?;
    let row = rows.first().ok_or(StoreError::Unreadable { column: 0 })?;
    Ok((row.int(0)?, row.int(1)?))
}

/// The different sets of key-value pairs of these volumes, at most `limit` of them, those after `after` in their order
/// as texts; and the text of the last one, after which the rest begins.
pub async fn distinct_metadata(
    store: &Store,
    request: &ListRequest,
    after: &str,
    limit: usize,
) -> Result<(Vec<BTreeMap<String, String>>, Option<String>), StoreError> {
    let mut request = ListRequest {
        filters: request.filters.clone(),
        ..ListRequest::default()
    };
    request.filters.push(Filter {
        column: "metadata",
        comparison: Comparison::Greater,
        values: vec![after.into()],
    });
    let last = format!(" ORDER BY t.metadata LIMIT {limit}");
    let rows = list::all(
        store,
        "SELECT DISTINCT t.metadata FROM volumes t",
        &request,
        &last,
    )
    .await?;
    let next = match rows.last().filter(|_| rows.len() == limit) {
        Some(row) => Some(row.text(0)?.to_owned()),
        None => None,
    };
    let found = rows.iter().map(|row| row.parsed(0, read_map));
    Ok((found.collect::<Result<_, _>>()?, next))
}

/// The parameters of [`INSERT`].
pub fn insert_values(volume: &Volume) -> Vec<Value> {
    vec![
        volume.id.to_string().into(),
        volume.project_id.as_str().into(),
        volume.user_id.as_str().into(),
        volume.name.clone().into(),
        volume.description.clone().into(),
        volume.size_gib.get().into(),
        volume.status.as_str().into(),
        volume.host.clone().into(),
        volume.availability_zone.as_str().into(),
        volume.volume_type_id.to_string().into(),
        volume.snapshot_id.map(|id| id.to_string()).into(),
        volume.source_volid.map(|id| id.to_string()).into(),
        i64::from(volume.multiattach).into(),
        i64::from(volume.bootable).into(),
        map_text(&volume.metadata).into(),
        volume.created_at.as_str().into(),
        map_text(&volume.image_metadata).into(),
    ]
}

fn read(row: &Row) -> Result<Volume, StoreError> {
    Ok(Volume {
        id: row.parsed(0, |text| text.parse().ok())?,
        project_id: row.text(1)?.to_owned(),
        user_id: row.text(2)?.to_owned(),
        name: row.optional_text(3)?.map(str::to_owned),
        description: row.optional_text(4)?.map(str::to_owned),
        size_gib: Gib::new(row.int(5)?).ok_or(StoreError::Unreadable { column: 5 })?,
        status: row.parsed(6, VolumeStatus::parse)?,
        host: row.optional_text(7)?.map(str::to_owned),
        availability_zone: row.text(8)?.to_owned(),
        volume_type_id: row.parsed(9, |text| text.parse().ok())?,
        volume_type: row.text(10)?.to_owned(),
        snapshot_id: row.optional_parsed(11, |text| text.parse().ok())?,
        source_volid: row.optional_parsed(12, |text| text.parse().ok())?,
        multiattach: row.int(13)? != 0,
        bootable: row.int(14)? != 0,
        metadata: row.parsed(15, read_map)?,
        created_at: Time::from_stored(row.text(16)?.to_owned()),
        updated_at: row
            .optional_text(17)?
            .map(|text| Time::from_stored(text.to_owned())),
        readonly: row.optional_int(18)?.map(|flag| flag != 0),
        image_metadata: row.parsed(19, read_map)?,
    })
}
