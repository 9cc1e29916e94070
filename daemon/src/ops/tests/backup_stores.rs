//! Looks into a store, and its import: what is found is kept and told of, and a record that is lost comes back from the
//! store alone.

use super::backups::{admin, at_work, of};
use super::fixture::{Fixture, caller, fixture, refused};
use crate::backup::fake::Fault;
use crate::backup::{BackupEngine as _, Description, Source};
use crate::driver::{Device, Work};
use crate::error::Error;
use crate::model::backup::{Backup, Depth, Verified};
use crate::model::caller::Role;
use crate::model::id::{BackupId, OperationId, VolumeId};
use crate::model::operation::{Operation, Phase};
use crate::model::time::Time;
use crate::ops::import_store::Account;
use crate::ops::{
    backup_stores, cancel, create_backup, delete_backup, history, import_store, restore_backup,
    retry, verify_backup,
};
use crate::store::list::{Filter, ListRequest};
use crate::store::quotas::Resource;
use crate::store::{Batch, backup_stores as stored, backups, messages};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

impl Fixture {
    /// The image of a backup, as the store keeps it.
    async fn image(&self, id: BackupId) -> PathBuf {
        let report = self.engine.report().await.unwrap();
        PathBuf::from(report.location).join(format!("{id}.img"))
    }

    async fn verify(&self, id: BackupId, depth: Depth) -> Operation {
        let begun = verify_backup::begin(&self.ctx, &self.caller, id, depth).await;
        let begun = begun.unwrap();
        self.until(begun, |one| one.phase.is_over()).await
    }

    async fn verified(&self, id: BackupId) -> Verified {
        self.backup(id).await.unwrap().verified.unwrap()
    }

    async fn import(&self) -> (Operation, Account) {
        let begun = import_store::begin(&self.ctx, &admin(), "nas")
            .await
            .unwrap();
        let over = self.until(begun, |one| one.phase.is_over()).await;
        (over, self.account().await)
    }

    async fn account(&self) -> Account {
        let store = backup_stores::get(&self.ctx, &admin(), "nas")
            .await
            .unwrap();
        Account::of(&store).unwrap()
    }

    /// The rows are lost, and with them what they counted.
    async fn lose(&self, all: &[&Backup]) {
        let mut lost = Batch::new();
        for one in all {
            lost.add(backups::DELETE, vec![one.id.to_string().into()]);
            let project = one.project_id.as_str();
            crate::store::quotas::count(&mut lost, project, Resource::Backups, -1);
            let gigabytes = -one.size_gib.get();
            crate::store::quotas::count(&mut lost, project, Resource::BackupGigabytes, gigabytes);
        }
        self.ctx.store.write(lost).await.unwrap();
    }

    /// Lays a backup of `volume` into the store, as another Ashlar left it.
    async fn lay_backup(&self, change: impl FnOnce(&mut Description)) -> BackupId {
        let top = tempfile::tempdir().unwrap();
        let device = Device {
            path: top.path().join("volume"),
            len_bytes: 1 << 20,
        };
        File::create(&device.path)
            .and_then(|file| file.set_len(device.len_bytes))
            .unwrap();
        let mut told = crate::backup::contract::description(VolumeId::random());
        change(&mut told);
        let source = Source {
            device,
            data: None,
            parent: None,
            changed: None,
        };
        let stored = self.engine.store(&told, &source, &Work::default()).await;
        stored.unwrap();
        told.id
    }
}

#[tokio::test]
async fn a_sound_backup_is_said_to_be_sound() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    at.write(volume.id, 0, "bytes").await;
    let backup = at.back_up(of(volume.id)).await;
    assert_eq!(backup.verified, None);
    for depth in [Depth::Structure, Depth::Data] {
        let over = at.verify(backup.id, depth).await;
        assert_eq!(
            (over.phase, over.queue.as_str()),
            (Phase::Done, "backup:h@nas:look")
        );
        let found = at.verified(backup.id).await;
        assert_eq!((found.depth, found.findings), (depth, Vec::new()));
    }
    let stranger = caller("q", Role::Member);
    let hidden = verify_backup::begin(&at.ctx, &stranger, backup.id, Depth::Data).await;
    refused(hidden, "could not be found");
}

#[tokio::test]
async fn damage_is_kept_at_the_backup_and_told_to_its_owner() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    at.write(volume.id, 0, "bytes").await;
    let backup = at.back_up(of(volume.id)).await.id;
    let image = File::options().write(true).open(at.image(backup).await);
    image.unwrap().write_all_at(b"other", 0).unwrap();
    assert_eq!(at.verify(backup, Depth::Structure).await.phase, Phase::Done);
    let over = at.verify(backup, Depth::Data).await;
    let why = over.error.clone().unwrap();
    assert!(
        over.phase == Phase::Failed && why.contains("other bytes"),
        "{why}"
    );
    let found = at.verified(backup).await;
    assert!(found.findings[0].contains("other bytes"), "{found:?}");
    assert_eq!(
        at.backup(backup).await.unwrap().status.as_str(),
        "available"
    );

    let told = ListRequest {
        filters: vec![Filter::equal("resource_uuid", backup.to_string())],
        limit: 9,
        ..ListRequest::default()
    };
    let told = messages::list(&at.ctx.store, &told).await.unwrap();
    assert!(told.len() == 1 && told[0].user_message.contains("other bytes"));
    // Also while its volume is no more.
    let page = ListRequest {
        limit: 9,
        ..ListRequest::default()
    };
    let volumes_own = volume.id.to_string();
    let journal = history::of_object(&at.ctx, &at.caller, &volumes_own, page).await;
    let journal = journal.unwrap();
    assert_eq!(
        (journal[0].operation.id, &journal[0].before),
        (over.id, &None)
    );

    // It can be asked for once more; what is missing altogether is found, too.
    fs::remove_file(at.image(backup).await).unwrap();
    let again = retry::begin(&at.ctx, &at.caller, over.id).await.unwrap();
    let over = at.until(again.id, |one| one.phase.is_over()).await;
    assert_eq!(over.phase, Phase::Failed);
    at.engine.remove(backup).await.unwrap();
    at.verify(backup, Depth::Structure).await;
    let found = at.verified(backup).await.findings;
    assert!(found[0].contains("is not in store nas"), "{found:?}");
}

#[tokio::test]
async fn a_look_holds_up_nothing_but_the_end_of_its_backup() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let (one, other) = (
        at.back_up(of(volume.id)).await.id,
        at.back_up(of(volume.id)).await.id,
    );
    at.engine.set(Fault::HangVerify, true);
    let begun = verify_backup::begin(&at.ctx, &at.caller, one, Depth::Data).await;
    let begun: OperationId = begun.unwrap();
    let twice = verify_backup::begin(&at.ctx, &at.caller, one, Depth::Data).await;
    refused(twice, "is being verified already");
    delete_backup::begin(&at.ctx, &at.caller, other)
        .await
        .unwrap();
    assert_eq!(at.over(&other).await.phase, Phase::Done);
    cancel(&at.ctx, &at.caller, begun).await.unwrap();
    let over = at.until(begun, |one| one.phase.is_over()).await;
    assert_eq!(over.phase, Phase::Cancelled);
    assert_eq!(at.backup(one).await.unwrap().verified, None);
    at.engine.set(Fault::HangVerify, false);
    // A store that cannot be asked has not said that anything is damaged.
    at.engine.set(Fault::Away, true);
    assert_eq!(at.verify(one, Depth::Structure).await.phase, Phase::Failed);
    assert_eq!(at.backup(one).await.unwrap().verified, None);
    at.engine.set(Fault::Away, false);
    let failed = create_backup::Request {
        store: Some("nas".to_owned()),
        ..of(volume.id)
    };
    at.engine.set(Fault::Store, true);
    let failed = create_backup::begin(&at.ctx, &at.caller, failed)
        .await
        .unwrap();
    at.over(&failed.id).await;
    let none = verify_backup::begin(&at.ctx, &at.caller, failed.id, Depth::Data).await;
    refused(none, "error");
}

#[tokio::test]
async fn a_store_tells_what_it_has_and_why_it_does_not() {
    let at = fixture().await;
    at.engine.set(Fault::Away, true);
    backup_stores::open(&at.ctx, "nas").await;
    let forbidden = backup_stores::list(&at.ctx, &at.caller).await;
    assert!(matches!(forbidden, Err(Error::Forbidden { .. })));
    let away = backup_stores::get(&at.ctx, &admin(), "nas").await.unwrap();
    let why = away.failure.clone().unwrap();
    assert!(why.contains("told to be away") && !away.is_up() && away.report.is_none());
    let absent = backup_stores::get(&at.ctx, &admin(), "tape").await;
    refused(absent, "tape could not be found");
    refused(
        import_store::begin(&at.ctx, &admin(), "nas").await,
        "the backup store nas",
    );

    at.engine.set(Fault::Away, false);
    backup_stores::open(&at.ctx, "nas").await;
    at.lay_backup(|_| {}).await;
    backup_stores::open(&at.ctx, "nas").await;
    let all = backup_stores::list(&at.ctx, &admin()).await.unwrap();
    let [there] = &all[..] else { panic!("{all:?}") };
    let report = there.report.clone().unwrap();
    assert!(there.is_up() && there.failure.is_none());
    assert_eq!(
        (
            there.name(),
            there.kind.as_str(),
            report.backups,
            there.rows
        ),
        ("nas", "fake", 1, 0)
    );
    // What it said stays when it is silent.
    at.engine.set(Fault::Away, true);
    backup_stores::open(&at.ctx, "nas").await;
    let silent = backup_stores::get(&at.ctx, &admin(), "h@nas")
        .await
        .unwrap();
    assert_eq!(silent.report, Some(report));
    assert!(!silent.is_up() && silent.failure.is_some());
}

#[tokio::test]
async fn a_record_that_is_lost_comes_back_from_the_store_alone() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    at.write(volume.id, 7, "bytes").await;
    let first = at.back_up(of(volume.id)).await;
    let second = create_backup::Request {
        is_incremental: true,
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        ..of(volume.id)
    };
    let second = at.back_up(second).await;
    let kept = at.back_up(of(volume.id)).await;
    at.lose(&[&first, &second]).await;
    assert_eq!(at.counted().await, (1, 1));
    let (over, account) = at.import().await;
    assert_eq!(over.phase, Phase::Done, "{:?}", over.error);
    assert_eq!(
        (
            account.found,
            account.made,
            account.already_there,
            account.refused
        ),
        (3, 2, 1, 0)
    );
    for lost in [&first, &second, &kept] {
        let mut back = at.backup(lost.id).await.unwrap();
        back.updated_at = lost.updated_at.clone();
        assert_eq!(back, *lost);
    }
    assert_eq!(at.counted().await, (3, 3));
    let (restored, phase) = at.restore(second.id, None).await;
    assert_eq!(phase, Phase::Done);
    assert_eq!(at.read(restored.id, 7, 5).await, "bytes");
    // Once more there is nothing to do.
    let (_, again) = at.import().await;
    assert_eq!((again.made, again.already_there), (0, 3));
    assert_eq!(at.counted().await, (3, 3));
    let forbidden = import_store::begin(&at.ctx, &at.caller, "nas").await;
    assert!(matches!(forbidden, Err(Error::Forbidden { .. })));
}

#[tokio::test]
async fn what_cannot_be_imported_is_said_and_hinders_nothing() {
    let at = at_work().await;
    // More than one commit makes, and than the quota lets anybody make.
    let mut whole = Vec::new();
    for number in 0..205 {
        let id = at
            .lay_backup(|told| told.project_id = format!("p{}", number % 2))
            .await;
        whole.push(id);
    }
    let odd = [
        at.lay_backup(|told| told.volume.size_gib = 0).await,
        at.lay_backup(|told| told.volume.id = "root".to_owned())
            .await,
        at.lay_backup(|told| told.created_at = "yesterday".to_owned())
            .await,
        at.lay_backup(|told| told.project_id = String::new()).await,
    ];
    let (over, account) = at.import().await;
    assert_eq!(
        (over.phase, account.found, account.made),
        (Phase::Done, 209, 205)
    );
    let refused: Vec<&str> = account
        .reasons
        .iter()
        .map(|one| one.backup_id.as_str())
        .collect();
    assert_eq!(account.refused, 4);
    for id in odd {
        assert!(refused.contains(&id.to_string().as_str()), "{account:?}");
    }
    assert_eq!(at.used("p0", Resource::Backups).await, 103);
    assert_eq!(at.used("p1", Resource::BackupGigabytes).await, 102);
    for id in whole {
        assert_eq!(at.backup(id).await.unwrap().host, "h@nas");
    }
}

#[tokio::test]
async fn an_import_that_was_cut_off_counts_what_it_made() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let one = at.back_up(of(volume.id)).await;
    at.lay_backup(|_| {}).await;
    // As the first commit of an import that then died left the record.
    at.engine.set(Fault::Away, true);
    let begun = import_store::begin(&at.ctx, &admin(), "h@nas").await;
    let begun = begun.unwrap();
    let over = at.until(begun, |one| one.phase.is_over()).await;
    assert_eq!(over.phase, Phase::Failed);
    at.engine.set(Fault::Away, false);
    let mut half = Batch::new();
    let made = Account {
        operation_id: begun.to_string(),
        made: 1,
        ..Account::default()
    };
    stored::set_import(&mut half, "h@nas", &serde_json::to_string(&made).unwrap());
    half.add(
        crate::store::Sql {
            name: "test.again",
            text: "UPDATE operations SET phase = 'running', steps_done = 0, finished_at = NULL, error = NULL WHERE id = $1",
        },
        vec![begun.to_string().into()],
    );
    at.ctx.store.write(half).await.unwrap();
    at.ctx.doorbell.ring();
    let over = at.until(begun, |one| one.phase.is_over()).await;
    assert_eq!(over.phase, Phase::Done);
    let account = at.account().await;
    assert_eq!(
        (account.found, account.made, account.already_there),
        (2, 2, 0)
    );
    assert!(at.backup(one.id).await.is_some());
}

#[tokio::test]
async fn what_is_deleted_while_the_store_is_read_does_not_come_back() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let gone = at.back_up(of(volume.id)).await;
    let read_at = Time::now();
    delete_backup::begin(&at.ctx, &at.caller, gone.id)
        .await
        .unwrap();
    assert_eq!(at.over(&gone.id).await.phase, Phase::Done);
    let mut batch = Batch::new();
    backups::found(&mut batch, &gone, &read_at);
    assert!(at.ctx.store.write(batch).await.is_err());
    assert_eq!(at.backup(gone.id).await, None);
    // What was deleted long before may have been stored again.
    let mut batch = Batch::new();
    backups::found(&mut batch, &gone, &Time::now());
    at.ctx.store.write(batch).await.unwrap();
    let over = restore_backup::Request::default();
    assert!(
        restore_backup::begin(&at.ctx, &at.caller, gone.id, over)
            .await
            .is_ok()
    );
}
