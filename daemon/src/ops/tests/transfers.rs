//! A volume that changes hands: whole, once, with what both projects use, and only to whoever knows the key.

use super::fixture::{Fixture, caller, connector, fixture, refused};
use crate::error::Error;
use crate::model::caller::{Caller, Role};
use crate::model::id::VolumeId;
use crate::model::operation::Verb;
use crate::model::status::{SnapshotStatus, VolumeStatus};
use crate::model::transfer::Transfer;
use crate::ops::begin::Beginning;
use crate::ops::{
    accept_transfer, create_snapshot, create_transfer, delete_transfer, delete_volume,
    initialize_connection, reset_snapshot_status, reset_volume_status, visible_transfer,
};
use crate::store::list::ListRequest;
use crate::store::quotas::{self, Resource};
use crate::store::{Batch, Sql, snapshots, transfers, volume_types, volumes};
use secrecy::SecretString;

fn receiver() -> Caller {
    Caller {
        user_id: "v".to_owned(),
        ..caller("q", Role::Member)
    }
}

async fn offer(
    at: &Fixture,
    volume_id: VolumeId,
    with_snapshots: bool,
) -> (Transfer, SecretString) {
    let request = create_transfer::Request {
        volume_id,
        name: Some("for you".to_owned()),
        with_snapshots,
    };
    let offered = create_transfer::begin(&at.ctx, &at.caller, request).await;
    offered.unwrap()
}

async fn usage(at: &Fixture, project: &str) -> [i64; 3] {
    let all = [Resource::Volumes, Resource::Snapshots, Resource::Gigabytes];
    let mut used = [0; 3];
    for (place, resource) in all.into_iter().enumerate() {
        used[place] = at.used(project, resource).await;
    }
    used
}

#[tokio::test]
async fn everything_changes_hands_at_once() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let snapshot = at.snapshot(&at.caller, volume).await;
    let (transfer, key) = offer(&at, volume, true).await;
    assert_eq!(at.status(volume).await, Some("awaiting-transfer"));
    // The key opens it and does not show it.
    let unseen = visible_transfer(&at.ctx, &receiver(), transfer.id).await;
    refused(unseen, "could not be found");
    assert_eq!(usage(&at, "p").await, [1, 1, 2]);

    let taken = accept_transfer::begin(&at.ctx, &receiver(), transfer.id, &key).await;
    assert_eq!(taken.unwrap(), transfer);
    let now = volumes::get(&at.ctx.store, volume).await.unwrap().unwrap();
    assert_eq!(
        (now.project_id.as_str(), now.user_id.as_str(), now.status),
        ("q", "v", VolumeStatus::Available)
    );
    let now = snapshots::get(&at.ctx.store, snapshot).await.unwrap();
    assert_eq!(now.unwrap().project_id, "q");
    assert_eq!(usage(&at, "p").await, [0, 0, 0]);
    assert_eq!(usage(&at, "q").await, [1, 1, 2]);
    // Once.
    let again = accept_transfer::begin(&at.ctx, &receiver(), transfer.id, &key).await;
    refused(again, "could not be found");
    // What is deleted now is the receiver's.
    delete_volume::begin(&at.ctx, &receiver(), volume, true)
        .await
        .unwrap();
    at.over(&volume).await;
    assert_eq!(usage(&at, "q").await, [0, 0, 0]);
}

/// Who looked before it changed hands acts on what is another's by then.
#[tokio::test]
async fn what_was_read_before_is_the_givers_no_more() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await;
    let snapshot = at.snapshot(&at.caller, volume.id).await;
    let found = snapshots::get(&at.ctx.store, snapshot).await.unwrap();
    let snapshot = found.unwrap();
    let (transfer, key) = offer(&at, volume.id, true).await;
    accept_transfer::begin(&at.ctx, &receiver(), transfer.id, &key)
        .await
        .unwrap();

    let changed = "changed";
    let mut late = Beginning::new(&at.ctx, &at.caller, Verb::DeleteVolume, &volume.id);
    late.moves_volume(&volume);
    refused(late.commit("q".to_owned()).await, changed);
    let mut late = Beginning::new(&at.ctx, &at.caller, Verb::CreateVolume, &volume.id);
    late.reads_volume(&volume);
    refused(late.commit("q".to_owned()).await, changed);
    let mut late = Beginning::new(&at.ctx, &at.caller, Verb::DeleteSnapshot, &snapshot.id);
    late.moves_snapshot(&snapshot);
    refused(late.commit("q".to_owned()).await, changed);
    let mut late = Beginning::new(&at.ctx, &at.caller, Verb::CreateVolume, &snapshot.id);
    late.reads_snapshot(&snapshot);
    refused(late.commit("q".to_owned()).await, changed);
    assert_eq!(at.status(volume.id).await, Some("available"));
}

#[tokio::test]
async fn snapshots_may_stay_behind() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let snapshot = at.snapshot(&at.caller, volume).await;
    let (transfer, key) = offer(&at, volume, false).await;
    accept_transfer::begin(&at.ctx, &receiver(), transfer.id, &key)
        .await
        .unwrap();
    let stayed = snapshots::get(&at.ctx.store, snapshot).await.unwrap();
    assert_eq!(stayed.unwrap().project_id, "p");
    assert_eq!(usage(&at, "p").await, [0, 1, 1]);
    assert_eq!(usage(&at, "q").await, [1, 0, 1]);
}

#[tokio::test]
async fn a_wrong_key_opens_nothing() {
    let at = fixture().await;
    let volume = at.volume(|_| {}).await.id;
    let (transfer, key) = offer(&at, volume, true).await;
    for wrong in ["", "0123456789abcdef"] {
        let wrong = SecretString::from(wrong);
        let answer = accept_transfer::begin(&at.ctx, &receiver(), transfer.id, &wrong).await;
        refused(answer, "Invalid auth key");
    }
    assert_eq!(at.status(volume).await, Some("awaiting-transfer"));
    // Withdrawn, it is no key any more, not even for a new offer.
    delete_transfer::begin(&at.ctx, &at.caller, transfer.id)
        .await
        .unwrap();
    assert_eq!(at.status(volume).await, Some("available"));
    let (second, _) = offer(&at, volume, true).await;
    let answer = accept_transfer::begin(&at.ctx, &receiver(), second.id, &key).await;
    refused(answer, "Invalid auth key");
    let stranger = delete_transfer::begin(&at.ctx, &receiver(), second.id).await;
    refused(stranger, "could not be found");
}

#[tokio::test]
async fn the_key_is_nowhere_in_the_record() {
    use secrecy::ExposeSecret as _;
    let at = fixture().await;
    let volume = at.volume(|_| {}).await.id;
    let (transfer, key) = offer(&at, volume, true).await;
    let lock = transfers::lock(&at.ctx.store, transfer.id).await.unwrap();
    let lock = lock.unwrap();
    assert!(!format!("{}{}", lock.salt, lock.key_hash).contains(key.expose_secret()));
    let operation = at.newest(&volume).await;
    assert!(!operation.input.contains(key.expose_secret()));
    assert!(!format!("{key:?}").contains(key.expose_secret()));
}

#[tokio::test]
async fn of_two_who_accept_one_has_it() {
    let at = fixture().await;
    for _ in 0..8 {
        let volume = at.volume(|_| {}).await.id;
        let (transfer, key) = offer(&at, volume, true).await;
        let (one, two) = (receiver(), caller("r", Role::Member));
        let (first, second) = tokio::join!(
            accept_transfer::begin(&at.ctx, &one, transfer.id, &key),
            accept_transfer::begin(&at.ctx, &two, transfer.id, &key),
        );
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        let owner = volumes::get(&at.ctx.store, volume).await.unwrap().unwrap();
        assert_eq!(owner.project_id, if first.is_ok() { "q" } else { "r" });
    }
    let both = usage(&at, "q").await[0] + usage(&at, "r").await[0];
    assert_eq!((both, usage(&at, "p").await), (8, [0, 0, 0]));
}

#[tokio::test]
async fn accepted_or_withdrawn_never_both() {
    let at = fixture().await;
    let mut accepted = 0;
    for _ in 0..8 {
        let volume = at.volume(|_| {}).await.id;
        let (transfer, key) = offer(&at, volume, true).await;
        let who = receiver();
        let (taken, withdrawn) = tokio::join!(
            accept_transfer::begin(&at.ctx, &who, transfer.id, &key),
            delete_transfer::begin(&at.ctx, &at.caller, transfer.id),
        );
        assert!(
            taken.is_ok() != withdrawn.is_ok(),
            "{taken:?} {withdrawn:?}"
        );
        let now = volumes::get(&at.ctx.store, volume).await.unwrap().unwrap();
        assert_eq!(now.status, VolumeStatus::Available);
        assert_eq!(now.project_id == "q", taken.is_ok());
        accepted += i64::from(taken.is_ok());
    }
    assert_eq!(usage(&at, "q").await, [accepted, 0, accepted]);
    assert_eq!(usage(&at, "p").await, [8 - accepted, 0, 8 - accepted]);
}

#[tokio::test]
async fn the_receivers_quota_counts() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let snapshot = at.snapshot(&at.caller, volume).await;
    let (transfer, key) = offer(&at, volume, true).await;
    let limit = at.ctx.quota.gigabytes;
    let mut used = Batch::new();
    quotas::take(&mut used, "q", Resource::Gigabytes, limit - 1, -1);
    at.ctx.store.write(used).await.unwrap();
    let answer = accept_transfer::begin(&at.ctx, &receiver(), transfer.id, &key).await;
    assert!(matches!(answer, Err(Error::OverQuota(_))), "{answer:?}");
    // Nothing moved.
    assert_eq!(at.status(volume).await, Some("awaiting-transfer"));
    assert_eq!(usage(&at, "p").await, [1, 1, 2]);
    assert_eq!(usage(&at, "q").await, [0, 0, limit - 1]);
    let found = snapshots::get(&at.ctx.store, snapshot).await.unwrap();
    assert_eq!(found.unwrap().project_id, "p");
    // The giver may take back what it gave, also at its limit.
    let mut full = Batch::new();
    let rest = at.ctx.quota.gigabytes - 2;
    quotas::take(&mut full, "p", Resource::Gigabytes, rest, -1);
    at.ctx.store.write(full).await.unwrap();
    accept_transfer::begin(&at.ctx, &at.caller, transfer.id, &key)
        .await
        .unwrap();
    assert_eq!(usage(&at, "p").await, [1, 1, limit]);
}

#[tokio::test]
async fn a_private_type_is_not_given_away() {
    let at = fixture().await;
    let volume = at.volume(|_| {}).await;
    let (transfer, key) = offer(&at, volume.id, true).await;
    const HIDE: Sql = Sql {
        name: "test.hide",
        text: "UPDATE volume_types SET is_public = 0 WHERE id = $1",
    };
    let mut hide = Batch::new();
    hide.add(HIDE, vec![volume.volume_type_id.to_string().into()]);
    at.ctx.store.write(hide).await.unwrap();
    let hidden = volume_types::get(&at.ctx.store, volume.volume_type_id).await;
    assert!(!hidden.unwrap().unwrap().is_public);
    let answer = accept_transfer::begin(&at.ctx, &receiver(), transfer.id, &key).await;
    refused(answer, "private type");
    assert_eq!(at.status(volume.id).await, Some("awaiting-transfer"));
}

#[tokio::test]
async fn what_is_not_whole_is_not_offered() {
    let at = fixture().await;
    at.works();
    let volume = at.volume(|_| {}).await.id;
    let request = |with_snapshots| create_transfer::Request {
        volume_id: volume,
        name: None,
        with_snapshots,
    };
    // A host that a legacy call let in would go on in the other's volume.
    initialize_connection::begin(&at.ctx, &at.caller, volume, connector("iqn.a"))
        .await
        .unwrap();
    let answer = create_transfer::begin(&at.ctx, &at.caller, request(true)).await;
    refused(answer, "a host is let in");
    let admin = caller("ops", Role::Admin);
    let detached = reset_volume_status::Request {
        status: None,
        is_attached: Some(false),
    };
    reset_volume_status::begin(&at.ctx, &admin, volume, detached)
        .await
        .unwrap();
    // A snapshot in error, unless it stays behind.
    let snapshot = at.snapshot(&at.caller, volume).await;
    reset_snapshot_status::begin(&at.ctx, &admin, snapshot, SnapshotStatus::Error)
        .await
        .unwrap();
    let answer = create_transfer::begin(&at.ctx, &at.caller, request(true)).await;
    refused(answer, "must be available to go with it");
    create_transfer::begin(&at.ctx, &at.caller, request(false))
        .await
        .unwrap();
    // Offered, it is neither offered again nor snapshotted.
    let answer = create_transfer::begin(&at.ctx, &at.caller, request(false)).await;
    refused(answer, "awaiting-transfer");
    let snapshot = create_snapshot::Request {
        volume_id: volume,
        name: None,
        description: None,
        metadata: Default::default(),
        may_be_attached: true,
    };
    let answer = create_snapshot::begin(&at.ctx, &at.caller, snapshot).await;
    refused(answer, "awaiting-transfer");
}

#[tokio::test]
async fn an_offer_ends_with_its_volume_or_its_status() {
    let at = fixture().await;
    at.works();
    let admin = caller("ops", Role::Admin);
    let volume = at.volume(|_| {}).await.id;
    let (transfer, key) = offer(&at, volume, true).await;
    let available = reset_volume_status::Request {
        status: Some(VolumeStatus::Available),
        is_attached: None,
    };
    reset_volume_status::begin(&at.ctx, &admin, volume, available)
        .await
        .unwrap();
    let answer = accept_transfer::begin(&at.ctx, &receiver(), transfer.id, &key).await;
    refused(answer, "could not be found");
    let (transfer, _) = offer(&at, volume, true).await;
    delete_volume::begin_forced(&at.ctx, &admin, volume, false)
        .await
        .unwrap();
    at.over(&volume).await;
    assert_eq!(at.status(volume).await, None);
    let found = transfers::get(&at.ctx.store, transfer.id).await.unwrap();
    assert_eq!(found, None);
    let all = ListRequest {
        limit: 10,
        ..ListRequest::default()
    };
    assert_eq!(transfers::list(&at.ctx.store, &all).await.unwrap(), []);
}
