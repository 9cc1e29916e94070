//! Hosts' writes to one volume, counted, noted and held: what lets a snapshot be copied from a file
//! system without reflink while hosts write. Knows no SCSI, no socket and no file.
//!
//! Every write takes a [`WritePass`] before it touches the file and marks its ranges under it.
//! Passes belong to one of two generations; `track` and `dirty` start a new generation and wait for
//! the old one to end, so that a write noted before the map was taken has reached the file before
//! the map is answered: its bytes cannot be missed by the copy that follows.
//!
//! A pause ends by `resume`, by its deadline, or by the end of the control connection that asked for
//! it ([`Live::release`]); whoever comes too late is told that it was broken.

use super::limits::{DIRTY_GRANULE_LEN, DRAIN_TIMEOUT, PAUSE_MAX};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Names the control connection that tracks or pauses.
pub type Owner = u64;

/// Why writes could not be tracked or held.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum LiveError {
    /// Another control connection tracks this volume.
    #[error("another connection tracks the volume's writes")]
    Taken,
    /// This connection does not track, or no longer.
    #[error("the volume's writes are not tracked by this connection")]
    NotTracked,
    /// Writes under way did not end in time.
    #[error("writes under way did not end in time")]
    Slow,
    /// The pause ended before it was resumed.
    #[error("the pause had ended by itself before")]
    PauseBroken,
}

#[derive(Debug, Default)]
struct State {
    generation: usize,
    passes: [u64; 2],
    tracker: Option<Tracker>,
    pause: Option<Pause>,
}

#[derive(Debug)]
struct Tracker {
    owner: Owner,
    map: DirtyMap,
}

#[derive(Debug)]
struct Pause {
    owner: Owner,
    deadline: Instant,
}

/// The gate of one volume.
#[derive(Debug, Default)]
pub struct Live {
    state: Mutex<State>,
    tracked: AtomicBool,
    changed: Notify,
    turn: tokio::sync::Mutex<()>,
}

/// The right to write, held until the write is in the file.
#[derive(Debug)]
pub struct WritePass {
    live: Arc<Live>,
    generation: usize,
}

impl WritePass {
    /// Notes a range, before it is written.
    pub fn mark(&self, offset: u64, len: u64) {
        if self.live.tracked.load(Ordering::SeqCst)
            && let Some(tracker) = &mut self.live.lock().tracker
        {
            tracker.map.mark(offset, len);
        }
    }
}

impl Drop for WritePass {
    fn drop(&mut self) {
        self.live.lock().passes[self.generation] -= 1;
        self.live.changed.notify_waiters();
    }
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pass, unless writes are held now.
    pub fn try_enter(self: &Arc<Self>) -> Option<WritePass> {
        let mut state = self.lock();
        if state
            .pause
            .as_ref()
            .is_some_and(|pause| Instant::now() < pause.deadline)
        {
            return None;
        }
        let generation = state.generation;
        state.passes[generation] += 1;
        drop(state);
        Some(WritePass {
            live: Arc::clone(self),
            generation,
        })
    }

    /// A pass, once writes are not held.
    pub async fn enter(self: &Arc<Self>) -> WritePass {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(pass) = self.try_enter() {
                return pass;
            }
            let deadline = self.lock().pause.as_ref().map(|pause| pause.deadline);
            // Woken by a resume or by the pause's deadline, whichever comes first.
            let _either = timeout_at(deadline.unwrap_or_else(Instant::now), changed).await;
        }
    }

    async fn wait(
        &self,
        deadline: Instant,
        over: impl Fn(&State) -> bool,
    ) -> Result<(), LiveError> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if over(&self.lock()) {
                    return;
                }
                changed.await;
            }
        };
        timeout_at(deadline, wait)
            .await
            .map_err(|_| LiveError::Slow)
    }

    /// Starts a new generation of passes and waits for the old one to end; and first for the one before, which is
    /// still there when an earlier call ran out of time.
    async fn turn_over(&self) -> Result<(), LiveError> {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        let idle = |state: &State| state.passes[1 - state.generation] == 0;
        self.wait(deadline, idle).await?;
        {
            let mut state = self.lock();
            state.generation = 1 - state.generation;
        }
        self.wait(deadline, idle).await
    }

    /// Begins to note writes for `owner`; whatever it noted before is forgotten.
    pub async fn track(&self, owner: Owner) -> Result<(), LiveError> {
        let _turn = self.turn.lock().await;
        {
            let mut state = self.lock();
            if state
                .tracker
                .as_ref()
                .is_some_and(|tracker| tracker.owner != owner)
            {
                return Err(LiveError::Taken);
            }
            state.tracker = Some(Tracker {
                owner,
                map: DirtyMap::default(),
            });
            self.tracked.store(true, Ordering::SeqCst);
        }
        // Writes that came before the map went unnoted: they end before the copy begins.
        self.turn_over().await
    }

    /// The ranges written since, sorted and merged; and forgets them.
    pub async fn dirty(&self, owner: Owner) -> Result<Vec<(u64, u64)>, LiveError> {
        let _turn = self.turn.lock().await;
        let map = {
            let mut state = self.lock();
            let tracker = state
                .tracker
                .as_mut()
                .filter(|tracker| tracker.owner == owner);
            std::mem::take(&mut tracker.ok_or(LiveError::NotTracked)?.map)
        };
        let over = self.turn_over().await;
        if over.is_err()
            && let Some(tracker) = &mut self.lock().tracker
        {
            // Not answered, so not forgotten.
            map.ranges()
                .iter()
                .for_each(|(offset, len)| tracker.map.mark(*offset, *len));
        }
        over.map(|()| map.ranges())
    }

    /// Holds new writes and returns once none is under way.
    pub async fn pause(&self, owner: Owner, limit: Duration) -> Result<(), LiveError> {
        let _turn = self.turn.lock().await;
        let deadline = Instant::now() + limit.min(PAUSE_MAX);
        {
            let mut state = self.lock();
            if state
                .tracker
                .as_ref()
                .is_none_or(|tracker| tracker.owner != owner)
            {
                return Err(LiveError::NotTracked);
            }
            state.pause = Some(Pause { owner, deadline });
        }
        let quiet = self.wait(deadline, |state| state.passes == [0, 0]).await;
        if quiet.is_err() {
            self.lock().pause = None;
            self.changed.notify_waiters();
        }
        quiet
    }

    /// Lets writes go on and ends the tracking.
    pub fn resume(&self, owner: Owner) -> Result<(), LiveError> {
        let state = self.lock();
        let outcome = match &state.pause {
            Some(pause) if pause.owner != owner => return Err(LiveError::Taken),
            Some(pause) if Instant::now() < pause.deadline => Ok(()),
            Some(_) => Err(LiveError::PauseBroken),
            None => match &state.tracker {
                Some(tracker) if tracker.owner == owner => Ok(()),
                Some(_) | None => Err(LiveError::NotTracked),
            },
        };
        drop(state);
        self.release(owner);
        outcome
    }

    /// Lifts whatever `owner` holds: its pause and its tracking.
    pub fn release(&self, owner: Owner) {
        let mut state = self.lock();
        if state
            .pause
            .as_ref()
            .is_some_and(|pause| pause.owner == owner)
        {
            state.pause = None;
        }
        if state
            .tracker
            .as_ref()
            .is_some_and(|tracker| tracker.owner == owner)
        {
            state.tracker = None;
            self.tracked.store(false, Ordering::SeqCst);
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

/// One bit for each granule that was written; as long as the highest one.
#[derive(Debug, Default)]
pub struct DirtyMap {
    words: Vec<u64>,
}

impl DirtyMap {
    /// Notes a range.
    pub fn mark(&mut self, offset: u64, len: u64) {
        if len == 0 {
            return;
        }
        let first = offset / DIRTY_GRANULE_LEN;
        let last = offset.saturating_add(len - 1) / DIRTY_GRANULE_LEN;
        let index = |granule: u64| usize::try_from(granule / 64).unwrap_or(usize::MAX);
        if self.words.len() <= index(last) {
            self.words.resize(index(last) + 1, 0);
        }
        for word in index(first)..=index(last) {
            let mut mask = u64::MAX;
            if word == index(first) {
                mask &= u64::MAX << (first % 64);
            }
            if word == index(last) {
                mask &= u64::MAX >> (63 - last % 64);
            }
            self.words[word] |= mask;
        }
    }

    /// The noted ranges, whole granules, sorted and merged.
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        let set = |(index, word): (u64, &u64)| {
            let word = *word;
            (0..64)
                .filter(move |bit| word >> bit & 1 == 1)
                .map(move |bit| index * 64 + bit)
        };
        for granule in (0_u64..)
            .zip(&self.words)
            .filter(|(_, word)| **word != 0)
            .flat_map(set)
        {
            let offset = granule * DIRTY_GRANULE_LEN;
            match ranges.last_mut() {
                Some((start, len)) if *start + *len == offset => *len += DIRTY_GRANULE_LEN,
                _ => ranges.push((offset, DIRTY_GRANULE_LEN)),
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::{DirtyMap, Live, LiveError};
    use crate::target::iscsi::limits::DIRTY_GRANULE_LEN as GRANULE;
    use proptest::prelude::prop;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    proptest::proptest! {
        #[test]
        fn the_map_holds_just_the_granules_touched(
            marks in prop::collection::vec((0_u64..40_000_000, 0_u64..9_000_000), 0..20)
        ) {
            let mut map = DirtyMap::default();
            let mut touched = BTreeSet::new();
            for (offset, len) in marks {
                map.mark(offset, len);
                if len > 0 {
                    touched.extend(offset / GRANULE..=(offset + len - 1) / GRANULE);
                }
            }
            let ranges = map.ranges();
            let found: Vec<u64> = ranges.iter()
                .flat_map(|(offset, len)| offset / GRANULE..(offset + len) / GRANULE).collect();
            proptest::prop_assert_eq!(found, touched.into_iter().collect::<Vec<_>>());
            proptest::prop_assert!(ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0));
        }
    }

    #[tokio::test]
    async fn a_pause_waits_for_writes_under_way_and_holds_new_ones() {
        let live = Arc::new(Live::default());
        live.track(1).await.unwrap();
        let pass = live.enter().await;
        pass.mark(0, 1);
        let limit = Duration::from_secs(5);
        assert_eq!(
            live.pause(1, Duration::from_millis(10)).await,
            Err(LiveError::Slow)
        );
        assert!(live.try_enter().is_some(), "a failed pause holds nothing");
        let pausing = tokio::spawn({
            let live = Arc::clone(&live);
            async move { live.pause(1, limit).await }
        });
        tokio::task::yield_now().await;
        drop(pass);
        assert_eq!(pausing.await.unwrap(), Ok(()));
        assert!(live.try_enter().is_none());
        assert_eq!(live.dirty(1).await, Ok(vec![(0, GRANULE)]));
        assert_eq!(live.resume(1), Ok(()));
        assert!(live.try_enter().is_some());
        assert_eq!(
            live.dirty(1).await,
            Err(LiveError::NotTracked),
            "resume ends the tracking"
        );
    }

    #[tokio::test]
    async fn a_pause_past_its_deadline_is_broken_and_says_so() {
        let live = Arc::new(Live::default());
        live.track(1).await.unwrap();
        live.pause(1, Duration::from_millis(100)).await.unwrap();
        let held = tokio::time::Instant::now();
        drop(live.enter().await);
        assert!(held.elapsed() >= Duration::from_millis(100));
        assert_eq!(live.resume(1), Err(LiveError::PauseBroken));
    }

    #[tokio::test]
    async fn the_end_of_the_owner_lifts_its_pause() {
        let live = Arc::new(Live::default());
        live.track(1).await.unwrap();
        assert_eq!(live.track(2).await, Err(LiveError::Taken));
        assert_eq!(
            live.pause(2, Duration::from_secs(1)).await,
            Err(LiveError::NotTracked)
        );
        live.pause(1, Duration::from_secs(5)).await.unwrap();
        live.release(2);
        assert!(live.try_enter().is_none());
        live.release(1);
        assert!(live.try_enter().is_some());
        live.track(2).await.unwrap();
    }

    #[tokio::test]
    async fn a_write_that_outlasted_one_wait_is_waited_for_by_the_next() {
        let live = Arc::new(Live::default());
        // Begun before anything was tracked, and stuck in a slow disk.
        let unnoted = live.enter().await;
        let given_up = |owner| tokio::time::timeout(Duration::from_millis(10), live.track(owner));
        assert!(given_up(1).await.is_err());
        live.release(1);
        assert!(
            given_up(2).await.is_err(),
            "it is still under way, and unnoted"
        );
        drop(unnoted);
        assert!(given_up(2).await.is_ok());
    }

    #[tokio::test]
    async fn a_map_is_answered_only_after_the_writes_in_it_ended() {
        let live = Arc::new(Live::default());
        live.track(1).await.unwrap();
        let pass = live.enter().await;
        pass.mark(GRANULE, 1);
        let taking = tokio::spawn({
            let live = Arc::clone(&live);
            async move { live.dirty(1).await }
        });
        tokio::task::yield_now().await;
        assert!(!taking.is_finished());
        pass.mark(5 * GRANULE, 1);
        drop(pass);
        assert_eq!(taking.await.unwrap(), Ok(vec![(GRANULE, GRANULE)]));
        assert_eq!(live.dirty(1).await, Ok(vec![(5 * GRANULE, GRANULE)]));
    }
}
