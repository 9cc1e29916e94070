//! The data of writes as it arrives: immediate data, unsolicited Data-Out up to the first burst,
//! then what our R2Ts ask for. Data comes in order (both sides agreed on that), so that memory grows
//! only with what is really there, and solicited data is asked for only once its memory is granted.

use super::command::{Job, run};
use super::outbound::{Body, Hold, Outbound};
use super::pump::{Broken, Pump};
use crate::target::iscsi::lun::BLOCK_LEN;
use crate::target::iscsi::pdu::{DataOut, NO_TAG, ScsiCommand};
use crate::target::iscsi::response::Response;
use crate::target::iscsi::scsi::Outcome;
use crate::target::iscsi::scsi::cdb::Command;
use crate::target::iscsi::scsi::sense::Sense;
use tokio::sync::OwnedSemaphorePermit;

/// A command that waits for its data.
#[derive(Debug)]
pub struct Gathering {
    job: Job,
    command: Command,
    lun: [u8; 8],
    itt: u32,
    wanted_len: u64,
    /// What the command uses of what is sent.
    moves: usize,
    expected_len: u32,
    received: u32,
    data: Vec<u8>,
    phase: Phase,
    data_sn: u32,
    r2t_sn: u32,
    memory: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Unsolicited,
    WaitingForMemory,
    Solicited { transfer_tag: u32, end: u32 },
}

impl Gathering {
    /// Begins with a command's immediate data.
    pub fn new(job: Job, command: Command, request: &ScsiCommand, moves: u64) -> Self {
        let moves = usize::try_from(moves).unwrap_or(usize::MAX);
        let taken = request.data.len().min(moves);
        Self {
            job,
            command,
            lun: request.lun,
            itt: 0,
            wanted_len: command.data_out_len(BLOCK_LEN),
            moves,
            expected_len: request.expected_len,
            received: u32::try_from(request.data.len()).unwrap_or(u32::MAX),
            data: request.data[..taken].to_vec(),
            phase: if request.last {
                Phase::WaitingForMemory
            } else {
                Phase::Unsolicited
            },
            data_sn: 0,
            r2t_sn: 0,
            memory: None,
        }
    }

    fn is_complete(&self) -> bool {
        self.data.len() >= self.moves
    }

    /// Bytes of memory that its solicited data needs.
    pub fn memory_len(&self) -> u32 {
        u32::try_from(self.moves - self.data.len()).unwrap_or(u32::MAX)
    }

    /// Its command's tag.
    pub fn tag(&self) -> u32 {
        self.itt
    }

    /// Whether it waits for memory.
    pub fn waits_for_memory(&self) -> bool {
        self.phase == Phase::WaitingForMemory
    }

    fn take(&mut self, data: &DataOut) -> Result<(), Broken> {
        let len = u32::try_from(data.data.len()).unwrap_or(u32::MAX);
        let end = self.received.saturating_add(len);
        if data.offset != self.received {
            return Err(Broken::Protocol("data out of order"));
        }
        if end > self.expected_len {
            return Err(Broken::Protocol("more data than announced"));
        }
        self.data_sn = self.data_sn.wrapping_add(1);
        self.received = end;
        // What goes beyond the command's own need is taken off the wire and dropped.
        let room = self.moves - self.data.len();
        self.data
            .extend_from_slice(&data.data[..data.data.len().min(room)]);
        Ok(())
    }
}

impl Pump {
    /// Adds a command that waits for data.
    pub(super) fn gather(&mut self, mut gathering: Gathering) -> Result<(), Broken> {
        let itt = gathering.job.itt();
        gathering.itt = itt;
        if gathering.phase == Phase::Unsolicited && self.parameters.initial_r2t {
            return Err(Broken::Protocol("unsolicited data against InitialR2T"));
        }
        let waits = gathering.waits_for_memory();
        self.gatherings.insert(itt, gathering);
        if waits {
            self.waiting.push_back(itt);
            self.grant_memory();
        }
        Ok(())
    }

    /// Takes a Data-Out PDU. Data of a command that has ended already is dropped.
    pub(super) fn data_out(&mut self, itt: u32, data: &DataOut) -> Result<(), Broken> {
        let Some(gathering) = self.gatherings.get_mut(&itt) else {
            return Ok(());
        };
        if data.data_sn != gathering.data_sn {
            // A PDU of the sequence is missing: the command fails, the session goes on (RFC 7143 7.8).
            if let Some(gathering) = self.gatherings.remove(&itt) {
                gathering.job.finish(Outcome::Check(Sense::DATA_LOST), 0);
            }
            return Ok(());
        }
        match gathering.phase {
            Phase::Unsolicited if data.transfer_tag == NO_TAG => {
                gathering.take(data)?;
                if gathering.received > self.parameters.first_burst_len {
                    return Err(Broken::Protocol("unsolicited data beyond the first burst"));
                }
            }
            Phase::Solicited { transfer_tag, end } if data.transfer_tag == transfer_tag => {
                gathering.take(data)?;
                if gathering.received > end || (data.last && gathering.received != end) {
                    return Err(Broken::Protocol(
                        "a data sequence of another length than asked",
                    ));
                }
            }
            Phase::Unsolicited | Phase::WaitingForMemory | Phase::Solicited { .. } => {
                return Err(Broken::Protocol("data that was not asked for"));
            }
        }
        if !data.last {
            return Ok(());
        }
        if gathering.is_complete() {
            if let Some(gathering) = self.gatherings.remove(&itt) {
                start(gathering);
            }
        } else if gathering.memory.is_some() {
            self.ask(itt);
        } else {
            gathering.phase = Phase::WaitingForMemory;
            self.waiting.push_back(itt);
            self.grant_memory();
        }
        Ok(())
    }

    /// Gives memory to waiting writes, in their order, while there is some.
    fn grant_memory(&mut self) {
        while let Some(gathering) = self.next_waiting() {
            let (itt, len) = (gathering.itt, gathering.memory_len());
            let memory = std::sync::Arc::clone(&self.write_memory).try_acquire_many_owned(len);
            let Ok(memory) = memory else { return };
            self.granted(itt, memory);
        }
    }

    /// The write that waits longest for memory.
    pub(super) fn next_waiting(&mut self) -> Option<&Gathering> {
        while let Some(itt) = self.waiting.front() {
            let waits = self
                .gatherings
                .get(itt)
                .is_some_and(Gathering::waits_for_memory);
            if waits {
                break;
            }
            self.waiting.pop_front();
        }
        self.gatherings.get(self.waiting.front()?)
    }

    /// Gives memory to the write that waits longest.
    pub(super) fn granted(&mut self, itt: u32, memory: OwnedSemaphorePermit) {
        self.waiting.retain(|waiting| *waiting != itt);
        if let Some(gathering) = self.gatherings.get_mut(&itt) {
            gathering
                .data
                .reserve_exact(gathering.moves - gathering.data.len());
            gathering.memory = Some(memory);
            self.ask(itt);
        }
    }

    /// Sends the next R2T of a write.
    fn ask(&mut self, itt: u32) {
        let Some(gathering) = self.gatherings.get_mut(&itt) else {
            return;
        };
        self.transfer_tag = self.transfer_tag.wrapping_add(1) & 0x7fff_ffff;
        let offset = gathering.received;
        let missing = u32::try_from(gathering.moves - gathering.data.len()).unwrap_or(u32::MAX);
        let len = missing.min(self.parameters.max_burst_len);
        gathering.phase = Phase::Solicited {
            transfer_tag: self.transfer_tag,
            end: offset + len,
        };
        gathering.data_sn = 0;
        let r2t = Response::r2t(
            itt,
            gathering.lun,
            self.transfer_tag,
            gathering.r2t_sn,
            (offset, len),
        );
        gathering.r2t_sn = gathering.r2t_sn.wrapping_add(1);
        self.send(Outbound {
            body: Body::One(r2t),
            hold: Hold::default(),
        });
    }

    /// Ends the waiting writes that task management aborted.
    pub(super) fn sweep(&mut self) {
        let aborted =
            |(itt, gathering): (&u32, &Gathering)| gathering.job.aborted().then_some(*itt);
        let aborted: Vec<u32> = self.gatherings.iter().filter_map(aborted).collect();
        for itt in aborted {
            if let Some(gathering) = self.gatherings.remove(&itt) {
                gathering.job.finish(Outcome::Check(Sense::DATA_LOST), 0);
            }
        }
    }
}

fn start(gathering: Gathering) {
    let Gathering {
        job,
        command,
        data,
        wanted_len,
        memory,
        ..
    } = gathering;
    run(job.holding(memory), command, data.into(), wanted_len);
}
