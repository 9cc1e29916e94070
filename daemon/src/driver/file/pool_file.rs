//! One open file of a pool, with every failure named: what was done, on what, and whether room was the cause.
//!
//! The only place of this driver that reads, writes or allocates. Knows no layout and no operation.

use crate::driver::DriverError;
use crate::sys::fiemap;
use rustix::fs::{Advice, FallocateFlags, Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// A block of the pool: the unit in which zeros are found and holes are made, the page size of what we run on.
pub(super) const BLOCK_BYTES: usize = 4096;
/// What is allocated at once for a thick volume, so that cancel is seen between: an ext4 or xfs takes milliseconds.
const ALLOCATE_SLICE_BYTES: u64 = 16 << 30;

/// Turns an error of the system into the driver's, by what the owner can do about it.
pub(super) fn fault(
    pool: &str,
    doing: &'static str,
    object: &str,
    source: io::Error,
) -> DriverError {
    let is_full = matches!(
        source.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    );
    let object = object.to_owned();
    if is_full {
        let pool = pool.to_owned();
        DriverError::NoSpace {
            pool,
            object,
            source,
        }
    } else {
        DriverError::Io {
            doing,
            object,
            source,
        }
    }
}

/// An open file and the words for its errors.
#[derive(Debug)]
pub(super) struct PoolFile {
    file: File,
    name: String,
    pool: Arc<str>,
}

impl PoolFile {
    /// Opens what must be there; [`DriverError::Absent`] otherwise. Follows no link: what it leads to is not ours.
    pub(super) fn open(
        path: &Path,
        name: &str,
        pool: &Arc<str>,
        writable: bool,
    ) -> Result<Self, DriverError> {
        let opened = OpenOptions::new()
            .read(true)
            .write(writable)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path);
        match opened {
            Ok(file) => Ok(Self::of(file, name, pool)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(DriverError::Absent {
                object: name.to_owned(),
                pool: pool.to_string(),
            }),
            Err(error) => Err(fault(pool, "opening", name, error)),
        }
    }

    /// Opens what is copied from another pool, a file or a block device, to read it. What the page cache holds of a block
    /// device from an earlier time is let go, since hosts write past it.
    pub(super) fn open_device(path: &Path, pool: &Arc<str>) -> Result<Self, DriverError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => {
                let opened = Self::of(file, &name, pool);
                opened.forget(0..opened.len_bytes()?);
                Ok(opened)
            }
            Err(error) => Err(fault(pool, "opening", &name, error)),
        }
    }

    /// Makes a new file that only we may read; it must not be there.
    pub(super) fn create(path: &Path, name: &str, pool: &Arc<str>) -> Result<Self, DriverError> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map(|file| Self::of(file, name, pool))
            .map_err(|error| fault(pool, "creating", name, error))
    }

    fn of(file: File, name: &str, pool: &Arc<str>) -> Self {
        let name = name.to_owned();
        let pool = pool.clone();
        Self { file, name, pool }
    }

    /// The name that errors carry.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn failed(&self, doing: &'static str, error: impl Into<io::Error>) -> DriverError {
        fault(&self.pool, doing, &self.name, error.into())
    }

    pub(super) fn len_bytes(&self) -> Result<u64, DriverError> {
        let failed = |error| self.failed("asking the length", error);
        let metadata = self.file.metadata().map_err(failed)?;
        if metadata.is_file() {
            return Ok(metadata.len());
        }
        // A block device tells its length only so; the position that this moves is used by nobody.
        rustix::fs::seek(&self.file, SeekFrom::End(0)).map_err(|errno| failed(errno.into()))
    }

    /// What makes it the same file, whatever it is called: its file system and its number there.
    pub(super) fn identity(&self) -> Result<(u64, u64), DriverError> {
        match rustix::fs::fstat(&self.file) {
            Ok(stat) => Ok((stat.st_dev, stat.st_ino)),
            Err(error) => Err(self.failed("looking", error)),
        }
    }

    /// Only we may read it from now on.
    pub(super) fn set_private(&self) -> Result<(), DriverError> {
        rustix::fs::fchmod(&self.file, Mode::RUSR | Mode::WUSR)
            .map_err(|error| self.failed("taking others' rights away", error))
    }

    pub(super) fn set_len_bytes(&self, len_bytes: u64) -> Result<(), DriverError> {
        self.file
            .set_len(len_bytes)
            .map_err(|error| self.failed("setting the length", error))
    }

    /// Takes the space of `range` now and leaves the length alone, so that a failure half-way shows in nothing but
    /// blocks beyond the end, which setting the length gives back. What was written stays, the rest reads as zeros.
    pub(super) fn allocate(
        &self,
        range: Range<u64>,
        check: impl Fn() -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        let stat = rustix::fs::fstatvfs(&self.file)
            .map_err(|error| self.failed("asking for free space", error))?;
        // Not by trying: that would take the last block from everybody else before it is given back.
        if stat.f_bavail.saturating_mul(stat.f_frsize) < range.end.saturating_sub(range.start) {
            return Err(self.failed("allocating space", Errno::NOSPC));
        }
        let mut at = range.start;
        while at < range.end {
            check()?;
            let len = (range.end - at).min(ALLOCATE_SLICE_BYTES);
            match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, at, len) {
                Ok(()) => at += len,
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP) => {
                    return Err(DriverError::Unsupported {
                        what: "take all of a volume's space at once (thick) on this file system",
                    });
                }
                Err(error) => return Err(self.failed("allocating space", error)),
            }
        }
        Ok(())
    }

    /// Gives the blocks of `range` back; it then reads as zeros. `false` where the file system cannot.
    pub(super) fn punch(&self, range: Range<u64>) -> Result<bool, DriverError> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, flags, range.start, range.end - range.start) {
            Ok(()) => Ok(true),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(error) => Err(self.failed("punching a hole", error)),
        }
    }

    /// The next part of `range` that may hold something other than zeros. File systems and devices that know no holes
    /// call all of it data.
    pub(super) fn data_in(&self, range: Range<u64>) -> Result<Option<Range<u64>>, DriverError> {
        if range.is_empty() {
            return Ok(None);
        }
        let start = match rustix::fs::seek(&self.file, SeekFrom::Data(range.start)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            Err(Errno::INVAL) => return Ok(Some(range)),
            Err(error) => return Err(self.failed("looking for data", error)),
        };
        if start >= range.end {
            return Ok(None);
        }
        let end = match rustix::fs::seek(&self.file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(range.end),
            // Cut off or punched since; what was seen as data reads as zeros now.
            Err(Errno::NXIO) => range.end,
            Err(error) => return Err(self.failed("looking for a hole", error)),
        };
        // A writer may have moved the hole between the two calls; never an empty part, or the caller would not move.
        Ok(Some(start..end.max(start + 1).min(range.end)))
    }

    /// Fills `buffer` from `at`; what lies beyond the end reads as zeros.
    pub(super) fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<(), DriverError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, at + filled as u64) {
                Ok(0) => {
                    rest.fill(0);
                    return Ok(());
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("reading", error)),
            }
        }
        Ok(())
    }

    pub(super) fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), DriverError> {
        self.file
            .write_all_at(bytes, at)
            .map_err(|error| self.failed("writing", error))
    }

    /// Content, length and the file itself are on the disk afterwards; for the last step of what is made or grown.
    pub(super) fn sync_whole(&self) -> Result<(), DriverError> {
        self.file
            .sync_all()
            .map_err(|error| self.failed("writing to the disk", error))
    }

    /// The content is on the disk afterwards. An error here is final: the kernel forgets what it could not
    /// write, so a second try would lie.
    pub(super) fn sync(&self) -> Result<(), DriverError> {
        self.file
            .sync_data()
            .map_err(|error| self.failed("writing to the disk", error))
    }

    /// Lets the page cache forget `range`, which is on the disk; a bulk copy must not push out what hosts read.
    pub(super) fn forget(&self, range: Range<u64>) {
        let len = NonZeroU64::new(range.end.saturating_sub(range.start));
        if len.is_some() {
            // Advice only: nothing depends on it.
            let _ = rustix::fs::fadvise(&self.file, range.start, len, Advice::DontNeed);
        }
    }

    /// Becomes a copy of `source` that shares its blocks; `false` where the file system cannot.
    pub(super) fn reflink_from(&self, source: &PoolFile) -> Result<bool, DriverError> {
        match rustix::fs::ioctl_ficlone(&self.file, &source.file) {
            Ok(()) => Ok(true),
            Err(
                Errno::OPNOTSUPP
                | Errno::NOTTY
                | Errno::XDEV
                | Errno::INVAL
                | Errno::NOSYS
                | Errno::PERM,
            ) => Ok(false),
            Err(error) => Err(self.failed("sharing the blocks of another file", error)),
        }
    }

    /// The parts of `range` whose blocks also belong to other files.
    pub(super) fn shared_in(&self, range: Range<u64>) -> Result<Vec<Range<u64>>, DriverError> {
        match fiemap::shared_ranges(&self.file, range) {
            Ok(shared) => Ok(shared),
            Err(error) => Err(self.failed("asking which blocks are shared", error)),
        }
    }
}
