//! What is being taken over from a pool, and what a pool's service told of it.
//!
//! An adoption is recorded before anything is done and forgotten once its object is whole. While it is there, what the
//! object has in the pool is not Ashlar's to destroy: a delete hands it back. A listing is an answer on its way from a
//! volume service to the process that was asked; who fetches it removes it, and what nobody fetched goes with the next.

use super::Store;
use super::batch::{Batch, Query, Sql, StoreError, Value};
use crate::model::id::OperationId;
use crate::model::time::Time;

/// Parameters: object_id, source_name.
pub const INSERT: Sql = Sql {
    name: "adoptions.insert",
    text: "INSERT INTO adoptions (object_id, source_name) VALUES ($1, $2)",
};

/// Parameters: object_id.
pub const DELETE: Sql = Sql {
    name: "adoptions.delete",
    text: "DELETE FROM adoptions WHERE object_id = $1",
};

const GET: Sql = Sql {
    name: "adoptions.get",
    text: "SELECT source_name FROM adoptions WHERE object_id = $1",
};

/// Parameters: operation_id, body, created_at. A repeat of the step puts the newer answer in place of the older one.
const TELL: Sql = Sql {
    name: "listings.tell",
    text: "INSERT INTO listings (operation_id, body, created_at) VALUES ($1, $2, $3) \
           ON CONFLICT (operation_id) DO UPDATE SET body = excluded.body, created_at = excluded.created_at",
};

const FETCH: Sql = Sql {
    name: "listings.fetch",
    text: "SELECT body FROM listings WHERE operation_id = $1",
};

/// Parameters: operation_id, created_at. That one, and every older one.
const FORGET: Sql = Sql {
    name: "listings.forget",
    text: "DELETE FROM listings WHERE operation_id = $1 OR created_at < $2",
};

pub(super) const ALL: &[Sql] = &[INSERT, DELETE, GET, TELL, FETCH, FORGET];

/// The name under which the administrator had what `object_id` is to be, or could not become; `None` for every object
/// that is wholly Ashlar's.
pub async fn source_of(store: &Store, object_id: &str) -> Result<Option<String>, StoreError> {
    let row = store.row(Query::of(GET, vec![object_id.into()])).await?;
    row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
}

/// Adds a listing, for whoever waits for `operation`.
pub fn tell(batch: &mut Batch, operation: OperationId, body: &str) {
    let values: Vec<Value> = vec![
        operation.to_string().into(),
        body.into(),
        Time::now().as_str().into(),
    ];
    batch.add(TELL, values);
}

/// The listing of `operation`, if it was told and not yet fetched.
pub async fn fetch(store: &Store, operation: OperationId) -> Result<Option<String>, StoreError> {
    let query = Query::of(FETCH, vec![operation.to_string().into()]);
    let row = store.row(query).await?;
    row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
}

/// Adds the removal of a listing that was fetched, and of those older than `before`.
pub fn forget(batch: &mut Batch, operation: OperationId, before: &Time) {
    batch.add(
        FORGET,
        vec![operation.to_string().into(), before.as_str().into()],
    );
}
