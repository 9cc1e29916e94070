//! A volume that moves to get its new type: with its content, once, and with nothing of it left anywhere else.

use super::fixture::{Fixture, fixture_of_two, refused};
use crate::driver::fake::{FakeDriver, Fault, Method};
use crate::driver::{Driver as _, Source, VolumeRef, Work};
use crate::model::id::VolumeTypeId;
use crate::model::operation::{Operation, Phase};
use crate::model::status::VolumeStatus;
use crate::model::volume::Volume;
use crate::ops::{cancel, delete_volume, report_pools};
use crate::store::quotas::{Resource, recorded, usage};
use crate::store::{operations, strays, volumes};
use std::os::unix::fs::FileExt as _;

/// Two backends at work, and the type that only volumes of the second one have.
async fn two_at_work() -> (Fixture, VolumeTypeId) {
    let at = fixture_of_two().await;
    report_pools::report(&at.ctx).await;
    at.works();
    let there = [("volume_backend_name", "c")];
    let id = at.volume_type("there", &there, true).await;
    (at, id)
}

fn seen(volume: &Volume) -> VolumeRef {
    VolumeRef {
        id: volume.id,
        pool: "pool".to_owned(),
        size_gib: volume.size_gib,
        thick: false,
    }
}

/// Writes to a volume as a host would.
async fn write(driver: &FakeDriver, volume: &Volume, word: u64) {
    let device = driver.device(&seen(volume)).await.unwrap();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(device.path)
        .unwrap();
    for block in [0, 70_000] {
        file.write_all_at(&word.to_le_bytes(), block * 4096)
            .unwrap();
    }
}

async fn read(driver: &FakeDriver, volume: &Volume) -> [u64; 3] {
    let device = driver.device(&seen(volume)).await.unwrap();
    let file = std::fs::File::open(device.path).unwrap();
    [0, 1, 70_000].map(|block| {
        let mut word = [0; 8];
        file.read_exact_at(&mut word, block * 4096).unwrap();
        u64::from_le_bytes(word)
    })
}

impl Fixture {
    fn there(&self) -> &FakeDriver {
        self.other.as_ref().unwrap()
    }

    async fn host_of(&self, volume: &Volume) -> String {
        let found = volumes::get(&self.ctx.store, volume.id).await.unwrap();
        found.unwrap().host.unwrap()
    }

    async fn lies(&self) -> (usize, usize) {
        let here = self.driver.objects().await.unwrap();
        (here.len(), self.there().objects().await.unwrap().len())
    }

    async fn of_type(&self, id: VolumeTypeId) -> i64 {
        let usage = usage(&self.ctx.store, "p").await.unwrap();
        let name = recorded(Resource::Gigabytes, Some(id));
        usage.get(&name).copied().unwrap_or(0)
    }

    async fn retyped(&self, volume: &Volume, word: &str) -> Operation {
        self.retype(volume.id, word).await.unwrap();
        self.over(&volume.id).await
    }

    /// As it was before anything was asked.
    async fn is_as_it_was(&self, volume: &Volume, there: VolumeTypeId) {
        assert_eq!(self.status(volume.id).await, Some("available"));
        assert_eq!(self.type_of(volume.id).await.0, "t");
        assert_eq!(self.host_of(volume).await, "h@b#pool");
        assert_eq!(read(&self.driver, volume).await, [7, 0, 7]);
        assert_eq!(self.of_type(there).await, 0);
        assert_eq!(self.of_type(self.volume_type.id).await, 1);
    }
}

#[tokio::test]
async fn its_content_goes_with_it_and_back_again() {
    let (at, there) = two_at_work().await;
    let volume = at.volume(|_| {}).await;
    write(&at.driver, &volume, 7).await;
    let over = at.retyped(&volume, "there").await;
    assert_eq!(over.phase, Phase::Done, "{:?}", over.error);
    assert_eq!(at.status(volume.id).await, Some("available"));
    assert_eq!(at.type_of(volume.id).await.0, "there");
    assert_eq!(at.host_of(&volume).await, "h@c#pool");
    assert_eq!(at.lies().await, (0, 1));
    assert_eq!(read(at.there(), &volume).await, [7, 0, 7]);
    assert_eq!(at.of_type(there).await, 1);
    assert_eq!(at.of_type(at.volume_type.id).await, 0);
    let placed = operations::placement(&at.ctx.store, volume.id).await;
    assert!(placed.unwrap().unwrap().contains("h@c#pool"));

    at.volume_type("here", &[("volume_backend_name", "b")], true)
        .await;
    write(at.there(), &volume, 8).await;
    let over = at.retyped(&volume, "here").await;
    assert_eq!(over.phase, Phase::Done, "{:?}", over.error);
    assert_eq!(at.lies().await, (1, 0));
    assert_eq!(read(&at.driver, &volume).await, [8, 0, 8]);
}

#[tokio::test]
async fn one_that_is_to_be_thick_moves_where_that_can_be() {
    let (at, _) = two_at_work().await;
    let thick = [("provisioning:type", "thick")];
    at.volume_type("thick", &thick, true).await;
    let volume = at.volume(|_| {}).await;
    let over = at.retyped(&volume, "thick").await;
    assert_eq!(over.phase, Phase::Done, "{:?}", over.error);
    assert_eq!(at.lies().await, (0, 1));
}

#[tokio::test]
async fn what_cannot_move_is_refused_at_once() {
    let (at, there) = two_at_work().await;
    let used = at
        .volume(|volume| volume.status = VolumeStatus::InUse)
        .await;
    refused(
        at.retype(used.id, "there").await,
        "moves only while it is available; it is in-use",
    );
    let kept = at.volume(|_| {}).await;
    at.snapshot(&at.caller, kept.id).await;
    refused(
        at.retype(kept.id, "there").await,
        "its 1 snapshot(s) cannot move with it",
    );
    assert_eq!(at.of_type(there).await, 0);
    assert_eq!(at.status(kept.id).await, Some("available"));
}

#[tokio::test]
async fn a_cancel_in_the_middle_leaves_it_as_it_was() {
    let (at, there) = two_at_work().await;
    let volume = at.volume(|_| {}).await;
    write(&at.driver, &volume, 7).await;
    at.there().faults().set(Method::Create, Fault::Hang);
    at.retype(volume.id, "there").await.unwrap();
    let id = at.newest(&volume.id).await.id;
    at.until(id, |operation| operation.steps_done == 3).await;
    cancel(&at.ctx, &at.caller, id).await.unwrap();
    let over = at.over(&volume.id).await;
    assert_eq!(over.phase, Phase::Cancelled);
    assert_eq!(at.lies().await, (1, 0));
    at.is_as_it_was(&volume, there).await;
}

#[tokio::test]
async fn a_copy_that_fails_leaves_it_as_it_was() {
    let (at, there) = two_at_work().await;
    let volume = at.volume(|_| {}).await;
    write(&at.driver, &volume, 7).await;
    at.there().faults().set(Method::Create, Fault::NoSpace);
    let over = at.retyped(&volume, "there").await;
    assert_eq!(over.phase, Phase::Failed);
    assert!(over.error.unwrap().contains("no room"));
    assert_eq!(at.lies().await, (1, 0));
    at.is_as_it_was(&volume, there).await;
    let left = strays::of_volume(&at.ctx.store, volume.id).await.unwrap();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn what_an_earlier_move_left_is_never_taken_for_the_copy() {
    let (at, there) = two_at_work().await;
    let volume = at.volume(|_| {}).await;
    write(&at.driver, &volume, 7).await;
    at.there().faults().set(Method::Create, Fault::Hang);
    at.retype(volume.id, "there").await.unwrap();
    let id = at.newest(&volume.id).await.id;
    at.until(id, |operation| operation.steps_done == 3).await;
    at.there().faults().set(Method::Remove, Fault::Io);
    cancel(&at.ctx, &at.caller, id).await.unwrap();
    let said = at.over(&volume.id).await.error.unwrap();
    assert!(said.contains("could not be undone"), "{said}");
    at.is_as_it_was(&volume, there).await;
    at.there().faults().clear(Method::Create);
    // A whole copy, but of another day.
    let (old, work) = (seen(&volume), Work::default());
    let made = at.there().create(&old, &Source::Empty, &work).await;
    made.unwrap();
    let over = at.retyped(&volume, "there").await;
    assert_eq!(over.phase, Phase::Failed, "it is still there");
    at.there().faults().clear(Method::Remove);
    let over = at.retyped(&volume, "there").await;
    assert_eq!(over.phase, Phase::Done, "{:?}", over.error);
    assert_eq!(read(at.there(), &volume).await, [7, 0, 7]);
    assert_eq!(at.lies().await, (0, 1));
}

#[tokio::test]
async fn old_bytes_that_cannot_be_removed_go_with_the_volume() {
    let (at, there) = two_at_work().await;
    let volume = at.volume(|_| {}).await;
    write(&at.driver, &volume, 7).await;
    at.driver.faults().set(Method::Remove, Fault::Io);
    let over = at.retyped(&volume, "there").await;
    // It says so, and the volume is what was asked for all the same.
    assert_eq!(over.phase, Phase::Failed);
    assert!(over.error.unwrap().contains("stray bytes"));
    assert_eq!(at.status(volume.id).await, Some("available"));
    assert_eq!(at.host_of(&volume).await, "h@c#pool");
    assert_eq!(read(at.there(), &volume).await, [7, 0, 7]);
    assert_eq!(at.of_type(there).await, 1);
    assert_eq!(at.of_type(at.volume_type.id).await, 0);
    assert_eq!(at.lies().await, (1, 1));

    at.driver.faults().clear(Method::Remove);
    delete_volume::begin(&at.ctx, &at.caller, volume.id, false)
        .await
        .unwrap();
    assert_eq!(at.over(&volume.id).await.phase, Phase::Done);
    assert_eq!(at.lies().await, (0, 0));
}
