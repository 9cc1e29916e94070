//! RECORD: SQLite or PostgreSQL behind one set of functions; the only SQL.
//!
//! One SQL text serves both engines (`$1..` numbered in order of first appearance; columns only TEXT and BIGINT).
//! A write is a guarded [`Batch`]: its statements commit together or not at all. A read is one or several
//! [`Query`]s on one consistent view. `batch.rs` holds those words, `sqlite.rs` and `postgres.rs` the engines,
//! `migrations.rs` the schema; one file a noun holds that noun's statements.

pub mod batch;

pub use batch::{Batch, Query, Row, Sql, Statement, StoreError, Value};
