//! A volume that is written to while it is copied: the copy is the volume of one instant.

use super::{Subject, of, of_snapshot, snapshot_of, some_stamps, volume};
use crate::driver::{Done, DriverError, LiveWrites, LiveWritesLost, Source, VolumeRef, Work};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};

/// What a target does for its volume: holds and notes its hosts' writes.
#[derive(Default)]
struct TestTarget {
    gate: Arc<RwLock<()>>,
    pause: Mutex<Option<OwnedRwLockWriteGuard<()>>>,
    dirty: Mutex<Option<BTreeSet<u64>>>,
    breaks_pause: AtomicBool,
    pauses: AtomicU64,
    /// How many writes came so far, how many may come, and whether any will.
    count: AtomicU64,
    allowed: AtomicU64,
    has_writer: AtomicBool,
}

impl TestTarget {
    async fn write<S: Subject>(&self, subject: &S, volume: &VolumeRef, block: u64, stamp: u64) {
        let _passed = self.gate.read().await;
        if let Some(dirty) = self.dirty.lock().unwrap().as_mut() {
            dirty.insert(block);
        }
        subject.write(volume, &[(block, stamp)]);
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns once some more blocks were written, but not all, so that the driver finds the volume changed by each
    /// of its calls, and a write that it loses is not made good by the next.
    async fn let_writes_come(&self) {
        let wanted = self.count.load(Ordering::SeqCst) + 3;
        self.allowed.fetch_max(wanted, Ordering::SeqCst);
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.has_writer.load(Ordering::SeqCst) && self.count.load(Ordering::SeqCst) < wanted {
            assert!(Instant::now() < deadline, "the writer is stuck");
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl LiveWrites for TestTarget {
    async fn track(&self) -> Result<(), LiveWritesLost> {
        let _still = self.gate.write().await;
        *self.dirty.lock().unwrap() = Some(BTreeSet::new());
        Ok(())
    }

    async fn dirty(&self) -> Result<Vec<(u64, u64)>, LiveWritesLost> {
        let blocks = {
            let mut dirty = self.dirty.lock().unwrap();
            dirty.as_mut().map(std::mem::take).unwrap_or_default()
        };
        let is_paused = self.pause.lock().unwrap().is_some();
        if !is_paused {
            self.let_writes_come().await;
        }
        Ok(blocks
            .into_iter()
            .map(|block| (block * 4096, 4096))
            .collect())
    }

    async fn pause(&self, _max_ms: u64) -> Result<(), LiveWritesLost> {
        self.pauses.fetch_add(1, Ordering::SeqCst);
        self.let_writes_come().await;
        let guard = self.gate.clone().write_owned().await;
        *self.pause.lock().unwrap() = Some(guard);
        Ok(())
    }

    async fn resume(&self) -> Result<(), LiveWritesLost> {
        let guard = self.pause.lock().unwrap().take();
        *self.dirty.lock().unwrap() = None;
        if guard.is_none() || self.breaks_pause.load(Ordering::SeqCst) {
            let why = "time ran out".to_owned();
            return Err(LiveWritesLost { why });
        }
        Ok(())
    }
}

/// Cancels the work as soon as the driver asks for anything after `track`.
struct Cancelling(Work);

/// Live writes that cancel `work` in the middle of the copy.
pub(crate) fn cancelling(work: &Work) -> Arc<dyn LiveWrites> {
    Arc::new(Cancelling(work.clone()))
}

#[async_trait]
impl LiveWrites for Cancelling {
    async fn track(&self) -> Result<(), LiveWritesLost> {
        Ok(())
    }

    async fn dirty(&self) -> Result<Vec<(u64, u64)>, LiveWritesLost> {
        self.0.cancel();
        Ok(vec![(0, 1 << 20)])
    }

    async fn pause(&self, _max_ms: u64) -> Result<(), LiveWritesLost> {
        self.0.cancel();
        Ok(())
    }

    async fn resume(&self) -> Result<(), LiveWritesLost> {
        Ok(())
    }
}

/// The blocks that the writer goes round and round, far apart, so that copying takes a while between them.
const BLOCKS: [u64; 7] = [0, 40, 41, 50_000, 100_000, 200_000, 262_143];

/// Writes 1, 2, 3, ... each to the next block of [`BLOCKS`], one after the other, until told to stop.
async fn keep_writing<S: Subject>(subject: Arc<S>, target: Arc<TestTarget>, volume: VolumeRef) {
    for (stamp, block) in (1..).zip(BLOCKS.into_iter().cycle()) {
        while stamp > target.allowed.load(Ordering::SeqCst) {
            if !target.has_writer.load(Ordering::SeqCst) {
                return;
            }
            tokio::task::yield_now().await;
        }
        if !target.has_writer.load(Ordering::SeqCst) {
            return;
        }
        target.write(&*subject, &volume, block, stamp).await;
        tokio::task::yield_now().await;
    }
}

/// The writes are numbered and come one after the other, so a copy of one instant holds, for some number, exactly
/// the writes up to it; a torn copy lacks one in between.
fn assert_one_instant(stamps: &super::Stamps) -> u64 {
    let last = stamps.values().copied().max().unwrap_or(0);
    let blocks = (1..=last).zip(BLOCKS.into_iter().cycle());
    let expected = blocks.map(|(stamp, block)| (block, stamp)).collect();
    assert_eq!(*stamps, expected, "torn at write {last}");
    last
}

pub(crate) async fn a_copy_under_writes_is_of_one_instant<S: Subject>(subject: S) {
    let (driver, subject) = (subject.driver(), Arc::new(subject));
    let (target, origin) = (Arc::new(TestTarget::default()), volume(1));
    driver
        .create(&origin, &Source::Empty, &Work::default())
        .await
        .unwrap();
    target.has_writer.store(true, Ordering::SeqCst);
    let writer = tokio::spawn(keep_writing(
        subject.clone(),
        target.clone(),
        origin.clone(),
    ));
    let mut last = 0;
    for round in 0..6 {
        // First only between the driver's calls, then all the time.
        if round == 3 {
            target.allowed.store(u64::MAX, Ordering::SeqCst);
        }
        let (snapshot, clone) = (snapshot_of(&origin), volume(1));
        let before = target.count.load(Ordering::SeqCst);
        let live: Arc<dyn LiveWrites> = target.clone();
        driver
            .snapshot(&origin, &snapshot, Some(live.clone()), &Work::default())
            .await
            .unwrap();
        let source = Source::Volume(origin.clone(), Some(live));
        driver
            .create(&clone, &source, &Work::default())
            .await
            .unwrap();
        for object in [of_snapshot(&snapshot), of(&clone)] {
            let instant = assert_one_instant(&subject.read(&object).1);
            assert!(
                instant >= before && instant >= last,
                "an instant within the call"
            );
            last = instant;
            driver.remove(&object).await.unwrap();
        }
    }
    target.has_writer.store(false, Ordering::SeqCst);
    writer.await.unwrap();
    let pauses = if S::NEEDS_LIVE_WRITES { 12 } else { 0 };
    assert_eq!(target.pauses.load(Ordering::SeqCst), pauses);
    assert!(target.dirty.lock().unwrap().is_none(), "tracking was ended");
    driver.remove(&of(&origin)).await.unwrap();
    assert_eq!(driver.objects().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn a_broken_pause_is_not_consistent<S: Subject>(subject: S) {
    if !S::NEEDS_LIVE_WRITES {
        return;
    }
    let driver = subject.driver();
    let (target, origin) = (Arc::new(TestTarget::default()), volume(1));
    driver
        .create(&origin, &Source::Empty, &Work::default())
        .await
        .unwrap();
    subject.write(&origin, &some_stamps(1));
    target.breaks_pause.store(true, Ordering::SeqCst);
    let snapshot = snapshot_of(&origin);
    let live: Arc<dyn LiveWrites> = target.clone();
    let answer = driver
        .snapshot(&origin, &snapshot, Some(live.clone()), &Work::default())
        .await;
    assert!(
        matches!(answer, Err(DriverError::NotConsistent { .. })),
        "{answer:?}"
    );
    assert_eq!(
        driver.objects().await.unwrap().len(),
        1,
        "nothing is left of it"
    );
    target.breaks_pause.store(false, Ordering::SeqCst);
    let answer = driver
        .snapshot(&origin, &snapshot, Some(live), &Work::default())
        .await;
    assert_eq!(answer.unwrap(), Done::Changed);
    for object in [of(&origin), of_snapshot(&snapshot)] {
        driver.remove(&object).await.unwrap();
    }
}
