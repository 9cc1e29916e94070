//! Task management: aborting commands and resetting the volume's tasks. A function is answered only
//! once every command it concerns has ended, so that no aborted write lands after its abort was
//! confirmed.

use super::outbound::{Body, Hold, Outbound};
use super::pump::Pump;
use super::{Abort, Session, Task};
use crate::target::iscsi::limits::DRAIN_TIMEOUT;
use crate::target::iscsi::pdu::TaskRequest;
use crate::target::iscsi::response::Response;
use crate::target::iscsi::scsi::sense::Sense;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

const COMPLETE: u8 = 0;
const NO_SUCH_TASK: u8 = 1;
const NO_SUCH_LUN: u8 = 2;
const REASSIGN_UNSUPPORTED: u8 = 4;
const UNSUPPORTED: u8 = 5;
const REJECTED: u8 = 255;

type Concerned = Vec<(Arc<Session>, Vec<Arc<Task>>)>;

impl Pump {
    /// Takes a task management request; the answer follows when it is carried out.
    pub(super) fn manage(
        &mut self,
        itt: u32,
        request: TaskRequest,
        slot: OwnedSemaphorePermit,
        counted: bool,
    ) {
        let own = Arc::clone(&self.channel.session);
        let (code, concerned) = match request.function {
            _ if request.lun != [0; 8] && request.function < 6 => (NO_SUCH_LUN, Vec::new()),
            1 => {
                let found = own
                    .tasks
                    .abort(Abort::Silent, |task| task.itt == request.referenced_tag);
                // A task that is gone was answered: that answer precedes this one.
                let code = if found.is_empty() {
                    NO_SUCH_TASK
                } else {
                    COMPLETE
                };
                (code, vec![(Arc::clone(&own), found)])
            }
            2 => (
                COMPLETE,
                vec![(Arc::clone(&own), own.tasks.abort(Abort::Silent, |_| true))],
            ),
            // One task set for all initiators: clearing it, or a reset, ends everybody's commands.
            4 => (COMPLETE, self.abort_all()),
            5 => {
                own.lun.reset();
                (COMPLETE, self.abort_all())
            }
            6 | 7 => {
                own.lun.reset();
                own.lun.attend_all(Sense::POWER_ON, |_| true);
                (COMPLETE, self.abort_all())
            }
            8 => (REASSIGN_UNSUPPORTED, Vec::new()),
            _ => (UNSUPPORTED, Vec::new()),
        };
        self.sweep();
        let channel = self.channel.clone();
        let cold = request.function == 7;
        let registry = Arc::clone(&self.registry);
        let answer = async move {
            let all = async {
                for (session, tasks) in &concerned {
                    session.tasks.ended(tasks).await;
                }
            };
            let in_time = timeout(DRAIN_TIMEOUT, all).await.is_ok();
            let code = if in_time { code } else { REJECTED };
            if counted {
                channel.window.credit();
            }
            let hold = Hold::of(slot);
            let _closed = channel.line.send(Outbound {
                body: Body::One(Response::task(itt, code)),
                hold,
            });
            if cold {
                // The standard has a cold reset end all connections, this one too.
                registry
                    .sessions_of(&channel.session.target)
                    .iter()
                    .for_each(|one| one.end.cancel());
            }
        };
        drop(own.tracker.spawn(self.managing.track_future(answer)));
    }

    fn abort_all(&self) -> Concerned {
        let own = &self.channel.session;
        let sessions = self.registry.sessions_of(&own.target);
        let abort = |session: Arc<Session>| {
            let how = if session.id == own.id {
                Abort::Silent
            } else {
                Abort::Told
            };
            let tasks = session.tasks.abort(how, |_| true);
            (session, tasks)
        };
        sessions.into_iter().map(abort).collect()
    }
}
