//! What Cinder 29.0.0 wrote, read here.

use super::writer::{hex, sha256};
use super::{Target, store};
use crate::backup::{BackupEngine as _, BackupError, Depth, Description, Source};
use crate::driver::{Device, Work};
use crate::model::id::BackupId;
use sha2::{Digest as _, Sha256};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The sha256 of the volume at each backup.
const VOLUMES: [(&str, &str); 3] = [
    (
        "0b11d000-0000-4000-8000-000000000001",
        "880f11805f9d8feaacd55fbae5509c3fc8e9ea28adb230998b1e569f806f7101",
    ),
    (
        "0b11d000-0000-4000-8000-000000000002",
        "da7fcbf011383e381205eb4baa87263cdf193290258fcf9cd4188a87bf997db9",
    ),
    (
        "0b11d000-0000-4000-8000-000000000003",
        "f99fd2f09ac41b482fd5cfdbc7bb002fc83814075d5113887fa992bbbb044faf",
    ),
];
const LEN: usize = 57_348;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/cinder-backups/store")
}

fn id(number: usize) -> BackupId {
    VOLUMES[number].0.parse().unwrap()
}

/// All files with their content.
fn print() -> String {
    fn walk(directory: &Path, hasher: &mut Sha256) {
        let mut paths: Vec<_> = std::fs::read_dir(directory).unwrap().collect();
        paths.sort_by_key(|entry| entry.as_ref().unwrap().path());
        for entry in paths {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, hasher),
                false => hasher.update(sha256(&std::fs::read(&path).unwrap())),
            }
        }
    }
    let mut hasher = Sha256::new();
    walk(&directory(), &mut hasher);
    hex(&hasher.finalize())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_backup_of_the_chain_comes_back() {
    let state = tempfile::tempdir().unwrap();
    let store = store(&directory(), state.path());
    for (number, (_, wanted)) in VOLUMES.iter().enumerate() {
        for target in [Target::blank(), Target::used()] {
            target.restore(&store, id(number)).await.unwrap();
            let mut content = vec![0; LEN];
            target
                .file
                .as_file()
                .read_exact_at(&mut content, 0)
                .unwrap();
            assert_eq!(&sha256(&content), wanted, "{number}");
            assert!(target.holds(&content), "{number}");
            target.compare(&store, id(number)).await.unwrap();
            for at in [0, LEN as u64 - 1, LEN as u64] {
                target.spoil(at);
                let answer = target.compare(&store, id(number)).await;
                assert!(
                    matches!(answer, Err(BackupError::Damaged { .. })),
                    "{number}, byte {at}: {answer:?}"
                );
                target.spoil(at);
            }
        }
        for depth in [Depth::Structure, Depth::Data] {
            let findings = store
                .verify(Some(id(number)), depth, &Work::default())
                .await;
            assert_eq!(findings.unwrap(), [""; 0], "{number} {depth:?}");
        }
    }
    let findings = store.verify(None, Depth::Data, &Work::default()).await;
    assert_eq!(findings.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_says_of_itself_is_told() {
    let state = tempfile::tempdir().unwrap();
    let store = store(&directory(), state.path());
    let report = store.report().await.unwrap();
    assert_eq!(report.backups, 3);
    assert!(report.used_bytes > 15_000 && report.location.ends_with("store"));
    let list = store.list().await.unwrap();
    let ids: Vec<String> = list.iter().map(|(told, _)| told.id.to_string()).collect();
    assert_eq!(ids, VOLUMES.map(|(id, _)| id));
    let (told, stored) = &list[1];
    assert_eq!(told.name.as_deref(), Some("nightly-1"));
    assert_eq!(told.created_at, "2026-01-03T03:04:05.000000");
    assert_eq!(told.parent_id, Some(id(0)));
    assert_eq!(
        (told.project_id.as_str(), told.user_id.as_str()),
        (&*"p".repeat(32), &*"u".repeat(32))
    );
    let volume = &told.volume;
    assert_eq!(volume.id, "0a11d000-0000-4000-8000-000000000001");
    assert_eq!((volume.size_gib, volume.bootable), (1, true));
    assert_eq!(volume.name.as_deref(), Some("pg-prod-01"));
    assert_eq!(
        (
            &*volume.metadata["tier"],
            &*volume.image_metadata["image_name"]
        ),
        ("gold", "debian-13")
    );
    // A changed chunk at the start, one within, and two that meet in one object.
    assert_eq!((stored.objects, stored.data_bytes), (3, 4096 + 4096 + 8192));
    assert!(stored.added_bytes < stored.data_bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_only_read() {
    let state = tempfile::tempdir().unwrap();
    let store = store(&directory(), state.path());
    assert!(store.kind().is_read_only());
    let before = print();
    let (told, _): (Description, _) = store.list().await.unwrap().remove(0);
    let device = Device {
        path: "/dev/null".into(),
        len_bytes: 0,
    };
    let source = Source {
        device,
        data: None,
        parent: None,
        changed: None,
    };
    let work = Work::default();
    let answers = [
        store.store(&told, &source, &work).await.map(drop),
        store.remove(id(0)).await.map(drop),
        store.prune(&work).await.map(drop),
    ];
    for answer in answers {
        assert!(
            matches!(&answer, Err(BackupError::ReadOnly { store }) if store == "old"),
            "{answer:?}"
        );
        assert!(
            answer
                .unwrap_err()
                .to_string()
                .contains("nothing was changed")
        );
    }
    assert_eq!(print(), before);
}
