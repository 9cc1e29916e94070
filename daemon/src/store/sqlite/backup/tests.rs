//! Copies are whole, take no name, and replace a record only when they are good; older schemas come up to date.

use super::*;
use crate::store::checkup::check;
use crate::store::{Batch, SqliteOptions, Store, events, exports, snapshots, volumes};
use std::os::unix::fs::PermissionsExt;

/// A record as the first schema had it, with rows of every noun.
const FIRST_SCHEMA: &str = include_str!("../../../../../tests/fixtures/record/schema-1.sql");
const VOLUME: &str = "11111111-1111-4111-8111-111111111111";

fn options() -> SqliteOptions {
    SqliteOptions {
        reserve_bytes: 0,
        ..SqliteOptions::default()
    }
}

fn old_record(path: &Path) {
    let connection = open(path).unwrap();
    connection.execute_batch(FIRST_SCHEMA).unwrap();
    connection.close().unwrap();
}

fn is_told<T: fmt::Debug>(answer: Result<T, BackupError>, words: &str) {
    let error = answer.unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    let text = format!("{error} {cause:?}");
    assert!(text.contains(words), "{text}");
}

/// A file that no store has open.
#[expect(
    clippy::disallowed_methods,
    reason = "looks at, and spoils, what a backup left"
)]
fn open(path: impl AsRef<std::path::Path>) -> rusqlite::Result<Connection> {
    Connection::open(path)
}

#[tokio::test]
async fn the_first_schema_comes_up_to_date_with_all_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    old_record(&dir.path().join("ashlar.db"));
    let before = check(dir.path(), None).unwrap();
    assert_eq!((before.held.schema, before.findings), (1, vec![]));
    let store = Store::open_sqlite(dir.path(), options()).await.unwrap();
    let volume = volumes::get(&store, VOLUME.parse().unwrap()).await.unwrap();
    let volume = volume.unwrap();
    assert_eq!(volume.name.as_deref(), Some("old \u{fc} volume"));
    assert_eq!(
        (volume.size_gib.get(), volume.status.as_str()),
        (3, "in-use")
    );
    let kept = snapshots::of_volume(&store, volume.id).await.unwrap();
    assert_eq!(kept.len(), 1);
    // Its host was told of no proof, and the target goes on without one.
    let export = exports::get(&store, volume.id).await.unwrap().unwrap();
    assert_eq!(export.chap.user, "abcdefghijklmnopqrst");
    assert!(export.chap.mutual.is_none());
    store.close().await;
    let after = check(dir.path(), None).unwrap();
    assert_eq!(
        after.held.schema,
        migrations::version(migrations::MIGRATIONS)
    );
    assert_eq!(after.held.counts, before.held.counts);
    assert_eq!(after.findings, Vec::<String>::new());
}

#[tokio::test]
async fn a_backup_is_whole_private_and_takes_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("copy");
    is_told(backup(dir.path(), &to), "no record");
    old_record(&dir.path().join("ashlar.db"));
    let store = Store::open_sqlite(dir.path(), options()).await.unwrap();
    let held = backup(dir.path(), &to).unwrap();
    assert_eq!(held.counts[0], ("volumes", 2));
    assert!(
        held.to_string().contains("volumes 2, snapshots 1"),
        "{held}"
    );
    assert_eq!(
        fs::metadata(&to).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let bytes = fs::read(&to).unwrap();
    is_told(backup(dir.path(), &to), "another name");
    assert_eq!(fs::read(&to).unwrap(), bytes);
    let names = fs::read_dir(dir.path()).unwrap();
    let left: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("partial"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(
        check(dir.path(), Some(&to)).unwrap().findings,
        Vec::<String>::new()
    );
    store.close().await;
}

#[tokio::test]
async fn a_restore_keeps_the_old_record_and_refuses_what_is_no_backup() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("ashlar.db");
    let good = dir.path().join("good");
    old_record(&record);
    backup(dir.path(), &good).unwrap();
    let change = open(&record).unwrap();
    change
        .execute("UPDATE volumes SET name = 'newer'", [])
        .unwrap();
    change.close().unwrap();
    let before = fs::read(&record).unwrap();

    let at = |name: &str, change: &dyn Fn(&Path)| {
        let path = dir.path().join(name);
        fs::copy(&good, &path).unwrap();
        change(&path);
        path
    };
    let damaged = at("damaged", &|path| {
        let mut bytes = fs::read(path).unwrap();
        let len = bytes.len();
        bytes[len / 2..].fill(0xA5);
        fs::write(path, bytes).unwrap();
    });
    let newer = at("newer", &|path| {
        let connection = open(path).unwrap();
        connection
            .pragma_update(None, "user_version", 10_000)
            .unwrap();
    });
    let foreign = at("foreign", &|path| {
        let connection = open(path).unwrap();
        connection.pragma_update(None, "application_id", 7).unwrap();
    });
    let text = at("text", &|path| fs::write(path, "no database").unwrap());
    for (from, words) in [
        (&damaged, "cannot be restored"),
        (&newer, "schema 10000"),
        (&foreign, "another program"),
        (&text, "cannot be restored"),
        (&record, "the record itself"),
        (&dir.path().join("none"), "failed"),
    ] {
        is_told(restore(dir.path(), from), words);
        assert_eq!(fs::read(&record).unwrap(), before, "{words}");
    }

    let restored = restore(dir.path(), &good).unwrap();
    let kept = restored.kept.unwrap();
    assert_eq!(fs::read(&kept).unwrap(), before);
    assert_eq!(fs::read(&record).unwrap(), fs::read(&good).unwrap());
    assert!(!beside(&record, "-wal").exists());
    // A second one within the same second takes another name.
    let again = restore(dir.path(), &good).unwrap().kept.unwrap();
    assert!(again != kept && kept.exists() && again.exists());
}

#[tokio::test]
async fn a_restored_record_gives_no_event_id_twice() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good");
    old_record(&dir.path().join("ashlar.db"));
    let rename = |store: Store, times: i64| async move {
        for time in 0..times {
            let mut batch = Batch::new();
            let name = format!("n{time}");
            let now = Time::now();
            let values = vec![VOLUME.into(), name.into(), now.as_str().into()];
            batch.add(volumes::SET_NAME, values);
            store.write(batch).await.unwrap();
        }
        let span = events::span(&store).await.unwrap();
        store.close().await;
        span
    };
    let opened = || Store::open_sqlite(dir.path(), options());
    rename(opened().await.unwrap(), 2).await;
    backup(dir.path(), &good).unwrap();
    let seen = rename(opened().await.unwrap(), 3).await;
    restore(dir.path(), &good).unwrap();
    assert_eq!(
        check(dir.path(), None).unwrap().findings,
        Vec::<String>::new()
    );
    let now = rename(opened().await.unwrap(), 9).await;
    for since in 0..=seen.newest {
        assert!(!now.reaches(since), "{since} of {now:?}");
    }
    assert!(now.reaches(now.newest - 9));
}

#[test]
fn contradictions_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("ashlar.db");
    old_record(&record);
    let change = open(&record).unwrap();
    change
        .execute_batch(
            "UPDATE volumes SET status = 'extending' WHERE id LIKE '1111%'; \
             UPDATE quota_usages SET in_use = 7 WHERE resource = 'volumes'",
        )
        .unwrap();
    change.close().unwrap();
    let findings = check(dir.path(), None).unwrap().findings.join("\n");
    for words in ["is extending, and no operation", "7 volumes, and has 2"] {
        assert!(findings.contains(words), "{findings}");
    }
}
