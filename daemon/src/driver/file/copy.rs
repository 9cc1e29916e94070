//! Copying between two files of the pool: what is a hole stays one, what is zero is not written, and the disk is
//! never left with more unwritten than a slice.
//!
//! Knows nothing of hosts; `live.rs` calls it again for what they wrote meanwhile.

use super::jobs::Stop;
use super::layout::Partial;
use super::pool_file::{BLOCK_BYTES, PoolFile};
use crate::driver::DriverError;
use std::ops::Range;

/// Read at once: large enough for a disk's full rate, small enough for a cancel within a tenth of a second.
const READ_BYTES: usize = 4 << 20;
/// Written between two syncs: bounds what a cancel or a final sync waits for, and shows a full disk early.
const SYNC_BYTES: u64 = 64 << 20;

/// A file being made, and its temporary name.
#[derive(Debug)]
pub(super) struct Making {
    pub(super) partial: Partial,
    pub(super) target: PoolFile,
    /// What the file is to measure.
    pub(super) len_bytes: u64,
    /// Whether all its space stays allocated.
    pub(super) thick: bool,
}

impl Making {
    /// What there is to copy: the shorter of the two lengths.
    pub(super) fn copied_bytes(&self, source: &PoolFile) -> Result<u64, DriverError> {
        Ok(source.len_bytes()?.min(self.len_bytes))
    }

    /// Copies everything. The target reads as zeros so far, so zeros need no writing.
    pub(super) fn copy_all(&self, source: &PoolFile, stop: &Stop) -> Result<(), DriverError> {
        let len = self.copied_bytes(source)?;
        let mut buffer = vec![0; READ_BYTES];
        let mut at = 0;
        let mut synced = 0;
        let mut unsynced_bytes = 0;
        stop.report(0, len);
        while let Some(data) = source.data_in(at..len)? {
            at = data.start;
            while at < data.end {
                stop.check()?;
                let piece = slice(&mut buffer, data.end - at);
                source.read_at(piece, at)?;
                unsynced_bytes += self.write_nonzero(piece, at)?;
                at += piece.len() as u64;
                if unsynced_bytes >= SYNC_BYTES {
                    self.target.sync()?;
                    self.target.forget(synced..at);
                    (synced, unsynced_bytes) = (at, 0);
                    stop.report(at, len);
                }
            }
        }
        stop.check()?;
        self.target.sync()?;
        self.target.forget(synced..len);
        stop.report(len, len);
        Ok(())
    }

    /// Copies `ranges` once more over what was copied before, zeros and holes too.
    pub(super) fn copy_again(
        &self,
        source: &PoolFile,
        ranges: &[Range<u64>],
        stop: &Stop,
    ) -> Result<(), DriverError> {
        let mut buffer = vec![0; READ_BYTES];
        for range in ranges {
            let mut at = range.start;
            while at < range.end {
                stop.check()?;
                let data = source.data_in(at..range.end)?;
                let data_start = data.as_ref().map_or(range.end, |data| data.start);
                if at < data_start {
                    self.erase(at..data_start, &mut buffer, stop)?;
                }
                at = data_start;
                if let Some(data) = data {
                    let piece = slice(&mut buffer, data.end - data.start);
                    source.read_at(piece, at)?;
                    self.target.write_at(piece, at)?;
                    at += piece.len() as u64;
                }
            }
        }
        Ok(())
    }

    /// Writes the blocks of `piece` that are not all zero; the number of bytes written.
    fn write_nonzero(&self, piece: &[u8], at: u64) -> Result<u64, DriverError> {
        const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        let mut written_bytes = 0;
        let mut run_start = None;
        let blocks = piece.chunks(BLOCK_BYTES).enumerate();
        for (index, block) in blocks.chain([(piece.len().div_ceil(BLOCK_BYTES), &[][..])]) {
            let offset = index * BLOCK_BYTES;
            let is_zero = ZEROS.get(..block.len()) == Some(block);
            match run_start {
                None if !is_zero => run_start = Some(offset),
                Some(start) if is_zero => {
                    let run = piece
                        .get(start..offset.min(piece.len()))
                        .unwrap_or_default();
                    self.target.write_at(run, at + start as u64)?;
                    written_bytes += run.len() as u64;
                    run_start = None;
                }
                None | Some(_) => {}
            }
        }
        Ok(written_bytes)
    }

    /// Makes `range` of the target read as zeros, whatever was copied there.
    fn erase(&self, range: Range<u64>, buffer: &mut [u8], stop: &Stop) -> Result<(), DriverError> {
        if !self.thick && self.target.punch(range.clone())? {
            return Ok(());
        }
        buffer.fill(0);
        let mut at = range.start;
        while at < range.end {
            stop.check()?;
            let zeros = slice(buffer, range.end - at);
            self.target.write_at(zeros, at)?;
            at += zeros.len() as u64;
        }
        Ok(())
    }
}

/// The head of `buffer`, no longer than `len_bytes`.
fn slice(buffer: &mut [u8], len_bytes: u64) -> &mut [u8] {
    let len = usize::try_from(len_bytes)
        .unwrap_or(usize::MAX)
        .min(buffer.len());
    &mut buffer[..len]
}
