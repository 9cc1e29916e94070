//! The fake keeps the contract, in memory and over a SIGKILL, and fails as it is told.

use super::*;
use crate::driver::contract::{self, Stamps, Subject, driver_contract};
use crate::model::size::Gib;
use std::time::Duration;

struct InMemory(Arc<FakeDriver>);

fn write(driver: &FakeDriver, volume: &VolumeRef, stamps: &[(u64, u64)]) {
    let change = |objects: &mut Objects| {
        let mut content = objects.remove(&volume_name(volume)).unwrap();
        content.blocks.extend(stamps.iter().copied());
        content.blocks.retain(|_, stamp| *stamp != 0);
        objects.insert(volume_name(volume), content);
    };
    driver.pool().change(change).unwrap();
}

fn read(driver: &FakeDriver, object: &ObjectRef) -> (u64, Stamps) {
    let content = driver.read(&name_of(object)).unwrap();
    (content.len_bytes, content.blocks)
}

fn leave_half_made(driver: &FakeDriver, object: &ObjectRef) {
    let name = moved(&name_of(object), "partial");
    let half = Content {
        len_bytes: 4096,
        blocks: BTreeMap::from([(0, 99)]),
    };
    driver
        .pool()
        .change(|objects| objects.insert(name, half))
        .unwrap();
}

impl Subject for InMemory {
    fn fresh() -> Option<Self> {
        let driver = FakeDriver::in_memory("fake", "pool", Faults::default());
        Some(Self(Arc::new(driver)))
    }

    fn driver(&self) -> Arc<dyn Driver> {
        self.0.clone()
    }

    fn restarted(self) -> Self {
        // Nothing outlives it; the rules are then checked within one life.
        self
    }

    fn write(&self, volume: &VolumeRef, stamps: &[(u64, u64)]) {
        write(&self.0, volume, stamps);
    }

    fn read(&self, object: &ObjectRef) -> (u64, Stamps) {
        read(&self.0, object)
    }

    fn leave_half_made(&self, object: &ObjectRef) {
        leave_half_made(&self.0, object);
    }
}

struct InDirectory(Arc<FakeDriver>, tempfile::TempDir);

impl InDirectory {
    fn open(directory: tempfile::TempDir) -> Self {
        let driver = FakeDriver::in_directory(directory.path(), "fake", "pool", Faults::default());
        Self(Arc::new(driver.unwrap()), directory)
    }
}

impl Subject for InDirectory {
    fn fresh() -> Option<Self> {
        Some(Self::open(tempfile::tempdir().unwrap()))
    }

    fn driver(&self) -> Arc<dyn Driver> {
        self.0.clone()
    }

    fn restarted(self) -> Self {
        Self::open(self.1)
    }

    fn write(&self, volume: &VolumeRef, stamps: &[(u64, u64)]) {
        write(&self.0, volume, stamps);
    }

    fn read(&self, object: &ObjectRef) -> (u64, Stamps) {
        read(&self.0, object)
    }

    fn leave_half_made(&self, object: &ObjectRef) {
        leave_half_made(&self.0, object);
    }
}

mod in_memory {
    super::driver_contract!(super::InMemory);
}

mod in_directory {
    super::driver_contract!(super::InDirectory);
}

#[tokio::test]
async fn faults_come_as_told_and_change_nothing() {
    let faults = Faults::parse("create=enospc*1,stats=eio,extend=delay:20ms").unwrap();
    let driver = FakeDriver::in_memory("fake", "pool", faults.clone());
    let (volume, work) = (contract::volume(1), Work::default());
    let full = driver.create(&volume, &Source::Empty, &work).await;
    assert!(matches!(full, Err(DriverError::NoSpace { .. })), "{full:?}");
    assert_eq!(driver.objects().await.unwrap(), Vec::<String>::new());
    let done = driver.create(&volume, &Source::Empty, &work).await.unwrap();
    assert_eq!(done, Done::Changed);
    assert!(matches!(driver.stats().await, Err(DriverError::Io { .. })));
    faults.clear(Method::Stats);
    assert!(driver.stats().await.is_ok());
    let larger = VolumeRef {
        size_gib: Gib::new(2).unwrap(),
        ..volume
    };
    let begun = Instant::now();
    driver.extend(&larger).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(20));
}

#[tokio::test]
async fn a_hanging_call_ends_with_its_cancel_or_its_fault() {
    let driver = FakeDriver::in_memory("fake", "pool", Faults::default());
    let volume = contract::volume(1);
    driver.faults().set(Method::Create, Fault::Hang);
    driver.faults().set(Method::Device, Fault::Hang);
    let work = Work::default();
    let hangs = driver.create(&volume, &Source::Empty, &work);
    let (answer, ()) = tokio::join!(hangs, async { work.cancel() });
    assert!(matches!(answer, Err(DriverError::Cancelled)));
    let hangs = driver.device(&volume);
    let (answer, ()) = tokio::join!(hangs, async { driver.faults().clear(Method::Device) });
    assert!(matches!(answer, Err(DriverError::Absent { .. })));
}

#[tokio::test]
async fn devices_can_be_opened_and_go_with_their_volumes() {
    let directory = tempfile::tempdir().unwrap();
    let driver =
        FakeDriver::in_directory(directory.path(), "fake", "pool", Faults::default()).unwrap();
    let volume = contract::volume(1);
    driver
        .create(&volume, &Source::Empty, &Work::default())
        .await
        .unwrap();
    let device = driver.device(&volume).await.unwrap();
    assert_eq!(
        std::fs::metadata(&device.path).unwrap().len(),
        device.len_bytes
    );
    driver.remove(&ObjectRef::Volume(volume)).await.unwrap();
    assert!(!device.path.exists());
}
