//! The control socket's server. Each connection is one task that answers its requests in order; what
//! a connection holds (tracking, a pause) ends with it, whatever else it asked for stays.
//!
//! Only root and the user that runs the target may speak here, by the peer's credentials: the
//! requests carry secrets and end sessions.

use super::limits::{CONTROL_CONNECTIONS_MAX, CONTROL_LINE_LEN_MAX};
use super::live::{Live, LiveError, Owner};
use super::registry::{ChangeError, Registry};
use super::session::Session;
use super::table::ExportRecord;
use super::wire::{Answer, ExportLine, Op, SessionLine};
use crate::driver::Done;
use crate::model::id::SessionId;
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What every control connection may use.
#[derive(Clone)]
pub struct Control {
    /// Exports and sessions.
    pub registry: Arc<Registry>,
    /// The addresses listened on.
    pub listening: Arc<Vec<String>>,
    /// Cancelled to end the process.
    pub shutdown: CancellationToken,
}

impl Control {
    /// Accepts connections until the process ends.
    pub async fn run(self, listener: UnixListener) {
        let slots = Arc::new(Semaphore::new(CONTROL_CONNECTIONS_MAX));
        let mut last_owner: Owner = 0;
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.shutdown.cancelled() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a control connection could not be accepted");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            if !may_speak(&stream) {
                tracing::warn!("a control connection of another user was refused");
                continue;
            }
            last_owner += 1;
            let client = Client {
                control: self.clone(),
                owner: last_owner,
                held: HashMap::new(),
            };
            // Ends with its connection or with the process.
            drop(tokio::spawn(async move {
                client.serve(stream).await;
                drop(slot);
            }));
        }
    }
}

fn may_speak(stream: &UnixStream) -> bool {
    let own = rustix::process::getuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

/// One control connection.
struct Client {
    control: Control,
    owner: Owner,
    /// Volumes whose writes it tracks or holds.
    held: HashMap<Uuid, Arc<Live>>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.held.values().for_each(|live| live.release(self.owner));
    }
}

impl Client {
    async fn serve(mut self, stream: UnixStream) {
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read);
        let shutdown = self.control.shutdown.clone();
        loop {
            let mut line = Vec::new();
            let mut limited = (&mut read).take(CONTROL_LINE_LEN_MAX as u64);
            let got = tokio::select! {
                got = limited.read_until(b'\n', &mut line) => got,
                () = shutdown.cancelled() => return,
            };
            if !matches!(got, Ok(1..)) || line.last() != Some(&b'\n') {
                return;
            }
            let (answer, stop) = match serde_json::from_slice::<Op>(&line) {
                Ok(op) => {
                    let stop = self.stops(&op);
                    (
                        if stop {
                            done(Done::Changed)
                        } else {
                            self.answer(op).await
                        },
                        stop,
                    )
                }
                Err(_) => {
                    // Not serde's words: they could quote a secret.
                    (
                        Answer::Refused {
                            why: "this is no request that the target knows".into(),
                        },
                        false,
                    )
                }
            };
            let Ok(mut text) = serde_json::to_vec(&answer) else {
                return;
            };
            text.push(b'\n');
            let sent = write.write_all(&text).await;
            if stop {
                self.control.shutdown.cancel();
            }
            if sent.is_err() {
                return;
            }
        }
    }

    fn stops(&self, op: &Op) -> bool {
        let idle = || self.control.registry.sessions().is_empty();
        matches!(op, Op::Stop) || (matches!(op, Op::StopIfIdle) && idle())
    }

    async fn answer(&mut self, op: Op) -> Answer {
        let registry = Arc::clone(&self.control.registry);
        let changed = match op {
            Op::Hello => return self.hello(),
            Op::List => return list(&registry),
            Op::Sessions => return sessions(&registry),
            Op::Track { volume_id } => return self.track(volume_id).await,
            Op::Dirty { volume_id } => return self.dirty(volume_id).await,
            Op::Pause { volume_id, max_ms } => return self.pause(volume_id, max_ms).await,
            Op::Resume { volume_id } => return self.resume(volume_id),
            Op::Export {
                volume_id,
                path,
                len_bytes,
            } => {
                let access = Vec::new();
                registry
                    .export(ExportRecord {
                        volume_id,
                        path,
                        len_bytes,
                        access,
                    })
                    .await
            }
            Op::Unexport { volume_id } => registry.unexport(volume_id).await,
            Op::Allow { volume_id, access } => registry.allow(volume_id, access).await,
            Op::Deny {
                volume_id,
                initiator,
            } => registry.deny(volume_id, &initiator).await,
            Op::Resize {
                volume_id,
                len_bytes,
            } => registry.resize(volume_id, len_bytes).await,
            Op::Kick { session } => registry.kick(SessionId::from(session)).await,
            // Somebody is logged in.
            Op::Stop | Op::StopIfIdle => Ok(Done::AlreadySo),
        };
        match changed {
            Ok(changed) => done(changed),
            Err(ChangeError::NotExported) => Answer::NotExported,
            Err(error) => refused(&error),
        }
    }

    fn hello(&self) -> Answer {
        Answer::Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            listening: self.control.listening.to_vec(),
        }
    }

    async fn track(&mut self, volume_id: Uuid) -> Answer {
        let Some(lun) = self.control.registry.lun(volume_id) else {
            return Answer::NotExported;
        };
        // Entered before, so that a connection lost meanwhile still lets go.
        self.held.insert(volume_id, Arc::clone(&lun.live));
        live(lun.live.track(self.owner).await)
    }

    /// The gate that this connection tracks, if it is still the exported volume's.
    fn held(&self, volume_id: Uuid) -> Result<Arc<Live>, LiveError> {
        let lun = self
            .control
            .registry
            .lun(volume_id)
            .ok_or(LiveError::NotTracked)?;
        let held = self.held.get(&volume_id).ok_or(LiveError::NotTracked)?;
        if Arc::ptr_eq(held, &lun.live) {
            Ok(Arc::clone(held))
        } else {
            Err(LiveError::NotTracked)
        }
    }

    async fn dirty(&self, volume_id: Uuid) -> Answer {
        let ranges = match self.held(volume_id) {
            Ok(held) => held.dirty(self.owner).await,
            Err(error) => Err(error),
        };
        ranges.map_or_else(|error| refused(&error), |ranges| Answer::Dirty { ranges })
    }

    async fn pause(&self, volume_id: Uuid, max_ms: u64) -> Answer {
        live(match self.held(volume_id) {
            Ok(held) => held.pause(self.owner, Duration::from_millis(max_ms)).await,
            Err(error) => Err(error),
        })
    }

    fn resume(&mut self, volume_id: Uuid) -> Answer {
        let outcome = self
            .held(volume_id)
            .and_then(|held| held.resume(self.owner));
        if let Some(held) = self.held.remove(&volume_id) {
            held.release(self.owner);
        }
        live(outcome)
    }
}

fn live(outcome: Result<(), LiveError>) -> Answer {
    outcome.map_or_else(|error| refused(&error), |()| done(Done::Changed))
}

fn done(done: Done) -> Answer {
    Answer::Done {
        changed: done == Done::Changed,
    }
}

/// The whole chain of reasons, for the one who asked.
fn refused(error: &dyn Error) -> Answer {
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        why = format!("{why}: {error}");
        source = error.source();
    }
    Answer::Refused { why }
}

fn list(registry: &Registry) -> Answer {
    let line = |record: ExportRecord| {
        let served = registry.lun(record.volume_id).is_some();
        ExportLine::new(record, served)
    };
    Answer::Exports {
        exports: registry.exports().into_iter().map(line).collect(),
    }
}

fn sessions(registry: &Registry) -> Answer {
    let sessions = registry.sessions();
    Answer::Sessions {
        sessions: sessions.iter().map(|session| line(session)).collect(),
    }
}

fn line(session: &Session) -> SessionLine {
    let counted = session.nexus.traffic.counted();
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    SessionLine {
        session: session.name.uuid(),
        volume_id: session.lun.volume_id.uuid(),
        initiator: session.initiator.clone(),
        peer: session.peer.to_string(),
        since: session.since.as_str().to_owned(),
        read_only: session.nexus.read_only,
        reads: counted.reads,
        writes: counted.writes,
        last_ms: counted.last.map(ms),
        quiet_ms: ms(counted.quiet),
        read_bytes: counted.read_bytes,
        written_bytes: counted.written_bytes,
    }
}
