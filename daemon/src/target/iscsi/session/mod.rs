//! A logged-in session: what its parts share, and how it ends.
//!
//! ```text
//! socket ─► inbound ─► pump ─► command ─► (I/O thread) ─► outbound ─► socket
//!                       │  └──► gather (a write's data) ──┘
//!                       └──► management (abort, reset)
//! ```
//! The pump is one task, the outbound side another; commands that may block run on I/O threads.
//! Whatever ends a session (logout, a lost peer, a broken protocol, `deny`) cancels [`Session::end`];
//! the session is *drained* once no file operation of it is under way, which is what makes a `deny`
//! or a reinstatement safe to return from.

pub mod command;
pub mod connection;
pub mod discovery;
pub mod gather;
pub mod inbound;
pub mod management;
pub mod outbound;
pub mod pump;

use super::limits::DRAIN_TIMEOUT;
use super::lun::{Lun, Nexus};
use super::scsi::Unit;
use crate::model::id::SessionId;
use crate::model::time::Time;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One normal session.
#[derive(Debug)]
pub struct Session {
    /// Names it within the process.
    pub id: u64,
    /// Names it for whoever asks from outside, for ever.
    pub name: SessionId,
    /// When it logged in.
    pub since: Time,
    /// The target's part of its id on the wire.
    pub tsih: u16,
    /// The target's IQN.
    pub target: String,
    /// The initiator's IQN.
    pub initiator: String,
    /// The initiator's part of its id on the wire.
    pub isid: [u8; 6],
    /// Where it comes from.
    pub peer: SocketAddr,
    /// The volume it uses.
    pub lun: Arc<Lun>,
    /// Its view of the volume.
    pub nexus: Arc<Nexus>,
    /// Cancelled when it is to end.
    pub end: CancellationToken,
    /// Everything of it that is under way.
    pub tracker: TaskTracker,
    /// Its commands.
    pub tasks: Tasks,
}

impl Session {
    /// What its commands act on.
    pub fn unit(&self) -> Unit<'_> {
        Unit {
            lun: &self.lun,
            nexus: &self.nexus,
        }
    }

    /// Ends it and waits until nothing of it is under way; false when that took too long.
    pub async fn finish(&self) -> bool {
        self.end.cancel();
        self.tracker.close();
        tokio::time::timeout(DRAIN_TIMEOUT, self.tracker.wait())
            .await
            .is_ok()
    }
}

/// How a command is to end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abort {
    /// Without a response: its own initiator asked.
    Silent,
    /// With TASK ABORTED: another initiator asked.
    Told,
}

/// A command that is not answered yet.
#[derive(Debug)]
pub struct Task {
    /// Its tag.
    pub itt: u32,
    abort: AtomicU8,
}

impl Task {
    /// Asks it to end early; the first to ask decides how.
    fn ask(&self, abort: Abort) {
        let value = match abort {
            Abort::Silent => 1,
            Abort::Told => 2,
        };
        // Lost to an earlier request: that one stands.
        let _earlier = self
            .abort
            .compare_exchange(0, value, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether and how it is to end early.
    pub fn abort(&self) -> Option<Abort> {
        match self.abort.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Abort::Silent),
            _ => Some(Abort::Told),
        }
    }
}

/// The commands of a session that are not answered yet.
#[derive(Debug, Default)]
pub struct Tasks {
    table: Mutex<HashMap<u32, Arc<Task>>>,
    ended: Notify,
    /// Wakes the pump, so that it ends aborted writes that wait for data.
    pub prod: Notify,
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Arc<Task>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a command; `None` when its tag is in use.
    pub fn begin(&self, itt: u32) -> Option<Arc<Task>> {
        let mut table = self.lock();
        if table.contains_key(&itt) {
            return None;
        }
        let task = Arc::new(Task {
            itt,
            abort: AtomicU8::new(0),
        });
        table.insert(itt, Arc::clone(&task));
        Some(task)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Removes a command; `answer` runs before anybody can see that it ended, so that nothing a
    /// waiter sends comes before its answer.
    pub fn end(&self, task: &Task, answer: impl FnOnce(Option<Abort>)) {
        let mut table = self.lock();
        answer(task.abort());
        table.remove(&task.itt);
        drop(table);
        self.ended.notify_waiters();
    }

    /// Asks the picked commands to end early.
    pub fn abort(&self, how: Abort, which: impl Fn(&Task) -> bool) -> Vec<Arc<Task>> {
        let table = self.lock();
        let picked: Vec<_> = table.values().filter(|task| which(task)).cloned().collect();
        picked.iter().for_each(|task| task.ask(how));
        drop(table);
        self.prod.notify_one();
        picked
    }

    /// Waits until none of `tasks` is left.
    pub async fn ended(&self, tasks: &[Arc<Task>]) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let left = |task: &Arc<Task>| {
                self.lock()
                    .get(&task.itt)
                    .is_some_and(|found| Arc::ptr_eq(found, task))
            };
            if !tasks.iter().any(left) {
                return;
            }
            ended.await;
        }
    }
}
