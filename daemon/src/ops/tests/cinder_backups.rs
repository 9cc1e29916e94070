//! Backups that Cinder made: their records bring them here, they are restored, and nothing of them is ever changed.

use super::backups::{admin, at_work, of};
use super::fixture::{Fixture, caller, refused};
use crate::error::Error;
use crate::model::backup::Backup;
use crate::model::caller::Role;
use crate::model::operation::Phase;
use crate::model::status::BackupStatus;
use crate::ops::{backup_stores, create_backup, delete_backup, export_backup, import_backup};
use std::fs;
use std::path::{Path, PathBuf};

const SERVICE: &str = "cinder.backup.drivers.nfs.NFSBackupDriver";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/cinder-backups")
}

fn record(number: usize) -> String {
    fs::read_to_string(fixtures().join(format!("record-{number}"))).unwrap()
}

/// With the store of Cinder's backups where its service is up.
async fn with_old() -> Fixture {
    let at = at_work().await;
    std::os::unix::fs::symlink(fixtures().join("store"), at.dir.path().join("old")).unwrap();
    assert!(backup_stores::open(&at.ctx, "old").await);
    at
}

impl Fixture {
    async fn import_cinders(&self, number: usize) -> Result<Backup, Error> {
        import_backup::begin(&self.ctx, &admin(), SERVICE, &record(number)).await
    }

    async fn imported(&self, number: usize) -> Backup {
        let begun = self.import_cinders(number).await.unwrap();
        let over = self.over(&begun.id).await;
        assert_eq!(over.phase, Phase::Done, "{:?}", over.error);
        self.backup(begun.id).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_cinders_is_imported_and_its_volume_comes_back() {
    let at = with_old().await;
    let backup = at.imported(1).await;
    assert_eq!(
        (backup.status, backup.store.as_str()),
        (BackupStatus::Available, "old")
    );
    assert_eq!(
        (backup.project_id.as_str(), backup.size_gib.get()),
        ("p", 1)
    );
    assert_eq!(backup.name.as_deref(), Some("nightly-1"));
    // What only the record says, and what only the store does.
    assert_eq!(backup.metadata["by"], "cron");
    assert_eq!(backup.data_timestamp.as_str(), "2026-01-03T03:04:05.000000");
    assert_eq!(backup.volume.name.as_deref(), Some("pg-prod-01"));
    assert_eq!((backup.object_count, backup.data_bytes), (3, 16_384));
    assert!(backup.volume.bootable && backup.parent_id.is_some());
    assert_eq!(at.counted().await, (1, 1));
    refused(at.import_cinders(1).await, "already exists in database");
    let (volume, phase) = at.restore(backup.id, None).await;
    assert_eq!(phase, Phase::Done);
    assert_eq!(at.read(volume.id, 57_344, 4).await, "tail");
    assert_eq!(at.read(volume.id, 0, 5).await, "AAAAA");
    // Its record, exported from here, is one of ours.
    let record = export_backup::record(&at.ctx, &admin(), backup.id)
        .await
        .unwrap();
    assert_eq!(
        (record.store.as_str(), record.backup.id),
        ("old", backup.id)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_takes_the_row_and_leaves_what_is_cinders() {
    let at = with_old().await;
    let full = at.imported(0).await;
    let on_top = at.imported(2).await;
    delete_backup::begin(&at.ctx, &at.caller, full.id)
        .await
        .unwrap();
    assert_eq!(at.over(&full.id).await.phase, Phase::Done);
    assert_eq!(
        (at.backup_status(full.id).await, at.counted().await),
        ("(gone)", (1, 1))
    );
    let engine = &at.ctx.backups["old"];
    assert_eq!(engine.list().await.unwrap().len(), 3);
    // What stands on it needs its files, not its row.
    let (volume, phase) = at.restore(on_top.id, None).await;
    assert_eq!(phase, Phase::Done);
    assert_eq!(at.read(volume.id, 57_344, 4).await, "TAIL");
    assert_eq!(at.imported(0).await.id, full.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stored_in_it() {
    let at = with_old().await;
    let volume = at.volume(|_| {}).await;
    let named = create_backup::Request {
        store: Some("old".to_owned()),
        ..of(volume.id)
    };
    let answer = create_backup::begin(&at.ctx, &at.caller, named).await;
    refused(answer, "the backup store old is only read");
    assert_eq!(at.counted().await, (0, 0));
    // One that is not named is never it.
    let begun = create_backup::begin(&at.ctx, &at.caller, of(volume.id)).await;
    assert_eq!(begun.unwrap().store, "nas");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_followed() {
    let at = at_work().await;
    let answer = at.import_cinders(0).await;
    let is_told =
        matches!(&answer, Err(Error::NoService { why, .. }) if why.contains("kind cinder"));
    assert!(is_told, "{answer:?}");
    for (service, word) in [
        ("cinder.backup.drivers.ceph", "drivers can be read"),
        (SERVICE, "parse"),
    ] {
        let answer = import_backup::begin(&at.ctx, &admin(), service, "eA==").await;
        let is_told = matches!(&answer, Err(Error::Invalid { why, .. }) if why.contains(word));
        assert!(is_told, "{answer:?}");
    }
    let member = caller("p", Role::Member);
    let answer = import_backup::begin(&at.ctx, &member, SERVICE, &record(0)).await;
    assert!(matches!(answer, Err(Error::Forbidden { .. })));
    // The store is there, and the backup is not.
    fs::create_dir(at.dir.path().join("old")).unwrap();
    assert!(backup_stores::open(&at.ctx, "old").await);
    let begun = at.import_cinders(0).await.unwrap();
    assert_eq!(at.over(&begun.id).await.phase, Phase::Failed);
    let why = at.backup(begun.id).await.unwrap().fail_reason.unwrap();
    assert!(why.contains("is not in store old"), "{why}");
}
