//! Transfers in the record: one a volume at most. The key is kept as a salted hash, and goes with the row.

use super::Store;
use super::batch::{Query, Row, Sql, StoreError, Value};
use super::list::{self, ListError, ListRequest, Shape};
use crate::model::id::TransferId;
use crate::model::time::Time;
use crate::model::transfer::Transfer;

/// What of transfers may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.volume_id, t.project_id, t.name, t.with_snapshots, t.created_at FROM transfers t",
    count: "SELECT COUNT(*) FROM transfers t",
    columns: &["id", "volume_id", "project_id", "name", "created_at"],
};

/// Parameters: [`insert_values`].
pub const INSERT: Sql = Sql {
    name: "transfers.insert",
    text: "INSERT INTO transfers (id, volume_id, project_id, name, with_snapshots, salt, key_hash, created_at) \
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
};

/// Parameters: id. A guard: of all who accept or withdraw it, one takes it.
pub const TAKE: Sql = Sql {
    name: "transfers.take",
    text: "DELETE FROM transfers WHERE id = $1",
};

/// Parameters: volume_id.
pub const DELETE_OF_VOLUME: Sql = Sql {
    name: "transfers.delete_of_volume",
    text: "DELETE FROM transfers WHERE volume_id = $1",
};

const LOCK: Sql = Sql {
    name: "transfers.lock",
    text: "SELECT salt, key_hash FROM transfers WHERE id = $1",
};

pub(super) const ALL: &[Sql] = &[INSERT, TAKE, DELETE_OF_VOLUME, LOCK];

/// What a key is held against.
#[derive(Clone)]
pub struct Lock {
    /// Goes into the hash before the key.
    pub salt: String,
    /// The hash.
    pub key_hash: String,
}

/// The transfer, or `None`.
pub async fn get(store: &Store, id: TransferId) -> Result<Option<Transfer>, StoreError> {
    let row = list::one(store, &SHAPE, "id", id.to_string()).await?;
    row.map(|row| read(&row)).transpose()
}

/// What the key of a transfer is held against, or `None`.
pub async fn lock(store: &Store, id: TransferId) -> Result<Option<Lock>, StoreError> {
    let row = store
        .row(Query::of(LOCK, vec![id.to_string().into()]))
        .await?;
    row.map(|row| {
        Ok(Lock {
            salt: row.text(0)?.to_owned(),
            key_hash: row.text(1)?.to_owned(),
        })
    })
    .transpose()
}

/// A page of transfers.
pub async fn list(store: &Store, request: &ListRequest) -> Result<Vec<Transfer>, ListError> {
    let rows = list::page(store, &SHAPE, request).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The parameters of [`INSERT`].
pub fn insert_values(transfer: &Transfer, lock: &Lock) -> Vec<Value> {
    vec![
        transfer.id.to_string().into(),
        transfer.volume_id.to_string().into(),
        transfer.project_id.as_str().into(),
        transfer.name.clone().into(),
        i64::from(transfer.with_snapshots).into(),
        lock.salt.as_str().into(),
        lock.key_hash.as_str().into(),
        transfer.created_at.as_str().into(),
    ]
}

fn read(row: &Row) -> Result<Transfer, StoreError> {
    Ok(Transfer {
        id: row.parsed(0, |text| text.parse().ok())?,
        volume_id: row.parsed(1, |text| text.parse().ok())?,
        project_id: row.text(2)?.to_owned(),
        name: row.optional_text(3)?.map(str::to_owned),
        with_snapshots: row.int(4)? != 0,
        created_at: Time::from_stored(row.text(5)?.to_owned()),
    })
}
