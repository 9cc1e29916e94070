//! Drills: the scratch volume is gone whatever came of it, and the date is only written when every byte came back.

use super::backups::{at_work, of};
use super::fixture::{Fixture, caller, refused};
use crate::backup::fake::Fault;
use crate::driver::Driver as _;
use crate::driver::fake::{Fault as DriverFault, Method};
use crate::model::caller::Role;
use crate::model::id::BackupId;
use crate::model::operation::{Operation, Phase};
use crate::ops::{cancel, delete_volume, drill_backup, retry};
use crate::store::quotas::Resource;

impl Fixture {
    async fn drill(&self, id: BackupId) -> Operation {
        let begun = drill_backup::begin(&self.ctx, &self.caller, id).await;
        self.until(begun.unwrap(), |one| one.phase.is_over()).await
    }

    async fn is_proven(&self, id: BackupId) -> bool {
        self.backup(id).await.unwrap().proven_at.is_some()
    }

    /// The scratch volume of a drill.
    async fn scratch(&self, of: &Operation) -> crate::model::id::VolumeId {
        let input: serde_json::Value = serde_json::from_str(&of.input).unwrap();
        input["volume"]["id"].as_str().unwrap().parse().unwrap()
    }

    async fn volumes_used(&self) -> (i64, i64) {
        let count = self.used("p", Resource::Volumes).await;
        (count, self.used("p", Resource::Gigabytes).await)
    }
}

#[tokio::test]
async fn a_backup_that_comes_back_whole_is_proven_and_leaves_nothing() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    at.write(volume.id, 70_000, "bytes").await;
    let backup = at.back_up(of(volume.id)).await;
    assert_eq!(backup.proven_at, None);
    let before = (at.volumes_used().await, at.driver.objects().await.unwrap());
    let over = at.drill(backup.id).await;
    assert_eq!((over.phase, &over.error), (Phase::Done, &None));
    assert!(at.is_proven(backup.id).await);
    assert_eq!(at.status(at.scratch(&over).await).await, None);
    let after = (at.volumes_used().await, at.driver.objects().await.unwrap());
    assert_eq!(after, before);
    assert_eq!(at.backup_status(backup.id).await, "available");
    let hidden = drill_backup::begin(&at.ctx, &caller("q", Role::Member), backup.id).await;
    refused(hidden, "could not be found");
}

#[tokio::test]
async fn whatever_goes_wrong_proves_nothing_and_keeps_no_bytes() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    at.write(volume.id, 0, "bytes").await;
    let backup = at.back_up(of(volume.id)).await.id;
    let before = (at.volumes_used().await, at.driver.objects().await.unwrap());
    for (fault, word) in [
        (Fault::Restore, "told to fail"),
        (Fault::Compare, "has something else"),
    ] {
        at.engine.set(fault, true);
        let over = at.drill(backup).await;
        let why = over.error.clone().unwrap();
        assert!(over.phase == Phase::Failed && why.contains(word), "{why}");
        assert!(!at.is_proven(backup).await);
        let scratch = at.scratch(&over).await;
        assert_eq!(at.status(scratch).await, Some("error_restoring"));
        assert_eq!(at.driver.objects().await.unwrap(), before.1);
        at.engine.set(fault, false);
        delete_volume::begin(&at.ctx, &at.caller, scratch, false)
            .await
            .unwrap();
        assert_eq!(at.over(&scratch).await.phase, Phase::Done);
    }
    at.driver.faults().set(Method::Create, DriverFault::NoSpace);
    let over = at.drill(backup).await;
    assert_eq!(over.phase, Phase::Failed);
    at.driver.faults().clear(Method::Create);
    let again = retry::begin(&at.ctx, &at.caller, over.id).await.unwrap();
    let again = at.until(again.id, |one| one.phase.is_over()).await;
    assert_eq!(again.phase, Phase::Done, "{:?}", again.error);
    assert!(at.is_proven(backup).await);
}

#[tokio::test]
async fn a_drill_can_be_cancelled_and_holds_nobody_up() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let backup = at.back_up(of(volume.id)).await.id;
    at.engine.set(Fault::HangRestore, true);
    let drill = drill_backup::begin(&at.ctx, &at.caller, backup)
        .await
        .unwrap();
    at.until(drill, |one| one.steps_done == 2).await;
    assert_eq!(at.backup_status(backup).await, "available");
    cancel(&at.ctx, &at.caller, drill).await.unwrap();
    let over = at.until(drill, |one| one.phase.is_over()).await;
    assert_eq!(over.phase, Phase::Cancelled);
    assert!(!at.is_proven(backup).await);
    assert_eq!(at.driver.objects().await.unwrap().len(), 1);
}
