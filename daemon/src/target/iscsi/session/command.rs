//! One SCSI command from its arrival to its answer. What needs no disk is answered at once on the
//! network thread (reads too, when the page cache has them); all else runs on an I/O thread, of
//! which the process has a bounded number, after its write pass was granted.

use super::gather::Gathering;
use super::outbound::{Body, Hold, Line, Outbound, Window};
use super::pump::{Broken, Pump};
use super::{Abort, Session, Task};
use crate::target::iscsi::limits::{INLINE_READ_LEN_MAX, QUEUE_DEPTH};
use crate::target::iscsi::live::WritePass;
use crate::target::iscsi::lun::BLOCK_LEN;
use crate::target::iscsi::pdu::{NO_TAG, ScsiCommand};
use crate::target::iscsi::response::{Residual, Response};
use crate::target::iscsi::scsi::cdb::{Command, Span, decode};
use crate::target::iscsi::scsi::sense::Sense;
use crate::target::iscsi::scsi::{Outcome, check, cut, data_in_len, execute, inquiry, rw, status};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the commands of a connection share.
#[derive(Debug, Clone)]
pub struct Channel {
    /// The session.
    pub session: Arc<Session>,
    /// Where answers go.
    pub line: Line,
    /// The command numbers.
    pub window: Arc<Window>,
    /// The process's I/O threads.
    pub io: Arc<Semaphore>,
    /// The session's memory for data read.
    pub memory: Arc<Semaphore>,
}

/// A command under way. Must be finished; dropped unfinished (a bug on its I/O thread) it ends the
/// session rather than leave the initiator without an answer.
#[derive(Debug)]
pub struct Job {
    channel: Channel,
    itt: u32,
    counted: bool,
    expected_len: u32,
    task: Option<Arc<Task>>,
    hold: Hold,
    done: bool,
}

/// What a command's header says about its answer.
#[derive(Debug)]
pub struct Heading {
    /// Its tag.
    pub itt: u32,
    /// Whether it took a command number.
    pub counted: bool,
    /// Expected data transfer length.
    pub expected_len: u32,
    /// Its place among the connection's requests.
    pub slot: OwnedSemaphorePermit,
}

impl Job {
    fn new(channel: &Channel, heading: Heading) -> Self {
        Self {
            channel: channel.clone(),
            itt: heading.itt,
            counted: heading.counted,
            expected_len: heading.expected_len,
            task: None,
            hold: Hold {
                slot: Some(heading.slot),
                memory: None,
            },
            done: false,
        }
    }

    /// Its tag.
    pub fn itt(&self) -> u32 {
        self.itt
    }

    /// Holds memory until it is answered.
    pub fn holding(mut self, memory: Option<OwnedSemaphorePermit>) -> Self {
        self.hold.memory = memory;
        self
    }

    /// Whether the command is to end early.
    pub fn aborted(&self) -> bool {
        self.task
            .as_ref()
            .is_some_and(|task| task.abort().is_some())
    }

    /// Enters the command in the session's table, where task management finds it; false when its
    /// tag is in use.
    fn enlist(&mut self) -> bool {
        self.task = self.channel.session.tasks.begin(self.itt);
        self.task.is_some()
    }

    /// Answers the command; `moved_len` is how much data it takes from the initiator.
    pub fn finish(mut self, outcome: Outcome, moved_len: u64) {
        self.done = true;
        let Self {
            itt, expected_len, ..
        } = self;
        let whole = |code, residual, sense: &[u8]| Response::scsi(itt, code, residual, sense);
        let body = match outcome {
            Outcome::Data(bytes) => Body::Data {
                itt,
                expected_len,
                bytes: bytes.into(),
            },
            Outcome::Good => {
                let residual = Residual::between(expected_len, moved_len);
                Body::One(whole(status::GOOD, residual, &[]))
            }
            Outcome::Check(sense) => {
                let residual = Residual::between(expected_len, 0);
                Body::One(whole(status::CHECK_CONDITION, residual, &sense.fixed()))
            }
            Outcome::Conflict => {
                let residual = Residual::between(expected_len, 0);
                Body::One(whole(status::RESERVATION_CONFLICT, residual, &[]))
            }
        };
        self.send(body);
    }

    /// Answers with a bare status.
    pub fn finish_with(mut self, code: u8) {
        self.done = true;
        let residual = Residual::between(self.expected_len, 0);
        let response = Response::scsi(self.itt, code, residual, &[]);
        self.send(Body::One(response));
    }

    fn send(&mut self, body: Body) {
        let hold = std::mem::take(&mut self.hold);
        let (counted, itt) = (self.counted, self.itt);
        let Channel {
            session,
            line,
            window,
            ..
        } = &self.channel;
        let answer = |abort| {
            if counted {
                window.credit();
            }
            let body = match abort {
                None => body,
                Some(Abort::Silent) => return,
                Some(Abort::Told) => Body::One(Response::scsi(
                    itt,
                    status::TASK_ABORTED,
                    Residual::None,
                    &[],
                )),
            };
            // A closed line is a connection that ended: there is nobody to answer.
            let _closed = line.send(Outbound { body, hold });
        };
        match &self.task {
            Some(task) => session.tasks.end(task, answer),
            None => answer(None),
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.done {
            self.channel.session.end.cancel();
            if let Some(task) = &self.task {
                self.channel.session.tasks.end(task, |_| ());
            }
        }
    }
}

impl Pump {
    /// Takes a SCSI command.
    pub(super) fn scsi(&mut self, heading: Heading, request: &ScsiCommand) -> Result<(), Broken> {
        if heading.itt == NO_TAG || self.gatherings.contains_key(&heading.itt) {
            return Err(Broken::Protocol("a command's tag is in use or reserved"));
        }
        let expected_len = heading.expected_len;
        let immediate_len = u32::try_from(request.data.len()).unwrap_or(u32::MAX);
        let allowed = if self.parameters.immediate_data && request.write {
            expected_len.min(self.parameters.first_burst_len)
        } else {
            0
        };
        if immediate_len > allowed {
            return Err(Broken::Protocol("more immediate data than allowed"));
        }
        let job = Job::new(&self.channel, heading);
        if self.channel.session.tasks.count() >= QUEUE_DEPTH as usize {
            job.finish_with(status::TASK_SET_FULL);
            return Ok(());
        }
        match self.admit(request) {
            Ok(command) => self.begin(job, command, request, immediate_len),
            Err(outcome) => {
                job.finish(outcome, 0);
                Ok(())
            }
        }
    }

    /// Runs a command that may run: now, on an I/O thread, or once its data is there.
    fn begin(
        &mut self,
        mut job: Job,
        command: Command,
        request: &ScsiCommand,
        immediate_len: u32,
    ) -> Result<(), Broken> {
        if at_once(&command) {
            let outcome = execute(self.channel.session.unit(), &command, &[], None);
            job.finish(outcome, 0);
            return Ok(());
        }
        if let Command::Read(span) = command {
            match self.read_at_once(job, span) {
                Some(back) => job = back,
                None => return Ok(()),
            }
        }
        if !job.enlist() {
            job.finish_with(status::TASK_SET_FULL);
            return Err(Broken::Protocol("a command's tag is in use"));
        }
        let wanted = command.data_out_len(BLOCK_LEN);
        let sent = if request.write {
            request.expected_len
        } else {
            0
        };
        if command.wants_exact_data() && u64::from(sent) != wanted {
            job.finish(Outcome::Check(Sense::INVALID_FIELD), 0);
            return Ok(());
        }
        let moves = wanted.min(sent.into());
        if moves <= immediate_len.into() {
            let data = request.data.slice(..usize::try_from(moves).unwrap_or(0));
            run(job, command, data, wanted);
            return Ok(());
        }
        self.gather(Gathering::new(job, command, request, moves))
    }

    /// Which command it is, and whether it may run now.
    fn admit(&self, request: &ScsiCommand) -> Result<Command, Outcome> {
        if request.extended_cdb {
            return Err(Outcome::Check(Sense::INVALID_OPCODE));
        }
        let command = decode(&request.cdb).map_err(Outcome::Check)?;
        if request.lun != [0; 8] {
            return Err(absent_unit(&command));
        }
        check(self.channel.session.unit(), &command)?;
        Ok(command)
    }

    /// Answers a read from the page cache; gives the job back when it must wait for a disk.
    fn read_at_once(&self, mut job: Job, span: Span) -> Option<Job> {
        let len = data_in_len(&Command::Read(span));
        if len > INLINE_READ_LEN_MAX as u64 {
            return Some(job);
        }
        let permits = u32::try_from(len).unwrap_or(u32::MAX);
        let Ok(memory) = Arc::clone(&self.channel.memory).try_acquire_many_owned(permits) else {
            return Some(job);
        };
        let Some(bytes) = rw::read_cached(self.channel.session.unit(), span) else {
            return Some(job);
        };
        job.hold.memory = Some(memory);
        job.finish(Outcome::Data(bytes), 0);
        None
    }
}

/// Whether the command neither waits for a disk nor takes data.
fn at_once(command: &Command) -> bool {
    matches!(
        command,
        Command::TestUnitReady
            | Command::RequestSense { .. }
            | Command::Inquiry { .. }
            | Command::ModeSense(_)
            | Command::StartStop
            | Command::PreventAllow
            | Command::ReadCapacity10
            | Command::ReadCapacity16 { .. }
            | Command::Prefetch(_)
            | Command::Reserve
            | Command::Release
            | Command::ReserveIn { .. }
            | Command::ReportLuns { .. }
            | Command::ReportOpcodes(_)
    )
}

/// What a LUN other than 0 answers.
fn absent_unit(command: &Command) -> Outcome {
    if let Command::Inquiry {
        page: None,
        alloc_len,
    } = command
    {
        return Outcome::Data(cut(inquiry::absent_unit(), *alloc_len));
    }
    if let Command::ReportLuns { select, alloc_len } = command {
        return inquiry::report_luns(*select, *alloc_len)
            .map(|bytes| cut(bytes, *alloc_len))
            .into();
    }
    if let Command::RequestSense { alloc_len, .. } = command {
        return Outcome::Data(cut(Sense::NO_SUCH_UNIT.fixed().to_vec(), *alloc_len));
    }
    Outcome::Check(Sense::NO_SUCH_UNIT)
}

/// What a command holds while it runs.
struct Grant {
    pass: Option<WritePass>,
    _io: OwnedSemaphorePermit,
}

/// Runs an enlisted command with all its data on an I/O thread. `wanted_len` is what its command
/// block asks from the initiator.
pub fn run(mut job: Job, command: Command, data: Bytes, wanted_len: u64) {
    if let Some(grant) = job.grant_now(&command) {
        return block(job, command, data, wanted_len, grant);
    }
    let tracker = job.channel.session.tracker.clone();
    let waiting = async move {
        let session = Arc::clone(&job.channel.session);
        let granted = tokio::select! {
            granted = job.grant(&command) => granted,
            () = session.end.cancelled() => None,
        };
        if let Some(grant) = granted {
            block(job, command, data, wanted_len, grant);
        }
    };
    // The handle is not needed: the tracker knows the task.
    drop(tracker.spawn(waiting));
}

impl Job {
    /// What the command needs to run, if all of it is free.
    fn grant_now(&mut self, command: &Command) -> Option<Grant> {
        let Channel {
            session,
            io,
            memory,
            ..
        } = &self.channel;
        if self.hold.memory.is_none() {
            let permits = Arc::clone(memory)
                .try_acquire_many_owned(memory_len(command))
                .ok()?;
            self.hold.memory = Some(permits);
        }
        let io = Arc::clone(io).try_acquire_owned().ok()?;
        let pass = match command.writes() {
            true => Some(session.lun.live.try_enter()?),
            false => None,
        };
        Some(Grant { pass, _io: io })
    }

    /// Waits for what the command needs. The pass comes after the memory, which may wait for a slow
    /// initiator, so that a pause never does.
    async fn grant(&mut self, command: &Command) -> Option<Grant> {
        let Channel {
            session,
            io,
            memory,
            ..
        } = &self.channel;
        if self.hold.memory.is_none() {
            let permits = Arc::clone(memory)
                .acquire_many_owned(memory_len(command))
                .await;
            self.hold.memory = Some(permits.ok()?);
        }
        let pass = match command.writes() {
            true => Some(session.lun.live.enter().await),
            false => None,
        };
        let io = Arc::clone(io).acquire_owned().await.ok()?;
        Some(Grant { pass, _io: io })
    }
}

fn memory_len(command: &Command) -> u32 {
    u32::try_from(data_in_len(command)).unwrap_or(u32::MAX)
}

fn block(job: Job, command: Command, data: Bytes, wanted_len: u64, grant: Grant) {
    let session = Arc::clone(&job.channel.session);
    let tracker = session.tracker.clone();
    let work = move || {
        // An ended session's commands are neither begun (whoever ended it may be waiting to write)
        // nor answered (nothing that was not done may look done).
        if session.end.is_cancelled() {
            return drop(job);
        }
        let outcome = if job.aborted() {
            // Ends as its abort was asked for, whatever stands here.
            Outcome::Check(Sense::DATA_LOST)
        } else if !session
            .lun
            .reservations()
            .allows(&session.nexus.port, &command)
        {
            // Reserved by another while this waited for its data: whoever fenced us off must not see it land.
            Outcome::Conflict
        } else {
            execute(session.unit(), &command, &data, grant.pass.as_ref())
        };
        drop(grant);
        job.finish(outcome, wanted_len);
    };
    drop(tracker.spawn_blocking(work));
}
