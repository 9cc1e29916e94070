//! The daemon's end of the pipe, with small programs in the worker's place.

use super::super::{Settings, open};
use super::Store;
use crate::backup::{BackupEngine as _, BackupError, Depth, WorkerStore};
use crate::driver::{Device, Done, Work};
use crate::model::id::BackupId;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A store whose worker is this shell script.
fn asking(script: &str) -> (Store, WorkerStore) {
    let store = Store::unmade();
    let program = store.top().join("worker");
    // Written under another name: a program that is open for writing cannot be started.
    let beside = store.top().join("script");
    fs::write(&beside, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o700)).unwrap();
    fs::rename(&beside, &program).unwrap();
    let settings = Settings {
        state_dir: store.top().join("state"),
        ..store.settings.clone()
    };
    (store, open(settings).by(program))
}

async fn why(script: &str) -> BackupError {
    let (_store, asking) = asking(script);
    asking.remove(BackupId::random()).await.unwrap_err()
}

#[tokio::test]
async fn an_answer_and_progress_come_through() {
    let script = "read job; echo '{\"Progress\":{\"done_bytes\":3,\"total_bytes\":9}}'
        case $1$job in backup-worker*'\"Restore\":{'*) echo '{\"Done\":{\"Changed\":true}}';; esac";
    let (_store, asking) = asking(script);
    let work = Work::default();
    let target = Device {
        path: Path::new("/dev/null").to_owned(),
        len_bytes: 9,
    };
    let done = asking
        .restore(BackupId::random(), &target, true, &work)
        .await;
    assert_eq!(done.unwrap(), Done::Changed);
    assert_eq!(work.progress(), (3, 9));
}

#[tokio::test]
async fn each_failure_is_what_it_was() {
    let said = |text: &str| format!("read job; echo '{{\"Failed\":{text}}}'");
    let error = why(&said("{\"Absent\":{\"backup\":\"b\"}}")).await;
    assert_eq!(error.to_string(), "backup b is not in store near");
    let device = "{\"Device\":{\"doing\":\"Reading\",\"device\":\"/d\",\"errno\":5,\"why\":\"x\"}}";
    let error = why(&said(device)).await;
    assert_eq!(error.to_string(), "reading failed on /d");
    let is_told =
        matches!(&error, BackupError::Device { source, .. } if source.raw_os_error() == Some(5));
    assert!(is_told, "{error:?}");
    assert!(matches!(
        why(&said("\"Cancelled\"")).await,
        BackupError::Cancelled
    ));
    assert!(matches!(
        why(&said("{\"NoSpace\":\"x\"}")).await,
        BackupError::NoSpace { .. }
    ));
    assert!(matches!(
        why(&said("{\"WrongKey\":\"x\"}")).await,
        BackupError::WrongKey { .. }
    ));
}

#[tokio::test]
async fn a_worker_that_dies_is_an_error_of_the_job() {
    for (script, word) in [
        ("read job; kill -9 $$", "signal 9"),
        ("exit 3", "exit code 3"),
        ("read job; echo no", "understood"),
        (
            "read job; echo '{\"Done\":{\"FreedBytes\":1}}'",
            "something else",
        ),
    ] {
        let error = why(script).await;
        let is_told = matches!(&error, BackupError::Unavailable { why, .. } if why.contains(word));
        assert!(is_told, "{error:?}");
    }
}

#[tokio::test]
async fn a_cancel_reaches_the_worker() {
    let script = "read job; read word; [ $word = cancel ] && echo '{\"Failed\":\"Cancelled\"}'";
    let (_store, asking) = asking(script);
    let work = Work::default();
    let asked = asking.verify(None, Depth::Data, &work);
    let cancel = async {
        tokio::task::yield_now().await;
        work.cancel();
    };
    let (answer, ()) = tokio::join!(asked, cancel);
    assert!(matches!(answer, Err(BackupError::Cancelled)), "{answer:?}");
}
