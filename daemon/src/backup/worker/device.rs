//! A volume's file or device, opened: read in pieces, its holes known, written back and made zero; or, instead of being
//! written, compared with what would be.

use super::pipe::{Doing, Failure, VolumeAt};
use crate::pace::Pace;
use rustix::fs::{Advice, FallocateFlags, SeekFrom, fadvise, fallocate, seek};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use tokio::time::Instant;

/// The unit in which zeros are told from data.
const BLOCK_BYTES: usize = 4096;
/// Written at once where zeros cannot be had cheaper.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// Written between two syncs: bounds what the last one waits for, and shows a full disk early.
const SYNC_BYTES: u64 = 256 << 20;

/// An open file or device.
#[derive(Debug)]
pub(in crate::backup) struct Opened {
    path: PathBuf,
    file: File,
    is_regular: bool,
    /// Whether it has already what is written to it.
    is_compared: bool,
    len_bytes: u64,
    pace: Pace,
    /// Where there may be data, by where a part begins, if that is known beforehand.
    data: Option<BTreeMap<u64, u64>>,
    unsynced_bytes: AtomicU64,
}

impl Opened {
    pub(in crate::backup) fn to_read(volume: &VolumeAt) -> Result<Self, Failure> {
        let opened = Self::open(File::options().read(true), volume)?;
        opened.is_whole()?;
        if !opened.is_regular {
            // The kernel's target writes past the page cache, where somebody's earlier reading may still be. Advice
            // only: what is opened to be copied was mostly closed by everybody before, and has nothing there.
            let _ = fadvise(&opened.file, 0, None, Advice::DontNeed);
        }
        Ok(opened)
    }

    /// A file that is shorter than it is to be becomes as long.
    pub(in crate::backup) fn to_write(volume: &VolumeAt) -> Result<Self, Failure> {
        let opened = Self::open(File::options().read(true).write(true), volume)?;
        let present_bytes = opened.present_bytes()?;
        if opened.is_regular && present_bytes < volume.len_bytes {
            let grown = opened.file.set_len(volume.len_bytes);
            grown.map_err(|error| opened.failed(Doing::Writing, &error))?;
        }
        opened.is_whole()?;
        Ok(opened)
    }

    /// What is written to it is compared with what it has; a difference is damage.
    pub(in crate::backup) fn to_compare(volume: &VolumeAt) -> Result<Self, Failure> {
        let opened = Self::to_read(volume)?;
        Ok(Self {
            is_compared: true,
            ..opened
        })
    }

    fn open(options: &std::fs::OpenOptions, volume: &VolumeAt) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::device(Doing::Opening, &volume.path, &error);
        let file = options.open(&volume.path).map_err(failed)?;
        let kind = file.metadata().map_err(failed)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            let why = "it is neither a regular file nor a block device";
            return Err(failed(io::Error::other(why)));
        }
        Ok(Self {
            path: volume.path.clone(),
            file,
            is_regular: kind.is_file(),
            is_compared: false,
            len_bytes: volume.len_bytes,
            pace: Pace::new(volume.bytes_per_s),
            unsynced_bytes: AtomicU64::new(0),
            data: None,
        })
    }

    /// Outside of `parts`, which are apart, it reads as zeros.
    pub(in crate::backup) fn with_data_in(mut self, parts: &[(u64, u64)]) -> Self {
        let ends = parts
            .iter()
            .filter(|(_, len_bytes)| *len_bytes > 0)
            .map(|(at, len_bytes)| (*at, at.saturating_add(*len_bytes)));
        self.data = Some(ends.collect());
        self
    }

    pub(in crate::backup) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn present_bytes(&self) -> Result<u64, Failure> {
        seek(&self.file, SeekFrom::End(0))
            .map_err(|errno| self.failed(Doing::Reading, &errno.into()))
    }

    /// A file that was cut short would seem to end in a hole.
    pub(in crate::backup) fn is_whole(&self) -> Result<(), Failure> {
        let present_bytes = self.present_bytes()?;
        if present_bytes >= self.len_bytes {
            return Ok(());
        }
        let why = format!(
            "it has {present_bytes} bytes of the {} that it is to have",
            self.len_bytes
        );
        Err(self.failed(Doing::Reading, &io::Error::other(why)))
    }

    /// Whether a volume of this length goes in.
    pub(in crate::backup) fn holds(&self, need_bytes: u64) -> Result<(), Failure> {
        if need_bytes <= self.len_bytes {
            return Ok(());
        }
        let why = format!(
            "it has {} bytes, and the volume had {need_bytes}",
            self.len_bytes
        );
        Err(self.failed(Doing::Writing, &io::Error::other(why)))
    }

    /// The first part of `range` that may hold data, if there is one. Of a device nobody knows, unless it was told.
    pub(in crate::backup) fn data_in(
        &self,
        range: Range<u64>,
    ) -> Result<Option<Range<u64>>, Failure> {
        if let Some(parts) = &self.data {
            let before = parts.range(..=range.start).next_back();
            let before = before.filter(|(_, end)| **end > range.start);
            let part = before.or_else(|| parts.range(range.start..).next());
            let part = part.map(|(start, end)| range.start.max(*start)..range.end.min(*end));
            return Ok(part.filter(|part| !part.is_empty()));
        }
        if !self.is_regular || range.is_empty() {
            return Ok(Some(range).filter(|range| !range.is_empty()));
        }
        let start = match seek(&self.file, SeekFrom::Data(range.start)) {
            Ok(start) if start < range.end => start,
            Ok(_) | Err(Errno::NXIO) => return Ok(None),
            // A file system that knows no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some(range)),
            Err(errno) => return Err(self.failed(Doing::Reading, &errno.into())),
        };
        let end = seek(&self.file, SeekFrom::Hole(start))
            .map_err(|errno| self.failed(Doing::Reading, &errno.into()))?;
        Ok(Some(start..end.min(range.end)))
    }

    pub(in crate::backup) fn read(&self, at: u64, len_bytes: u64) -> Result<Vec<u8>, Failure> {
        let failed = |error: io::Error| self.failed(Doing::Reading, &error);
        let len = usize::try_from(len_bytes).map_err(|error| failed(io::Error::other(error)))?;
        let mut bytes = vec![0; len];
        self.keep_pace(len_bytes);
        self.file.read_exact_at(&mut bytes, at).map_err(failed)?;
        Ok(bytes)
    }

    pub(in crate::backup) fn write(&self, bytes: &[u8], at: u64) -> Result<(), Failure> {
        if self.is_compared {
            return self.has(bytes, at);
        }
        let len_bytes = bytes.len() as u64;
        self.keep_pace(len_bytes);
        let written = self.file.write_all_at(bytes, at);
        written.map_err(|error| self.failed(Doing::Writing, &error))?;
        let before = self.unsynced_bytes.fetch_add(len_bytes, Ordering::Relaxed);
        if before + len_bytes >= SYNC_BYTES {
            self.unsynced_bytes.store(0, Ordering::Relaxed);
            self.sync()?;
        }
        Ok(())
    }

    /// Writes what is not zero, where it reads as zeros so far.
    pub(in crate::backup) fn write_nonzero(&self, bytes: &[u8], at: u64) -> Result<(), Failure> {
        let mut offset = 0;
        for (is_zero, run) in runs(bytes) {
            if !is_zero {
                self.write(run, at + offset)?;
            }
            offset += run.len() as u64;
        }
        Ok(())
    }

    /// Makes `range` read as zeros; without taking room where that can be had.
    pub(in crate::backup) fn erase(&self, range: Range<u64>) -> Result<(), Failure> {
        if self.is_compared {
            return self.is_zero_in(range);
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(&self.file, flags, range.start, range.end - range.start) {
            Ok(()) => return Ok(()),
            // Not here, or not at this alignment.
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NODEV | Errno::NOSYS) => {}
            Err(errno) => return Err(self.failed(Doing::Writing, &errno.into())),
        }
        let mut at = range.start;
        while at < range.end {
            let len = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let zeros = ZEROS.get(..len).unwrap_or(&ZEROS);
            self.write(zeros, at)?;
            at += zeros.len() as u64;
        }
        Ok(())
    }

    fn has(&self, bytes: &[u8], at: u64) -> Result<(), Failure> {
        let found = self.read(at, bytes.len() as u64)?;
        match found.iter().zip(bytes).position(|(is, want)| is != want) {
            None => Ok(()),
            Some(first) => Err(self.differs(at + first as u64)),
        }
    }

    /// Whether `range` reads as zeros; if it does not, it is damaged.
    pub(in crate::backup) fn is_zero_in(&self, range: Range<u64>) -> Result<(), Failure> {
        let mut at = range.start;
        while let Some(data) = self.data_in(at..range.end)? {
            let len_bytes = (data.end - data.start).min(ZEROS.len() as u64);
            let bytes = self.read(data.start, len_bytes)?;
            if let Some(first) = bytes.iter().position(|byte| *byte != 0) {
                return Err(self.differs(data.start + first as u64));
            }
            at = data.start + len_bytes;
        }
        Ok(())
    }

    /// What it has from `at` on is not what was stored.
    pub(in crate::backup) fn differs(&self, at: u64) -> Failure {
        let path = self.path.display();
        Failure::Damaged(format!(
            "{path}, into which it was restored, has something else at byte {at}"
        ))
    }

    /// What was written is on the disk afterwards.
    pub(in crate::backup) fn sync(&self) -> Result<(), Failure> {
        if self.is_compared {
            return Ok(());
        }
        let synced = self.file.sync_all();
        synced.map_err(|error| self.failed(Doing::Syncing, &error))
    }

    /// Waits for this piece's turn.
    fn keep_pace(&self, len_bytes: u64) {
        let until = Instant::now() + self.pace.take(len_bytes, Instant::now());
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            // It may come back early.
            thread::park_timeout(left);
        }
    }

    fn failed(&self, doing: Doing, error: &io::Error) -> Failure {
        Failure::device(doing, &self.path, error)
    }
}

/// Whether there is nothing in it.
pub(in crate::backup) fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .chunks(BLOCK_BYTES)
        .all(|block| ZEROS.get(..block.len()) == Some(block))
}

/// `bytes` cut where blocks of zeros begin and end.
fn runs(bytes: &[u8]) -> Vec<(bool, &[u8])> {
    let mut found: Vec<(bool, Range<usize>)> = Vec::new();
    for (index, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        let start = index * BLOCK_BYTES;
        let end = start + block.len();
        let is_zero = is_zero(block);
        match found.last_mut().filter(|(last, _)| *last == is_zero) {
            Some((_, run)) => run.end = end,
            None => found.push((is_zero, start..end)),
        }
    }
    let cut = |(is_zero, run)| (is_zero, bytes.get::<Range<usize>>(run).unwrap_or_default());
    found.into_iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    fn volume(path: &Path, len_bytes: u64) -> VolumeAt {
        VolumeAt {
            path: path.to_owned(),
            len_bytes,
            bytes_per_s: 0,
        }
    }

    #[test]
    fn a_copy_keeps_its_pace_in_both_directions() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let slow = VolumeAt {
            bytes_per_s: 32 << 20,
            ..volume(file.path(), 8 << 20)
        };
        let opened = Opened::to_write(&slow).unwrap();
        let start = Instant::now();
        opened.write(&[7; 4 << 20], 0).unwrap();
        opened.read(0, 4 << 20).unwrap();
        opened.read(4 << 20, 4 << 20).unwrap();
        // The first piece is free, each other waits for the one before it.
        assert!(start.elapsed() >= Duration::from_millis(250));
    }

    #[test]
    fn zeros_are_told_from_data_by_blocks() {
        let mut bytes = vec![0; 3 * BLOCK_BYTES + 5];
        assert!(is_zero(&bytes) && is_zero(&[]));
        bytes[BLOCK_BYTES] = 1;
        assert!(!is_zero(&bytes));
        let lens: Vec<(bool, usize)> = runs(&bytes)
            .into_iter()
            .map(|(is_zero, run)| (is_zero, run.len()))
            .collect();
        assert_eq!(
            lens,
            [
                (true, BLOCK_BYTES),
                (false, BLOCK_BYTES),
                (true, BLOCK_BYTES + 5)
            ]
        );
    }

    #[test]
    fn data_are_where_they_are_said_to_be() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1000).unwrap();
        let parts = [(100, 50), (300, 0), (400, 900)];
        let opened = Opened::to_read(&volume(file.path(), 1000)).unwrap();
        let opened = opened.with_data_in(&parts);
        let first_in = |range| opened.data_in(range).unwrap();
        assert_eq!(first_in(0..1000), Some(100..150));
        assert_eq!(first_in(120..1000), Some(120..150));
        assert_eq!(first_in(150..1000), Some(400..1000));
        assert_eq!((first_in(150..400), first_in(0..100)), (None, None));
    }

    #[test]
    fn a_volume_is_compared_instead_of_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let volume = volume(file.path(), 4 << 20);
        let opened = Opened::to_write(&volume).unwrap();
        opened.write(&[7; 9000], 1 << 20).unwrap();
        let before = std::fs::read(file.path()).unwrap();
        let compared = Opened::to_compare(&volume).unwrap();
        compared.erase(0..1 << 20).unwrap();
        compared.write(&[7; 9000], 1 << 20).unwrap();
        compared.erase((1 << 20) + 9000..4 << 20).unwrap();
        compared.sync().unwrap();
        let differs = |answer: Result<(), Failure>, at: u64| {
            let end = format!(" at byte {at}");
            assert!(
                matches!(&answer, Err(Failure::Damaged(why)) if why.ends_with(&end)),
                "{answer:?}"
            );
        };
        differs(compared.erase(0..4 << 20), 1 << 20);
        differs(compared.write(&[7; 9001], 1 << 20), (1 << 20) + 9000);
        assert_eq!(std::fs::read(file.path()).unwrap(), before);
    }

    #[test]
    fn a_file_is_read_no_further_than_it_is_and_erased() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(3 << 20).unwrap();
        let opened = Opened::to_write(&volume(file.path(), 4 << 20)).unwrap();
        assert_eq!(file.as_file().metadata().unwrap().len(), 4 << 20);
        opened.write_nonzero(&[7; 9000], 1 << 20).unwrap();
        let data = opened.data_in(0..4 << 20).unwrap().unwrap();
        assert!(data.start <= 1 << 20 && data.end >= (1 << 20) + 9000);
        opened.erase(0..4 << 20).unwrap();
        assert!(is_zero(&opened.read(0, 4 << 20).unwrap()));
        file.as_file().set_len(1 << 20).unwrap();
        assert!(matches!(opened.is_whole(), Err(Failure::Device { .. })));
        let directory = tempfile::tempdir().unwrap();
        let refused = Opened::to_read(&volume(directory.path(), 1));
        assert!(matches!(refused, Err(Failure::Device { .. })));
    }
}
