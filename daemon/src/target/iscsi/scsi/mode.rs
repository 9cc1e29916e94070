//! Mode pages: caching (the write cache is on, so hosts must flush) and control.

use super::Unit;
use super::cdb::ModeSense;
use super::sense::Sense;
use crate::target::iscsi::lun::BLOCK_LEN;

const CACHING: u8 = 0x08;
const CONTROL: u8 = 0x0a;
const ALL: u8 = 0x3f;

/// MODE SENSE.
pub fn mode_sense(unit: Unit<'_>, wanted: &ModeSense) -> Result<Vec<u8>, Sense> {
    let pages = match (wanted.page, wanted.subpage) {
        (CACHING, 0) => caching(wanted.control),
        (CONTROL, 0) => control(wanted.control),
        (ALL, 0x00 | 0xff) => [caching(wanted.control), control(wanted.control)].concat(),
        _ => return Err(Sense::INVALID_FIELD),
    };
    // 3: saved values, which we do not have.
    if wanted.control == 3 {
        return Err(Sense {
            asc: 0x39,
            ..Sense::INVALID_FIELD
        });
    }
    let descriptor = if wanted.no_descriptor {
        Vec::new()
    } else {
        descriptor(unit.lun.blocks())
    };
    // Bit 7: write protected; bit 4: FUA and DPO are taken.
    let device = if unit.nexus.read_only { 0x90 } else { 0x10 };
    let descriptor_len = u8::try_from(descriptor.len()).unwrap_or(0);
    let rest = descriptor.len() + pages.len();
    let header = if wanted.ten {
        let len = u16::try_from(rest + 6).unwrap_or(u16::MAX).to_be_bytes();
        vec![len[0], len[1], 0, device, 0, 0, 0, descriptor_len]
    } else {
        vec![
            u8::try_from(rest + 3).unwrap_or(u8::MAX),
            0,
            device,
            descriptor_len,
        ]
    };
    Ok([header, descriptor, pages].concat())
}

fn descriptor(blocks: u64) -> Vec<u8> {
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX).to_be_bytes();
    [&blocks[..], &BLOCK_LEN.to_be_bytes()[4..]].concat()
}

fn page(code: u8, len: u8, values: &[(usize, u8)], control: u8) -> Vec<u8> {
    let mut bytes = vec![0; usize::from(len) + 2];
    bytes[0] = code;
    bytes[1] = len;
    // 1 asks for a mask of what may be changed: nothing may.
    if control != 1 {
        values.iter().for_each(|(at, value)| bytes[*at] = *value);
    }
    bytes
}

/// WCE: what is written without FUA is stable only after SYNCHRONIZE CACHE.
fn caching(control: u8) -> Vec<u8> {
    page(CACHING, 0x12, &[(2, 0x04)], control)
}

/// Unrestricted reordering; tasks that another initiator aborts end with TASK ABORTED.
fn control(control: u8) -> Vec<u8> {
    page(CONTROL, 0x0a, &[(3, 0x10), (5, 0x40)], control)
}
