//! Secure delete: zeros over what a file holds, before its blocks go back to the file system.
//!
//! What this gives, and what not:
//! - Blocks that the file holds at the time are overwritten in place on ext4 and XFS. What a host discarded earlier
//!   (UNMAP) or what a failed copy held went back to the file system as it was.
//! - Blocks shared with another file (reflink) belong to that one too: they are let go here, not overwritten, and
//!   are overwritten when the last file that holds them is wiped. Of two wipes at once only one lets go.
//! - Btrfs writes everything to new places, flash moves what is written, and a journal or a snapshot below the file
//!   system keeps copies: there, zeros do not reach the old blocks. Encrypt the disk where that matters.
//!
//! A wiped file is cut to nothing but stays in the trash until it is removed, so that a repeat finds it done.

use super::jobs::{Job, Stop};
use super::pool_file::{BLOCK_BYTES, PoolFile};
use crate::driver::DriverError;
use crate::pace::Pace;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Duration, Instant};

/// Overwritten and synced at once: what a crash repeats and what a cancel waits for.
pub(super) const SLICE_BYTES: u64 = 8 << 20;
/// One write.
const WRITE_BYTES: usize = 1 << 20;
/// A paced wipe looks this often whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(100);

/// Wipes files of one pool.
#[derive(Debug)]
pub(super) struct Wiper {
    pace: Pace,
    /// Whether files of this pool may share blocks.
    may_share: bool,
    /// Held from "is it shared?" until it is let go, or two wipes of the last two holders would each leave the
    /// blocks to the other.
    unsharing: Arc<Mutex<()>>,
}

impl Wiper {
    pub(super) fn new(bytes_per_s: u64, may_share: bool) -> Self {
        Self {
            pace: Pace::new(bytes_per_s),
            may_share,
            unsharing: Arc::default(),
        }
    }

    /// Overwrites `file` from `cursor` on and cuts it to nothing; `false` when it was nothing already.
    pub(super) async fn wipe(
        &self,
        job: &Job,
        file: PoolFile,
        cursor: u64,
    ) -> Result<bool, DriverError> {
        let file = Arc::new(file);
        let asked = file.clone();
        let len = job.run(move |_| asked.len_bytes()).await?;
        if len == 0 {
            return Ok(false);
        }
        let slice_bytes = self.pace.slice_bytes(SLICE_BYTES, BLOCK_BYTES as u64);
        let mut at = cursor.min(len);
        loop {
            let (file, unsharing) = (file.clone(), self.may_share.then(|| self.unsharing.clone()));
            let rest = at..len;
            let part = move |stop: &Stop| {
                stop.check()?;
                wipe_next(&file, rest, slice_bytes, unsharing.as_deref())
            };
            let Some(wiped) = job.run(part).await? else {
                break;
            };
            at = wiped.end;
            job.stop().report(at, len);
            self.wait(wiped.end - wiped.start, job.stop()).await?;
        }
        job.run(move |_| {
            file.set_len_bytes(0)?;
            file.sync_whole()
        })
        .await?;
        job.stop().report(len, len);
        Ok(true)
    }

    async fn wait(&self, len_bytes: u64, stop: &Stop) -> Result<(), DriverError> {
        let until = Instant::now() + self.pace.take(len_bytes, Instant::now());
        loop {
            stop.check()?;
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(rest.min(CANCEL_POLL)).await;
        }
    }
}

/// Overwrites the next data of `rest`, at most `slice_bytes`, down to the disk; what was overwritten, or nothing when
/// there is no more.
fn wipe_next(
    file: &PoolFile,
    rest: Range<u64>,
    slice_bytes: u64,
    unsharing: Option<&Mutex<()>>,
) -> Result<Option<Range<u64>>, DriverError> {
    let Some(data) = file.data_in(rest)? else {
        return Ok(None);
    };
    let piece = data.start..data.end.min(data.start.saturating_add(slice_bytes));
    let mut at = piece.start;
    if let Some(unsharing) = unsharing {
        let _guard = unsharing.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = file.shared_in(piece.clone())?;
        for others in &shared {
            if !file.punch(others.clone())? {
                return Err(DriverError::Unsupported {
                    what: "let go of shared blocks (punch holes) on this file system",
                });
            }
        }
        if !shared.is_empty() {
            // The hole must be on the disk before another file's wipe sees the blocks as its own alone.
            file.sync()?;
        }
        for others in shared {
            overwrite(file, at..others.start)?;
            at = others.end;
        }
    }
    overwrite(file, at..piece.end)?;
    file.sync()?;
    file.forget(piece.clone());
    Ok(Some(piece))
}

fn overwrite(file: &PoolFile, range: Range<u64>) -> Result<(), DriverError> {
    static ZEROS: [u8; WRITE_BYTES] = [0; WRITE_BYTES];
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at)
            .unwrap_or(WRITE_BYTES)
            .min(WRITE_BYTES);
        file.write_at(&ZEROS[..len], at)?;
        at += len as u64;
    }
    Ok(())
}
