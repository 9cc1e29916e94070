//! A few MiB kept back beside the database, so that a full disk does not stop running work from recording its end.
//!
//! The file is given back to the file system when an essential write finds the disk full, and made again when there
//! is room. Several processes may share it: removing what is gone and making what is there are both success. On file
//! systems that compress or copy on write the promise is weaker: giving back may free less than its length.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// How much is written at a time where the file system cannot allocate without writing.
const CHUNK_BYTES: usize = 64 * 1024;

/// The reserve of one state directory.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    probe: PathBuf,
    len_bytes: u64,
}

impl Reserve {
    /// The reserve of `dir`; a length of 0 keeps none.
    pub(super) fn new(dir: &Path, len_bytes: u64) -> Self {
        Self {
            path: dir.join("ashlar.reserve"),
            probe: dir.join("ashlar.probe"),
            len_bytes,
        }
    }

    /// Sees to it that the whole reserve is there.
    pub(super) fn keep(&self) -> io::Result<()> {
        if self.len_bytes == 0 {
            return Ok(());
        }
        allocate(&self.path, self.len_bytes)
    }

    /// Gives the reserve back; true when there was one to give.
    pub(super) fn release(&self) -> bool {
        std::fs::remove_file(&self.path).is_ok()
    }

    /// Sees whether there is room for the reserve and as much again: with less, the store would swing between full
    /// and well.
    pub(super) fn probe(&self) -> io::Result<()> {
        self.keep()?;
        let room = allocate(&self.probe, self.len_bytes.max(CHUNK_BYTES as u64));
        // What was only a question must not stay; if it cannot be removed the next probe overwrites it.
        let removed = std::fs::remove_file(&self.probe);
        room.and(removed)
    }
}

/// Makes a file of that length with its blocks; leaves none behind when it cannot.
fn allocate(path: &Path, len_bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    let done = match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len_bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(&file, len_bytes),
        other => other.map_err(io::Error::from),
    };
    if done.is_err() {
        let _gone = std::fs::remove_file(path);
    }
    done
}

fn fill(mut file: &File, len_bytes: u64) -> io::Result<()> {
    let chunk = [0_u8; CHUNK_BYTES];
    let mut left = len_bytes;
    while left > 0 {
        let now = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        file.write_all(chunk.get(..now).unwrap_or(&chunk))?;
        left = left.saturating_sub(now as u64);
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_reserve_has_its_blocks_and_comes_and_goes_twice() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(dir.path(), 1 << 20);
        for _ in 0..2 {
            reserve.keep().unwrap();
            reserve.keep().unwrap();
            let metadata = std::fs::metadata(dir.path().join("ashlar.reserve")).unwrap();
            assert_eq!(metadata.len(), 1 << 20);
            assert!(metadata.blocks() * 512 >= 1 << 20);
            assert!(reserve.release());
            assert!(!reserve.release());
        }
        reserve.probe().unwrap();
        assert!(!dir.path().join("ashlar.probe").exists());
    }

    #[test]
    fn filling_writes_the_whole_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("filled");
        fill(&File::create(&path).unwrap(), 200_001).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 200_001);
    }
}
