//! What only SQLite has to show: the file, its schema, a full disk, damage, and an oracle over random batches.

use super::*;
use crate::store::{Store, contract};

#[tokio::test]
async fn migrating_twice_changes_nothing_and_the_newer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let with = |migrations| SqliteOptions {
        migrations,
        ..contract::options()
    };
    for migrations in [&contract::SCHEMA[..1], contract::SCHEMA, contract::SCHEMA] {
        let store = Store::open_sqlite(dir.path(), with(migrations))
            .await
            .unwrap();
        store.close().await;
    }
    let error = Store::open_sqlite(dir.path(), with(&contract::SCHEMA[..1]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::TooNew { found: 2, known: 1 }),
        "{error:?}"
    );
}
