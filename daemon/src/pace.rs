//! A token bucket: how long to wait so that wiping and copying leave the disk to the hosts. Pure; the clock is the caller's.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Work may run ahead of the rate by this much, so that short pauses of the disk are made up for.
const BURST: Duration = Duration::from_secs(1);

/// The pace of one pool, shared by all that wipe in it, or of one copy.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_s: u64,
    /// When the bytes taken so far will have been paid for.
    paid_at: Mutex<Option<Instant>>,
}

impl Pace {
    /// 0 means no limit.
    pub(crate) fn new(bytes_per_s: u64) -> Self {
        Self {
            bytes_per_s,
            paid_at: Mutex::new(None),
        }
    }

    /// The largest piece that keeps each wait within about a second.
    pub(crate) fn slice_bytes(&self, wanted_bytes: u64, block_bytes: u64) -> u64 {
        if self.bytes_per_s == 0 {
            return wanted_bytes;
        }
        let in_a_second = self.bytes_per_s / block_bytes * block_bytes;
        wanted_bytes.min(in_a_second).max(block_bytes)
    }

    /// Takes `len_bytes` and tells how long to wait before using them.
    pub(crate) fn take(&self, len_bytes: u64, now: Instant) -> Duration {
        let Some(nanos) = u128::from(len_bytes)
            .saturating_mul(1_000_000_000)
            .checked_div(u128::from(self.bytes_per_s))
        else {
            return Duration::ZERO;
        };
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let start = paid_at.unwrap_or(now).max(earliest);
        *paid_at = Some(start + cost);
        start.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_over_time() {
        let pace = Pace::new(1000);
        let start = Instant::now();
        let mut now = start;
        for _ in 0..20 {
            now += pace.take(500, now);
        }
        // The first piece is free, the other 19 wait for those before them.
        assert_eq!(now - start, Duration::from_millis(9500));
    }

    #[test]
    fn a_pause_is_made_up_for_but_not_more_than_the_burst() {
        let pace = Pace::new(1000);
        let start = Instant::now();
        pace.take(1000, start);
        let later = start + Duration::from_secs(100);
        assert_eq!(pace.take(1000, later), Duration::ZERO);
        assert_eq!(pace.take(1000, later), Duration::ZERO);
        assert_eq!(pace.take(1000, later), Duration::from_secs(1));
    }

    #[test]
    fn no_limit_never_waits_and_slices_follow_the_rate() {
        let free = Pace::new(0);
        assert_eq!(free.take(u64::MAX, Instant::now()), Duration::ZERO);
        assert_eq!(free.slice_bytes(8 << 20, 4096), 8 << 20);
        assert_eq!(Pace::new(1 << 20).slice_bytes(8 << 20, 4096), 1 << 20);
        assert_eq!(Pace::new(1).slice_bytes(8 << 20, 4096), 4096);
    }
}
