//! What only SQLite has to show: the file, its schema, damage, and an oracle over random batches.

mod faults;
mod oracle;

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::store::contract::cases::{count, insert};
use crate::store::{Store, contract};

fn with(migrations: &'static [&'static str]) -> SqliteOptions {
    SqliteOptions {
        migrations,
        ..contract::options()
    }
}

async fn open(dir: &Path) -> Result<Store, StoreError> {
    Store::open_sqlite(dir, contract::options()).await
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_the_newer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for migrations in [&contract::SCHEMA[..1], contract::SCHEMA, contract::SCHEMA] {
        let store = Store::open_sqlite(dir.path(), with(migrations))
            .await
            .unwrap();
        let found = count(&store).await;
        store
            .write(insert(&format!("{found}"), None))
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
    assert_eq!(count(&open(dir.path()).await.unwrap()).await, 3);
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_old_schema() {
    const BAD: &[&str] = &[
        contract::SCHEMA[0],
        "CREATE TABLE half (id TEXT); INSERT INTO nowhere VALUES (1);",
    ];
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(dir.path(), with(&BAD[..1]))
        .await
        .unwrap();
    store.close().await;
    let error = Store::open_sqlite(dir.path(), with(BAD)).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused { statement, .. } if statement == "migration 2"),
        "{error:?}"
    );
    let store = Store::open_sqlite(dir.path(), with(&BAD[..1]))
        .await
        .unwrap();
    assert_eq!(count(&store).await, 0);
}

#[tokio::test]
async fn the_files_are_for_their_owner_only_and_nothing_else_is_left() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ashlar.db.new-1-0"), "left by a crash").unwrap();
    let store = open(dir.path()).await.unwrap();
    store.write(insert("a", None)).await.unwrap();
    let mut names = Vec::new();
    for entry in dir.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{entry:?}"
        );
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        [
            "ashlar.db",
            "ashlar.db-shm",
            "ashlar.db-wal",
            "ashlar.reserve"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_may_open_one_directory_at_once_and_share_it() {
    let dir = tempfile::tempdir().unwrap();
    let opened = futures_util::future::join_all((0..4).map(|_| open(dir.path()))).await;
    let stores: Vec<Store> = opened.into_iter().map(Result::unwrap).collect();
    let writes = (0..200).map(|number| {
        let store = &stores[number % stores.len()];
        async move { store.write(insert(&format!("{number}"), None)).await }
    });
    for outcome in futures_util::future::join_all(writes).await {
        outcome.unwrap();
    }
    for store in &stores {
        assert_eq!(count(store).await, 200);
    }
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ashlar.db");
    let foreign =
        rusqlite::Connection::open_with_flags(&path, rusqlite::OpenFlags::default()).unwrap();
    foreign
        .execute_batch("CREATE TABLE theirs (id TEXT)")
        .unwrap();
    foreign.close().unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = open(dir.path()).await.unwrap_err();
    assert!(error.to_string().contains("another program's"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = open(&dir.path().join("absent")).await.unwrap_err();
    let StoreError::Broken(cause) = &error else {
        panic!("{error:?}")
    };
    assert!(cause.to_string().contains("No such file"), "{cause}");
}

#[tokio::test]
async fn what_is_no_database_is_broken_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ashlar.db"), [0x55; 8192]).unwrap();
    let error = open(dir.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::Broken(_)), "{error:?}");
}

/// Damage under a running daemon, as a bad disk makes it: pages of the closed file are overwritten, then read.
#[tokio::test]
async fn damage_breaks_the_store_for_good() {
    const PAGE: usize = 4096;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    for number in 0..100 {
        store
            .write(insert(&"x".repeat(1000 + number), None))
            .await
            .unwrap();
    }
    store.close().await;
    let path = dir.path().join("ashlar.db");
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 20 * PAGE, "{}", bytes.len());
    // The first page, with the schema, stays: the damage is found when rows are read.
    bytes[PAGE..].fill(0x55);
    std::fs::write(&path, bytes).unwrap();

    let store = open(dir.path()).await.unwrap();
    assert!(!store.is_read_only());
    let list = Query {
        text: "SELECT id FROM things ORDER BY name".into(),
        values: vec![],
    };
    let error = store.rows(list.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Broken(_)), "{error:?}");
    let told = tokio::time::timeout(Duration::from_secs(10), store.broken())
        .await
        .unwrap();
    assert!(matches!(told, StoreError::Broken(_)));
    assert!(matches!(store.rows(list).await, Err(StoreError::Broken(_))));
    assert!(matches!(
        store.write(insert("a", None)).await,
        Err(StoreError::Broken(_))
    ));
}

/// SQLITE_FULL without a full disk: a limit on the database's pages. Shows the read-only mode, that deletes marked as
/// essential go through, and that a probe lifts it; the reserve itself is shown in `faults.rs`.
#[tokio::test]
async fn full_is_read_only_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        max_pages: Some(100),
        probe_interval: Duration::from_secs(3600),
        ..contract::options()
    };
    let store = Store::open_sqlite(dir.path(), options.clone())
        .await
        .unwrap();
    let big = "x".repeat(10_000);
    let mut written = 0;
    let error = loop {
        match store
            .write(insert(&format!("{written:03}{big}"), None))
            .await
        {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100);
    };
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    assert!(store.is_read_only());
    assert_eq!(count(&store).await, written);
    // Small enough to fit, and refused all the same: read-only is a state, not luck.
    assert!(matches!(
        store.write(insert("small", None)).await,
        Err(StoreError::Full(_))
    ));
    store.close().await;

    let options = SqliteOptions {
        probe_interval: Duration::from_millis(20),
        ..options
    };
    let store = Store::open_sqlite(dir.path(), options).await.unwrap();
    assert!(!store.is_read_only());
    assert!(
        store
            .write(insert(&format!("again{big}"), None))
            .await
            .is_err()
    );
    let mut delete = Batch::new();
    let sql = crate::store::Sql {
        name: "test.delete",
        text: "DELETE FROM things WHERE id LIKE $1 ESCAPE '\\'",
    };
    delete.guard("some", sql, vec!["00%".into()]).essential();
    store.write(delete).await.unwrap();
    faults::eventually("writes are taken again", || !store.is_read_only()).await;
    store
        .write(insert(&format!("again{big}"), None))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_a_whole_batch_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    for number in 0..100 {
        let mut batch = insert(&format!("{number}a"), None);
        batch.extend(insert(&format!("{number}b"), None));
        let write = store.write(batch);
        let _maybe = tokio::time::timeout(Duration::from_micros(number * 7), write).await;
    }
    // What was queued before this is decided when this is answered.
    store.write(insert("last", None)).await.unwrap();
    let text = "SELECT count(*) FROM things a WHERE a.id <> 'last' AND NOT EXISTS (SELECT 1 FROM things b
        WHERE b.id <> a.id AND substr(b.id, 1, length(b.id) - 1) = substr(a.id, 1, length(a.id) - 1))";
    let row = store
        .row(Query {
            text: text.into(),
            values: vec![],
        })
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.int(0).unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_read_is_interrupted_and_its_reader_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(
        dir.path(),
        SqliteOptions {
            readers: 1,
            ..contract::options()
        },
    )
    .await
    .unwrap();
    let endless =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let (answer, answered) = oneshot::channel();
    let job = reader::Job {
        queries: vec![Query {
            text: endless.into(),
            values: vec![],
        }],
        deadline: Instant::now() + Duration::from_millis(50),
        answer,
        _place: enter(&sqlite.read_places, "read").await.unwrap(),
    };
    sqlite.reads.send(reader::Message::Read(job)).unwrap();
    let outcome = answered.await.unwrap();
    assert!(
        matches!(outcome, Err(StoreError::Unavailable { .. })),
        "{outcome:?}"
    );
    let one = Query {
        text: "SELECT 1".into(),
        values: vec![],
    };
    assert_eq!(sqlite.read(vec![one]).await.unwrap().len(), 1);
}

/// A constraint that is looked at only at COMMIT, where the whole group would fail; migrations may not have one, and
/// neighbours would not suffer all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_commit_costs_only_the_batch_at_fault() {
    const LATE: &[&str] = &[
        contract::SCHEMA[0],
        "CREATE TABLE late (id TEXT REFERENCES things (id) DEFERRABLE INITIALLY DEFERRED)",
    ];
    const ORPHAN: crate::store::Sql = crate::store::Sql {
        name: "test.orphan",
        text: "INSERT INTO late (id) VALUES ($1)",
    };
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(dir.path(), with(LATE)).await.unwrap();
    let writes = (0..40).map(|number| {
        let mut batch = insert(&format!("{number}"), None);
        if number % 10 == 9 {
            batch.add(ORPHAN, vec!["nobody".into()]);
        }
        let store = store.clone();
        async move { (number, store.write(batch).await) }
    });
    for (number, outcome) in futures_util::future::join_all(writes).await {
        if number % 10 == 9 {
            assert!(
                matches!(outcome, Err(StoreError::Refused { .. })),
                "{outcome:?}"
            );
        } else {
            outcome.unwrap();
        }
    }
    assert_eq!(count(&store).await, 36);
}
