//! The target as the control process uses it: the `Target` contract over the control socket. Each
//! call is a connection of its own, so that a restarted target is simply spoken to again; only a
//! [`LiveWrites`] handle keeps its connection, because the target lets go of a volume's writes when
//! that connection ends.

use super::serve::control_socket;
use super::table::{AccessRecord, ChapRecord};
use super::wire::{Answer, Op, SessionLine};
use crate::driver::{Device, Done, LiveWrites, LiveWritesLost};
use crate::model::id::{SessionId, VolumeId};
use crate::model::time::Time;
use crate::target::{Access, Address, Export, ExportState, Session, Target, TargetError};
use async_trait::async_trait;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Longer than the target needs at most to end a session's last write.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);
/// A target that lives says so at once; a stopped or hung one must not hold up whoever asks.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer: the dirty map of a very large volume, range by range.
const ANSWER_LEN_MAX: u64 = 256 * 1024 * 1024;

/// Ashlar's own target, in its process.
#[derive(Debug, Clone)]
pub struct IscsiTarget {
    socket: PathBuf,
    iqn_prefix: String,
    portals: Vec<String>,
}

/// What a running target says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Version of its program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The addresses it listens on.
    pub listening: Vec<String>,
}

impl IscsiTarget {
    /// The target of a state directory. `portals` is what hosts are told, `ip:port` each.
    pub fn new(state_dir: &Path, iqn_prefix: &str, portals: Vec<String>) -> Self {
        let socket = control_socket(state_dir);
        Self {
            socket,
            iqn_prefix: iqn_prefix.to_lowercase(),
            portals,
        }
    }

    /// Whether it runs, and as what.
    pub async fn hello(&self) -> Result<Hello, TargetError> {
        let doing = "saying hello";
        let Answer::Hello {
            version,
            pid,
            listening,
        } = timeout(HELLO_TIMEOUT, self.ask(doing, &Op::Hello))
            .await
            .map_err(|late| TargetError::Unavailable {
                doing,
                source: late.into(),
            })??
        else {
            return Err(odd(doing));
        };
        Ok(Hello {
            version,
            pid,
            listening,
        })
    }

    /// Asks the process to end; with `only_idle`, not while somebody is logged in, which is then
    /// [`Done::AlreadySo`].
    pub async fn stop(&self, only_idle: bool) -> Result<Done, TargetError> {
        let doing = "stopping";
        let op = if only_idle { Op::StopIfIdle } else { Op::Stop };
        let Answer::Done { changed } = self.ask(doing, &op).await? else {
            return Err(odd(doing));
        };
        Ok(as_done(changed))
    }

    async fn ask(&self, doing: &'static str, op: &Op) -> Result<Answer, TargetError> {
        let unavailable = |source| TargetError::Unavailable { doing, source };
        let mut line = Line::open(&self.socket).await.map_err(unavailable)?;
        line.ask(op).await.map_err(unavailable)
    }

    async fn change(
        &self,
        doing: &'static str,
        volume_id: VolumeId,
        op: &Op,
    ) -> Result<Done, TargetError> {
        match self.ask(doing, op).await? {
            Answer::Done { changed } => Ok(as_done(changed)),
            Answer::NotExported => Err(TargetError::NotExported { volume_id }),
            Answer::Refused { why } => Err(TargetError::Refused {
                doing,
                volume_id,
                why,
            }),
            Answer::Hello { .. }
            | Answer::Exports { .. }
            | Answer::Sessions { .. }
            | Answer::Dirty { .. } => Err(odd(doing)),
        }
    }
}

fn session(line: SessionLine) -> Session {
    let since = Time::from_stored(line.since);
    Session {
        id: SessionId::from(line.session),
        volume_id: VolumeId::from(line.volume_id),
        initiator: line.initiator,
        peer: line.peer,
        last_io_at: (line.last_ms).map(|ms| since.plus(Duration::from_millis(ms))),
        since: Some(since),
        read_only: line.read_only,
        reads: Some(line.reads),
        writes: Some(line.writes),
        read_bytes: line.read_bytes,
        written_bytes: line.written_bytes,
        quiet: Some(Duration::from_millis(line.quiet_ms)),
    }
}

fn as_done(changed: bool) -> Done {
    if changed {
        Done::Changed
    } else {
        Done::AlreadySo
    }
}

/// An answer that does not belong to its request: another program at the socket.
fn odd(doing: &'static str) -> TargetError {
    let source = io::Error::new(
        io::ErrorKind::InvalidData,
        "the answer is not the request's",
    );
    TargetError::Unavailable { doing, source }
}

#[async_trait]
impl Target for IscsiTarget {
    async fn export(&self, export: &Export) -> Result<Done, TargetError> {
        let op = Op::Export {
            volume_id: export.volume_id.uuid(),
            path: export.device.path.clone(),
            len_bytes: export.device.len_bytes,
        };
        self.change("exporting", export.volume_id, &op).await
    }

    async fn unexport(&self, volume: VolumeId) -> Result<Done, TargetError> {
        self.change(
            "unexporting",
            volume,
            &Op::Unexport {
                volume_id: volume.uuid(),
            },
        )
        .await
    }

    async fn allow(&self, volume: VolumeId, access: &Access) -> Result<Done, TargetError> {
        let chap = &access.chap;
        let mutual = chap.mutual.as_ref();
        let access = AccessRecord {
            initiator: access.initiator.clone(),
            chap: ChapRecord::of(&chap.user, &chap.secret),
            mutual: mutual.map(|one| ChapRecord::of(&one.user, &one.secret)),
            read_only: access.read_only,
        };
        self.change(
            "letting an initiator in",
            volume,
            &Op::Allow {
                volume_id: volume.uuid(),
                access,
            },
        )
        .await
    }

    async fn deny(&self, volume: VolumeId, initiator: &str) -> Result<Done, TargetError> {
        let op = Op::Deny {
            volume_id: volume.uuid(),
            initiator: initiator.to_owned(),
        };
        self.change("shutting an initiator out", volume, &op).await
    }

    async fn resize(&self, volume: VolumeId, len_bytes: u64) -> Result<Done, TargetError> {
        let op = Op::Resize {
            volume_id: volume.uuid(),
            len_bytes,
        };
        self.change("resizing", volume, &op).await
    }

    fn address(&self, volume: VolumeId) -> Address {
        let iqn = format!("{}volume-{volume}", self.iqn_prefix);
        Address {
            iqn,
            portals: self.portals.clone(),
            lun: 0,
        }
    }

    async fn exports(&self) -> Result<Vec<ExportState>, TargetError> {
        let doing = "listing exports";
        let Answer::Exports { exports } = self.ask(doing, &Op::List).await? else {
            return Err(odd(doing));
        };
        let state = |line: super::wire::ExportLine| ExportState {
            volume_id: VolumeId::from(line.volume_id),
            device: Device {
                path: line.path,
                len_bytes: line.len_bytes,
            },
            initiators: line.initiators,
        };
        Ok(exports.into_iter().map(state).collect())
    }

    async fn sessions(&self) -> Result<Vec<Session>, TargetError> {
        let doing = "listing sessions";
        let Answer::Sessions { sessions } = self.ask(doing, &Op::Sessions).await? else {
            return Err(odd(doing));
        };
        Ok(sessions.into_iter().map(session).collect())
    }

    async fn kick(&self, session: SessionId) -> Result<Done, TargetError> {
        let doing = "ending a session";
        let op = Op::Kick {
            session: session.uuid(),
        };
        match self.ask(doing, &op).await? {
            Answer::Done { changed } => Ok(as_done(changed)),
            Answer::Refused { why } => Err(TargetError::NotKicked { session, why }),
            Answer::NotExported
            | Answer::Hello { .. }
            | Answer::Exports { .. }
            | Answer::Sessions { .. }
            | Answer::Dirty { .. } => Err(odd(doing)),
        }
    }

    async fn live_writes(
        &self,
        volume: VolumeId,
    ) -> Result<Option<Arc<dyn LiveWrites>>, TargetError> {
        let exported = self
            .exports()
            .await?
            .iter()
            .any(|export| export.volume_id == volume);
        if !exported {
            return Ok(None);
        }
        let doing = "opening a line for a volume's writes";
        let unavailable = |source| TargetError::Unavailable { doing, source };
        let line = Line::open(&self.socket).await.map_err(unavailable)?;
        Ok(Some(Arc::new(VolumeWrites {
            volume,
            line: Mutex::new(Some(line)),
        })))
    }
}

/// A control connection.
#[derive(Debug)]
struct Line {
    stream: BufReader<UnixStream>,
}

impl Line {
    async fn open(socket: &Path) -> io::Result<Self> {
        let stream = timeout(ANSWER_TIMEOUT, UnixStream::connect(socket)).await??;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    async fn ask(&mut self, op: &Op) -> io::Result<Answer> {
        timeout(ANSWER_TIMEOUT, self.exchange(op)).await?
    }

    async fn exchange(&mut self, op: &Op) -> io::Result<Answer> {
        let mut text = serde_json::to_vec(op)?;
        text.push(b'\n');
        self.stream.write_all(&text).await?;
        let mut answer = Vec::new();
        (&mut self.stream)
            .take(ANSWER_LEN_MAX)
            .read_until(b'\n', &mut answer)
            .await?;
        if answer.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&answer)?)
    }
}

/// One volume's writes, seen and held over one connection. The line is gone once an exchange on it
/// failed or was abandoned: a late answer must not be taken for the next request's, and the target
/// is to let go.
#[derive(Debug)]
struct VolumeWrites {
    volume: VolumeId,
    line: Mutex<Option<Line>>,
}

impl VolumeWrites {
    async fn ask(&self, op: Op) -> Result<Answer, LiveWritesLost> {
        let mut place = self.line.lock().await;
        let Some(mut line) = place.take() else {
            let why = "the connection to the target was lost before".to_owned();
            return Err(LiveWritesLost { why });
        };
        let answer = line.ask(&op).await;
        if answer.is_ok() {
            *place = Some(line);
        }
        let lost = |why| Err(LiveWritesLost { why });
        match answer {
            Err(error) => lost(error.to_string()),
            Ok(Answer::Refused { why }) => lost(why),
            Ok(Answer::NotExported) => lost("it is not exported".to_owned()),
            Ok(answer) => Ok(answer),
        }
    }
}

#[async_trait]
impl LiveWrites for VolumeWrites {
    async fn track(&self) -> Result<(), LiveWritesLost> {
        self.ask(Op::Track {
            volume_id: self.volume.uuid(),
        })
        .await
        .map(|_| ())
    }

    async fn dirty(&self) -> Result<Vec<(u64, u64)>, LiveWritesLost> {
        let op = Op::Dirty {
            volume_id: self.volume.uuid(),
        };
        let Answer::Dirty { ranges } = self.ask(op).await? else {
            let why = "the answer is not the request's".to_owned();
            return Err(LiveWritesLost { why });
        };
        Ok(ranges)
    }

    async fn pause(&self, max_ms: u64) -> Result<(), LiveWritesLost> {
        self.ask(Op::Pause {
            volume_id: self.volume.uuid(),
            max_ms,
        })
        .await
        .map(|_| ())
    }

    async fn resume(&self) -> Result<(), LiveWritesLost> {
        self.ask(Op::Resume {
            volume_id: self.volume.uuid(),
        })
        .await
        .map(|_| ())
    }
}
