//! What only PostgreSQL has to show: its locale, its schema, a lost connection, racing starts.

use super::*;
use crate::store::contract;
use crate::store::{Store, StoreError};

fn with(migrations: &'static [&'static str]) -> PostgresOptions {
    PostgresOptions {
        migrations,
        ..PostgresOptions::default()
    }
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_the_newer_is_refused() {
    let Some(url) = contract::postgres_database("C").await else {
        return;
    };
    for migrations in [&contract::SCHEMA[..1], contract::SCHEMA, contract::SCHEMA] {
        Store::open_postgres(&url, with(migrations)).await.unwrap();
    }
    let error = Store::open_postgres(&url, with(&contract::SCHEMA[..1]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::TooNew { found: 2, known: 1 }),
        "{error:?}"
    );
}
