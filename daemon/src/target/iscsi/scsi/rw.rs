//! Reading, writing, verifying and comparing blocks. Spans are checked before; data may be shorter
//! than the span where the initiator announced less than its command block says, and then whole
//! blocks of it count.

use super::Unit;
use super::cdb::{Compare, Span};
use super::sense::Sense;
use crate::target::iscsi::live::WritePass;
use crate::target::iscsi::lun::{BLOCK_LEN, Lun};
use std::sync::PoisonError;

fn len(bytes: u64) -> Result<usize, Sense> {
    usize::try_from(bytes).map_err(|_| Sense::INVALID_FIELD)
}

fn read_span(lun: &Lun, span: Span) -> Result<Vec<u8>, Sense> {
    let bytes = len(span.blocks * BLOCK_LEN)?;
    let read = lun.backing.read(span.lba * BLOCK_LEN, bytes);
    read.map_err(|error| Sense::of_io(&error, Sense::READ_ERROR))
}

/// READ.
pub fn read(unit: Unit<'_>, span: Span) -> Result<Vec<u8>, Sense> {
    let bytes = read_span(unit.lun, span)?;
    unit.nexus.traffic.read(bytes.len() as u64);
    Ok(bytes)
}

/// READ, when the page cache has it; `None` when it would wait for a disk.
pub fn read_cached(unit: Unit<'_>, span: Span) -> Option<Vec<u8>> {
    let bytes = len(span.blocks * BLOCK_LEN).ok()?;
    let bytes = unit.lun.backing.read_cached(span.lba * BLOCK_LEN, bytes)?;
    unit.nexus.traffic.read(bytes.len() as u64);
    Some(bytes)
}

/// Puts `data` at the span's beginning, noted before it reaches the file.
fn put(unit: Unit<'_>, span: Span, data: &[u8], pass: Option<&WritePass>) -> Result<(), Sense> {
    // No write without a pass: it would escape a pause and the dirty map.
    let pass = pass.ok_or(Sense::WRITE_ERROR)?;
    let wanted = len(span.blocks * BLOCK_LEN)?.min(data.len());
    let whole = wanted - wanted % len(BLOCK_LEN)?;
    let offset = span.lba * BLOCK_LEN;
    pass.mark(offset, whole as u64);
    let written = unit.lun.backing.write(offset, &data[..whole]);
    written.map_err(|error| Sense::of_io(&error, Sense::WRITE_ERROR))?;
    unit.nexus.traffic.wrote(whole as u64);
    Ok(())
}

/// WRITE.
pub fn write(
    unit: Unit<'_>,
    span: Span,
    fua: bool,
    data: &[u8],
    pass: Option<&WritePass>,
) -> Result<(), Sense> {
    {
        let _shared = unit
            .lun
            .atomic
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        put(unit, span, data, pass)?;
    }
    if fua { sync(unit.lun) } else { Ok(()) }
}

/// WRITE AND VERIFY: written, on stable storage, and read back.
pub fn write_verify(
    unit: Unit<'_>,
    span: Span,
    data: &[u8],
    pass: Option<&WritePass>,
) -> Result<(), Sense> {
    write(unit, span, true, data, pass)?;
    let blocks = (data.len() as u64 / BLOCK_LEN).min(span.blocks);
    verify(unit.lun, Span { blocks, ..span }, Compare::Data, data)
}

/// VERIFY, in all three forms. Reads in pieces, so that a large span takes little memory.
pub fn verify(lun: &Lun, span: Span, compare: Compare, data: &[u8]) -> Result<(), Sense> {
    const PIECE_BLOCKS: u64 = 2048;
    let mut done = 0;
    while done < span.blocks {
        let blocks = PIECE_BLOCKS.min(span.blocks - done);
        let found = read_span(
            lun,
            Span {
                lba: span.lba + done,
                blocks,
            },
        )?;
        let at = len(done * BLOCK_LEN)?;
        match compare {
            Compare::Medium => {}
            Compare::Data => {
                let wanted = data.get(at..at + found.len()).ok_or(Sense::INVALID_FIELD)?;
                equal(&found, wanted, at)?;
            }
            Compare::OneBlock => {
                let block = data.get(..len(BLOCK_LEN)?).ok_or(Sense::INVALID_FIELD)?;
                for (index, piece) in found.chunks(block.len()).enumerate() {
                    equal(piece, block, at + index * block.len())?;
                }
            }
        }
        done += blocks;
    }
    Ok(())
}

fn equal(found: &[u8], wanted: &[u8], at: usize) -> Result<(), Sense> {
    if found == wanted {
        return Ok(());
    }
    let offset = found
        .iter()
        .zip(wanted)
        .position(|(one, other)| one != other);
    Err(Sense::miscompare(at + offset.unwrap_or(0)))
}

/// COMPARE AND WRITE: no other write comes between the two.
pub fn compare_and_write(
    unit: Unit<'_>,
    span: Span,
    fua: bool,
    data: &[u8],
    pass: Option<&WritePass>,
) -> Result<(), Sense> {
    let half = len(span.blocks * BLOCK_LEN)?;
    if data.len() != 2 * half {
        return Err(Sense::INVALID_FIELD);
    }
    {
        let _alone = unit
            .lun
            .atomic
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        equal(&read_span(unit.lun, span)?, &data[..half], 0)?;
        put(unit, span, &data[half..], pass)?;
    }
    if fua { sync(unit.lun) } else { Ok(()) }
}

/// SYNCHRONIZE CACHE, and the end of a write with FUA.
pub fn sync(lun: &Lun) -> Result<(), Sense> {
    lun.backing
        .sync()
        .map_err(|error| Sense::of_io(&error, Sense::WRITE_ERROR))
}
