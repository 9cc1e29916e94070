//! Snapshots in the record.

use super::Store;
use super::batch::{Row, Sql, StoreError, Value};
use super::json::{map_text, read_map};
use super::list::{self, Direction, Filter, ListError, ListRequest, Shape};
use crate::model::id::{SnapshotId, VolumeId};
use crate::model::size::Gib;
use crate::model::snapshot::Snapshot;
use crate::model::status::SnapshotStatus;
use crate::model::time::Time;

/// What of snapshots may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.volume_id, t.project_id, t.user_id, t.name, t.description, t.size_gib, t.status, t.host, \
             t.metadata, t.created_at, t.updated_at FROM snapshots t",
    count: "SELECT COUNT(*) FROM snapshots t",
    columns: &[
        "id",
        "volume_id",
        "project_id",
        "name",
        "description",
        "size_gib",
        "status",
        "host",
        "metadata",
        "created_at",
        "updated_at",
    ],
};

/// Parameters: [`insert_values`].
pub const INSERT: Sql = Sql {
    name: "snapshots.insert",
    text: "INSERT INTO snapshots (id, volume_id, project_id, user_id, name, description, size_gib, status, host, \
           metadata, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
};

/// Parameters: id, name, updated_at.
pub const SET_NAME: Sql = Sql {
    name: "snapshots.set_name",
    text: "UPDATE snapshots SET name = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, description, updated_at.
pub const SET_DESCRIPTION: Sql = Sql {
    name: "snapshots.set_description",
    text: "UPDATE snapshots SET description = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, metadata as looked at, metadata as it is to be, updated_at. A guard: nobody changed it meanwhile.
pub const SET_METADATA: Sql = Sql {
    name: "snapshots.set_metadata",
    text: "UPDATE snapshots SET metadata = $3, updated_at = $4 WHERE id = $1 AND metadata = $2",
};

/// Parameters: id, size_gib as looked at, size_gib as it is to be. A guard: nobody changed it meanwhile.
pub const RESIZE: Sql = Sql {
    name: "snapshots.resize",
    text: "UPDATE snapshots SET size_gib = $3 WHERE id = $1 AND size_gib = $2",
};

/// Parameters: id.
pub const DELETE: Sql = Sql {
    name: "snapshots.delete",
    text: "DELETE FROM snapshots WHERE id = $1",
};

/// Parameters: id, volume_id. A guard: no snapshot of that volume is newer.
pub const IS_NEWEST: Sql = Sql {
    name: "snapshots.is_newest",
    text: "UPDATE snapshots SET id = id WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM snapshots n \
           WHERE n.volume_id = $2 AND (n.created_at > snapshots.created_at \
           OR (n.created_at = snapshots.created_at AND n.id > snapshots.id)))",
};

/// Parameters: volume_id, how many. A guard: the volume has just so many snapshots (those a cascade looked at).
pub const ARE_ALL: Sql = Sql {
    name: "snapshots.are_all",
    text: "UPDATE volumes SET id = id WHERE id = $1 \
           AND (SELECT COUNT(*) FROM snapshots s WHERE s.volume_id = volumes.id) = $2",
};

/// Parameters: volume_id, the most. A guard: the volume has room for one more snapshot.
pub const HAS_ROOM: Sql = Sql {
    name: "snapshots.has_room",
    text: "UPDATE volumes SET id = id WHERE id = $1 \
           AND (SELECT COUNT(*) FROM snapshots s WHERE s.volume_id = volumes.id) < $2",
};

/// Parameters: volume_id. A guard: none of the volume's snapshots is being made or destroyed, or is in error.
pub const ALL_AVAILABLE: Sql = Sql {
    name: "snapshots.all_available",
    text: "UPDATE volumes SET id = id WHERE id = $1 AND NOT EXISTS \
           (SELECT 1 FROM snapshots s WHERE s.volume_id = volumes.id AND s.status <> 'available')",
};

/// Parameters: volume_id, project_id, user_id, updated_at. They have another owner, with their volume.
pub const SET_OWNER: Sql = Sql {
    name: "snapshots.set_owner",
    text: "UPDATE snapshots SET project_id = $2, user_id = $3, updated_at = $4 WHERE volume_id = $1",
};

/// Parameters: id, project_id. A guard: it has the owner that was read.
pub const HAS_OWNER: Sql = Sql {
    name: "snapshots.has_owner",
    text: "UPDATE snapshots SET id = id WHERE id = $1 AND project_id = $2",
};

/// Parameters: id. A guard: it is wholly Ashlar's, and nothing of it is to be handed back.
pub const IS_OURS: Sql = Sql {
    name: "snapshots.is_ours",
    text: "UPDATE snapshots SET id = id WHERE id = $1 \
           AND NOT EXISTS (SELECT 1 FROM adoptions a WHERE a.object_id = snapshots.id)",
};

pub(super) const ALL: &[Sql] = &[
    HAS_OWNER,
    IS_OURS,
    ALL_AVAILABLE,
    SET_OWNER,
    INSERT,
    SET_NAME,
    SET_DESCRIPTION,
    SET_METADATA,
    RESIZE,
    DELETE,
    IS_NEWEST,
    ARE_ALL,
    HAS_ROOM,
];

/// At most so many snapshots of one volume; keeps a cascade's claims and batch bounded.
pub const PER_VOLUME_MAX: i64 = 1000;

/// The snapshot, or `None`.
pub async fn get(store: &Store, id: SnapshotId) -> Result<Option<Snapshot>, StoreError> {
    let row = list::one(store, &SHAPE, "id", id.to_string()).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of snapshots.
pub async fn list(store: &Store, request: &ListRequest) -> Result<Vec<Snapshot>, ListError> {
    let rows = list::page(store, &SHAPE, request).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The snapshots of a volume, newest first.
pub async fn of_volume(store: &Store, volume: VolumeId) -> Result<Vec<Snapshot>, StoreError> {
    let request = ListRequest {
        filters: vec![Filter::equal("volume_id", volume.to_string())],
        sort: vec![("created_at", Direction::Descending)],
        limit: PER_VOLUME_MAX,
        ..ListRequest::default()
    };
    match list(store, &request).await {
        Ok(snapshots) => Ok(snapshots),
        Err(ListError::Store(error)) => Err(error),
        Err(ListError::NoSuchMarker { .. }) => Ok(Vec::new()), // No marker was asked for.
    }
}

/// The parameters of [`INSERT`].
pub fn insert_values(snapshot: &Snapshot) -> Vec<Value> {
    vec![
        snapshot.id.to_string().into(),
        snapshot.volume_id.to_string().into(),
        snapshot.project_id.as_str().into(),
        snapshot.user_id.as_str().into(),
        snapshot.name.clone().into(),
        snapshot.description.clone().into(),
        snapshot.size_gib.get().into(),
        snapshot.status.as_str().into(),
        snapshot.host.as_str().into(),
        map_text(&snapshot.metadata).into(),
        snapshot.created_at.as_str().into(),
    ]
}

fn read(row: &Row) -> Result<Snapshot, StoreError> {
    Ok(Snapshot {
        id: row.parsed(0, |text| text.parse().ok())?,
        volume_id: row.parsed(1, |text| text.parse().ok())?,
        project_id: row.text(2)?.to_owned(),
        user_id: row.text(3)?.to_owned(),
        name: row.optional_text(4)?.map(str::to_owned),
        description: row.optional_text(5)?.map(str::to_owned),
        size_gib: Gib::new(row.int(6)?).ok_or(StoreError::Unreadable { column: 6 })?,
        status: row.parsed(7, SnapshotStatus::parse)?,
        host: row.text(8)?.to_owned(),
        metadata: row.parsed(9, read_map)?,
        created_at: Time::from_stored(row.text(10)?.to_owned()),
        updated_at: row
            .optional_text(11)?
            .map(|text| Time::from_stored(text.to_owned())),
    })
}
