//! Backups: the bytes come back, whatever went wrong in between ends in a status that tells, and quotas are the sums.

use super::fixture::{Fixture, caller, fixture, refused};
use crate::backup::BackupEngine as _;
use crate::backup::fake::Fault;
use crate::driver::fake::{Fault as DriverFault, Method};
use crate::driver::{Driver as _, VolumeRef};
use crate::error::Error;
use crate::model::backup::Backup;
use crate::model::caller::{Caller, Role};
use crate::model::id::{BackupId, VolumeId, VolumeTypeId};
use crate::model::operation::Phase;
use crate::model::size::Gib;
use crate::model::status::{BackupStatus, VolumeStatus};
use crate::model::volume::Volume;
use crate::model::volume_type::{DEFAULT_TYPE_NAME, VolumeType};
use crate::ops::{
    backup_stores, cancel, create_backup, create_volume, delete_backup, delete_volume,
    export_backup, import_backup, report_pools, reset_backup_status, restore_backup, update_backup,
};
use crate::store::quotas::Resource;
use crate::store::{Batch, backups, volume_types, volumes};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// A worker at work, and the store's service up.
pub(super) async fn at_work() -> Fixture {
    let at = fixture().await;
    let default = VolumeType {
        id: VolumeTypeId::random(),
        name: DEFAULT_TYPE_NAME.to_owned(),
        ..at.volume_type.clone()
    };
    let mut batch = Batch::new();
    let values = volume_types::insert_values(&default);
    batch.add(volume_types::INSERT, values);
    at.ctx.store.write(batch).await.unwrap();
    assert!(backup_stores::open(&at.ctx, "nas").await);
    report_pools::report(&at.ctx).await;
    at.works();
    at
}

pub(super) fn of(volume: VolumeId) -> create_backup::Request {
    create_backup::Request {
        volume_id: volume,
        snapshot_id: None,
        store: None,
        name: Some("n".to_owned()),
        description: None,
        metadata: BTreeMap::new(),
        availability_zone: None,
        is_incremental: false,
        may_be_attached: false,
        of_run: None,
    }
}

pub(super) fn admin() -> Caller {
    caller("p", Role::Admin)
}

impl Fixture {
    async fn device(&self, id: VolumeId) -> File {
        let size_gib = Gib::new(1).unwrap();
        let pool = "pool".to_owned();
        let thick = false;
        let volume = VolumeRef {
            id,
            pool,
            size_gib,
            thick,
        };
        let device = self.driver.device(&volume).await.unwrap();
        File::options()
            .read(true)
            .write(true)
            .open(device.path)
            .unwrap()
    }

    pub(super) async fn write(&self, id: VolumeId, at: u64, text: &str) {
        self.device(id)
            .await
            .write_all_at(text.as_bytes(), at)
            .unwrap();
    }

    pub(super) async fn read(&self, id: VolumeId, at: u64, len: usize) -> String {
        let mut bytes = vec![0; len];
        self.device(id).await.read_exact_at(&mut bytes, at).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    pub(super) async fn back_up(&self, request: create_backup::Request) -> Backup {
        let begun = create_backup::begin(&self.ctx, &self.caller, request)
            .await
            .unwrap();
        assert_eq!(begun.status, BackupStatus::Creating);
        let over = self.over(&begun.id).await;
        assert_eq!(over.phase, Phase::Done, "{:?}", over.error);
        self.backup(begun.id).await.unwrap()
    }

    pub(super) async fn restore(&self, id: BackupId, over: Option<VolumeId>) -> (Volume, Phase) {
        let request = restore_backup::Request {
            volume_id: over,
            name: None,
        };
        let volume = restore_backup::begin(&self.ctx, &self.caller, id, request)
            .await
            .unwrap();
        let phase = self.over(&volume.id).await.phase;
        (volume, phase)
    }

    pub(super) async fn backup(&self, id: BackupId) -> Option<Backup> {
        backups::get(&self.ctx.store, id).await.unwrap()
    }

    pub(super) async fn backup_status(&self, id: BackupId) -> &'static str {
        self.backup(id)
            .await
            .map_or("(gone)", |one| one.status.as_str())
    }

    /// What lies in the pool and in the store.
    async fn kept(&self) -> (usize, usize) {
        let objects = self.driver.objects().await.unwrap().len();
        (objects, self.engine.list().await.unwrap().len())
    }

    pub(super) async fn counted(&self) -> (i64, i64) {
        let count = self.used("p", Resource::Backups).await;
        (count, self.used("p", Resource::BackupGigabytes).await)
    }
}

#[tokio::test]
async fn what_is_backed_up_comes_back_without_its_volume() {
    let at = at_work().await;
    let image = [("os".to_owned(), "debian".to_owned())];
    let volume = at
        .volume(|one| {
            one.bootable = true;
            one.image_metadata = image.clone().into();
        })
        .await;
    at.write(volume.id, 5000, "bytes").await;
    let backup = at.back_up(of(volume.id)).await;
    assert_eq!(
        (backup.status, backup.store.as_str()),
        (BackupStatus::Available, "nas")
    );
    assert_eq!(
        (backup.object_count, backup.data_bytes, backup.host.as_str()),
        (1, 1 << 20, "h@nas")
    );
    assert_eq!(at.status(volume.id).await, Some("available"));
    assert_eq!(at.counted().await, (1, 1));

    delete_volume::begin(&at.ctx, &at.caller, volume.id, false)
        .await
        .unwrap();
    at.over(&volume.id).await;
    let (restored, phase) = at.restore(backup.id, None).await;
    assert_eq!(
        (restored.status, phase),
        (VolumeStatus::RestoringBackup, Phase::Done)
    );
    let restored = volumes::get(&at.ctx.store, restored.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(restored.status, VolumeStatus::Available);
    assert_eq!(restored.name, Some(format!("restore_backup_{}", backup.id)));
    assert!(restored.bootable && restored.image_metadata == image.into());
    assert_eq!(at.read(restored.id, 5000, 5).await, "bytes");
    let backup = at.backup(backup.id).await.unwrap();
    assert_eq!(
        (backup.status, backup.restored_volume_id),
        (BackupStatus::Available, Some(restored.id))
    );

    delete_backup::begin(&at.ctx, &at.caller, backup.id)
        .await
        .unwrap();
    assert_eq!(at.over(&backup.id).await.phase, Phase::Done);
    assert_eq!(at.backup_status(backup.id).await, "(gone)");
    assert_eq!((at.kept().await, at.counted().await), ((1, 0), (0, 0)));
}

#[tokio::test]
async fn a_volume_is_overwritten_wholly() {
    let at = at_work().await;
    let (volume, other) = (at.volume(|_| {}).await, at.volume(|_| {}).await);
    at.write(volume.id, 0, "old").await;
    let backup = at.back_up(of(volume.id)).await;
    at.write(other.id, 9000, "there before").await;
    let (same, phase) = at.restore(backup.id, Some(other.id)).await;
    assert_eq!((same.id, phase), (other.id, Phase::Done));
    assert_eq!(at.status(other.id).await, Some("available"));
    assert_eq!(at.read(other.id, 0, 3).await, "old");
    assert_eq!(at.read(other.id, 9000, 5).await, "\0".repeat(5));
    // One that is too small is left alone.
    let large = create_backup::begin(
        &at.ctx,
        &at.caller,
        of(at
            .volume(|one| one.size_gib = Gib::new(2).unwrap())
            .await
            .id),
    )
    .await;
    let large = large.unwrap();
    at.over(&large.id).await;
    let request = restore_backup::Request {
        volume_id: Some(other.id),
        name: None,
    };
    let too_small = restore_backup::begin(&at.ctx, &at.caller, large.id, request).await;
    refused(
        too_small,
        "volume size 1 is too small to restore backup of size 2",
    );
}

#[tokio::test]
async fn a_volume_is_made_of_a_backup() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    at.write(volume.id, 1, "x").await;
    let backup = at.back_up(of(volume.id)).await;
    let request = create_volume::Request {
        size_gib: Gib::new(2),
        name: Some("made".to_owned()),
        description: None,
        volume_type: Some("t".to_owned()),
        availability_zone: None,
        metadata: BTreeMap::new(),
        from: create_volume::From::Backup(backup.id),
    };
    let made = create_volume::begin(&at.ctx, &at.caller, request)
        .await
        .unwrap();
    assert_eq!(made.status, VolumeStatus::Creating);
    assert_eq!(at.backup_status(backup.id).await, "restoring");
    assert_eq!(at.over(&made.id).await.phase, Phase::Done);
    assert_eq!(at.status(made.id).await, Some("available"));
    assert_eq!(at.read(made.id, 1, 1).await, "x");
}

#[tokio::test]
async fn in_use_only_with_force_and_from_a_snapshot_of_the_drivers() {
    let at = at_work().await;
    let volume = at.volume(|one| one.status = VolumeStatus::InUse).await;
    let without = create_backup::begin(&at.ctx, &at.caller, of(volume.id)).await;
    refused(
        without,
        "Backing up an in-use volume must use the force flag.",
    );
    let forced = create_backup::Request {
        may_be_attached: true,
        ..of(volume.id)
    };
    let backup = at.back_up(forced).await;
    assert_eq!(at.status(volume.id).await, Some("in-use"));
    assert_eq!(backup.snapshot_id, None);
    assert_eq!(at.kept().await, (1, 1), "the driver's snapshot is gone");
}

#[tokio::test]
async fn a_snapshot_is_copied_and_left_alone() {
    let at = at_work().await;
    let volume = at.volume(|one| one.status = VolumeStatus::InUse).await;
    let snapshot = at.snapshot(&at.caller, volume.id).await;
    let taken = create_backup::Request {
        snapshot_id: Some(snapshot),
        ..of(volume.id)
    };
    let other = at.volume(|_| {}).await;
    let wrong = create_backup::Request {
        volume_id: other.id,
        ..taken.clone()
    };
    let wrong = create_backup::begin(&at.ctx, &at.caller, wrong).await;
    refused(wrong, "does not match with snapshot.volume_id");
    let backup = at.back_up(taken).await;
    assert_eq!(backup.snapshot_id, Some(snapshot));
    assert_eq!(at.snapshot_status(snapshot).await, Some("available"));
    assert_eq!(at.status(volume.id).await, Some("in-use"));
    assert_eq!(at.kept().await, (3, 1));
}

#[tokio::test]
async fn an_incremental_needs_a_parent_and_is_needed_by_none() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let incremental = || create_backup::Request {
        is_incremental: true,
        ..of(volume.id)
    };
    let alone = create_backup::begin(&at.ctx, &at.caller, incremental()).await;
    refused(alone, "No backups available to do an incremental backup.");
    at.write(volume.id, 0, "one").await;
    let full = at.back_up(of(volume.id)).await;
    let second = at.back_up(incremental()).await;
    at.write(volume.id, 0, "two").await;
    let third = at.back_up(incremental()).await;
    assert_eq!(
        (second.parent_id, third.parent_id),
        (Some(full.id), Some(second.id))
    );
    delete_backup::begin(&at.ctx, &at.caller, second.id)
        .await
        .unwrap();
    assert_eq!(at.over(&second.id).await.phase, Phase::Done);
    for (backup, text) in [(&full, "one"), (&third, "two")] {
        let (restored, _) = at.restore(backup.id, None).await;
        assert_eq!(at.read(restored.id, 0, 3).await, text);
    }
    // Of before the snapshot, which there is none of.
    let other = at.volume(|_| {}).await;
    let snapshot = at.snapshot(&at.caller, other.id).await;
    at.back_up(of(other.id)).await;
    let late = create_backup::Request {
        snapshot_id: Some(snapshot),
        is_incremental: true,
        ..of(other.id)
    };
    refused(
        create_backup::begin(&at.ctx, &at.caller, late).await,
        "No backups available",
    );
}

#[tokio::test]
async fn every_step_of_a_backup_that_fails_leaves_nothing_behind() {
    let at = at_work().await;
    let volume = at.volume(|one| one.status = VolumeStatus::InUse).await;
    let forced = || create_backup::Request {
        may_be_attached: true,
        ..of(volume.id)
    };
    let mut failed = Vec::new();
    for step in ["freeze", "copy", "release"] {
        let faults = at.driver.faults();
        match step {
            "freeze" => faults.set_for(Method::Snapshot, DriverFault::Io, 1),
            "copy" => at.engine.set(Fault::Store, true),
            _ => faults.set_for(Method::Remove, DriverFault::Io, 1),
        }
        let begun = create_backup::begin(&at.ctx, &at.caller, forced())
            .await
            .unwrap();
        let over = at.over(&begun.id).await;
        at.engine.set(Fault::Store, false);
        assert_eq!(over.phase, Phase::Failed, "{step}");
        let backup = at.backup(begun.id).await.unwrap();
        assert_eq!(backup.status, BackupStatus::Error);
        assert!(
            backup
                .fail_reason
                .is_some_and(|why| over.error.unwrap().starts_with(&why))
        );
        assert_eq!(at.status(volume.id).await, Some("in-use"));
        assert_eq!(at.kept().await, (1, 0), "{step}");
        failed.push(begun.id);
    }
    assert_eq!(at.counted().await, (3, 3));
    for id in failed {
        delete_backup::begin(&at.ctx, &at.caller, id).await.unwrap();
        assert_eq!(at.over(&id).await.phase, Phase::Done);
    }
    assert_eq!(at.counted().await, (0, 0));
}

#[tokio::test]
async fn a_backup_can_be_cancelled() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    at.engine.set(Fault::HangStore, true);
    let begun = create_backup::begin(&at.ctx, &at.caller, of(volume.id))
        .await
        .unwrap();
    let operation = at.newest(&begun.id).await.id;
    at.until(operation, |one| one.steps_done == 1).await;
    cancel(&at.ctx, &at.caller, operation).await.unwrap();
    assert_eq!(at.over(&begun.id).await.phase, Phase::Cancelled);
    assert_eq!(at.backup_status(begun.id).await, "error");
    assert_eq!(at.status(volume.id).await, Some("available"));
    assert_eq!(at.kept().await, (1, 0));
}

#[tokio::test]
async fn a_restore_that_fails_says_what_is_lost() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let backup = at.back_up(of(volume.id)).await;
    at.engine.set(Fault::Restore, true);
    let (made, phase) = at.restore(backup.id, None).await;
    assert_eq!(phase, Phase::Failed);
    assert_eq!(at.status(made.id).await, Some("error_restoring"));
    assert_eq!(
        at.kept().await,
        (1, 1),
        "what could not be filled has no bytes"
    );
    let (over, phase) = at.restore(backup.id, Some(volume.id)).await;
    assert_eq!((over.id, phase), (volume.id, Phase::Failed));
    assert_eq!(at.status(volume.id).await, Some("error_restoring"));
    let why = at.newest(&volume.id).await.error.unwrap();
    assert!(why.contains("may hold neither"), "{why}");
    assert_eq!(at.backup_status(backup.id).await, "available");
    assert_eq!(at.used("p", Resource::Volumes).await, 2);
    // No pool takes it: the volume keeps its row and the reason.
    at.engine.set(Fault::Restore, false);
    at.driver.faults().set(Method::Create, DriverFault::NoSpace);
    let (made, phase) = at.restore(backup.id, None).await;
    assert_eq!(
        (at.status(made.id).await, phase),
        (Some("error_restoring"), Phase::Failed)
    );
}

#[tokio::test]
async fn a_cancelled_restore_is_no_way_back() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let backup = at.back_up(of(volume.id)).await;
    at.engine.set(Fault::HangRestore, true);
    for over in [None, Some(volume.id)] {
        let request = restore_backup::Request {
            volume_id: over,
            name: None,
        };
        let begun = restore_backup::begin(&at.ctx, &at.caller, backup.id, request)
            .await
            .unwrap();
        let operation = at.newest(&begun.id).await.id;
        at.until(operation, |one| one.steps_done == 3).await;
        cancel(&at.ctx, &at.caller, operation).await.unwrap();
        let phase = at.over(&begun.id).await.phase;
        let wanted = if over.is_some() {
            Phase::Failed
        } else {
            Phase::Cancelled
        };
        assert_eq!(phase, wanted);
        assert_eq!(at.status(begun.id).await, Some("error_restoring"));
        assert_eq!(at.backup_status(backup.id).await, "available");
    }
    assert_eq!(at.kept().await, (1, 1));
}

#[tokio::test]
async fn a_delete_that_fails_can_be_repeated() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let backup = at.back_up(of(volume.id)).await;
    at.engine.set(Fault::Remove, true);
    delete_backup::begin(&at.ctx, &at.caller, backup.id)
        .await
        .unwrap();
    assert_eq!(at.over(&backup.id).await.phase, Phase::Failed);
    assert_eq!(
        (at.backup_status(backup.id).await, at.counted().await),
        ("error_deleting", (1, 1))
    );
    at.engine.set(Fault::Remove, false);
    delete_backup::begin(&at.ctx, &at.caller, backup.id)
        .await
        .unwrap();
    assert_eq!(at.over(&backup.id).await.phase, Phase::Done);
    assert_eq!(at.counted().await, (0, 0));
}

#[tokio::test]
async fn quotas_of_backups_are_their_own() {
    let at = at_work().await;
    let volume = at.volume(|one| one.size_gib = Gib::new(4).unwrap()).await;
    at.back_up(of(volume.id)).await;
    let over = create_backup::begin(&at.ctx, &at.caller, of(volume.id)).await;
    refused(over, "Requested 4G, quota is 6G and 4G has been consumed.");
    let small = at.volume(|_| {}).await;
    for _ in 0..2 {
        at.back_up(of(small.id)).await;
    }
    assert_eq!(at.counted().await, (3, 6));
    let used = at.used("p", Resource::Gigabytes).await;
    assert_eq!(used, 2, "of volumes, as the fixture counts them");
    assert_eq!(at.status(small.id).await, Some("available"));
}

#[tokio::test]
async fn a_record_brings_a_backup_back() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let backup = at.back_up(of(volume.id)).await;
    let forbidden = export_backup::record(&at.ctx, &at.caller, backup.id).await;
    assert!(matches!(forbidden, Err(Error::Forbidden { .. })));
    let record = export_backup::record(&at.ctx, &admin(), backup.id)
        .await
        .unwrap();
    let import = |text: String| {
        let ctx = at.ctx.clone();
        async move { import_backup::begin(&ctx, &admin(), export_backup::SERVICE, &text).await }
    };
    refused(import(record.to_text()).await, "already exists in database");
    refused(import("?".to_owned()).await, "Can't parse");
    // The row is lost, the bytes are not.
    let mut lost = Batch::new();
    lost.add(backups::DELETE, vec![backup.id.to_string().into()]);
    at.ctx.store.write(lost).await.unwrap();
    let found = import(record.to_text()).await.unwrap();
    assert_eq!(
        (found.id, found.status),
        (backup.id, BackupStatus::Creating)
    );
    assert_eq!(at.over(&backup.id).await.phase, Phase::Done);
    let found = at.backup(backup.id).await.unwrap();
    assert_eq!(
        (found.status, found.data_bytes),
        (BackupStatus::Available, backup.data_bytes)
    );
    assert_eq!(
        (found.volume, found.data_timestamp),
        (backup.volume, backup.data_timestamp)
    );
    // What is not in the store is in error, and can be deleted.
    let mut absent = record;
    absent.backup.id = BackupId::random();
    let absent = import(absent.to_text()).await.unwrap();
    assert_eq!(at.over(&absent.id).await.phase, Phase::Failed);
    assert_eq!(at.backup_status(absent.id).await, "error");
    let why = at.backup(absent.id).await.unwrap().fail_reason.unwrap();
    assert!(why.contains("is not in store nas"), "{why}");
}

#[tokio::test]
async fn a_status_is_said_by_administrators_and_must_be_true() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let backup = at.back_up(of(volume.id)).await.id;
    let reset = |caller: Caller, status| {
        let ctx = at.ctx.clone();
        async move { reset_backup_status::begin(&ctx, &caller, backup, status).await }
    };
    let forbidden = reset(at.caller.clone(), BackupStatus::Error).await;
    assert!(matches!(forbidden, Err(Error::Forbidden { .. })));
    refused(
        reset(admin(), BackupStatus::Restoring).await,
        "available or error only",
    );
    reset(admin(), BackupStatus::Error).await.unwrap();
    assert_eq!(at.backup_status(backup).await, "error");
    reset(admin(), BackupStatus::Available).await.unwrap();
    assert_eq!(at.backup_status(backup).await, "available");
    reset(admin(), BackupStatus::Error).await.unwrap();
    at.engine.remove(backup).await.unwrap();
    refused(
        reset(admin(), BackupStatus::Available).await,
        "is not in store",
    );
}

#[tokio::test]
async fn without_a_store_that_is_up_there_are_no_backups() {
    let at = fixture().await;
    let volume = at.volume(|_| {}).await;
    let none = create_backup::begin(&at.ctx, &at.caller, of(volume.id)).await;
    refused(none, "Service cinder-backup could not be found.");
    at.engine.set(Fault::Away, true);
    assert!(!backup_stores::open(&at.ctx, "nas").await);
    let away = create_backup::begin(&at.ctx, &at.caller, of(volume.id)).await;
    refused(away, "Service cinder-backup could not be found.");
    at.engine.set(Fault::Away, false);
    assert!(backup_stores::open(&at.ctx, "nas").await);
    let elsewhere = create_backup::Request {
        store: Some("tape".to_owned()),
        ..of(volume.id)
    };
    let elsewhere = create_backup::begin(&at.ctx, &at.caller, elsewhere).await;
    refused(elsewhere, "the backup store tape");
    let far = create_backup::Request {
        availability_zone: Some("far".to_owned()),
        ..of(volume.id)
    };
    refused(
        create_backup::begin(&at.ctx, &at.caller, far).await,
        "in the zone far",
    );
    assert_eq!(at.counted().await, (0, 0));
    let named = create_backup::Request {
        store: Some("nas".to_owned()),
        ..of(volume.id)
    };
    create_backup::begin(&at.ctx, &at.caller, named)
        .await
        .unwrap();
    assert_eq!(at.status(volume.id).await, Some("backing-up"));
}

#[tokio::test]
async fn what_its_owner_says_of_it_can_be_changed() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let backup = at.back_up(of(volume.id)).await.id;
    let request = update_backup::Request {
        name: Some(None),
        description: Some(Some("d".to_owned())),
        metadata: Some([("k".to_owned(), "v".to_owned())].into()),
    };
    let said = update_backup::begin(&at.ctx, &at.caller, backup, request)
        .await
        .unwrap();
    assert_eq!((said.name, said.description.as_deref()), (None, Some("d")));
    assert_eq!(said.metadata["k"], "v");
    let stranger = caller("q", Role::Member);
    let hidden = update_backup::begin(&at.ctx, &stranger, backup, Default::default()).await;
    refused(hidden, "could not be found");
}
