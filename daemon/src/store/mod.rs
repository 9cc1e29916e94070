//! RECORD: SQLite or PostgreSQL behind one set of functions; the only SQL.
//!
//! One SQL text serves both engines (`$1..` numbered in order of first appearance; columns only TEXT and BIGINT).
//! A write is a guarded [`Batch`]: its statements commit together or not at all. A read is one or several
//! [`Query`]s on one consistent view. `batch.rs` holds those words, `sqlite.rs` and `postgres.rs` the engines,
//! `migrations.rs` the schema; one file a noun holds that noun's statements.

pub mod batch;

pub use batch::{Batch, Query, Row, Sql, Statement, StoreError, Value};
pub mod attachments;
pub mod exports;
pub mod json;
pub mod list;
pub mod operations;
pub mod pools;
pub mod quotas;
pub mod schema;
pub mod snapshots;
pub mod statuses;
pub mod tokens;
pub mod volume_types;
pub mod volumes;

/// TEMPORARY until the engine lands.
pub struct Store;
impl Store {
    pub async fn write(&self, _batch: Batch) -> Result<(), StoreError> {
        Err(StoreError::Conflict { guard: "x" })
    }
    pub async fn row(&self, _q: Query) -> Result<Option<Row>, StoreError> {
        Ok(None)
    }
    pub async fn rows(&self, _q: Query) -> Result<Vec<Row>, StoreError> {
        Ok(vec![])
    }
}

/// Every fixed statement, for the test that prepares them on both engines.
pub fn statements() -> Vec<Sql> {
    [
        attachments::ALL,
        exports::ALL,
        operations::ALL,
        pools::ALL,
        quotas::ALL,
        snapshots::ALL,
        statuses::ALL,
        tokens::ALL,
        volume_types::ALL,
        volumes::ALL,
    ]
    .concat()
}
