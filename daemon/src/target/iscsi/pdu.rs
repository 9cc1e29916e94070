//! iSCSI PDUs as RFC 7143 section 11 lays them out: bytes to typed requests ([`super::response`] has
//! the other direction). Pure: knows no socket, no session and no SCSI. Every byte string has an answer; a
//! malformed PDU is a [`PduError`], never a panic.

use bytes::Bytes;
use thiserror::Error;

/// Length of the basic header segment.
pub const BHS_LEN: usize = 48;
/// The tag value that means "none".
pub const NO_TAG: u32 = 0xffff_ffff;

/// A basic header segment, read by offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bhs(pub [u8; BHS_LEN]);

impl Bhs {
    /// The opcode without its immediate bit.
    pub fn opcode(&self) -> u8 {
        self.0[0] & 0x3f
    }

    /// Whether the request is for immediate delivery, outside the `CmdSN` order.
    pub fn immediate(&self) -> bool {
        self.0[0] & 0x40 != 0
    }

    /// Length in bytes of the additional header segments.
    pub fn ahs_len(&self) -> usize {
        usize::from(self.0[4]) * 4
    }

    /// Length in bytes of the data segment, without its padding.
    pub fn data_len(&self) -> u32 {
        u32::from_be_bytes([0, self.0[5], self.0[6], self.0[7]])
    }

    /// The big-endian word at an offset.
    pub fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    /// The initiator task tag.
    pub fn itt(&self) -> u32 {
        self.word(16)
    }

    fn lun(&self) -> [u8; 8] {
        let mut lun = [0; 8];
        lun.copy_from_slice(&self.0[8..16]);
        lun
    }
}

/// One received PDU, framed but not yet understood.
#[derive(Debug, Clone)]
pub struct RawPdu {
    /// The basic header.
    pub bhs: Bhs,
    /// The additional header segments.
    pub ahs: Bytes,
    /// The data segment without padding.
    pub data: Bytes,
}

/// Why bytes are not a PDU that we take; each ends the connection (error recovery level 0).
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum PduError {
    /// The data segment is longer than what we declared to accept.
    #[error("a data segment of {len} bytes, at most {max} are accepted")]
    SegmentTooLong {
        /// What the header says.
        len: u32,
        /// What we accept now.
        max: u32,
    },
    /// The header digest does not match.
    #[error("header digest mismatch")]
    HeaderDigest,
    /// The data digest does not match.
    #[error("data digest mismatch")]
    DataDigest,
    /// The opcode is not one an initiator may send.
    #[error("opcode {0:#04x} is not an initiator's")]
    Opcode(u8),
    /// Header fields contradict each other.
    #[error("a malformed header: {0}")]
    Malformed(&'static str),
}

/// A login request (opcode 0x03).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginRequest {
    /// T: the initiator wants to leave this stage.
    pub transit: bool,
    /// C: the text goes on in the next PDU.
    pub more: bool,
    /// CSG: the stage the exchange is in.
    pub stage: u8,
    /// NSG: the stage wanted next.
    pub next_stage: u8,
    /// Lowest protocol version the initiator speaks.
    pub version_min: u8,
    /// The initiator's part of the session id.
    pub isid: [u8; 6],
    /// The target's part; zero asks for a new session.
    pub tsih: u16,
    /// Connection id.
    pub cid: u16,
    /// Key=value pairs.
    pub text: Bytes,
}

/// A SCSI command (opcode 0x01).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScsiCommand {
    /// F: no unsolicited Data-Out follows.
    pub last: bool,
    /// R: data goes to the initiator.
    pub read: bool,
    /// W: data comes from the initiator.
    pub write: bool,
    /// Task attribute.
    pub attribute: u8,
    /// Logical unit.
    pub lun: [u8; 8],
    /// Expected data transfer length.
    pub expected_len: u32,
    /// The command descriptor block.
    pub cdb: [u8; 16],
    /// Whether the block goes on in an additional header (commands we do not have).
    pub extended_cdb: bool,
    /// Immediate data.
    pub data: Bytes,
}

/// A Data-Out PDU (opcode 0x05).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataOut {
    /// F: last PDU of its sequence.
    pub last: bool,
    /// The R2T answered, or [`NO_TAG`] for unsolicited data.
    pub transfer_tag: u32,
    /// Number within the sequence.
    pub data_sn: u32,
    /// Offset of this segment in the command's data.
    pub offset: u32,
    /// The data.
    pub data: Bytes,
}

/// A task management request (opcode 0x02).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskRequest {
    /// What to do, RFC 7143 11.5.1.
    pub function: u8,
    /// Logical unit.
    pub lun: [u8; 8],
    /// Tag of the task meant.
    pub referenced_tag: u32,
    /// `CmdSN` of the task meant.
    pub ref_cmd_sn: u32,
}

/// What an initiator may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// NOP-Out: a ping, or the answer to ours.
    NopOut {
        /// Tag of the NOP-In answered, or [`NO_TAG`].
        transfer_tag: u32,
        /// Logical unit, echoed.
        lun: [u8; 8],
        /// Ping data, echoed.
        data: Bytes,
    },
    /// A SCSI command.
    Scsi(ScsiCommand),
    /// Task management.
    Task(TaskRequest),
    /// Login.
    Login(LoginRequest),
    /// Text: negotiation or `SendTargets` after login.
    Text {
        /// F bit.
        last: bool,
        /// C bit.
        more: bool,
        /// Tag of the exchange continued, or [`NO_TAG`].
        transfer_tag: u32,
        /// Logical unit, echoed.
        lun: [u8; 8],
        /// Key=value pairs.
        text: Bytes,
    },
    /// Data for a write.
    DataOut(DataOut),
    /// Logout with its reason.
    Logout {
        /// 0 close session, 1 close connection, 2 remove connection for recovery.
        reason: u8,
        /// Connection meant.
        cid: u16,
    },
    /// SNACK: recovery we do not negotiate.
    Snack,
}

/// A request with the numbers that order it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Outside the `CmdSN` order.
    pub immediate: bool,
    /// Initiator task tag.
    pub itt: u32,
    /// Command sequence number (not on Data-Out and SNACK).
    pub cmd_sn: u32,
    /// The status number the initiator expects next.
    pub exp_stat_sn: u32,
    /// What is asked.
    pub request: Request,
}

/// Understands a framed PDU.
pub fn decode(pdu: RawPdu) -> Result<Envelope, PduError> {
    let bhs = pdu.bhs;
    let flags = bhs.0[1];
    let lun = bhs.lun();
    let request = match bhs.opcode() {
        0x00 => Request::NopOut {
            transfer_tag: bhs.word(20),
            lun,
            data: pdu.data,
        },
        0x01 => Request::Scsi(decode_scsi(&bhs, &pdu.ahs, pdu.data)?),
        0x02 => Request::Task(TaskRequest {
            function: flags & 0x7f,
            lun,
            referenced_tag: bhs.word(20),
            ref_cmd_sn: bhs.word(32),
        }),
        0x03 => Request::Login(decode_login(&bhs, pdu.data)?),
        0x04 => Request::Text {
            last: flags & 0x80 != 0,
            more: flags & 0x40 != 0,
            transfer_tag: bhs.word(20),
            lun,
            text: pdu.data,
        },
        0x05 => Request::DataOut(DataOut {
            last: flags & 0x80 != 0,
            transfer_tag: bhs.word(20),
            data_sn: bhs.word(36),
            offset: bhs.word(40),
            data: pdu.data,
        }),
        0x06 => Request::Logout {
            reason: flags & 0x7f,
            cid: u16::from_be_bytes([bhs.0[20], bhs.0[21]]),
        },
        0x10 => Request::Snack,
        other => return Err(PduError::Opcode(other)),
    };
    Ok(Envelope {
        immediate: bhs.immediate(),
        itt: bhs.itt(),
        cmd_sn: bhs.word(24),
        exp_stat_sn: bhs.word(28),
        request,
    })
}

fn decode_login(bhs: &Bhs, text: Bytes) -> Result<LoginRequest, PduError> {
    let flags = bhs.0[1];
    let (transit, more) = (flags & 0x80 != 0, flags & 0x40 != 0);
    if transit && more {
        return Err(PduError::Malformed("login with both T and C"));
    }
    let mut isid = [0; 6];
    isid.copy_from_slice(&bhs.0[8..14]);
    Ok(LoginRequest {
        transit,
        more,
        stage: (flags >> 2) & 3,
        next_stage: flags & 3,
        version_min: bhs.0[3],
        isid,
        tsih: u16::from_be_bytes([bhs.0[14], bhs.0[15]]),
        cid: u16::from_be_bytes([bhs.0[20], bhs.0[21]]),
        text,
    })
}

fn decode_scsi(bhs: &Bhs, ahs: &[u8], data: Bytes) -> Result<ScsiCommand, PduError> {
    let flags = bhs.0[1];
    let mut cdb = [0; 16];
    cdb.copy_from_slice(&bhs.0[32..48]);
    Ok(ScsiCommand {
        last: flags & 0x80 != 0,
        read: flags & 0x40 != 0,
        write: flags & 0x20 != 0,
        attribute: flags & 7,
        lun: bhs.lun(),
        expected_len: bhs.word(20),
        cdb,
        extended_cdb: has_extended_cdb(ahs)?,
        data,
    })
}

/// Walks the additional header segments: each is a 16-bit length (of what follows the type byte),
/// a type, and that many bytes, padded to four.
fn has_extended_cdb(mut ahs: &[u8]) -> Result<bool, PduError> {
    let mut found = false;
    while !ahs.is_empty() {
        let [high, low, kind, ..] = *ahs else {
            return Err(PduError::Malformed("a cut additional header"));
        };
        let len = (3 + usize::from(u16::from_be_bytes([high, low]))).next_multiple_of(4);
        if len > ahs.len() {
            return Err(PduError::Malformed(
                "an additional header longer than its space",
            ));
        }
        found |= kind & 0x3f == 1;
        ahs = &ahs[len..];
    }
    Ok(found)
}
