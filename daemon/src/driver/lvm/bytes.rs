//! The bytes of logical volumes: copied, zeroed, overwritten. Blocking work goes to threads of its own, slice by slice,
//! so that a cancel is heard and progress is told.
//!
//! Zeros are asked of the device first (`PUNCH_HOLE` on a block device zeroes or fails, it never writes); where the
//! device promises none, the kernel writes them (`ZERO_RANGE`), at the configured pace.

use crate::driver::{DriverError, Work};
use crate::pace::Pace;
use rustix::fs::{Advice, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::time::{Duration, Instant};

/// Copied at once.
const COPY_BYTES: usize = 1 << 20;
/// Zeroed by the device at once.
const OFFLOAD_BYTES: u64 = 256 << 20;
/// Zeroed by writing at once: what a crash repeats and what a cancel waits for.
const WRITE_BYTES: u64 = 8 << 20;
/// Zero blocks of this size are not copied.
const BLOCK_BYTES: usize = 4096;
/// So much is copied before it is brought to the disk.
const SYNC_BYTES: u64 = 64 << 20;
/// A paced overwrite looks this often whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(100);

/// A volume's device, open.
#[derive(Clone)]
pub(super) struct Bytes {
    file: Arc<File>,
    path: PathBuf,
    len_bytes: u64,
}

impl Bytes {
    /// Opens a device; what the page cache holds of it from an earlier time is let go, since hosts write past it.
    pub(super) async fn open(path: &Path, is_writable: bool) -> Result<Self, DriverError> {
        let path = path.to_owned();
        run(move || {
            let flags = match is_writable {
                true => OFlags::RDWR,
                false => OFlags::RDONLY,
            };
            let opened = rustix::fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty());
            let file = File::from(opened.map_err(|error| failed("opening", &path, error.into()))?);
            let len_bytes = rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))
                .map_err(|error| failed("measuring", &path, error.into()))?;
            // Advice: at worst something is read twice.
            let _ = rustix::fs::fadvise(&file, 0, NonZeroU64::new(len_bytes), Advice::DontNeed);
            Ok(Self {
                file: Arc::new(file),
                path,
                len_bytes,
            })
        })
        .await
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Makes the range from `from` to `to` read as zeros, on the disk when this returns. `tell` hears up to where.
    pub(super) async fn zero(
        &self,
        from: u64,
        to: u64,
        pace: &Pace,
        work: &Work,
        tell: impl Fn(u64),
    ) -> Result<(), DriverError> {
        let mut at = from;
        let mut offloads = true;
        while at < to {
            cancelled(work)?;
            let slice = match offloads {
                true => OFFLOAD_BYTES,
                false => pace.slice_bytes(WRITE_BYTES, BLOCK_BYTES as u64),
            };
            let len = slice.min(to - at);
            let one = self.clone();
            if !run(move || one.zero_slice(at, len, offloads)).await? {
                offloads = false;
                continue;
            }
            at += len;
            tell(at);
            if !offloads {
                wait(pace, len, work).await?;
            }
        }
        let one = self.clone();
        run(move || one.sync()).await
    }

    /// `false` when the device cannot zero by itself.
    fn zero_slice(&self, at: u64, len: u64, by_device: bool) -> Result<bool, DriverError> {
        let how = match by_device {
            true => FallocateFlags::PUNCH_HOLE,
            false => FallocateFlags::ZERO_RANGE,
        };
        match rustix::fs::fallocate(&*self.file, how | FallocateFlags::KEEP_SIZE, at, len) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::IO) if by_device => Ok(false),
            Err(error) => Err(failed("zeroing", &self.path, error.into())),
        }
        .and_then(|done| {
            if done {
                self.sync()?;
            }
            Ok(done)
        })
    }

    /// Copies `source` to the start of this one, which reads as zeros so far.
    pub(super) async fn copy_from(&self, source: &Self, work: &Work) -> Result<(), DriverError> {
        let (mut at, len) = (0, source.len_bytes.min(self.len_bytes));
        let mut synced = 0;
        while at < len {
            cancelled(work)?;
            let (from, to) = (source.clone(), self.clone());
            let is_last = at + COPY_BYTES as u64 >= len;
            let syncs = is_last || at - synced >= SYNC_BYTES;
            at = run(move || {
                let next = from.copy_slice(&to, at, len)?;
                if syncs {
                    to.sync()?;
                }
                Ok(next)
            })
            .await?;
            if syncs {
                synced = at;
                work.report(at, len);
            }
        }
        Ok(())
    }

    fn copy_slice(&self, to: &Self, at: u64, len: u64) -> Result<u64, DriverError> {
        const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        let piece = usize::try_from(len - at)
            .unwrap_or(COPY_BYTES)
            .min(COPY_BYTES);
        let mut buffer = vec![0; piece];
        let read = self.file.read_exact_at(&mut buffer, at);
        read.map_err(|error| failed("reading", &self.path, error))?;
        let mut offset = at;
        for block in buffer.chunks(BLOCK_BYTES) {
            if ZEROS.get(..block.len()) != Some(block) {
                let written = to.file.write_all_at(block, offset);
                written.map_err(|error| failed("writing", &to.path, error))?;
            }
            offset += block.len() as u64;
        }
        Ok(offset)
    }

    fn sync(&self) -> Result<(), DriverError> {
        let synced = self.file.sync_all();
        synced.map_err(|error| failed("bringing to the disk", &self.path, error))
    }
}

/// Brings to a disk whatever was written to it, by whomever.
pub(super) async fn flush(disk: PathBuf) -> Result<(), DriverError> {
    let flushed = move || {
        let synced = File::open(&disk).and_then(|file| file.sync_all());
        synced.map_err(|error| failed("bringing LVM's metadata to", &disk, error))
    };
    run(flushed).await
}

async fn wait(pace: &Pace, len_bytes: u64, work: &Work) -> Result<(), DriverError> {
    let until = Instant::now() + pace.take(len_bytes, Instant::now());
    loop {
        cancelled(work)?;
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(rest.min(CANCEL_POLL)).await;
    }
}

pub(super) fn cancelled(work: &Work) -> Result<(), DriverError> {
    match work.is_cancelled() {
        true => Err(DriverError::Cancelled),
        false => Ok(()),
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> DriverError {
    DriverError::Io {
        doing,
        object: path.display().to_string(),
        source,
    }
}

async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DriverError> + Send + 'static,
) -> Result<T, DriverError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(DriverError::Io {
            doing: "working",
            object: "a thread".to_owned(),
            source: io::Error::other(error),
        })
    })
}
