//! The PDUs a target sends, as RFC 7143 section 11 lays them out: typed values to headers and data.
//! Pure; their sequence numbers are filled in when they leave.

use super::pdu::{BHS_LEN, LoginRequest, NO_TAG};
use bytes::Bytes;

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
