//! REPORT SUPPORTED OPERATION CODES: the commands we have, as one table with the bits of each block
//! that we look at.

use super::cdb::ReportOpcodes;
use super::sense::Sense;

/// One supported command.
struct Entry {
    opcode: u8,
    action: Option<u8>,
    usage: &'static [u8],
}

const fn plain(opcode: u8, usage: &'static [u8]) -> Entry {
    Entry {
        opcode,
        action: None,
        usage,
    }
}

const fn action(opcode: u8, action: u8, usage: &'static [u8]) -> Entry {
    Entry {
        opcode,
        action: Some(action),
        usage,
    }
}

const F: u8 = 0xff;
/// The control byte: only NACA is looked at, and refused.
const C: u8 = 0x04;

const RW10: &[u8] = &[0, 0xf8, F, F, F, F, 0, F, F, C];
const RW12: &[u8] = &[0, 0xf8, F, F, F, F, F, F, F, F, 0, C];
const RW16: &[u8] = &[0, 0xf8, F, F, F, F, F, F, F, F, F, F, F, F, 0, C];
const VERIFY10: &[u8] = &[0, 0xf6, F, F, F, F, 0, F, F, C];
const VERIFY12: &[u8] = &[0, 0xf6, F, F, F, F, F, F, F, F, 0, C];
const VERIFY16: &[u8] = &[0, 0xf6, F, F, F, F, F, F, F, F, F, F, F, F, 0, C];
const CACHE10: &[u8] = &[0, 0x02, F, F, F, F, 0, F, F, C];
const CACHE16: &[u8] = &[0, 0x02, F, F, F, F, F, F, F, F, F, F, F, F, 0, C];
const NOTHING6: &[u8] = &[0, 0, 0, 0, 0, C];
const RESERVE_IN: &[u8] = &[0, 0x1f, 0, 0, 0, 0, 0, F, F, C];
const RESERVE_OUT: &[u8] = &[0, 0x1f, F, 0, 0, F, F, F, F, C];

const TABLE: &[Entry] = &[
    plain(0x00, NOTHING6),
    plain(0x03, &[0, 0x01, 0, 0, F, C]),
    plain(0x08, &[0, 0x1f, F, F, F, C]),
    plain(0x0a, &[0, 0x1f, F, F, F, C]),
    plain(0x12, &[0, 0x01, F, F, F, C]),
    plain(0x16, NOTHING6),
    plain(0x17, NOTHING6),
    plain(0x1a, &[0, 0x08, F, F, F, C]),
    plain(0x1b, &[0, 0x01, 0, 0x0f, 0xf7, C]),
    plain(0x1e, &[0, 0, 0, 0, 0x03, C]),
    plain(0x25, &[0, 0, F, F, F, F, 0, 0, 0x01, C]),
    plain(0x28, RW10),
    plain(0x2a, RW10),
    plain(0x2e, VERIFY10),
    plain(0x2f, VERIFY10),
    plain(0x34, CACHE10),
    plain(0x35, CACHE10),
    plain(0x41, &[0, 0xf8, F, F, F, F, 0, F, F, C]),
    plain(0x42, &[0, 0x01, 0, 0, 0, 0, 0, F, F, C]),
    plain(0x5a, &[0, 0x08, F, F, 0, 0, 0, F, F, C]),
    action(0x5e, 0x00, RESERVE_IN),
    action(0x5e, 0x01, RESERVE_IN),
    action(0x5e, 0x02, RESERVE_IN),
    action(0x5e, 0x03, RESERVE_IN),
    action(0x5f, 0x00, RESERVE_OUT),
    action(0x5f, 0x01, RESERVE_OUT),
    action(0x5f, 0x02, RESERVE_OUT),
    action(0x5f, 0x03, RESERVE_OUT),
    action(0x5f, 0x04, RESERVE_OUT),
    action(0x5f, 0x06, RESERVE_OUT),
    plain(0x88, RW16),
    plain(0x89, &[0, 0xf8, F, F, F, F, F, F, F, F, 0, 0, 0, F, 0, C]),
    plain(0x8a, RW16),
    plain(0x8e, VERIFY16),
    plain(0x8f, VERIFY16),
    plain(0x90, CACHE16),
    plain(0x91, CACHE16),
    plain(0x93, &[0, 0xf9, F, F, F, F, F, F, F, F, F, F, F, F, 0, C]),
    action(
        0x9e,
        0x10,
        &[0, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, F, F, F, F, 0, C],
    ),
    action(
        0x9e,
        0x12,
        &[0, 0x1f, F, F, F, F, F, F, F, F, F, F, F, F, 0, C],
    ),
    plain(0xa0, &[0, 0, F, 0, 0, 0, F, F, F, F, 0, C]),
    action(0xa3, 0x0c, &[0, 0x1f, 0x87, F, F, F, F, F, F, F, 0, C]),
    plain(0xa8, RW12),
    plain(0xaa, RW12),
    plain(0xae, VERIFY12),
    plain(0xaf, VERIFY12),
];

/// A timeouts descriptor that states no timeouts.
const TIMEOUTS: [u8; 12] = [0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Answers the report.
pub fn report(wanted: &ReportOpcodes) -> Result<Vec<u8>, Sense> {
    let of_opcode = || TABLE.iter().filter(|entry| entry.opcode == wanted.opcode);
    match wanted.options {
        0 => Ok(all(wanted.timeouts)),
        1 => {
            if of_opcode().any(|entry| entry.action.is_some()) {
                return Err(Sense::INVALID_FIELD);
            }
            Ok(one(of_opcode().next(), wanted.timeouts))
        }
        2 => {
            if of_opcode().any(|entry| entry.action.is_none()) {
                return Err(Sense::INVALID_FIELD);
            }
            let same = |entry: &&Entry| entry.action.map(u16::from) == Some(wanted.action);
            Ok(one(of_opcode().find(same), wanted.timeouts))
        }
        3 => {
            let same = |entry: &&Entry| u16::from(entry.action.unwrap_or(0)) == wanted.action;
            Ok(one(of_opcode().find(same), wanted.timeouts))
        }
        _ => Err(Sense::INVALID_FIELD),
    }
}

fn all(timeouts: bool) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for entry in TABLE {
        let len = u8::try_from(entry.usage.len()).unwrap_or(0);
        let flags = u8::from(entry.action.is_some()) | if timeouts { 2 } else { 0 };
        bytes.extend_from_slice(&[
            entry.opcode,
            0,
            0,
            entry.action.unwrap_or(0),
            0,
            flags,
            0,
            len,
        ]);
        if timeouts {
            bytes.extend_from_slice(&TIMEOUTS);
        }
    }
    let len = u32::try_from(bytes.len() - 4)
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    bytes[..4].copy_from_slice(&len);
    bytes
}

fn one(entry: Option<&Entry>, timeouts: bool) -> Vec<u8> {
    let Some(entry) = entry else {
        return vec![0, 0x01, 0, 0];
    };
    let timed = if timeouts { 0x80 } else { 0 };
    let mut bytes = vec![
        0,
        timed | 0x03,
        0,
        u8::try_from(entry.usage.len()).unwrap_or(0),
    ];
    bytes.extend_from_slice(entry.usage);
    bytes[4] = entry.opcode;
    if let Some(action) = entry.action {
        // The service action itself stands where its bits are.
        bytes[5] = bytes[5] & 0xe0 | action;
    }
    if timeouts {
        bytes.extend_from_slice(&TIMEOUTS);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::TABLE;
    use crate::target::iscsi::scsi::cdb::decode;
    use crate::target::iscsi::scsi::sense::Sense;
    use proptest::prelude::any;

    #[test]
    fn the_table_and_the_decoder_know_the_same_commands() {
        for entry in TABLE {
            let mut cdb = [0; 16];
            cdb[0] = entry.opcode;
            cdb[1] = entry.action.unwrap_or(0);
            assert!(decode(&cdb).is_ok(), "{:#04x}", entry.opcode);
        }
        for opcode in 0..=u8::MAX {
            let mut cdb = [0; 16];
            cdb[0] = opcode;
            let known = TABLE.iter().any(|entry| entry.opcode == opcode);
            assert_eq!(
                decode(&cdb) != Err(Sense::INVALID_OPCODE),
                known,
                "{opcode:#04x}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn every_block_decodes_or_has_sense(cdb in any::<[u8; 16]>()) {
            if let Ok(command) = decode(&cdb) {
                proptest::prop_assert!(command.data_out_len(512) < 1 << 43);
            }
        }
    }
}
