//! The suite of `backup/contract.rs`, and what only a repository on a disk can suffer.

mod asking;
mod damage;

use super::{Settings, open};
use crate::backup::contract::{Subject, engine_contract};
use crate::backup::{BackupEngine, BackupError};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A repository in a directory, whose jobs are done in threads.
pub(super) struct Store {
    top: tempfile::TempDir,
    pub(super) settings: Settings,
}

impl Store {
    /// Not made yet.
    pub(super) fn unmade() -> Self {
        let top = tempfile::tempdir().unwrap();
        let settings = Settings {
            name: "near".to_owned(),
            directory: top.path().join("store"),
            password_file: None,
            state_dir: top.path().join("state"),
            bytes_per_s: 0,
            keep_deleted: Duration::ZERO,
        };
        fs::create_dir(&settings.directory).unwrap();
        Self { top, settings }
    }

    pub(super) fn top(&self) -> &Path {
        self.top.path()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.settings.directory.join(name)
    }

    /// All files below a directory of the repository, largest first.
    pub(super) fn files(&self, below: &str) -> Vec<PathBuf> {
        fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, found),
                    false => found.push(path),
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.path(below), &mut found);
        found.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
        found
    }

    pub(super) fn with(settings: &Settings) -> Arc<dyn BackupEngine> {
        Arc::new(open(settings.clone()).in_threads())
    }
}

impl Subject for Store {
    fn fresh() -> Self {
        let store = Self::unmade();
        let engine = store.engine();
        // What the contract promises: the report makes it.
        let made = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(engine.report()).unwrap()
        });
        assert_eq!(made.join().unwrap().backups, 0);
        store
    }

    fn engine(&self) -> Arc<dyn BackupEngine> {
        Self::with(&self.settings)
    }

    fn restarted(self) -> Self {
        self
    }
}

engine_contract!(Store);

fn is_unavailable<T: std::fmt::Debug>(answer: &Result<T, BackupError>, word: &str) -> bool {
    matches!(answer, Err(BackupError::Unavailable { why, .. }) if why.contains(word))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_repository_is_refused_and_left_alone() {
    let store = Store::unmade();
    fs::write(store.path("precious"), "x").unwrap();
    let answer = store.engine().report().await;
    assert!(is_unavailable(&answer, "no repository"), "{answer:?}");
    let names: Vec<_> = fs::read_dir(&store.settings.directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["precious"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_never_finished_is_made_anew() {
    let store = Store::unmade();
    for name in ["keys", "data", "index", "snapshots"] {
        fs::create_dir(store.path(name)).unwrap();
    }
    fs::write(store.path("keys/stale"), "x").unwrap();
    let engine = store.engine();
    engine.report().await.unwrap();
    assert_eq!(engine.list().await.unwrap(), []);
    assert!(!store.path("keys/stale").exists());
}

/// An empty directory, or another repository, where a known one was: what is mounted there is not it.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_store_is_not_made_again_elsewhere() {
    let store = Store::fresh();
    let mounted = store.top().join("away");
    fs::rename(&store.settings.directory, &mounted).unwrap();
    let answer = store.engine().report().await;
    assert!(is_unavailable(&answer, "mounted"), "{answer:?}");
    fs::create_dir(&store.settings.directory).unwrap();
    let answer = store.engine().report().await;
    assert!(is_unavailable(&answer, "mounted"), "{answer:?}");
    assert!(
        fs::read_dir(&store.settings.directory)
            .unwrap()
            .next()
            .is_none()
    );
    let other = Store::fresh();
    let confused = Settings {
        directory: other.settings.directory.clone(),
        password_file: Some(other.settings.state_dir.join("backup/near.key")),
        ..store.settings.clone()
    };
    let answer = Store::with(&confused).list().await;
    assert!(is_unavailable(&answer, "if that is meant"), "{answer:?}");
    fs::remove_dir(&store.settings.directory).unwrap();
    fs::rename(&mounted, &store.settings.directory).unwrap();
    store.engine().report().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_does_not_open_it() {
    let store = Store::fresh();
    let given = store.top().join("given");
    fs::write(&given, "not it\n").unwrap();
    let wrong = Settings {
        password_file: Some(given),
        ..store.settings.clone()
    };
    let answer = Store::with(&wrong).list().await;
    assert!(
        matches!(answer, Err(BackupError::WrongKey { .. })),
        "{answer:?}"
    );
}
