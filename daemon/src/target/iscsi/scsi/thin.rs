//! Thin provisioning: UNMAP, WRITE SAME and GET LBA STATUS as hole punching and hole seeking.
//! Unmapped blocks read as zeros, which the capacity data promises.

use super::cdb::WriteSame;
use super::sense::Sense;
use crate::target::iscsi::limits::{UNMAP_BLOCKS_MAX, UNMAP_DESCRIPTORS_MAX};
use crate::target::iscsi::live::WritePass;
use crate::target::iscsi::lun::{BLOCK_LEN, Lun};
use std::io;
use std::sync::PoisonError;

/// Descriptors one GET LBA STATUS answers with at most; the initiator asks on from there.
const STATUS_DESCRIPTORS_MAX: usize = 256;
/// Blocks that share one unit of allocation (4096 bytes).
pub const UNIT_BLOCKS: u64 = 8;

fn failed(error: &io::Error) -> Sense {
    Sense::of_io(error, Sense::WRITE_ERROR)
}

/// UNMAP: each descriptor's blocks become a hole.
pub fn unmap(lun: &Lun, list_len: u32, data: &[u8], pass: Option<&WritePass>) -> Result<(), Sense> {
    if list_len == 0 {
        return Ok(());
    }
    let pass = pass.ok_or(Sense::WRITE_ERROR)?;
    let ranges = unmap_ranges(lun, list_len, data)?;
    let _shared = lun.atomic.read().unwrap_or_else(PoisonError::into_inner);
    for (lba, blocks) in ranges {
        let (offset, len) = (lba * BLOCK_LEN, blocks * BLOCK_LEN);
        pass.mark(offset, len);
        lun.backing
            .punch(offset, len)
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Reads and checks all descriptors before the first is obeyed.
fn unmap_ranges(lun: &Lun, list_len: u32, data: &[u8]) -> Result<Vec<(u64, u64)>, Sense> {
    let list_len = usize::try_from(list_len).map_err(|_| Sense::PARAMETER_LENGTH)?;
    let list = data.get(..list_len).ok_or(Sense::PARAMETER_LENGTH)?;
    let header = list.first_chunk::<8>().ok_or(Sense::PARAMETER_LENGTH)?;
    let told = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let descriptors = &list[8..];
    let descriptors = &descriptors[..told.min(descriptors.len())];
    let most = usize::try_from(UNMAP_DESCRIPTORS_MAX).unwrap_or(usize::MAX);
    if descriptors.len() / 16 > most {
        return Err(Sense::INVALID_PARAMETER);
    }
    let mut ranges = Vec::new();
    let mut total = 0;
    for descriptor in descriptors.as_chunks::<16>().0 {
        let (lba, rest) = descriptor
            .split_first_chunk::<8>()
            .ok_or(Sense::PARAMETER_LENGTH)?;
        let blocks = rest.first_chunk::<4>().ok_or(Sense::PARAMETER_LENGTH)?;
        let (lba, blocks) = (
            u64::from_be_bytes(*lba),
            u64::from(u32::from_be_bytes(*blocks)),
        );
        let end = lba.checked_add(blocks).ok_or(Sense::OUT_OF_RANGE)?;
        if end > lun.blocks() {
            return Err(Sense::OUT_OF_RANGE);
        }
        total += blocks;
        if blocks > 0 {
            ranges.push((lba, blocks));
        }
    }
    if total > UNMAP_BLOCKS_MAX.into() {
        return Err(Sense::INVALID_PARAMETER);
    }
    Ok(ranges)
}

/// How many blocks a WRITE SAME means: none is "to the end".
pub fn same_blocks(lun: &Lun, same: &WriteSame) -> u64 {
    match same.span.blocks {
        0 => lun.blocks().saturating_sub(same.span.lba),
        blocks => blocks,
    }
}

/// WRITE SAME: one block everywhere, as a hole where it may be one.
pub fn write_same(
    lun: &Lun,
    same: &WriteSame,
    data: &[u8],
    pass: Option<&WritePass>,
) -> Result<(), Sense> {
    let pass = pass.ok_or(Sense::WRITE_ERROR)?;
    let block_len = usize::try_from(BLOCK_LEN).map_err(|_| Sense::INVALID_FIELD)?;
    let wanted = if same.no_data { 0 } else { block_len };
    if data.len() != wanted {
        return Err(Sense::INVALID_FIELD);
    }
    let (offset, len) = (
        same.span.lba * BLOCK_LEN,
        same_blocks(lun, same) * BLOCK_LEN,
    );
    if len == 0 {
        return Ok(());
    }
    let zero = data.iter().all(|byte| *byte == 0);
    let _shared = lun.atomic.read().unwrap_or_else(PoisonError::into_inner);
    pass.mark(offset, len);
    let written = if zero && same.unmap && lun.backing.is_thin() {
        lun.backing.punch(offset, len)
    } else if zero {
        lun.backing.zero(offset, len)
    } else {
        lun.backing.repeat(data, offset, len)
    };
    written.map_err(|error| failed(&error))
}

/// GET LBA STATUS: runs of mapped and deallocated blocks from `lba` on.
pub fn lba_status(lun: &Lun, lba: u64, alloc_len: u32) -> Result<Vec<u8>, Sense> {
    let end = lun.blocks() * BLOCK_LEN;
    let room = usize::try_from(alloc_len)
        .unwrap_or(usize::MAX)
        .saturating_sub(8)
        .div_ceil(16);
    let mut answer = vec![0; 8];
    let mut offset = lba * BLOCK_LEN;
    for _ in 0..room.clamp(1, STATUS_DESCRIPTORS_MAX) {
        if offset >= end {
            break;
        }
        let extent = lun.backing.extent(offset, end);
        let extent = extent.map_err(|error| Sense::of_io(&error, Sense::READ_ERROR))?;
        // Runs end at block borders: a block that is a hole only in part counts as mapped.
        let len = if extent.hole {
            extent.len - extent.len % BLOCK_LEN
        } else {
            extent.len.next_multiple_of(BLOCK_LEN)
        };
        let (len, hole) = if len == 0 {
            (BLOCK_LEN, false)
        } else {
            (len, extent.hole)
        };
        let blocks = u32::try_from(len / BLOCK_LEN).unwrap_or(u32::MAX);
        answer.extend_from_slice(&(offset / BLOCK_LEN).to_be_bytes());
        answer.extend_from_slice(&blocks.to_be_bytes());
        answer.extend_from_slice(&[u8::from(hole), 0, 0, 0]);
        offset += u64::from(blocks) * BLOCK_LEN;
    }
    let told = u32::try_from(answer.len() - 4).unwrap_or(u32::MAX);
    answer[..4].copy_from_slice(&told.to_be_bytes());
    Ok(super::cut(answer, alloc_len))
}
