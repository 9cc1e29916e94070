//! The only waiting in the tests: for a thing, with a deadline.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::Result;

/// The first pause between two looks; it doubles up to the longest, which is this part of the deadline: who may wait
/// for minutes, on an emulated machine that looks themselves make slower, need not look every instant.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSES: u32 = 600;

/// A daemon that has not answered by then never will, even on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// Looks until there is something to see. `what` is named when it does not come.
pub fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut pause = PAUSE_MIN;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("waited {:.1} s in vain for {what}", deadline.as_secs_f32());
        }
        pause_between_looks(pause);
        pause = (pause * 2).min(deadline / PAUSES);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pause between two looks, under a deadline"
)]
fn pause_between_looks(pause: Duration) {
    std::thread::sleep(pause);
}
