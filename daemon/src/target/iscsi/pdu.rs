//! iSCSI PDUs as RFC 7143 section 11 lays them out: bytes to typed requests, typed responses to
//! bytes. Pure: knows no socket, no session and no SCSI. Every byte string has an answer; a
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

/// How a response uses the status sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatSn {
    /// Carries the next number and uses it up.
    Advance,
    /// Carries the next number without using it (R2T, our own NOP-In).
    Peek,
    /// Carries none (Data-In without status).
    Absent,
}

/// A response PDU before its sequence numbers are filled in.
#[derive(Debug, Clone)]
pub struct Response {
    /// The basic header.
    pub bhs: [u8; BHS_LEN],
    /// The data segment without padding.
    pub data: Bytes,
    /// How it numbers.
    pub stat_sn: StatSn,
}

impl Response {
    fn new(opcode: u8, flags: u8, itt: u32, stat_sn: StatSn) -> Self {
        let mut bhs = [0; BHS_LEN];
        bhs[0] = opcode;
        bhs[1] = flags;
        bhs[16..20].copy_from_slice(&itt.to_be_bytes());
        Self {
            bhs,
            data: Bytes::new(),
            stat_sn,
        }
    }

    fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.bhs[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Sets the data segment and its length field. Segments are bounded far below 16 MiB by the
    /// negotiated lengths.
    pub fn with_data(mut self, data: Bytes) -> Self {
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.bhs[5..8].copy_from_slice(&len[1..]);
        self.data = data;
        self
    }

    /// NOP-In: the answer to a ping.
    pub fn pong(itt: u32, lun: [u8; 8], data: Bytes) -> Self {
        Self::new(0x20, 0x80, itt, StatSn::Advance)
            .put(8, &lun)
            .put(20, &NO_TAG.to_be_bytes())
            .with_data(data)
    }

    /// NOP-In: our own ping, answered with `transfer_tag`.
    pub fn ping(transfer_tag: u32) -> Self {
        Self::new(0x20, 0x80, NO_TAG, StatSn::Peek).put(20, &transfer_tag.to_be_bytes())
    }

    /// SCSI response with status, residual and (length-prefixed) sense.
    pub fn scsi(itt: u32, status: u8, residual: Residual, sense: &[u8]) -> Self {
        let response =
            Self::new(0x21, 0x80 | residual.flags(), itt, StatSn::Advance).put(3, &[status]);
        let response = response.put(44, &residual.len().to_be_bytes());
        if sense.is_empty() {
            return response;
        }
        let len = u16::try_from(sense.len()).unwrap_or(0).to_be_bytes();
        response.with_data([&len[..], sense].concat().into())
    }

    /// Data-In; `last` ends a sequence, `status` ends the command with GOOD and its residual.
    pub fn data_in(itt: u32, at: DataAt, status: Option<Residual>, data: Bytes) -> Self {
        let (status_flags, stat_sn, residual) = match status {
            Some(residual) => (0x81 | residual.flags(), StatSn::Advance, residual.len()),
            None => (0, StatSn::Absent, 0),
        };
        let flags = status_flags | if at.last { 0x80 } else { 0 };
        Self::new(0x25, flags, itt, stat_sn)
            .put(20, &NO_TAG.to_be_bytes())
            .put(36, &at.data_sn.to_be_bytes())
            .put(40, &at.offset.to_be_bytes())
            .put(44, &residual.to_be_bytes())
            .with_data(data)
    }

    /// R2T: asks for `len` bytes from `offset`.
    pub fn r2t(itt: u32, lun: [u8; 8], transfer_tag: u32, r2t_sn: u32, range: (u32, u32)) -> Self {
        Self::new(0x31, 0x80, itt, StatSn::Peek)
            .put(8, &lun)
            .put(20, &transfer_tag.to_be_bytes())
            .put(36, &r2t_sn.to_be_bytes())
            .put(40, &range.0.to_be_bytes())
            .put(44, &range.1.to_be_bytes())
    }

    /// Task management response.
    pub fn task(itt: u32, code: u8) -> Self {
        Self::new(0x22, 0x80, itt, StatSn::Advance).put(2, &[code])
    }

    /// Logout response.
    pub fn logout(itt: u32, code: u8) -> Self {
        Self::new(0x26, 0x80, itt, StatSn::Advance).put(2, &[code])
    }

    /// Text response that ends its exchange or goes on under `transfer_tag`.
    pub fn text(itt: u32, lun: [u8; 8], more: Option<u32>, data: Bytes) -> Self {
        let flags = if more.is_some() { 0x40 } else { 0x80 };
        Self::new(0x24, flags, itt, StatSn::Advance)
            .put(8, &lun)
            .put(20, &more.unwrap_or(NO_TAG).to_be_bytes())
            .with_data(data)
    }

    /// Login response.
    pub fn login(itt: u32, at: &LoginRequest, tsih: u16, answer: LoginAnswer, data: Bytes) -> Self {
        let flags = if answer.transit {
            0x80 | at.next_stage
        } else {
            0
        };
        let failed = answer.status != 0;
        let flags = if failed { 0 } else { flags | (at.stage << 2) };
        let stat_sn = if failed {
            StatSn::Absent
        } else {
            StatSn::Advance
        };
        Self::new(0x23, flags, itt, stat_sn)
            .put(8, &at.isid)
            .put(14, &tsih.to_be_bytes())
            .put(36, &answer.status.to_be_bytes())
            .with_data(data)
    }

    /// Reject with the header of what was rejected.
    pub fn reject(reason: u8, header: &[u8; BHS_LEN]) -> Self {
        Self::new(0x3f, 0x80, NO_TAG, StatSn::Advance)
            .put(2, &[reason])
            .with_data(Bytes::copy_from_slice(header))
    }

    /// Asynchronous message: `event` with its three parameters.
    pub fn event(event: u8, parameters: [u16; 3]) -> Self {
        let mut response = Self::new(0x32, 0x80, NO_TAG, StatSn::Advance).put(36, &[event]);
        for (index, parameter) in parameters.iter().enumerate() {
            response = response.put(38 + 2 * index, &parameter.to_be_bytes());
        }
        response
    }
}

/// What a login response says beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginAnswer {
    /// T: the stage changes as asked.
    pub transit: bool,
    /// Status class and detail.
    pub status: u16,
}

/// Where a Data-In PDU belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataAt {
    /// Number within the command.
    pub data_sn: u32,
    /// Offset of the data in the command's data.
    pub offset: u32,
    /// Whether it ends a sequence.
    pub last: bool,
}

/// How much less or more than expected a command moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// As expected.
    None,
    /// That many bytes less than the initiator expected.
    Underflow(u32),
    /// That many bytes more than the initiator had room for.
    Overflow(u32),
}

impl Residual {
    /// Compares what the initiator expected with what the command has.
    pub fn between(expected_len: u32, actual_len: u64) -> Self {
        let expected = u64::from(expected_len);
        let clamp = |len: u64| u32::try_from(len).unwrap_or(u32::MAX);
        match actual_len.cmp(&expected) {
            std::cmp::Ordering::Equal => Self::None,
            std::cmp::Ordering::Less => Self::Underflow(clamp(expected - actual_len)),
            std::cmp::Ordering::Greater => Self::Overflow(clamp(actual_len - expected)),
        }
    }

    fn flags(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Underflow(_) => 0x02,
            Self::Overflow(_) => 0x04,
        }
    }

    fn len(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Underflow(len) | Self::Overflow(len) => len,
        }
    }
}
