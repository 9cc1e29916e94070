//! Command descriptor blocks to typed commands. Pure: every block decodes to a command or to sense;
//! lengths are only read here, and checked against the volume by `execute` before anything moves.

use super::sense::Sense;

/// A run of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First block.
    pub lba: u64,
    /// How many.
    pub blocks: u64,
}

/// How data is compared by the verifying commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Only that the blocks can be read.
    Medium,
    /// Each byte with the data sent.
    Data,
    /// Each block with the one block sent.
    OneBlock,
}

/// Write same, in all its forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteSame {
    /// Where.
    pub span: Span,
    /// Zero blocks may be unmapped.
    pub unmap: bool,
    /// No data is sent: write zeros.
    pub no_data: bool,
}

/// REPORT SUPPORTED OPERATION CODES.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportOpcodes {
    /// All, or one, with or without its service action.
    pub options: u8,
    /// Whether timeouts are wanted.
    pub timeouts: bool,
    /// Which opcode.
    pub opcode: u8,
    /// Which service action.
    pub action: u16,
    /// Room for the answer.
    pub alloc_len: u32,
}

/// MODE SENSE, both sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeSense {
    /// The ten byte form with its longer header.
    pub ten: bool,
    /// Leave the block descriptor out.
    pub no_descriptor: bool,
    /// Current, changeable, default or saved values.
    pub control: u8,
    /// Page wanted.
    pub page: u8,
    /// Subpage wanted.
    pub subpage: u8,
    /// Room for the answer.
    pub alloc_len: u32,
}

/// PERSISTENT RESERVE OUT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReserveOut {
    /// Service action.
    pub action: u8,
    /// Scope and type.
    pub scope_type: u8,
    /// Length of the parameter list.
    pub list_len: u32,
}

/// A command we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// TEST UNIT READY.
    TestUnitReady,
    /// REQUEST SENSE.
    RequestSense {
        /// Descriptor format.
        descriptor: bool,
        /// Room for the answer.
        alloc_len: u32,
    },
    /// INQUIRY.
    Inquiry {
        /// The vital product data page, or the standard data.
        page: Option<u8>,
        /// Room for the answer.
        alloc_len: u32,
    },
    /// MODE SENSE (6), (10).
    ModeSense(ModeSense),
    /// START STOP UNIT: a volume neither spins nor ejects, so that there is nothing to do.
    StartStop,
    /// PREVENT ALLOW MEDIUM REMOVAL: the medium cannot be removed in any case.
    PreventAllow,
    /// READ CAPACITY (10).
    ReadCapacity10,
    /// READ CAPACITY (16).
    ReadCapacity16 {
        /// Room for the answer.
        alloc_len: u32,
    },
    /// GET LBA STATUS.
    GetLbaStatus {
        /// First block.
        lba: u64,
        /// Room for the answer.
        alloc_len: u32,
    },
    /// READ (6), (10), (12), (16).
    Read(Span),
    /// WRITE (6), (10), (12), (16); `fua` waits for stable storage.
    Write {
        /// Where.
        span: Span,
        /// Force unit access.
        fua: bool,
    },
    /// WRITE AND VERIFY (10), (12), (16).
    WriteVerify(Span),
    /// VERIFY (10), (12), (16).
    Verify(Span, Compare),
    /// COMPARE AND WRITE.
    CompareAndWrite {
        /// Where.
        span: Span,
        /// Force unit access.
        fua: bool,
    },
    /// SYNCHRONIZE CACHE (10), (16).
    SyncCache(Span),
    /// PRE-FETCH (10), (16).
    Prefetch(Span),
    /// UNMAP.
    Unmap {
        /// Length of the parameter list.
        list_len: u32,
    },
    /// WRITE SAME (10), (16).
    WriteSame(WriteSame),
    /// RESERVE (6).
    Reserve,
    /// RELEASE (6).
    Release,
    /// PERSISTENT RESERVE IN.
    ReserveIn {
        /// Service action.
        action: u8,
        /// Room for the answer.
        alloc_len: u32,
    },
    /// PERSISTENT RESERVE OUT.
    ReserveOut(ReserveOut),
    /// REPORT LUNS.
    ReportLuns {
        /// Which units are meant.
        select: u8,
        /// Room for the answer.
        alloc_len: u32,
    },
    /// REPORT SUPPORTED OPERATION CODES.
    ReportOpcodes(ReportOpcodes),
}

fn be16(cdb: &[u8; 16], at: usize) -> u16 {
    u16::from_be_bytes([cdb[at], cdb[at + 1]])
}

fn be32(cdb: &[u8; 16], at: usize) -> u32 {
    u32::from_be_bytes([cdb[at], cdb[at + 1], cdb[at + 2], cdb[at + 3]])
}

fn be64(cdb: &[u8; 16], at: usize) -> u64 {
    u64::from(be32(cdb, at)) << 32 | u64::from(be32(cdb, at + 4))
}

fn span6(cdb: &[u8; 16]) -> Span {
    let lba = u64::from(be32(cdb, 0) & 0x001f_ffff);
    // In the six byte form no blocks means 256.
    let blocks = if cdb[4] == 0 { 256 } else { u64::from(cdb[4]) };
    Span { lba, blocks }
}

fn span10(cdb: &[u8; 16]) -> Span {
    Span {
        lba: be32(cdb, 2).into(),
        blocks: be16(cdb, 7).into(),
    }
}

fn span12(cdb: &[u8; 16]) -> Span {
    Span {
        lba: be32(cdb, 2).into(),
        blocks: be32(cdb, 6).into(),
    }
}

fn span16(cdb: &[u8; 16]) -> Span {
    Span {
        lba: be64(cdb, 2),
        blocks: be32(cdb, 10).into(),
    }
}

/// The flags byte of a read or write: no protection information, FUA in bit 3.
fn fua(cdb: &[u8; 16]) -> Result<bool, Sense> {
    if cdb[1] & 0xe0 != 0 {
        return Err(Sense::INVALID_FIELD);
    }
    Ok(cdb[1] & 0x08 != 0)
}

fn compare(cdb: &[u8; 16]) -> Result<Compare, Sense> {
    if cdb[1] & 0xe0 != 0 {
        return Err(Sense::INVALID_FIELD);
    }
    match cdb[1] >> 1 & 3 {
        0 => Ok(Compare::Medium),
        1 => Ok(Compare::Data),
        3 => Ok(Compare::OneBlock),
        _ => Err(Sense::INVALID_FIELD),
    }
}

fn write_verify(cdb: &[u8; 16], span: Span) -> Result<Command, Sense> {
    // Whether or not a comparison is asked for, the blocks are read back and compared.
    match compare(cdb)? {
        Compare::Medium | Compare::Data => Ok(Command::WriteVerify(span)),
        Compare::OneBlock => Err(Sense::INVALID_FIELD),
    }
}

fn write_same(cdb: &[u8; 16], span: Span, no_data: bool) -> Result<Command, Sense> {
    let (unmap, anchor) = (cdb[1] & 0x08 != 0, cdb[1] & 0x10 != 0);
    // Anchoring would promise space that a sparse file cannot keep.
    if cdb[1] & 0xe0 != 0 || anchor {
        return Err(Sense::INVALID_FIELD);
    }
    Ok(Command::WriteSame(WriteSame {
        span,
        unmap,
        no_data,
    }))
}

/// Understands a command descriptor block.
pub fn decode(cdb: &[u8; 16]) -> Result<Command, Sense> {
    // NACA in the control byte asks for ACA, which we do not have.
    if cdb[control_at(cdb[0])] & 0x04 != 0 {
        return Err(Sense::INVALID_FIELD);
    }
    Ok(match cdb[0] {
        0x00 => Command::TestUnitReady,
        0x03 => Command::RequestSense {
            descriptor: cdb[1] & 1 != 0,
            alloc_len: u32::from(cdb[4]),
        },
        0x12 => Command::Inquiry {
            page: inquiry_page(cdb)?,
            alloc_len: be16(cdb, 3).into(),
        },
        0x16 => Command::Reserve,
        0x17 => Command::Release,
        0x1a | 0x5a => Command::ModeSense(mode_sense(cdb)),
        0x1b => Command::StartStop,
        0x1e => Command::PreventAllow,
        0x25 => Command::ReadCapacity10,
        0x42 if cdb[1] & 1 == 0 => Command::Unmap {
            list_len: be16(cdb, 7).into(),
        },
        0x42 => return Err(Sense::INVALID_FIELD),
        0x5e => Command::ReserveIn {
            action: cdb[1] & 0x1f,
            alloc_len: be16(cdb, 7).into(),
        },
        0x5f => Command::ReserveOut(ReserveOut {
            action: cdb[1] & 0x1f,
            scope_type: cdb[2],
            list_len: be32(cdb, 5),
        }),
        0x9e => service_action_in(cdb)?,
        0xa0 => Command::ReportLuns {
            select: cdb[2],
            alloc_len: be32(cdb, 6),
        },
        0xa3 if cdb[1] & 0x1f == 0x0c => Command::ReportOpcodes(ReportOpcodes {
            options: cdb[2] & 7,
            timeouts: cdb[2] & 0x80 != 0,
            opcode: cdb[3],
            action: be16(cdb, 4),
            alloc_len: be32(cdb, 6),
        }),
        0xa3 => return Err(Sense::INVALID_FIELD),
        _ => return decode_medium(cdb),
    })
}

/// The commands that move or check blocks.
fn decode_medium(cdb: &[u8; 16]) -> Result<Command, Sense> {
    Ok(match cdb[0] {
        0x08 => Command::Read(span6(cdb)),
        0x0a => Command::Write {
            span: span6(cdb),
            fua: false,
        },
        // A read answers from the page cache or from the disk: both hold what was written last.
        0x28 => fua(cdb).map(|_| Command::Read(span10(cdb)))?,
        0xa8 => fua(cdb).map(|_| Command::Read(span12(cdb)))?,
        0x88 => fua(cdb).map(|_| Command::Read(span16(cdb)))?,
        0x2a => Command::Write {
            span: span10(cdb),
            fua: fua(cdb)?,
        },
        0xaa => Command::Write {
            span: span12(cdb),
            fua: fua(cdb)?,
        },
        0x8a => Command::Write {
            span: span16(cdb),
            fua: fua(cdb)?,
        },
        0x2e => write_verify(cdb, span10(cdb))?,
        0xae => write_verify(cdb, span12(cdb))?,
        0x8e => write_verify(cdb, span16(cdb))?,
        0x2f => Command::Verify(span10(cdb), compare(cdb)?),
        0xaf => Command::Verify(span12(cdb), compare(cdb)?),
        0x8f => Command::Verify(span16(cdb), compare(cdb)?),
        0x34 => Command::Prefetch(span10(cdb)),
        0x90 => Command::Prefetch(span16(cdb)),
        0x35 => Command::SyncCache(span10(cdb)),
        0x91 => Command::SyncCache(span16(cdb)),
        0x41 => write_same(cdb, span10(cdb), false)?,
        0x93 => write_same(cdb, span16(cdb), cdb[1] & 1 != 0)?,
        0x89 => {
            let span = Span {
                lba: be64(cdb, 2),
                blocks: cdb[13].into(),
            };
            Command::CompareAndWrite {
                span,
                fua: fua(cdb)?,
            }
        }
        _ => return Err(Sense::INVALID_OPCODE),
    })
}

/// Where a block's control byte is: its opcode's group tells its length.
fn control_at(opcode: u8) -> usize {
    match opcode >> 5 {
        0 => 5,
        1 | 2 => 9,
        5 => 11,
        _ => 15,
    }
}

fn inquiry_page(cdb: &[u8; 16]) -> Result<Option<u8>, Sense> {
    match (cdb[1] & 3, cdb[2]) {
        (0, 0) => Ok(None),
        (1, page) => Ok(Some(page)),
        _ => Err(Sense::INVALID_FIELD),
    }
}

fn mode_sense(cdb: &[u8; 16]) -> ModeSense {
    let ten = cdb[0] == 0x5a;
    let alloc_len = if ten {
        be16(cdb, 7).into()
    } else {
        u32::from(cdb[4])
    };
    ModeSense {
        ten,
        no_descriptor: cdb[1] & 0x08 != 0,
        control: cdb[2] >> 6,
        page: cdb[2] & 0x3f,
        subpage: cdb[3],
        alloc_len,
    }
}

fn service_action_in(cdb: &[u8; 16]) -> Result<Command, Sense> {
    let alloc_len = be32(cdb, 10);
    match cdb[1] & 0x1f {
        0x10 => Ok(Command::ReadCapacity16 { alloc_len }),
        0x12 => Ok(Command::GetLbaStatus {
            lba: be64(cdb, 2),
            alloc_len,
        }),
        _ => Err(Sense::INVALID_FIELD),
    }
}

impl Command {
    /// Bytes the initiator must send with it.
    pub fn data_out_len(&self, block_len: u64) -> u64 {
        if let Self::Unmap { list_len } | Self::ReserveOut(ReserveOut { list_len, .. }) = self {
            return (*list_len).into();
        }
        if let Self::WriteSame(same) = self {
            return if same.no_data { 0 } else { block_len };
        }
        if let Self::Verify(_, Compare::OneBlock) = self {
            return block_len;
        }
        if let Self::CompareAndWrite { span, .. } = self {
            // One half is compared with, the other is written.
            return 2 * span.blocks * block_len;
        }
        let sent = self.transfer().filter(|_| !matches!(self, Self::Read(_)));
        sent.map_or(0, |span| span.blocks * block_len)
    }

    /// Blocks it transfers, for the transfer limit.
    pub fn transfer(&self) -> Option<Span> {
        if let Self::Read(span)
        | Self::Write { span, .. }
        | Self::WriteVerify(span)
        | Self::Verify(span, Compare::Data)
        | Self::CompareAndWrite { span, .. } = self
        {
            return Some(*span);
        }
        None
    }

    /// Blocks it refers to, for the check against the volume's end.
    pub fn span(&self) -> Option<Span> {
        if let Self::Verify(span, _) | Self::SyncCache(span) | Self::Prefetch(span) = self {
            return Some(*span);
        }
        if let Self::WriteSame(same) = self {
            return Some(same.span);
        }
        if let Self::GetLbaStatus { lba, .. } = self {
            return Some(Span {
                lba: *lba,
                blocks: 0,
            });
        }
        self.transfer()
    }

    /// Whether data of another length than it asks for would change what it means.
    pub fn wants_exact_data(&self) -> bool {
        matches!(
            self,
            Self::CompareAndWrite { .. } | Self::WriteSame(_) | Self::ReserveOut(_)
        )
    }

    /// Whether it changes the medium.
    pub fn writes(&self) -> bool {
        matches!(
            self,
            Self::Write { .. }
                | Self::WriteVerify(_)
                | Self::CompareAndWrite { .. }
                | Self::Unmap { .. }
                | Self::WriteSame(_)
        )
    }
}
