//! One instant of a volume that hosts are writing to.
//!
//! With shared blocks (reflink): write back what is dirty, pause, share, resume: milliseconds.
//! Without: track; copy everything; copy what was written meanwhile, again and again, until little is left; pause;
//! copy that; resume. Because everything written since `track` was copied after it was written, or under the pause,
//! the copy is the volume at the instant of the pause.
//!
//! Failures: a lost target, an expired pause, or hosts that write faster than we copy end the call with
//! [`DriverError::NotConsistent`]; tracking and pause are ended in every case.

use super::copy::Making;
use super::jobs::Job;
use super::pool_file::{BLOCK_BYTES, PoolFile};
use crate::driver::{DriverError, LiveWrites, LiveWritesLost};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Rounds of copying what was written during the round before: each should be a fraction of the last; after as many
/// without an end, the hosts are faster than we.
const ROUNDS_MAX: usize = 12;
/// The pause comes once a round was this small: tens of milliseconds of copying.
const ROUND_BYTES_AIM: u64 = 8 << 20;
/// More is not copied while hosts wait: at 100 MB/s about two thirds of a second.
const PAUSED_BYTES_MAX: u64 = 64 << 20;
/// Hosts' writes stand still no longer; initiators give up after 30 s and more.
const PAUSE_MAX_MS: u64 = 5_000;
/// The target answers each call within this, a pause included, which waits for the writes under way.
const TARGET_ANSWER_MAX: Duration = Duration::from_secs(15);

const TOO_FAST: &str = "hosts write faster than it can be copied; try again when they write less";
const TARGET_SILENT: &str = "its target did not answer in time; try again";
const TARGET_LOST: &str = "its target restarted, or the pause of its writes ran out; try again";

/// What is to be copied, and how its writes are held.
pub(super) struct LiveCopy {
    pub(super) making: Arc<Making>,
    pub(super) source: Arc<PoolFile>,
    pub(super) live: Arc<dyn LiveWrites>,
}

impl LiveCopy {
    /// Shares the source's blocks at one instant; `false` where that cannot be done, and nothing was.
    pub(super) async fn reflink(&self, job: &Job) -> Result<bool, DriverError> {
        // FICLONE writes back what is dirty first; better before the pause than in it.
        let source = self.source.clone();
        job.run(move |_| source.sync()).await?;
        self.tracked(async {
            self.answer(self.live.pause(PAUSE_MAX_MS)).await?;
            let (making, source) = (self.making.clone(), self.source.clone());
            let is_shared = job
                .run(move |_| making.target.reflink_from(&source))
                .await?;
            Ok(is_shared)
        })
        .await
    }

    /// Copies the source as it is at one instant.
    pub(super) async fn copy(&self, job: &Job) -> Result<(), DriverError> {
        self.tracked(async {
            let (making, source) = (self.making.clone(), self.source.clone());
            job.run(move |stop| making.copy_all(&source, stop)).await?;
            self.copy_until_little_is_left(job).await?;
            self.answer(self.live.pause(PAUSE_MAX_MS)).await?;
            let rest = self.dirty().await?;
            if bytes_in(&rest) > PAUSED_BYTES_MAX {
                return Err(self.not_consistent(TOO_FAST));
            }
            self.copy_again(job, rest).await
        })
        .await
    }

    async fn copy_until_little_is_left(&self, job: &Job) -> Result<(), DriverError> {
        for _ in 0..ROUNDS_MAX {
            let dirty = self.dirty().await?;
            let dirty_bytes = bytes_in(&dirty);
            self.copy_again(job, dirty).await?;
            if dirty_bytes <= ROUND_BYTES_AIM {
                return Ok(());
            }
        }
        Err(self.not_consistent(TOO_FAST))
    }

    async fn copy_again(&self, job: &Job, ranges: Vec<Range<u64>>) -> Result<(), DriverError> {
        let (making, source) = (self.making.clone(), self.source.clone());
        job.run(move |stop| making.copy_again(&source, &ranges, stop))
            .await
    }

    /// Runs `act` between `track` and `resume`; the latter comes in every case, and its verdict counts.
    async fn tracked<T>(
        &self,
        act: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        self.answer(self.live.track()).await?;
        let outcome = act.await;
        let resumed = self.answer(self.live.resume()).await;
        let value = outcome?;
        resumed?;
        Ok(value)
    }

    async fn dirty(&self) -> Result<Vec<Range<u64>>, DriverError> {
        let ranges = self.answer(self.live.dirty()).await?;
        Ok(whole_blocks(
            &ranges,
            self.making.copied_bytes(&self.source)?,
        ))
    }

    async fn answer<T>(
        &self,
        call: impl Future<Output = Result<T, LiveWritesLost>>,
    ) -> Result<T, DriverError> {
        match tokio::time::timeout(TARGET_ANSWER_MAX, call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(lost)) => {
                tracing::warn!(object = self.source.name(), error = %lost, "live copy broken");
                Err(self.not_consistent(TARGET_LOST))
            }
            Err(_) => Err(self.not_consistent(TARGET_SILENT)),
        }
    }

    fn not_consistent(&self, why: &'static str) -> DriverError {
        let object = self.source.name().to_owned();
        DriverError::NotConsistent { object, why }
    }
}

fn bytes_in(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// The target's ranges (offset, length) widened to whole blocks, cut at `len_bytes`, sorted and joined.
fn whole_blocks(ranges: &[(u64, u64)], len_bytes: u64) -> Vec<Range<u64>> {
    let block = BLOCK_BYTES as u64;
    let mut blocks: Vec<Range<u64>> = ranges
        .iter()
        .map(|(offset, len)| {
            let end = offset.saturating_add(*len).checked_next_multiple_of(block);
            offset / block * block..end.unwrap_or(len_bytes).min(len_bytes)
        })
        .filter(|range| range.start < range.end)
        .collect();
    blocks.sort_by_key(|range| range.start);
    blocks.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_become_whole_blocks() {
        let len = 10 * 4096;
        assert_eq!(whole_blocks(&[], len), []);
        let ranges = [(5000, 1), (0, 4096), (39_999, u64::MAX), (u64::MAX, 1)];
        assert_eq!(whole_blocks(&ranges, len), [0..8192, 36_864..40_960]);
    }

    proptest! {
        #[test]
        fn every_byte_stays_covered_and_ranges_stay_apart(
            ranges in prop::collection::vec((0_u64..90_000, 0_u64..9_000), 0..12)
        ) {
            let len = 81_920;
            let blocks = whole_blocks(&ranges, len);
            for pair in blocks.windows(2) {
                prop_assert!(pair[0].end < pair[1].start);
            }
            for (offset, count) in ranges {
                for byte in (offset..offset + count).step_by(97).filter(|byte| *byte < len) {
                    prop_assert!(blocks.iter().any(|range| range.contains(&byte)));
                }
            }
        }
    }
}
