//! The file (or block device) behind a volume: positioned reads and writes, holes, and durability.
//! Knows no SCSI. All but [`Backing::read_cached`] may block and belong on an I/O thread.

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::{ReadWriteFlags, preadv2};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Zeros are written in pieces of this size where the file system cannot make holes.
const ZEROS_LEN: usize = 256 * 1024;

/// An open volume file.
#[derive(Debug)]
pub struct Backing {
    file: File,
    thin: bool,
    flushes: Flushes,
}

/// A run of bytes that is either stored or a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
    /// Whether it is a hole, which reads as zeros.
    pub hole: bool,
}

/// The flushes of one open file. Those that wait share the next one.
///
/// The kernel tells a failed write-back once, and forgets the data: the flush after it succeeds, though what a host
/// wrote before is lost. So a failure stands, for every host, until the file is opened anew.
#[derive(Debug, Default)]
struct Flushes {
    asked: AtomicU64,
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    /// Askers up to this one are answered.
    up_to: u64,
    failed: bool,
}

impl Flushes {
    fn flush(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.failed {
            return Err(io::Error::other("an earlier flush of the file failed"));
        }
        if made.up_to >= mine {
            return Ok(());
        }
        // Whoever asked by now had written before.
        let up_to = self.asked.load(Ordering::SeqCst);
        let outcome = sync();
        match &outcome {
            Ok(()) => made.up_to = up_to,
            Err(_) => made.failed = true,
        }
        outcome
    }
}

impl Backing {
    /// Opens a file that holds at least `len_bytes`, and finds out whether it can have holes.
    pub fn open(path: &Path, len_bytes: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        // A block device's metadata has no length; its end has.
        let end = seek(&file, SeekFrom::End(0))?;
        if end < len_bytes {
            let text = format!(
                "{} holds {end} bytes, {len_bytes} are to be served",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // Punching beyond the end changes nothing, and tells whether punching works.
        let regular = file.metadata()?.is_file();
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let thin = regular && fallocate(&file, flags, end, 4096).is_ok();
        Ok(Self {
            file,
            thin,
            flushes: Flushes::default(),
        })
    }

    /// Whether both are one file, whatever its name is by now.
    pub fn is_same_file(&self, other: &Self) -> io::Result<bool> {
        let (one, other) = (self.file.metadata()?, other.file.metadata()?);
        Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
    }

    /// Whether unmapped ranges give their space back.
    pub fn is_thin(&self) -> bool {
        self.thin
    }

    /// The bytes at `offset`.
    pub fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// The bytes at `offset`, if they are in memory: never waits for a disk.
    pub fn read_cached(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        let flags = ReadWriteFlags::NOWAIT;
        let read = preadv2(
            &self.file,
            &mut [IoSliceMut::new(&mut bytes)],
            offset,
            flags,
        );
        (read == Ok(len)).then_some(bytes)
    }

    /// Writes bytes; they are in the file, not yet on stable storage.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Puts everything written on stable storage; see `Flushes`.
    pub fn sync(&self) -> io::Result<()> {
        self.flushes.flush(|| self.file.sync_data())
    }

    /// Makes a hole: the range reads as zeros and gives its space back.
    pub fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&self.file, flags, offset, len)?)
    }

    /// Makes the range read as zeros and keeps its space.
    pub fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        if fallocate(&self.file, flags, offset, len).is_ok() {
            return Ok(());
        }
        self.repeat(&[0; 512], offset, len)
    }

    /// Fills the range with one block's content.
    pub fn repeat(&self, block: &[u8], offset: u64, len: u64) -> io::Result<()> {
        let piece = block.repeat((ZEROS_LEN / block.len()).max(1));
        let mut done = 0;
        while done < len {
            let rest = usize::try_from(len - done)
                .unwrap_or(usize::MAX)
                .min(piece.len());
            self.write(offset + done, &piece[..rest])?;
            done += rest as u64;
        }
        Ok(())
    }

    /// The run that begins at `offset`, cut at `end`.
    pub fn extent(&self, offset: u64, end: u64) -> io::Result<Extent> {
        let data = match seek(&self.file, SeekFrom::Data(offset)) {
            Ok(data) => data.min(end),
            Err(rustix::io::Errno::NXIO) => end,
            // A file that cannot tell holes is all data.
            Err(_) => {
                return Ok(Extent {
                    offset,
                    len: end - offset,
                    hole: false,
                });
            }
        };
        if data > offset {
            return Ok(Extent {
                offset,
                len: data - offset,
                hole: true,
            });
        }
        let hole = seek(&self.file, SeekFrom::Hole(offset)).map_or(end, |hole| hole.min(end));
        Ok(Extent {
            offset,
            len: hole.max(offset) - offset,
            hole: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Backing, Extent, Flushes};
    use std::io::ErrorKind;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    #[test]
    fn a_failed_flush_is_never_followed_by_a_good_one() {
        let flushes = Flushes::default();
        flushes.flush(|| Ok(())).unwrap();
        let lost = flushes.flush(|| Err(ErrorKind::StorageFull.into()));
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::StorageFull);
        flushes.flush(|| Ok(())).unwrap_err();
    }

    #[test]
    fn a_flush_counts_only_for_those_who_asked_before_it_began() {
        let (flushes, count) = (Flushes::default(), AtomicU64::new(0));
        let (entered, has_entered) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                flushes.flush(move || {
                    entered.send(()).unwrap();
                    may_leave.recv().unwrap();
                    Ok(())
                })
            });
            has_entered.recv().unwrap();
            let another = || {
                flushes.flush(|| {
                    count.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                })
            };
            let others = [scope.spawn(another), scope.spawn(another)];
            while flushes.asked.load(Ordering::SeqCst) < 3 {
                std::thread::yield_now();
            }
            leave.send(()).unwrap();
            for other in others {
                other.join().unwrap().unwrap();
            }
        });
        assert_eq!(
            count.load(Ordering::SeqCst),
            1,
            "one for both, after the first"
        );
    }

    #[test]
    fn holes_zeros_and_data_are_told_apart() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let backing = Backing::open(file.path(), 1 << 20).unwrap();
        backing.write(65536, &[7; 65536]).unwrap();
        let end = 1 << 20;
        let hole = |offset, len| Extent {
            offset,
            len,
            hole: true,
        };
        assert_eq!(backing.extent(0, end).unwrap(), hole(0, 65536));
        let data = Extent {
            offset: 65536,
            len: 65536,
            hole: false,
        };
        assert_eq!(backing.extent(65536, end).unwrap(), data);
        if backing.is_thin() {
            backing.punch(65536, 65536).unwrap();
            assert_eq!(backing.extent(0, end).unwrap(), hole(0, end));
        }
        backing.write(0, &[7; 1024]).unwrap();
        backing.zero(0, 512).unwrap();
        backing.repeat(&[9; 512], 512, 4096).unwrap();
        let read = backing.read(0, 5120).unwrap();
        assert!(read[..512].iter().all(|byte| *byte == 0));
        assert!(read[512..4608].iter().all(|byte| *byte == 9));
        assert!(read[4608..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_file_shorter_than_the_volume_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(512).unwrap();
        let refused = Backing::open(file.path(), 1024).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}
