//! What only PostgreSQL has to show: its locale, its schema, lost connections, error classes, racing starts.

use super::*;
use crate::store::contract::cases::{count, insert};
use crate::store::contract::{self, SCHEMA};
use crate::store::{EngineError, Sql, Store};

fn with(migrations: &'static [&'static str]) -> PostgresOptions {
    PostgresOptions {
        probe_interval: Duration::from_secs(3600),
        migrations,
        ..PostgresOptions::default()
    }
}

/// Ends a batch in an error of that SQLSTATE, with a DETAIL that nobody may see.
const FAIL: Sql = Sql {
    name: "test.fail",
    text: "UPDATE things SET name = fail($1)",
};
const WITH_FAIL: &[&str] = &[
    SCHEMA[0],
    "CREATE FUNCTION fail(code TEXT) RETURNS TEXT LANGUAGE plpgsql AS $body$ BEGIN
        RAISE EXCEPTION 'it failed' USING ERRCODE = code, DETAIL = 'row holds s3cret';
    END $body$;",
];

fn fail(code: &str) -> Batch {
    let mut batch = Batch::new();
    batch.add(FAIL, vec![code.into()]);
    batch
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_the_newer_is_refused() {
    let Some(url) = contract::postgres_database("C").await else {
        return;
    };
    for migrations in [&SCHEMA[..1], SCHEMA, SCHEMA] {
        let store = Store::open_postgres(&url, with(migrations)).await.unwrap();
        let found = count(&store).await;
        store
            .write(insert(&format!("{found}"), None))
            .await
            .unwrap();
    }
    let error = Store::open_postgres(&url, with(&SCHEMA[..1]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::TooNew { found: 2, known: 1 }),
        "{error:?}"
    );
    assert_eq!(
        count(&Store::open_postgres(&url, with(SCHEMA)).await.unwrap()).await,
        3
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_may_open_one_new_database_at_once() {
    let Some(url) = contract::postgres_database("C").await else {
        return;
    };
    let opened = (0..4).map(|_| Store::open_postgres(&url, with(SCHEMA)));
    for (number, store) in (0..).zip(futures_util::future::join_all(opened).await) {
        let store = store.unwrap();
        assert_eq!(count(&store).await, number);
        store
            .write(insert(&format!("{number}"), None))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_database_that_orders_otherwise_is_refused_in_words() {
    let Some(url) = contract::postgres_database("C.UTF-8").await else {
        return;
    };
    let error = Store::open_postgres(&url, with(SCHEMA)).await.unwrap_err();
    assert!(
        error.to_string().contains("createdb --template=template0"),
        "{error}"
    );
}

#[tokio::test]
async fn an_absent_server_is_unavailable_and_no_text_holds_the_password() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().display().to_string().replace('/', "%2F");
    for url in [
        format!("postgresql://ashlar:s3cret@{socket}/ashlar"),
        "postgresql://ashlar:s3cret@[::1/ashlar".to_owned(),
        "s3cret".to_owned(),
        "host=/tmp s3cret=s3cret".to_owned(),
    ] {
        let error = Store::open_postgres(&url.into(), with(SCHEMA))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Unavailable { .. } | StoreError::Unfit { .. }
            ),
            "{error:?}"
        );
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_made_again() {
    let Some(url) = contract::postgres_database("C").await else {
        return;
    };
    let store = Store::open_postgres(&url, with(SCHEMA)).await.unwrap();
    let other = Store::open_postgres(&url, with(SCHEMA)).await.unwrap();
    for number in 0..10_i64 {
        store
            .write(insert(&format!("{number}"), None))
            .await
            .unwrap();
        assert_eq!(count(&store).await, number + 1);
        let text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let ended = other
            .rows(Query {
                text: text.into(),
                values: vec![],
            })
            .await
            .unwrap();
        assert!(ended.len() >= 2, "{ended:?}");
    }
    assert_eq!(count(&store).await, 10);
}

#[tokio::test]
async fn errors_have_their_class_and_never_quote_a_row() {
    let Some(url) = contract::postgres_database("C").await else {
        return;
    };
    let store = Store::open_postgres(&url, with(WITH_FAIL)).await.unwrap();
    store.write(insert("a", None)).await.unwrap();
    for code in [
        "57014", "55P03", "53200", "40001", "57P01", "P0001", "23514", "53100",
    ] {
        let error = store.write(fail(code)).await.unwrap_err();
        let right = match code {
            "P0001" | "23514" => {
                matches!(&error, StoreError::Refused { source: EngineError::Postgres(fault), .. } if fault.code == code)
            }
            "53100" => matches!(error, StoreError::Full(_)),
            _ => matches!(error, StoreError::Unavailable { .. }),
        };
        assert!(right, "{code}: {error:?}");
        assert!(
            !format!("{error:?} {error}").contains("s3cret"),
            "{error:?}"
        );
    }
    // Full: one write was let through to see; the next is refused at once, reads and essential writes go on.
    assert!(store.is_read_only());
    assert!(store.write(insert("b", None)).await.is_ok());
    assert!(!store.is_read_only());
    assert!(store.write(fail("53100")).await.is_err());
    assert!(matches!(
        store.write(insert("c", None)).await,
        Err(StoreError::Full(_))
    ));
    assert_eq!(count(&store).await, 2);
    let mut essential = insert("d", None);
    essential.essential();
    store.write(essential).await.unwrap();
    assert!(!store.is_read_only());
    // Damage: for good.
    assert!(matches!(
        store.write(fail("XX001")).await,
        Err(StoreError::Broken(_))
    ));
    assert!(matches!(
        store.read(vec![]).await,
        Err(StoreError::Broken(_))
    ));
    assert!(matches!(store.broken().await, StoreError::Broken(_)));
}
