//! The suite that every driver passes: the rules of `driver/mod.rs`, method by method.
//!
//! A driver's tests give a [`Subject`], which makes a fresh pool and reaches its bytes from behind, and call
//! [`driver_contract`]. Content is stamped: each block of 4096 bytes is zero or repeats one number, so that the fake,
//! which has no bytes, can be held to the same rules.

pub(crate) mod adopting;
pub(crate) mod live;
pub(crate) mod moving;
pub(crate) mod parts;
pub(crate) mod sequences;

use super::{Device, Done, Driver, DriverError, ObjectRef, SnapshotRef, Source, VolumeRef, Work};
use crate::model::id::{SnapshotId, VolumeId};
use crate::model::size::Gib;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The unit of stamps.
pub(crate) const BLOCK_BYTES: u64 = 4096;
/// Blocks in one GiB.
pub(crate) const BLOCKS_PER_GIB: u64 = (1 << 30) / BLOCK_BYTES;

/// The stamps of an object: what is not named is zero.
pub(crate) type Stamps = BTreeMap<u64, u64>;

/// A driver over a fresh pool called `pool`, and what only its own tests know of it. What a backend cannot help is said
/// here, and the rules ask for it; no rule is left out.
pub(crate) trait Subject: Sized + Send + Sync + 'static {
    /// The pools that the driver reports.
    const POOLS: &'static [&'static str] = &["pool"];
    /// Whether a volume in use is copied by means of [`LiveWrites`](super::LiveWrites); else the backend has an instant
    /// of its own.
    const NEEDS_LIVE_WRITES: bool = true;
    /// Whether a snapshot lives off its volume: then that is not deleted before it, which is refused.
    const SNAPSHOTS_DEPEND: bool = false;
    /// Whether it tells which parts of an object were written ([`Driver::parts`]).
    const TELLS_PARTS: bool = false;
    /// As unusual a name as an administrator may give.
    const FOREIGN_NAME: &'static str = "golden image";

    /// A fresh pool; `None` when it cannot be had on this machine, after having said why.
    fn fresh() -> Option<Self>;
    /// The driver.
    fn driver(&self) -> Arc<dyn Driver>;
    /// The same pool as a new process finds it after this one was killed.
    fn restarted(self) -> Self;
    /// Writes stamps to a volume as a target would.
    fn write(&self, volume: &VolumeRef, stamps: &[(u64, u64)]);
    /// The object's length and all its stamps.
    fn read(&self, object: &ObjectRef) -> (u64, Stamps);
    /// That what was opened holds these stamps, for whoever opens its path. A stand-in without bytes has nothing to show.
    fn assert_readable(&self, opened: &Device, stamps: &[(u64, u64)]) {
        let file = std::fs::File::open(&opened.path).unwrap();
        for (block, stamp) in stamps {
            let mut word = [0; 8];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut word, block * BLOCK_BYTES)
                .unwrap();
            assert_eq!(u64::from_le_bytes(word), *stamp, "block {block}");
        }
    }
    /// Leaves what a crash in the middle of making `object` leaves.
    fn leave_half_made(&self, object: &ObjectRef);
    /// What a volume is called once it was handed back and nobody said how.
    fn name_when_released(volume: &VolumeRef) -> String {
        format!("volume-{}", volume.id)
    }
}

pub(crate) fn volume(size_gib: i64) -> VolumeRef {
    VolumeRef {
        id: VolumeId::random(),
        pool: "pool".to_owned(),
        size_gib: Gib::new(size_gib).unwrap(),
        thick: false,
    }
}

pub(crate) fn snapshot_of(volume: &VolumeRef) -> SnapshotRef {
    SnapshotRef {
        id: SnapshotId::random(),
        volume_id: volume.id,
        pool: "pool".to_owned(),
        size_gib: volume.size_gib,
    }
}

pub(crate) fn of(volume: &VolumeRef) -> ObjectRef {
    ObjectRef::Volume(volume.clone())
}

pub(crate) fn of_snapshot(snapshot: &SnapshotRef) -> ObjectRef {
    ObjectRef::Snapshot(snapshot.clone())
}

/// Stamps at the start, somewhere, and the very end of a GiB.
pub(crate) fn some_stamps(generation: u64) -> Vec<(u64, u64)> {
    [0, 1, 2, 1000, 70_000, BLOCKS_PER_GIB - 1]
        .into_iter()
        .map(|block| (block, generation << 32 | (block + 1)))
        .collect()
}

pub(crate) fn gib_bytes(size_gib: i64) -> u64 {
    Gib::new(size_gib).unwrap().bytes()
}

fn held(size_gib: i64, stamps: &[(u64, u64)]) -> (u64, Stamps) {
    (gib_bytes(size_gib), stamps.iter().copied().collect())
}

pub(crate) async fn delete(driver: &Arc<dyn Driver>, object: &ObjectRef) {
    driver.wipe(object, &Work::default()).await.unwrap();
    driver.remove(object).await.unwrap();
}

/// In an order in which they can be deleted.
pub(crate) fn in_order<S: Subject>(mut objects: Vec<ObjectRef>) -> Vec<ObjectRef> {
    objects.sort_by_key(|object| S::SNAPSHOTS_DEPEND && matches!(object, ObjectRef::Volume(_)));
    objects
}

/// A volume whose snapshots live off it is neither overwritten nor removed.
async fn assert_kept(driver: &Arc<dyn Driver>, volume: &VolumeRef) {
    let object = of(volume);
    for answer in [
        driver.wipe(&object, &Work::default()).await,
        driver.remove(&object).await,
    ] {
        let is_busy = matches!(&answer, Err(DriverError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::ResourceBusy);
        assert!(is_busy, "{answer:?}");
    }
}

async fn created(driver: &Arc<dyn Driver>, volume: &VolumeRef, source: &Source) {
    let done = driver
        .create(volume, source, &Work::default())
        .await
        .unwrap();
    assert_eq!(done, Done::Changed);
}

async fn assert_empty(driver: &Arc<dyn Driver>) {
    assert_eq!(driver.objects().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn the_absent_is_said_to_be_absent<S: Subject>(subject: S) {
    let driver = subject.driver();
    let (one, work) = (volume(1), Work::default());
    let snapshot = snapshot_of(&one);
    let is_absent = |answer: Result<Done, DriverError>| {
        assert!(
            matches!(answer, Err(DriverError::Absent { .. })),
            "{answer:?}"
        );
    };
    is_absent(driver.extend(&one).await);
    is_absent(driver.snapshot(&one, &snapshot, None, &work).await);
    is_absent(driver.revert(&one, &snapshot, &work).await);
    is_absent(
        driver
            .create(&volume(1), &Source::Snapshot(snapshot.clone()), &work)
            .await,
    );
    is_absent(
        driver
            .create(&volume(1), &Source::Volume(volume(1), None), &work)
            .await,
    );
    for opened in [
        driver.device(&one).await,
        driver.open_snapshot(&snapshot).await,
    ] {
        assert!(matches!(opened, Err(DriverError::Absent { .. })));
    }
    let closed = driver.close_snapshot(&snapshot).await.unwrap();
    assert_eq!(closed, Done::AlreadySo);
    for object in [of(&one), of_snapshot(&snapshot)] {
        assert_eq!(driver.wipe(&object, &work).await.unwrap(), Done::AlreadySo);
        assert_eq!(driver.remove(&object).await.unwrap(), Done::AlreadySo);
    }
    assert_empty(&driver).await;
}

pub(crate) async fn each_method_done_and_repeated<S: Subject>(subject: S) {
    let driver = subject.driver();
    let (one, work) = (volume(1), Work::default());
    let snapshot = snapshot_of(&one);
    created(&driver, &one, &Source::Empty).await;
    let again = driver.create(&one, &Source::Empty, &work).await.unwrap();
    assert_eq!(again, Done::AlreadySo);
    let absent = driver.revert(&one, &snapshot, &work).await;
    assert!(matches!(absent, Err(DriverError::Absent { .. })));
    assert_eq!(
        driver.snapshot(&one, &snapshot, None, &work).await.unwrap(),
        Done::Changed
    );
    assert_eq!(
        driver.snapshot(&one, &snapshot, None, &work).await.unwrap(),
        Done::AlreadySo
    );
    for _ in 0..2 {
        driver.revert(&one, &snapshot, &work).await.unwrap();
    }
    let larger = VolumeRef {
        size_gib: Gib::new(3).unwrap(),
        ..one.clone()
    };
    assert_eq!(driver.extend(&larger).await.unwrap(), Done::Changed);
    assert_eq!(driver.extend(&larger).await.unwrap(), Done::AlreadySo);
    assert_eq!(
        driver.extend(&one).await.unwrap(),
        Done::AlreadySo,
        "never shrinks"
    );
    assert_eq!(driver.device(&one).await.unwrap().len_bytes, gib_bytes(3));
    assert_eq!(driver.objects().await.unwrap().len(), 2);
    for object in in_order::<S>(vec![of(&one), of_snapshot(&snapshot)]) {
        driver.wipe(&object, &Work::default()).await.unwrap();
        assert_eq!(
            driver.wipe(&object, &Work::default()).await.unwrap(),
            Done::AlreadySo
        );
        assert_eq!(driver.remove(&object).await.unwrap(), Done::Changed);
        assert_eq!(driver.remove(&object).await.unwrap(), Done::AlreadySo);
    }
    assert_empty(&driver).await;
}

pub(crate) async fn a_snapshot_is_opened_as_it_was_taken<S: Subject>(subject: S) {
    let driver = subject.driver();
    let (origin, work) = (volume(1), Work::default());
    created(&driver, &origin, &Source::Empty).await;
    let stamps = some_stamps(1);
    subject.write(&origin, &stamps);
    let snapshot = snapshot_of(&origin);
    driver
        .snapshot(&origin, &snapshot, None, &work)
        .await
        .unwrap();
    subject.write(&origin, &some_stamps(2));
    for _ in 0..2 {
        let opened = driver.open_snapshot(&snapshot).await.unwrap();
        assert_eq!(driver.open_snapshot(&snapshot).await.unwrap(), opened);
        assert_eq!(opened.len_bytes, gib_bytes(1));
        subject.assert_readable(&opened, &stamps);
        driver.close_snapshot(&snapshot).await.unwrap();
        let again = driver.close_snapshot(&snapshot).await.unwrap();
        assert_eq!(again, Done::AlreadySo);
    }
    // Removed while it is open: who removes it need not have closed it.
    driver.open_snapshot(&snapshot).await.unwrap();
    for object in in_order::<S>(vec![of(&origin), of_snapshot(&snapshot)]) {
        delete(&driver, &object).await;
    }
    assert_empty(&driver).await;
}

pub(crate) async fn content_is_copied_and_then_independent<S: Subject>(subject: S) {
    let driver = subject.driver();
    let (origin, work) = (volume(1), Work::default());
    created(&driver, &origin, &Source::Empty).await;
    assert_eq!(subject.read(&of(&origin)), held(1, &[]));
    let first = some_stamps(1);
    subject.write(&origin, &first);
    let snapshot = snapshot_of(&origin);
    driver
        .snapshot(&origin, &snapshot, None, &work)
        .await
        .unwrap();
    let (same, larger) = (volume(1), volume(2));
    created(&driver, &same, &Source::Snapshot(snapshot.clone())).await;
    created(&driver, &larger, &Source::Volume(origin.clone(), None)).await;
    assert_eq!(subject.read(&of_snapshot(&snapshot)), held(1, &first));
    assert_eq!(subject.read(&of(&same)), held(1, &first));
    assert_eq!(subject.read(&of(&larger)), held(2, &first));

    // Each goes its own way.
    let second = some_stamps(2);
    subject.write(&origin, &second);
    assert_eq!(subject.read(&of_snapshot(&snapshot)), held(1, &first));
    assert_eq!(subject.read(&of(&larger)), held(2, &first));
    subject.write(&same, &[(5, 55)]);
    assert_eq!(subject.read(&of(&origin)), held(1, &second));

    // A wipe of one leaves the others as they are.
    if S::SNAPSHOTS_DEPEND {
        assert_kept(&driver, &origin).await;
        assert_eq!(subject.read(&of(&origin)), held(1, &second));
    } else {
        delete(&driver, &of(&origin)).await;
    }
    assert_eq!(subject.read(&of_snapshot(&snapshot)), held(1, &first));
    delete(&driver, &of_snapshot(&snapshot)).await;
    if S::SNAPSHOTS_DEPEND {
        assert_eq!(subject.read(&of(&origin)), held(1, &second));
        delete(&driver, &of(&origin)).await;
    }
    let mut same_now = first.clone();
    same_now.push((5, 55));
    assert_eq!(subject.read(&of(&same)), held(1, &same_now));
    assert_eq!(subject.read(&of(&larger)), held(2, &first));
    delete(&driver, &of(&same)).await;
    delete(&driver, &of(&larger)).await;
    assert_empty(&driver).await;
}

pub(crate) async fn extend_keeps_content_and_adds_zeros<S: Subject>(subject: S) {
    let driver = subject.driver();
    let one = volume(1);
    created(&driver, &one, &Source::Empty).await;
    let stamps = some_stamps(1);
    subject.write(&one, &stamps);
    let larger = VolumeRef {
        size_gib: Gib::new(2).unwrap(),
        ..one.clone()
    };
    driver.extend(&larger).await.unwrap();
    assert_eq!(subject.read(&of(&one)), held(2, &stamps));
    delete(&driver, &of(&one)).await;
    assert_empty(&driver).await;
}

pub(crate) async fn revert_puts_back_and_keeps_the_snapshot<S: Subject>(subject: S) {
    let driver = subject.driver();
    let (one, work) = (volume(1), Work::default());
    created(&driver, &one, &Source::Empty).await;
    let first = some_stamps(1);
    subject.write(&one, &first);
    let snapshot = snapshot_of(&one);
    driver.snapshot(&one, &snapshot, None, &work).await.unwrap();
    for generation in 2..4 {
        subject.write(&one, &some_stamps(generation));
        subject.write(&one, &[(generation * 100, 1)]);
        assert_eq!(
            driver.revert(&one, &snapshot, &work).await.unwrap(),
            Done::Changed
        );
        assert_eq!(subject.read(&of(&one)), held(1, &first));
        assert_eq!(subject.read(&of_snapshot(&snapshot)), held(1, &first));
        assert_eq!(driver.objects().await.unwrap().len(), 2);
    }
    for object in in_order::<S>(vec![of(&one), of_snapshot(&snapshot)]) {
        delete(&driver, &object).await;
    }
    assert_empty(&driver).await;
}

pub(crate) async fn a_cancel_leaves_nothing<S: Subject>(subject: S) {
    let driver = subject.driver();
    let one = volume(1);
    created(&driver, &one, &Source::Empty).await;
    subject.write(&one, &some_stamps(1));
    let before = driver.objects().await.unwrap();
    let work = Work::default();
    work.cancel();
    let is_cancelled = |answer: Result<Done, DriverError>| {
        assert!(matches!(answer, Err(DriverError::Cancelled)), "{answer:?}");
    };
    let (clone, snapshot) = (volume(1), snapshot_of(&one));
    is_cancelled(
        driver
            .create(&clone, &Source::Volume(one.clone(), None), &work)
            .await,
    );
    is_cancelled(driver.snapshot(&one, &snapshot, None, &work).await);
    assert_eq!(driver.objects().await.unwrap(), before);

    // In the middle: after everything was copied once, when what changed meanwhile is asked for.
    let middles = [of(&clone), of_snapshot(&snapshot)];
    for object in middles.into_iter().filter(|_| S::NEEDS_LIVE_WRITES) {
        let work = Work::default();
        let live = live::cancelling(&work);
        is_cancelled(match &object {
            ObjectRef::Volume(clone) => {
                let source = Source::Volume(one.clone(), Some(live));
                driver.create(clone, &source, &work).await
            }
            ObjectRef::Snapshot(snapshot) => {
                driver.snapshot(&one, snapshot, Some(live), &work).await
            }
        });
        assert_eq!(driver.objects().await.unwrap(), before);
    }
    assert_eq!(subject.read(&of(&one)), held(1, &some_stamps(1)));
    delete(&driver, &of(&one)).await;
    assert_empty(&driver).await;
}

pub(crate) async fn different_objects_at_once<S: Subject>(subject: S) {
    let driver = subject.driver();
    let origin = volume(1);
    created(&driver, &origin, &Source::Empty).await;
    let stamps = some_stamps(1);
    subject.write(&origin, &stamps);
    let (clones, snapshots): (Vec<_>, Vec<_>) =
        (0..8).map(|_| (volume(1), snapshot_of(&origin))).unzip();
    let mut tasks = tokio::task::JoinSet::new();
    for (clone, snapshot) in clones.iter().zip(&snapshots) {
        let (driver, source, clone) = (driver.clone(), origin.clone(), clone.clone());
        let (other, origin, snapshot) = (driver.clone(), origin.clone(), snapshot.clone());
        tasks.spawn(async move {
            driver
                .create(&clone, &Source::Volume(source, None), &Work::default())
                .await
        });
        tasks.spawn(async move {
            other
                .snapshot(&origin, &snapshot, None, &Work::default())
                .await
        });
    }
    while let Some(answer) = tasks.join_next().await {
        assert_eq!(answer.unwrap().unwrap(), Done::Changed);
    }
    let objects = clones
        .iter()
        .map(of)
        .chain(snapshots.iter().map(of_snapshot));
    let mut objects: Vec<_> = objects.chain([of(&origin)]).collect();
    for object in &objects {
        assert_eq!(subject.read(object), held(1, &stamps));
    }
    let last = objects.pop_if(|_| S::SNAPSHOTS_DEPEND);
    for object in objects {
        let driver = driver.clone();
        tasks.spawn(async move {
            driver.wipe(&object, &Work::default()).await.unwrap();
            driver.remove(&object).await
        });
    }
    while let Some(answer) = tasks.join_next().await {
        assert_eq!(answer.unwrap().unwrap(), Done::Changed);
    }
    if let Some(origin) = last {
        delete(&driver, &origin).await;
    }
    assert_empty(&driver).await;
}

pub(crate) async fn a_repeat_after_a_crash_clears_its_remains<S: Subject>(subject: S) {
    let driver = subject.driver();
    let (one, two, work) = (volume(1), volume(1), Work::default());
    let snapshot = snapshot_of(&one);
    created(&driver, &one, &Source::Empty).await;
    subject.write(&one, &some_stamps(1));
    driver.snapshot(&one, &snapshot, None, &work).await.unwrap();
    let later = snapshot_of(&one);
    for object in [of(&one), of(&two), of_snapshot(&later)] {
        subject.leave_half_made(&object);
    }
    let subject = {
        drop(driver);
        subject.restarted()
    };
    let driver = subject.driver();
    created(&driver, &two, &Source::Snapshot(snapshot.clone())).await;
    driver.snapshot(&one, &later, None, &work).await.unwrap();
    driver.revert(&one, &snapshot, &work).await.unwrap();
    for object in [
        of(&one),
        of(&two),
        of_snapshot(&later),
        of_snapshot(&snapshot),
    ] {
        assert_eq!(subject.read(&object), held(1, &some_stamps(1)));
    }
    assert_eq!(driver.objects().await.unwrap().len(), 4);

    // The other way out: what was begun is given up.
    let never = volume(1);
    subject.leave_half_made(&of(&never));
    assert_eq!(driver.remove(&of(&never)).await.unwrap(), Done::Changed);
    // A daemon killed between wipe and remove: what was wiped stays out of sight.
    let wiped = driver.wipe(&of(&two), &work).await.unwrap();
    let subject = {
        drop(driver);
        subject.restarted()
    };
    let driver = subject.driver();
    if wiped == Done::Changed {
        let device = driver.device(&two).await;
        assert!(matches!(device, Err(DriverError::Absent { .. })));
    }
    delete(&driver, &of(&two)).await;
    for object in in_order::<S>(vec![of(&one), of_snapshot(&later), of_snapshot(&snapshot)]) {
        driver.remove(&object).await.unwrap();
    }
    assert_empty(&driver).await;
}

pub(crate) async fn stats_are_sane<S: Subject>(subject: S) {
    let reports = subject.driver().stats().await.unwrap();
    let pools: Vec<&str> = reports.iter().map(|report| report.pool.as_str()).collect();
    assert_eq!(pools, S::POOLS);
    for report in &reports {
        assert!(report.total_bytes > 0 && report.free_bytes <= report.total_bytes);
        assert!(report.capabilities.contains_key("volume_backend_name"));
    }
}

/// One test for each rule, over the given [`Subject`].
macro_rules! driver_contract {
    ($subject:ty) => {
        $crate::driver::contract::driver_contract! { $subject:
            the_absent_is_said_to_be_absent
            each_method_done_and_repeated
            a_snapshot_is_opened_as_it_was_taken
            content_is_copied_and_then_independent
            extend_keeps_content_and_adds_zeros
            revert_puts_back_and_keeps_the_snapshot
            a_cancel_leaves_nothing
            different_objects_at_once
            a_repeat_after_a_crash_clears_its_remains
            stats_are_sane
        }
        $crate::driver::contract::driver_contract! { $subject: adopting:
            what_is_released_can_be_adopted_again
            what_cannot_be_adopted_stays_as_it_is
            a_name_that_is_taken_is_not_overwritten
        }
        $crate::driver::contract::driver_contract! { $subject: live:
            a_copy_under_writes_is_of_one_instant
            a_broken_pause_is_not_consistent
        }
        $crate::driver::contract::driver_contract! { $subject: moving:
            a_volume_is_made_of_another_pools_device
            a_move_that_is_cancelled_or_cut_short_leaves_nothing
            what_is_asked_in_one_pool_is_not_done_in_the_other
        }
        $crate::driver::contract::driver_contract! { $subject: parts:
            parts_have_all_that_was_written
        }
        #[test]
        fn random_sequences_agree_with_the_oracle() {
            $crate::driver::contract::sequences::agree_with_the_oracle::<$subject>();
        }
    };
    ($subject:ty: $($rule:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $rule() {
            use $crate::driver::contract::Subject;
            if let Some(subject) = <$subject>::fresh() {
                $crate::driver::contract::$rule(subject).await;
            }
        }
    )+};
    ($subject:ty: $module:ident: $($rule:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $rule() {
            use $crate::driver::contract::Subject;
            if let Some(subject) = <$subject>::fresh() {
                $crate::driver::contract::$module::$rule(subject).await;
            }
        }
    )+};
}
pub(crate) use driver_contract;
