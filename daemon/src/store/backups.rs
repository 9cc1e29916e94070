//! Backups in the record. A row refers to no other: its volume, snapshot and parent may be gone.

use super::Store;
use super::batch::{Batch, Query, Row, Sql, StoreError, Value};
use super::json::{map_text, read_map};
use super::list::{self, Direction, Filter, ListError, ListRequest, Shape};
use crate::model::backup::{Backup, Depth, DescribedVolume, Verified};
use crate::model::id::{BackupId, BackupSetId, VolumeId};
use crate::model::size::Gib;
use crate::model::status::BackupStatus;
use crate::model::time::Time;
use std::collections::BTreeSet;
use std::str::FromStr;

/// What of backups may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.project_id, t.user_id, t.volume_id, t.snapshot_id, t.parent_id, t.name, t.description, \
             t.metadata, t.size_gib, t.status, t.store, t.host, t.availability_zone, t.fail_reason, t.object_count, \
             t.data_bytes, t.added_bytes, t.data_timestamp, t.volume, t.restored_volume_id, t.created_at, t.updated_at, \
             t.verified_at, t.verified_depth, t.findings, t.set_id, t.proven_at \
             FROM backups t",
    count: "SELECT COUNT(*) FROM backups t",
    columns: &[
        "id",
        "project_id",
        "volume_id",
        "snapshot_id",
        "parent_id",
        "name",
        "description",
        "metadata",
        "size_gib",
        "status",
        "store",
        "host",
        "availability_zone",
        "data_timestamp",
        "created_at",
        "updated_at",
        "set_id",
    ],
};

/// Parameters: [`insert_values`]. A guard: no backup has this id, also none of another project.
pub const INSERT: Sql = Sql {
    name: "backups.insert",
    text: "INSERT INTO backups (id, project_id, user_id, volume_id, snapshot_id, parent_id, name, description, metadata, \
           size_gib, status, store, host, availability_zone, fail_reason, object_count, data_bytes, added_bytes, \
           data_timestamp, volume, restored_volume_id, created_at, set_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
           $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23) ON CONFLICT (id) DO NOTHING",
};

/// Parameters: id, name, updated_at.
pub const SET_NAME: Sql = Sql {
    name: "backups.set_name",
    text: "UPDATE backups SET name = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, description, updated_at.
pub const SET_DESCRIPTION: Sql = Sql {
    name: "backups.set_description",
    text: "UPDATE backups SET description = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, metadata, updated_at.
pub const SET_METADATA: Sql = Sql {
    name: "backups.set_metadata",
    text: "UPDATE backups SET metadata = $2, updated_at = $3 WHERE id = $1",
};

/// Parameters: id, data_timestamp.
pub const SET_DATA_TIMESTAMP: Sql = Sql {
    name: "backups.set_data_timestamp",
    text: "UPDATE backups SET data_timestamp = $2 WHERE id = $1",
};

/// Parameters: id, object_count, data_bytes, added_bytes.
pub const SET_STORED: Sql = Sql {
    name: "backups.set_stored",
    text: "UPDATE backups SET object_count = $2, data_bytes = $3, added_bytes = $4 WHERE id = $1",
};

/// Parameters: id, fail_reason.
pub const SET_FAIL_REASON: Sql = Sql {
    name: "backups.set_fail_reason",
    text: "UPDATE backups SET fail_reason = $2 WHERE id = $1",
};

/// Parameters: id, volume.
pub const SET_RESTORED: Sql = Sql {
    name: "backups.set_restored",
    text: "UPDATE backups SET restored_volume_id = $2 WHERE id = $1",
};

/// Parameters: id, name, description, metadata, volume_id, snapshot_id, parent_id, data_timestamp, volume. What its store
/// says of a backup that is imported.
pub const DESCRIBE: Sql = Sql {
    name: "backups.describe",
    text: "UPDATE backups SET name = $2, description = $3, metadata = $4, volume_id = $5, \
           snapshot_id = $6, parent_id = $7, data_timestamp = $8, volume = $9 WHERE id = $1",
};

/// Parameters: id, verified_at, verified_depth, findings.
const SET_VERIFIED: Sql = Sql {
    name: "backups.set_verified",
    text: "UPDATE backups SET verified_at = $2, verified_depth = $3, findings = $4 WHERE id = $1",
};

/// Parameters: id, proven_at.
const SET_PROVEN: Sql = Sql {
    name: "backups.set_proven",
    text: "UPDATE backups SET proven_at = $2 WHERE id = $1",
};

/// Parameters: id, the operation. A guard: no other operation looks whether the backup can be read.
pub const IS_VERIFIED_ONCE: Sql = Sql {
    name: "backups.is_verified_once",
    text: "UPDATE backups SET id = id WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM operations o WHERE o.object_id = $1 \
           AND o.id <> $2 AND o.verb = 'verify_backup' AND o.phase IN ('queued', 'running', 'undoing'))",
};

/// Parameters: [`insert_values`], and since when the store was read. A guard: no backup has this id, and none of this id
/// was removed since, or is being removed.
const INSERT_FOUND: Sql = Sql {
    name: "backups.insert_found",
    text: "INSERT INTO backups (id, project_id, user_id, volume_id, snapshot_id, parent_id, name, description, metadata, \
           size_gib, status, store, host, availability_zone, fail_reason, object_count, data_bytes, added_bytes, \
           data_timestamp, volume, restored_volume_id, created_at, set_id) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, \
           CAST($10 AS BIGINT), $11, $12, $13, $14, $15, CAST($16 AS BIGINT), CAST($17 AS BIGINT), CAST($18 AS BIGINT), \
           $19, $20, $21, $22, $23 WHERE NOT EXISTS (SELECT 1 FROM operations o WHERE o.object_id = $1 \
           AND o.verb = 'delete_backup' AND (o.finished_at IS NULL OR o.finished_at >= $24)) ON CONFLICT (id) DO NOTHING",
};

/// Parameters: id.
pub const DELETE: Sql = Sql {
    name: "backups.delete",
    text: "DELETE FROM backups WHERE id = $1",
};

/// Parameters: set, limit.
const VOLUMES_OF_SET: Sql = Sql {
    name: "backups.volumes_of_set",
    text: "SELECT DISTINCT b.volume_id FROM backups b WHERE b.set_id = $1 ORDER BY b.volume_id \
           LIMIT CAST($2 AS BIGINT)",
};

pub(super) const ALL: &[Sql] = &[
    INSERT,
    VOLUMES_OF_SET,
    SET_NAME,
    SET_DESCRIPTION,
    SET_METADATA,
    SET_DATA_TIMESTAMP,
    SET_STORED,
    SET_FAIL_REASON,
    SET_RESTORED,
    DESCRIBE,
    SET_VERIFIED,
    SET_PROVEN,
    IS_VERIFIED_ONCE,
    INSERT_FOUND,
    DELETE,
];

/// Cinder's column for the reason of a failure has room for so many characters.
const FAIL_REASON_MAX: usize = 255;

/// The backup, or `None`.
pub async fn get(store: &Store, id: BackupId) -> Result<Option<Backup>, StoreError> {
    let row = list::one(store, &SHAPE, "id", id.to_string()).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of backups.
pub async fn list(store: &Store, request: &ListRequest) -> Result<Vec<Backup>, ListError> {
    let rows = list::page(store, &SHAPE, request).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Which of these backups have a row.
pub async fn present(store: &Store, ids: &[BackupId]) -> Result<BTreeSet<BackupId>, StoreError> {
    let values = ids.iter().map(|id| id.to_string().into());
    let request = ListRequest {
        filters: vec![Filter {
            values: values.collect(),
            ..Filter::equal("id", "")
        }],
        limit: i64::try_from(ids.len()).unwrap_or(i64::MAX),
        ..ListRequest::default()
    };
    let found = unmarked(list(store, &request).await)?;
    Ok(found.into_iter().map(|backup| backup.id).collect())
}

/// What a list found that was asked for without a marker.
fn unmarked(listed: Result<Vec<Backup>, ListError>) -> Result<Vec<Backup>, StoreError> {
    match listed {
        Ok(found) => Ok(found),
        Err(ListError::Store(error)) => Err(error),
        Err(ListError::NoSuchMarker { .. }) => Ok(Vec::new()),
    }
}

/// The backup of a volume in a store whose content is newest, of those of `project_id` that are available; with `before`
/// only of an earlier instant.
pub async fn newest(
    store: &Store,
    project_id: &str,
    volume: VolumeId,
    in_store: &str,
    before: Option<&Time>,
) -> Result<Option<Backup>, StoreError> {
    let mut filters = vec![
        Filter::equal("project_id", project_id),
        Filter::equal("volume_id", volume.to_string()),
        Filter::equal("store", in_store),
        Filter::equal("status", BackupStatus::Available.as_str()),
    ];
    filters.extend(before.map(|time| Filter::below("data_timestamp", time.as_str())));
    let request = ListRequest {
        filters,
        sort: vec![("data_timestamp", Direction::Descending)],
        limit: 1,
        ..ListRequest::default()
    };
    let found = unmarked(list(store, &request).await)?;
    Ok(found.into_iter().next())
}

/// Volumes whose backups of one set are looked at.
pub const VOLUMES_OF_SET_MAX: i64 = 10_000;
/// Backups of one volume, by one set, that are looked at.
pub const OF_SET_MAX: i64 = 10_000;

/// The volumes that a set has backups of, whatever became of them.
pub async fn volumes_of_set(store: &Store, set: BackupSetId) -> Result<Vec<VolumeId>, StoreError> {
    let values = vec![set.to_string().into(), VOLUMES_OF_SET_MAX.into()];
    let rows = store.rows(Query::of(VOLUMES_OF_SET, values)).await?;
    rows.iter()
        .map(|row| row.parsed(0, |text| text.parse().ok()))
        .collect()
}

/// The backups of a volume that a set made, those of the newest content first.
pub async fn of_set(
    store: &Store,
    set: BackupSetId,
    volume: VolumeId,
) -> Result<Vec<Backup>, ListError> {
    let request = ListRequest {
        filters: vec![
            Filter::equal("set_id", set.to_string()),
            Filter::equal("volume_id", volume.to_string()),
        ],
        sort: vec![("data_timestamp", Direction::Descending)],
        limit: OF_SET_MAX,
        ..ListRequest::default()
    };
    list(store, &request).await
}

/// Adds why a backup went wrong, as much of it as Cinder keeps.
pub fn failed(batch: &mut Batch, id: &str, why: &str) {
    let why: String = why.chars().take(FAIL_REASON_MAX).collect();
    batch.add(SET_FAIL_REASON, vec![id.into(), why.into()]);
}

/// Adds what a look into the store found of a backup.
pub fn verified(batch: &mut Batch, id: BackupId, found: &Verified) {
    let values = vec![
        id.to_string().into(),
        found.at.as_str().into(),
        found.depth.as_str().into(),
        serde_json::to_string(&found.findings)
            .unwrap_or_default()
            .into(),
    ];
    batch.add(SET_VERIFIED, values);
}

/// Adds that a backup was restored at that time, and read as its store says.
pub fn proven(batch: &mut Batch, id: &str, at: &Time) {
    batch.add(SET_PROVEN, vec![id.into(), at.as_str().into()]);
}

/// Adds the guard, named as its statement, that makes the row of a backup that lies in its store, which was read at `read_at`.
pub fn found(batch: &mut Batch, backup: &Backup, read_at: &Time) {
    let mut values = insert_values(backup);
    values.push(read_at.as_str().into());
    batch.guard(INSERT_FOUND.name, INSERT_FOUND, values);
}

/// The parameters of [`INSERT`].
pub fn insert_values(backup: &Backup) -> Vec<Value> {
    vec![
        backup.id.to_string().into(),
        backup.project_id.as_str().into(),
        backup.user_id.as_str().into(),
        backup.volume_id.to_string().into(),
        backup.snapshot_id.map(|id| id.to_string()).into(),
        backup.parent_id.map(|id| id.to_string()).into(),
        backup.name.clone().into(),
        backup.description.clone().into(),
        map_text(&backup.metadata).into(),
        backup.size_gib.get().into(),
        backup.status.as_str().into(),
        backup.store.as_str().into(),
        backup.host.as_str().into(),
        backup.availability_zone.as_str().into(),
        backup.fail_reason.clone().into(),
        backup.object_count.into(),
        backup.data_bytes.into(),
        backup.added_bytes.into(),
        backup.data_timestamp.as_str().into(),
        volume_text(&backup.volume).into(),
        backup.restored_volume_id.map(|id| id.to_string()).into(),
        backup.created_at.as_str().into(),
        backup.set_id.map(|id| id.to_string()).into(),
    ]
}

/// The volume as it was, as the record keeps it.
pub fn volume_text(volume: &DescribedVolume) -> String {
    serde_json::to_string(volume).unwrap_or_default()
}

fn read(row: &Row) -> Result<Backup, StoreError> {
    let time = |text: &str| Time::from_stored(text.to_owned());
    Ok(Backup {
        id: row.parsed(0, |text| text.parse().ok())?,
        project_id: row.text(1)?.to_owned(),
        user_id: row.text(2)?.to_owned(),
        volume_id: row.parsed(3, |text| text.parse().ok())?,
        snapshot_id: optional_id(row, 4)?,
        parent_id: optional_id(row, 5)?,
        name: row.optional_text(6)?.map(str::to_owned),
        description: row.optional_text(7)?.map(str::to_owned),
        metadata: row.parsed(8, read_map)?,
        size_gib: Gib::new(row.int(9)?).ok_or(StoreError::Unreadable { column: 9 })?,
        status: row.parsed(10, BackupStatus::parse)?,
        store: row.text(11)?.to_owned(),
        host: row.text(12)?.to_owned(),
        availability_zone: row.text(13)?.to_owned(),
        fail_reason: row.optional_text(14)?.map(str::to_owned),
        object_count: row.int(15)?,
        data_bytes: row.int(16)?,
        added_bytes: row.int(17)?,
        data_timestamp: time(row.text(18)?),
        volume: row.parsed(19, |text| serde_json::from_str(text).ok())?,
        restored_volume_id: optional_id(row, 20)?,
        created_at: time(row.text(21)?),
        updated_at: row.optional_text(22)?.map(time),
        verified: read_verified(row)?,
        proven_at: row.optional_text(27)?.map(time),
        set_id: optional_id(row, 26)?,
    })
}

fn read_verified(row: &Row) -> Result<Option<Verified>, StoreError> {
    let Some(at) = row.optional_text(23)? else {
        return Ok(None);
    };
    Ok(Some(Verified {
        at: Time::from_stored(at.to_owned()),
        depth: row.parsed(24, Depth::parse)?,
        findings: row.parsed(25, |text| serde_json::from_str(text).ok())?,
    }))
}

fn optional_id<T: FromStr>(row: &Row, column: usize) -> Result<Option<T>, StoreError> {
    row.optional_text(column)?
        .map(|text| text.parse().map_err(|_| StoreError::Unreadable { column }))
        .transpose()
}
