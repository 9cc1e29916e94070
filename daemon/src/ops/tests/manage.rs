//! What changes hands between Ashlar and a pool's administrator: sizes, quotas, and that nothing is lost.

use super::fixture::{Fixture, caller, fixture, refused};
use crate::driver::fake::{Fault, Method};
use crate::driver::{Driver, ObjectRef, VolumeRef};
use crate::error::Error;
use crate::model::caller::{Caller, Role};
use crate::model::id::{SnapshotId, VolumeId};
use crate::model::operation::Phase;
use crate::model::size::Gib;
use crate::model::status::VolumeStatus;
use crate::model::volume::Volume;
use crate::ops::{
    delete_snapshot, delete_volume, list_manageable, manage_snapshot, manage_volume, report_pools,
    reset_volume_status, unmanage_snapshot, unmanage_volume,
};
use crate::store::quotas::Resource;
use crate::store::{snapshots, volumes};
use std::collections::BTreeMap;

fn admin() -> Caller {
    caller("ops", Role::Admin)
}

async fn at_work() -> Fixture {
    let at = fixture().await;
    report_pools::report(&at.ctx).await;
    at.works();
    at
}

fn request(source: &str) -> manage_volume::Request {
    manage_volume::Request {
        host: "h@b".to_owned(),
        source: source.to_owned(),
        name: Some("n".to_owned()),
        description: None,
        volume_type: Some("t".to_owned()),
        availability_zone: None,
        metadata: BTreeMap::new(),
        bootable: true,
    }
}

fn snapshot_request(volume_id: VolumeId, source: &str) -> manage_snapshot::Request {
    manage_snapshot::Request {
        volume_id,
        source: source.to_owned(),
        name: None,
        description: None,
        metadata: BTreeMap::new(),
    }
}

impl Fixture {
    /// Lays an object of this size into the pool, called `name`.
    async fn lay(&self, name: &str, size_gib: i64) {
        let volume = self.volume(|_| {}).await;
        let object = VolumeRef {
            id: volume.id,
            pool: "pool".to_owned(),
            size_gib: Gib::new(size_gib).unwrap(),
            thick: false,
        };
        self.driver.extend(&object).await.unwrap();
        let object = ObjectRef::Volume(object);
        self.driver.release(&object, Some(name)).await.unwrap();
    }

    async fn manage(&self, source: &str) -> Result<Volume, Error> {
        manage_volume::begin(&self.ctx, &admin(), request(source)).await
    }

    async fn foreign(&self) -> Vec<String> {
        let found = self.driver.manageable("pool").await.unwrap();
        found.into_iter().map(|one| one.name).collect()
    }

    async fn size(&self, id: VolumeId) -> i64 {
        let volume = volumes::get(&self.ctx.store, id).await.unwrap();
        volume.unwrap().size_gib.get()
    }

    async fn counts(&self) -> [i64; 3] {
        let used = |resource| self.used("ops", resource);
        [
            used(Resource::Volumes).await,
            used(Resource::Snapshots).await,
            used(Resource::Gigabytes).await,
        ]
    }
}

#[tokio::test]
async fn a_volume_is_taken_over_with_its_size_and_handed_back() {
    let at = at_work().await;
    at.lay("disk", 3).await;
    let volume = at.manage("disk").await.unwrap();
    assert_eq!(at.over(&volume.id).await.phase, Phase::Done);
    assert_eq!(at.status(volume.id).await, Some("available"));
    assert_eq!(at.size(volume.id).await, 3);
    assert_eq!(at.counts().await, [1, 0, 3]);
    assert_eq!(at.foreign().await, Vec::<String>::new());

    unmanage_volume::begin(&at.ctx, &admin(), volume.id)
        .await
        .unwrap();
    assert_eq!(at.over(&volume.id).await.phase, Phase::Done);
    assert_eq!(at.status(volume.id).await, None);
    assert_eq!(at.counts().await, [0, 0, 0]);
    assert_eq!(at.foreign().await, [format!("volume-{}", volume.id)]);
}

#[tokio::test]
async fn what_a_volume_does_not_allow() {
    let at = at_work().await;
    at.lay("disk", 1).await;
    refused(
        manage_volume::begin(&at.ctx, &at.caller, request("disk")).await,
        "Policy doesn't allow",
    );
    let nowhere = manage_volume::Request {
        host: "h@x#pool".to_owned(),
        ..request("disk")
    };
    let begun = manage_volume::begin(&at.ctx, &admin(), nowhere).await;
    assert!(matches!(begun, Err(Error::NotFound { noun: "Host", .. })));
    let volume = at.volume(|_| {}).await;
    refused(
        unmanage_volume::begin(&at.ctx, &at.caller, volume.id).await,
        "Policy doesn't allow",
    );
    let snapshot = at.snapshot(&admin(), volume.id).await;
    refused(
        unmanage_volume::begin(&at.ctx, &admin(), volume.id).await,
        "still has 1 snapshot",
    );
    unmanage_snapshot::begin(&at.ctx, &admin(), snapshot)
        .await
        .unwrap();
    at.over(&snapshot).await;
    unmanage_volume::begin(&at.ctx, &admin(), volume.id)
        .await
        .unwrap();
    assert_eq!(at.over(&volume.id).await.phase, Phase::Done);
}

#[tokio::test]
async fn what_cannot_be_taken_over_is_in_error_and_its_deletion_destroys_nothing() {
    let at = at_work().await;
    at.lay("disk", 2).await;
    let missing = at.manage("other").await.unwrap();
    let over = at.over(&missing.id).await;
    assert_eq!(over.phase, Phase::Failed);
    assert!(over.error.unwrap().contains("other cannot be taken over"));
    assert_eq!(at.status(missing.id).await, Some("error_managing"));

    // Taken over, told otherwise, and then not even to be handed back.
    let stuck = at.manage("disk").await.unwrap();
    at.over(&stuck.id).await;
    unmanage_volume::begin(&at.ctx, &admin(), stuck.id)
        .await
        .unwrap();
    at.over(&stuck.id).await;
    let name = format!("volume-{}", stuck.id);
    at.driver.faults().set(Method::Adopt, Fault::Io);
    let failed = at.manage(&name).await.unwrap();
    assert_eq!(at.over(&failed.id).await.phase, Phase::Failed);
    at.driver.faults().clear(Method::Adopt);
    assert_eq!(at.foreign().await, std::slice::from_ref(&name));
    // As if the undo had not reached the pool: the bytes lie under our name.
    let object = ObjectRef::Volume(VolumeRef {
        id: failed.id,
        pool: "pool".to_owned(),
        size_gib: Gib::new(2).unwrap(),
        thick: false,
    });
    at.driver.adopt(&object, &name).await.unwrap();
    for id in [missing.id, failed.id] {
        delete_volume::begin(&at.ctx, &admin(), id, false)
            .await
            .unwrap();
        assert_eq!(at.over(&id).await.phase, Phase::Done);
    }
    assert_eq!(at.foreign().await, [name], "handed back under its name");
    assert_eq!(at.counts().await, [0, 0, 0]);
}

/// It would be handed back by its deletion, with all that was written since, and never overwritten.
#[tokio::test]
async fn what_was_taken_over_in_part_is_never_said_to_be_available() {
    let at = at_work().await;
    at.lay("disk", 2).await;
    at.driver.faults().set(Method::Adopt, Fault::Io);
    let failed = at.manage("disk").await.unwrap();
    assert_eq!(at.over(&failed.id).await.phase, Phase::Failed);
    at.driver.faults().clear(Method::Adopt);
    // As if the undo had not reached the pool: the bytes lie under our name.
    let object = ObjectRef::Volume(VolumeRef {
        id: failed.id,
        pool: "pool".to_owned(),
        size_gib: Gib::new(2).unwrap(),
        thick: false,
    });
    at.driver.adopt(&object, "disk").await.unwrap();
    let request = reset_volume_status::Request {
        status: Some(VolumeStatus::Available),
        is_attached: None,
    };
    let answer = reset_volume_status::begin(&at.ctx, &admin(), failed.id, request).await;
    refused(answer, "taken over");
    assert_eq!(at.status(failed.id).await, Some("error_managing"));
}

#[tokio::test]
async fn a_size_beyond_the_quota_leaves_it_where_it_is() {
    let at = at_work().await;
    at.lay("large", 51).await;
    let volume = at.manage("large").await.unwrap();
    let over = at.over(&volume.id).await;
    assert_eq!(over.phase, Phase::Failed);
    assert!(over.error.unwrap().contains("51"));
    assert_eq!(at.foreign().await, ["large"]);
    // The row counts as the 1 GiB that it says, until it is deleted.
    assert_eq!(at.counts().await, [1, 0, 1]);
}

#[tokio::test]
async fn a_snapshot_is_taken_over_and_handed_back() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let first = at.snapshot(&admin(), volume.id).await;
    unmanage_snapshot::begin(&at.ctx, &admin(), first)
        .await
        .unwrap();
    assert_eq!(at.over(&first).await.phase, Phase::Done);
    assert_eq!(at.snapshot_status(first).await, None);
    let name = format!("volume-{}.snapshot-{first}", volume.id);
    assert_eq!(at.foreign().await, std::slice::from_ref(&name));

    let request = snapshot_request(volume.id, &name);
    let again = manage_snapshot::begin(&at.ctx, &admin(), request)
        .await
        .unwrap();
    assert_eq!(at.over(&again.id).await.phase, Phase::Done);
    assert_eq!(at.snapshot_status(again.id).await, Some("available"));
    assert_eq!(at.counts().await, [0, 1, 1]);
    assert_eq!(at.foreign().await, Vec::<String>::new());
    refused(
        unmanage_snapshot::begin(&at.ctx, &at.caller, again.id).await,
        "Policy doesn't allow",
    );
    delete_snapshot::begin(&at.ctx, &admin(), again.id)
        .await
        .unwrap();
    at.over(&again.id).await;
    assert_eq!(at.counts().await, [0, 0, 0]);
    assert_eq!(
        at.foreign().await,
        Vec::<String>::new(),
        "once ours, a delete is a delete"
    );
}

#[tokio::test]
async fn a_snapshot_larger_than_its_volume_is_none_of_it() {
    let at = at_work().await;
    at.lay("large", 2).await;
    let volume = at.volume(|_| {}).await;
    let request = snapshot_request(volume.id, "large");
    let snapshot = manage_snapshot::begin(&at.ctx, &admin(), request)
        .await
        .unwrap();
    let over = at.over(&snapshot.id).await;
    assert!(
        over.error
            .unwrap()
            .contains("cannot be a snapshot of volume")
    );
    assert_eq!(at.snapshot_status(snapshot.id).await, Some("error"));
    let id: SnapshotId = snapshot.id;
    let recorded = snapshots::get(&at.ctx.store, id).await.unwrap().unwrap();
    assert_eq!(at.counts().await, [0, 1, recorded.size_gib.get()]);
    delete_snapshot::begin(&at.ctx, &admin(), id).await.unwrap();
    at.over(&id).await;
    assert_eq!(at.foreign().await, ["large"]);
}

#[tokio::test]
async fn a_listing_is_fetched_and_forgotten() {
    let at = at_work().await;
    at.lay("a", 1).await;
    at.lay("b", 2).await;
    let list = |caller: Caller| {
        let ctx = at.ctx.clone();
        async move { list_manageable::begin(&ctx, &caller, "h@b#pool", "list").await }
    };
    refused(list(at.caller.clone()).await, "Policy doesn't allow");
    for _ in 0..2 {
        let found = list(admin()).await.unwrap();
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }
    let operation = at.newest(&"h@b#pool").await.id;
    let left = crate::store::adoptions::fetch(&at.ctx.store, operation).await;
    assert_eq!(left.unwrap(), None);
    at.driver.faults().set(Method::Manageable, Fault::Io);
    refused(list(admin()).await, "looking into the pool");
}
