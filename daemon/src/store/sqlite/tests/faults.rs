//! Real faults, each in a child process of its own: a disk that is full, a disk that fails, a daemon that is killed.
//!
//! A child is this test program again, told by an environment variable to be the daemon of one test.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::store::contract::cases::{count, insert};
use crate::store::contract::{options, skipped};
use crate::store::{Batch, SqliteOptions, Store, StoreError};

const ROLE: &str = "ASHLAR_TEST_STORE_DIR";
const BALLAST: &str = "ballast";
const FILLING: &str = "filling";

/// Waits until `what` is so.
pub(super) async fn eventually(what: &str, so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < until, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The state directory, in the child.
fn role() -> Option<PathBuf> {
    std::env::var_os(ROLE).map(PathBuf::from)
}

/// This program again, to run only `test`, started by a shell script that ends in `exec "$@"`.
#[expect(
    clippy::disallowed_methods,
    reason = "a test of what outlives a process needs one"
)]
fn child(script: &[&str], test: &str, dir: &std::path::Path) -> Command {
    let mut command = Command::new(script[0]);
    command
        .args(&script[1..])
        .arg("sh")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .arg(format!("store::sqlite::tests::faults::{test}"))
        .env(ROLE, dir)
        .stdin(Stdio::null());
    command
}

fn essential(id: &str) -> Batch {
    let mut batch = insert(id, None);
    batch.essential();
    batch
}

/// A file system of 12 MiB that fills up, where one may be mounted (as root, or in a user namespace of one's own).
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_a_reserve_for_what_runs() {
    if let Some(dir) = role() {
        return on_a_full_disk(&dir).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let mount = r#"mount -t tmpfs -o size=12m,mode=700 ashlar-test "$ASHLAR_TEST_STORE_DIR" && echo mounted && exec "$@""#;
    let ways: [&[&str]; 2] = [
        &["unshare", "--mount", "sh", "-c", mount],
        &["unshare", "--map-root-user", "--mount", "sh", "-c", mount],
    ];
    for way in ways {
        let Ok(output) =
            child(way, "a_full_disk_keeps_a_reserve_for_what_runs", dir.path()).output()
        else {
            continue;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        if said.starts_with("mounted") {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() && said.contains("1 passed"),
                "{said}\n{errors}"
            );
            return;
        }
    }
    skipped("a file system can be mounted neither as this user nor in a user namespace");
}

async fn on_a_full_disk(dir: &std::path::Path) {
    let ballast = dir.join(BALLAST);
    std::fs::write(&ballast, vec![1; 5 << 20]).unwrap();
    let options = SqliteOptions {
        reserve_bytes: 2 << 20,
        probe_interval: Duration::from_millis(20),
        ..options()
    };
    let store = Store::open_sqlite(dir, options.clone()).await.unwrap();
    let reserve = dir.join("ashlar.reserve");
    assert!(reserve.exists());
    let big = "x".repeat(16 * 1024);
    let mut written = 0;
    let error = loop {
        match store.write(insert(&format!("{written}{big}"), None)).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    assert!(written > 10 && store.is_read_only());
    assert_eq!(count(&store).await, written);
    assert!(matches!(
        store.write(insert("new work", None)).await,
        Err(StoreError::Full(_))
    ));
    // What runs may end, on the reserve.
    for number in 0..100 {
        store
            .write(essential(&format!("end {number}")))
            .await
            .unwrap();
        written += 1;
    }
    assert!(!reserve.exists() && store.is_read_only());
    assert!(matches!(
        store.write(insert("new work", None)).await,
        Err(StoreError::Full(_))
    ));
    store.close().await;
    // With the reserve used up and not a byte left there is nothing to record on, and that is what is said: by the
    // start, or by the first write when SQLite found the room for its shared memory.
    fill(dir);
    match Store::open_sqlite(dir, options.clone()).await {
        Ok(store) => {
            assert!(store.is_read_only());
            assert_eq!(count(&store).await, written);
            let refused = store.write(essential("lost")).await;
            assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
            store.close().await;
        }
        Err(error) => assert!(matches!(error, StoreError::Full(_)), "{error:?}"),
    }
    std::fs::remove_file(dir.join(FILLING)).unwrap();
    let store = Store::open_sqlite(dir, options.clone()).await.unwrap();
    assert!(reserve.exists());
    store.close().await;
    // With the reserve there, a start on the same disk gives it back, is read-only, and can still record ends.
    fill(dir);
    let store = Store::open_sqlite(dir, options).await.unwrap();
    assert!(store.is_read_only() && !reserve.exists());
    assert!(matches!(
        store.write(insert("new work", None)).await,
        Err(StoreError::Full(_))
    ));
    store.write(essential("after the restart")).await.unwrap();
    assert_eq!(count(&store).await, written + 1);
    // Room, and nobody has to do anything.
    std::fs::remove_file(ballast).unwrap();
    eventually("writes are taken again", || !store.is_read_only()).await;
    assert!(reserve.exists());
    store.write(insert("new work", None)).await.unwrap();
    assert_eq!(count(&store).await, written + 2);
}

/// Takes every byte that is left.
fn fill(dir: &std::path::Path) {
    let mut file = std::fs::File::create(dir.join(FILLING)).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
}

/// Writes that fail with EFBIG, by a limit on the length of files: to SQLite an I/O error like any other.
#[tokio::test(flavor = "multi_thread")]
async fn an_io_error_breaks_the_store_and_loses_nothing_answered() {
    if let Some(dir) = role() {
        return on_a_failing_disk(&dir).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = r#"trap '' XFSZ; ulimit -f 2048; exec "$@""#;
    let test = "an_io_error_breaks_the_store_and_loses_nothing_answered";
    let output = child(&["sh", "-c", script], test, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    let written = std::fs::read_to_string(dir.path().join("written")).unwrap();
    let store = Store::open_sqlite(dir.path(), options()).await.unwrap();
    assert_eq!(count(&store).await.to_string(), written);
}

async fn on_a_failing_disk(dir: &std::path::Path) {
    // The reserve is longer than the limit allows, and is not what this is about.
    let options = SqliteOptions {
        reserve_bytes: 0,
        ..options()
    };
    let store = Store::open_sqlite(dir, options).await.unwrap();
    let big = "x".repeat(16 * 1024);
    let mut written = 0;
    let error = loop {
        match store.write(insert(&format!("{written}{big}"), None)).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1000, "the limit was not met");
    };
    assert!(matches!(error, StoreError::Broken(_)), "{error:?}");
    let told = tokio::time::timeout(Duration::from_secs(10), store.broken())
        .await
        .unwrap();
    assert!(matches!(told, StoreError::Broken(_)));
    assert!(matches!(
        store.write(essential("a")).await,
        Err(StoreError::Broken(_))
    ));
    assert!(matches!(
        store.read(vec![]).await,
        Err(StoreError::Broken(_))
    ));
    std::fs::write(dir.join("written"), written.to_string()).unwrap();
}

/// SIGKILL between and within commits. What was answered is there; what was not is there whole or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing_answered_and_halves_nothing() {
    if let Some(dir) = role() {
        return write_for_ever(&dir).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut answered = 0;
    for round in 1..=3 {
        let test = "a_kill_loses_nothing_answered_and_halves_nothing";
        let mut child = child(&["sh", "-c", r#"exec "$@""#], test, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines
            .map(Result::unwrap)
            .filter(|line| line.starts_with("answered "));
        let told = told.take(40 * round).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(told, 40 * round);
        answered += i64::try_from(told).unwrap();
        let store = Store::open_sqlite(dir.path(), options()).await.unwrap();
        let found = count(&store).await;
        assert!(
            found >= 3 * answered && found % 3 == 0,
            "{found} of {answered}"
        );
        answered = found / 3;
        store.close().await;
    }
}

#[expect(clippy::print_stdout, reason = "the parent counts the answers")]
async fn write_for_ever(dir: &std::path::Path) {
    let store = Store::open_sqlite(dir, options()).await.unwrap();
    let first = count(&store).await;
    // Bounded, so that a child whose parent died ends too.
    for number in 0..100_000 {
        let mut batch = Batch::new();
        for part in ["a", "b", "c"] {
            batch.extend(insert(&format!("{}{part}", first + number), None));
        }
        store.write(batch).await.unwrap();
        println!("answered {number}");
    }
}
