//! SCSI block commands on a [`Lun`]: a decoded command and its data in, an [`Outcome`] out. Knows no
//! PDU and no socket. `check` decides what may run before any data moves or memory is taken;
//! `execute` may block and belongs on an I/O thread.

pub mod cdb;
pub mod inquiry;
pub mod mode;
pub mod opcodes;
pub mod reserve;
pub mod rw;
pub mod sense;
pub mod thin;

use super::limits::{COMPARE_AND_WRITE_BLOCKS_MAX, SWEEP_BLOCKS_MAX, TRANSFER_BLOCKS_MAX};
use super::live::WritePass;
use super::lun::{BLOCK_LEN, Lun, Nexus};
use cdb::Command;
use sense::Sense;

/// Status bytes.
pub mod status {
    /// Done.
    pub const GOOD: u8 = 0x00;
    /// Failed; sense says why.
    pub const CHECK_CONDITION: u8 = 0x02;
    /// Another initiator has reserved the unit.
    pub const RESERVATION_CONFLICT: u8 = 0x18;
    /// The command queue is full.
    pub const TASK_SET_FULL: u8 = 0x28;
    /// Ended by another initiator's task management.
    pub const TASK_ABORTED: u8 = 0x40;
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// GOOD, with data for the initiator.
    Data(Vec<u8>),
    /// GOOD, without.
    Good,
    /// CHECK CONDITION.
    Check(Sense),
    /// Another initiator's reservation is in the way.
    Conflict,
}

impl From<Result<Vec<u8>, Sense>> for Outcome {
    fn from(result: Result<Vec<u8>, Sense>) -> Self {
        result.map_or_else(Self::Check, Self::Data)
    }
}

impl From<Result<(), Sense>> for Outcome {
    fn from(result: Result<(), Sense>) -> Self {
        result.map_or_else(Self::Check, |()| Self::Good)
    }
}

/// No answer but a read's is longer (the longest is GET LBA STATUS's).
const SMALL_ANSWER_LEN: u64 = 8192;

/// What a command acts on, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Unit<'a> {
    /// The volume.
    pub lun: &'a Lun,
    /// The session.
    pub nexus: &'a Nexus,
}

/// Decides whether a command may run: unit attentions, reservations, write protection, limits.
/// Called once, when the command arrives, before its data is asked for.
pub fn check(unit: Unit<'_>, command: &Command) -> Result<(), Outcome> {
    let exempt = matches!(
        command,
        Command::Inquiry { .. } | Command::ReportLuns { .. } | Command::RequestSense { .. }
    );
    if !exempt && let Some(sense) = unit.nexus.take_attention() {
        return Err(Outcome::Check(sense));
    }
    if !unit.lun.reservations().allows(&unit.nexus.port, command) {
        return Err(Outcome::Conflict);
    }
    if command.writes() && unit.nexus.read_only {
        return Err(Outcome::Check(Sense::WRITE_PROTECTED));
    }
    check_lengths(unit.lun, command).map_err(Outcome::Check)
}

fn check_lengths(lun: &Lun, command: &Command) -> Result<(), Sense> {
    if let Some(span) = command.span() {
        let end = span
            .lba
            .checked_add(span.blocks)
            .ok_or(Sense::OUT_OF_RANGE)?;
        let blocks = lun.blocks();
        if span.lba > blocks || end > blocks {
            return Err(Sense::OUT_OF_RANGE);
        }
    }
    let blocks = command.transfer().map_or(0, |span| span.blocks);
    let max = if matches!(command, Command::CompareAndWrite { .. }) {
        COMPARE_AND_WRITE_BLOCKS_MAX.into()
    } else {
        TRANSFER_BLOCKS_MAX.into()
    };
    let swept = if let Command::WriteSame(same) = command {
        thin::same_blocks(lun, same)
    } else if let Command::Verify(span, _) = command {
        span.blocks
    } else {
        0
    };
    let too_many = blocks > max || swept > SWEEP_BLOCKS_MAX;
    if too_many {
        return Err(Sense::INVALID_FIELD);
    }
    if matches!(command, Command::GetLbaStatus { lba, .. } if *lba >= lun.blocks()) {
        return Err(Sense::OUT_OF_RANGE);
    }
    if matches!(command, Command::Unmap { .. }) && !lun.backing.is_thin() {
        return Err(Sense::INVALID_OPCODE);
    }
    Ok(())
}

/// Bytes of data the answer may have, for the session's memory.
pub fn data_in_len(command: &Command) -> u64 {
    if let Command::Read(span) | Command::Verify(span, _) = command {
        return span.blocks.min(TRANSFER_BLOCKS_MAX.into()) * BLOCK_LEN;
    }
    SMALL_ANSWER_LEN
}

/// Runs a checked command with all its data. `pass` is there for commands that write.
pub fn execute(
    unit: Unit<'_>,
    command: &Command,
    data: &[u8],
    pass: Option<&WritePass>,
) -> Outcome {
    let Unit { lun, nexus } = unit;
    match command {
        Command::TestUnitReady
        | Command::StartStop
        | Command::PreventAllow
        | Command::Prefetch(_) => Outcome::Good,
        Command::RequestSense {
            descriptor,
            alloc_len,
        } => {
            let sense = nexus.take_attention().unwrap_or(Sense::NONE);
            let bytes = if *descriptor {
                sense.descriptor().to_vec()
            } else {
                sense.fixed().to_vec()
            };
            Outcome::Data(cut(bytes, *alloc_len))
        }
        Command::Inquiry { page, alloc_len } => inquiry::inquiry(lun, *page)
            .map(|bytes| cut(bytes, *alloc_len))
            .into(),
        Command::ReportLuns { select, alloc_len } => inquiry::report_luns(*select, *alloc_len)
            .map(|bytes| cut(bytes, *alloc_len))
            .into(),
        Command::ModeSense(mode) => mode::mode_sense(unit, mode)
            .map(|bytes| cut(bytes, mode.alloc_len))
            .into(),
        Command::ReadCapacity10 => Outcome::Data(inquiry::capacity10(lun)),
        Command::ReadCapacity16 { alloc_len } => {
            Outcome::Data(cut(inquiry::capacity16(lun), *alloc_len))
        }
        Command::GetLbaStatus { lba, alloc_len } => thin::lba_status(lun, *lba, *alloc_len).into(),
        Command::Read(span) => rw::read(unit, *span).into(),
        Command::Write { span, fua } => rw::write(unit, *span, *fua, data, pass).into(),
        Command::WriteVerify(span) => rw::write_verify(unit, *span, data, pass).into(),
        Command::Verify(span, compare) => rw::verify(lun, *span, *compare, data).into(),
        Command::CompareAndWrite { span, fua } => {
            rw::compare_and_write(unit, *span, *fua, data, pass).into()
        }
        Command::SyncCache(_) => rw::sync(lun).into(),
        Command::Unmap { list_len } => thin::unmap(lun, *list_len, data, pass)
            .inspect(|()| nexus.traffic.wrote(0))
            .into(),
        Command::WriteSame(same) => thin::write_same(lun, same, data, pass)
            .inspect(|()| nexus.traffic.wrote(0))
            .into(),
        Command::Reserve => reserve::reserve(unit),
        Command::Release => reserve::release(unit),
        Command::ReserveIn { action, alloc_len } => reserve::reserve_in(unit, *action, *alloc_len),
        Command::ReserveOut(out) => reserve::reserve_out(unit, out, data),
        Command::ReportOpcodes(wanted) => opcodes::report(wanted)
            .map(|bytes| cut(bytes, wanted.alloc_len))
            .into(),
    }
}

/// An answer is cut to the room the initiator gave; it then asks again with more.
pub fn cut(mut bytes: Vec<u8>, alloc_len: u32) -> Vec<u8> {
    bytes.truncate(usize::try_from(alloc_len).unwrap_or(usize::MAX));
    bytes
}
