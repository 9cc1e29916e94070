//! Why a command failed, in SCSI's words: key, code and qualifier, and the bytes they travel as.

use std::io;

/// A check condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sense {
    /// Sense key.
    pub key: u8,
    /// Additional sense code.
    pub asc: u8,
    /// Its qualifier.
    pub ascq: u8,
    /// The information field: where a comparison failed.
    pub information: Option<u32>,
}

const MEDIUM_ERROR: u8 = 0x03;
const ILLEGAL_REQUEST: u8 = 0x05;
const UNIT_ATTENTION: u8 = 0x06;
const DATA_PROTECT: u8 = 0x07;
const ABORTED_COMMAND: u8 = 0x0b;
const MISCOMPARE: u8 = 0x0e;

impl Sense {
    const fn of(key: u8, asc: u8, ascq: u8) -> Self {
        Self {
            key,
            asc,
            ascq,
            information: None,
        }
    }

    /// Nothing to report.
    pub const NONE: Self = Self::of(0, 0, 0);
    /// The command is not one of ours.
    pub const INVALID_OPCODE: Self = Self::of(ILLEGAL_REQUEST, 0x20, 0x00);
    /// Blocks beyond the end.
    pub const OUT_OF_RANGE: Self = Self::of(ILLEGAL_REQUEST, 0x21, 0x00);
    /// A field of the command block has a value we do not take.
    pub const INVALID_FIELD: Self = Self::of(ILLEGAL_REQUEST, 0x24, 0x00);
    /// There is only LUN 0.
    pub const NO_SUCH_UNIT: Self = Self::of(ILLEGAL_REQUEST, 0x25, 0x00);
    /// The parameter list is cut.
    pub const PARAMETER_LENGTH: Self = Self::of(ILLEGAL_REQUEST, 0x1a, 0x00);
    /// A field of the parameter list has a value we do not take.
    pub const INVALID_PARAMETER: Self = Self::of(ILLEGAL_REQUEST, 0x26, 0x00);
    /// The reservation to release is of another kind.
    pub const INVALID_RELEASE: Self = Self::of(ILLEGAL_REQUEST, 0x26, 0x04);
    /// No room for another registration.
    pub const NO_REGISTRATION_ROOM: Self = Self::of(ILLEGAL_REQUEST, 0x55, 0x04);
    /// Writes are refused to this initiator.
    pub const WRITE_PROTECTED: Self = Self::of(DATA_PROTECT, 0x27, 0x00);
    /// The file system under the volume is full.
    pub const NO_SPACE: Self = Self::of(DATA_PROTECT, 0x27, 0x07);
    /// The file could not be read.
    pub const READ_ERROR: Self = Self::of(MEDIUM_ERROR, 0x11, 0x00);
    /// The file could not be written.
    pub const WRITE_ERROR: Self = Self::of(MEDIUM_ERROR, 0x0c, 0x00);
    /// Data of a write did not all arrive.
    pub const DATA_LOST: Self = Self::of(ABORTED_COMMAND, 0x47, 0x05);
    /// A new session, or a target reset.
    pub const POWER_ON: Self = Self::of(UNIT_ATTENTION, 0x29, 0x00);
    /// A logical unit reset.
    pub const BUS_RESET: Self = Self::of(UNIT_ATTENTION, 0x29, 0x03);
    /// The volume has another size.
    pub const CAPACITY_CHANGED: Self = Self::of(UNIT_ATTENTION, 0x2a, 0x09);
    /// Another initiator preempted the reservation.
    pub const RESERVATIONS_PREEMPTED: Self = Self::of(UNIT_ATTENTION, 0x2a, 0x03);
    /// Another initiator released the reservation.
    pub const RESERVATIONS_RELEASED: Self = Self::of(UNIT_ATTENTION, 0x2a, 0x04);
    /// Another initiator removed our registration.
    pub const REGISTRATIONS_PREEMPTED: Self = Self::of(UNIT_ATTENTION, 0x2a, 0x05);

    /// The data differed `offset` bytes in.
    pub fn miscompare(offset: usize) -> Self {
        let information = u32::try_from(offset).ok();
        Self {
            information,
            ..Self::of(MISCOMPARE, 0x1d, 0x00)
        }
    }

    /// What a failed read or write of the file is to the host.
    pub fn of_io(error: &io::Error, otherwise: Self) -> Self {
        use io::ErrorKind::{
            FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
        };
        let kind = error.kind();
        if matches!(kind, StorageFull | QuotaExceeded | FileTooLarge) {
            return Self::NO_SPACE;
        }
        if matches!(kind, ReadOnlyFilesystem | PermissionDenied) {
            return Self::WRITE_PROTECTED;
        }
        otherwise
    }

    /// Fixed format, 18 bytes.
    pub fn fixed(self) -> [u8; 18] {
        let mut bytes = [0; 18];
        bytes[0] = if self.information.is_some() {
            0xf0
        } else {
            0x70
        };
        bytes[2] = self.key;
        bytes[3..7].copy_from_slice(&self.information.unwrap_or(0).to_be_bytes());
        bytes[7] = 10;
        bytes[12] = self.asc;
        bytes[13] = self.ascq;
        bytes
    }

    /// Descriptor format, 8 bytes.
    pub fn descriptor(self) -> [u8; 8] {
        [0x72, self.key, self.asc, self.ascq, 0, 0, 0, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::Sense;
    use std::io;

    #[test]
    fn fixed_format_places_every_field() {
        let bytes = Sense::miscompare(0x0102).fixed();
        assert_eq!(bytes[0], 0xf0);
        assert_eq!((bytes[2], bytes[12], bytes[13]), (0x0e, 0x1d, 0x00));
        assert_eq!(bytes[3..7], [0, 0, 1, 2]);
        assert_eq!(usize::from(bytes[7]) + 8, bytes.len());
        assert_eq!(Sense::OUT_OF_RANGE.fixed()[0], 0x70);
        assert_eq!(
            Sense::CAPACITY_CHANGED.descriptor()[..4],
            [0x72, 0x06, 0x2a, 0x09]
        );
    }

    #[test]
    fn a_full_file_system_is_told_from_a_bad_disk() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Sense::of_io(&full, Sense::WRITE_ERROR), Sense::NO_SPACE);
        let bad = io::Error::from_raw_os_error(5);
        assert_eq!(Sense::of_io(&bad, Sense::WRITE_ERROR), Sense::WRITE_ERROR);
    }
}
