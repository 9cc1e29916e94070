//! What the volume says of itself: INQUIRY and its vital product data, capacity, LUNs. The serial
//! number and NAA identifier come from the volume's id alone, so that a host sees the same disk
//! after any restart and multipath never merges two.

use super::sense::Sense;
use super::thin::UNIT_BLOCKS;
use crate::model::id::VolumeId;
use crate::target::iscsi::limits::{
    COMPARE_AND_WRITE_BLOCKS_MAX, SWEEP_BLOCKS_MAX, TRANSFER_BLOCKS_MAX, UNMAP_BLOCKS_MAX,
    UNMAP_DESCRIPTORS_MAX,
};
use crate::target::iscsi::lun::{BLOCK_LEN, Lun};

const VENDOR: &[u8; 8] = b"ASHLAR  ";
const PRODUCT: &[u8; 16] = b"VOLUME          ";
const REVISION: &[u8; 4] = b"1   ";
/// Blocks of one transfer that suit us best: 1 MiB, the longest burst.
const TRANSFER_BLOCKS_BEST: u32 = 2048;
/// SAM-5, iSCSI, SPC-4, SBC-3.
const VERSIONS: [u16; 4] = [0x00a0, 0x0960, 0x0460, 0x04c0];

/// INQUIRY.
pub fn inquiry(lun: &Lun, page: Option<u8>) -> Result<Vec<u8>, Sense> {
    Ok(match page {
        None => standard(0x00),
        Some(0x00) => vital(0x00, &[0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2]),
        Some(0x80) => vital(0x80, serial(lun.volume_id).as_bytes()),
        Some(0x83) => vital(0x83, &identification(lun.volume_id)),
        Some(0xb0) => vital(0xb0, &block_limits(lun)),
        Some(0xb1) => vital(0xb1, &characteristics()),
        Some(0xb2) => vital(0xb2, &provisioning(lun)),
        Some(_) => return Err(Sense::INVALID_FIELD),
    })
}

/// Standard inquiry data of a LUN that does not exist.
pub fn absent_unit() -> Vec<u8> {
    standard(0x7f)
}

fn standard(peripheral: u8) -> Vec<u8> {
    let mut bytes = vec![peripheral, 0, 0x06, 0x12, 0, 0, 0, 0x02];
    bytes.extend_from_slice(VENDOR);
    bytes.extend_from_slice(PRODUCT);
    bytes.extend_from_slice(REVISION);
    bytes.resize(58, 0);
    bytes.extend(VERSIONS.iter().flat_map(|version| version.to_be_bytes()));
    bytes.resize(96, 0);
    bytes[4] = 96 - 5;
    bytes
}

fn vital(page: u8, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    [&[0, page, len[0], len[1]], content].concat()
}

/// The unit serial number: the volume's id without hyphens.
pub fn serial(volume_id: VolumeId) -> String {
    volume_id.uuid().simple().to_string()
}

/// NAA 6: an IEEE company id (none is registered, so the locally assigned 02 00 00 form), then the
/// leading bits of the volume's id.
pub fn naa(volume_id: VolumeId) -> [u8; 16] {
    let uuid = volume_id.uuid().into_bytes();
    let mut naa = [0; 16];
    naa[0] = 0x60;
    naa[1] = 0x20;
    // Together 94 of the id's 122 random bits: no two volumes of one site meet.
    naa[3] = uuid[15] >> 4;
    naa[4..16].copy_from_slice(&uuid[..12]);
    naa
}

fn identification(volume_id: VolumeId) -> Vec<u8> {
    let serial = serial(volume_id);
    let t10 = [&VENDOR[..], serial.as_bytes()].concat();
    let mut bytes = vec![0x01, 0x03, 0, 16];
    bytes.extend_from_slice(&naa(volume_id));
    bytes.extend_from_slice(&[0x02, 0x01, 0, u8::try_from(t10.len()).unwrap_or(u8::MAX)]);
    bytes.extend_from_slice(&t10);
    bytes
}

fn block_limits(lun: &Lun) -> Vec<u8> {
    let mut bytes = vec![0; 60];
    let mut put =
        |at: usize, value: &[u8]| bytes[at - 4..at - 4 + value.len()].copy_from_slice(value);
    put(5, &[COMPARE_AND_WRITE_BLOCKS_MAX]);
    put(6, &8_u16.to_be_bytes());
    put(8, &TRANSFER_BLOCKS_MAX.to_be_bytes());
    put(12, &TRANSFER_BLOCKS_BEST.to_be_bytes());
    if lun.backing.is_thin() {
        put(20, &UNMAP_BLOCKS_MAX.to_be_bytes());
        put(24, &UNMAP_DESCRIPTORS_MAX.to_be_bytes());
        put(28, &UNIT_BLOCKS.to_be_bytes()[4..]);
        put(32, &0x8000_0000_u32.to_be_bytes());
    }
    put(36, &SWEEP_BLOCKS_MAX.to_be_bytes());
    bytes
}

/// Not a rotating medium.
fn characteristics() -> Vec<u8> {
    let mut bytes = vec![0; 60];
    bytes[1] = 1;
    bytes
}

fn provisioning(lun: &Lun) -> Vec<u8> {
    // UNMAP, WRITE SAME (16) and (10) unmap; unmapped blocks read as zeros; thin.
    if lun.backing.is_thin() {
        vec![0, 0xe4, 0x02, 0]
    } else {
        vec![0; 4]
    }
}

/// READ CAPACITY (10): all ones sends the initiator to the longer form.
pub fn capacity10(lun: &Lun) -> Vec<u8> {
    let last = u32::try_from(lun.blocks().saturating_sub(1)).unwrap_or(u32::MAX);
    let mut bytes = last.to_be_bytes().to_vec();
    bytes.extend_from_slice(&BLOCK_LEN.to_be_bytes()[4..]);
    bytes
}

/// READ CAPACITY (16).
pub fn capacity16(lun: &Lun) -> Vec<u8> {
    let mut bytes = lun.blocks().saturating_sub(1).to_be_bytes().to_vec();
    bytes.extend_from_slice(&BLOCK_LEN.to_be_bytes()[4..]);
    bytes.resize(32, 0);
    // 2^3 logical blocks a physical one: 4096 bytes, the page cache's granule.
    bytes[13] = 3;
    if lun.backing.is_thin() {
        bytes[14] = 0xc0;
    }
    bytes
}

/// REPORT LUNS: LUN 0 and no other; no well-known ones.
pub fn report_luns(select: u8, alloc_len: u32) -> Result<Vec<u8>, Sense> {
    if alloc_len < 16 {
        return Err(Sense::INVALID_FIELD);
    }
    match select {
        0 | 2 => Ok([&8_u32.to_be_bytes()[..], &[0; 12]].concat()),
        1 => Ok(vec![0; 8]),
        _ => Err(Sense::INVALID_FIELD),
    }
}

#[cfg(test)]
mod tests {
    use super::{identification, naa, serial};
    use crate::model::id::VolumeId;

    #[test]
    fn names_come_from_the_id_and_differ() {
        let id: VolumeId = "0c1d2e3f-4a5b-4c6d-8e7f-102132435465".parse().unwrap();
        assert_eq!(serial(id), "0c1d2e3f4a5b4c6d8e7f102132435465");
        assert_eq!(naa(id)[0] >> 4, 6);
        assert_eq!(identification(id), identification(id));
        assert_ne!(naa(id), naa(VolumeId::random()));
    }
}
