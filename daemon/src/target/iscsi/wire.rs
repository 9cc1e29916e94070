//! The control protocol's words: one JSON object a line, one answer line a request. Shared by the
//! server and the client, which come from the same binary but perhaps not of the same day: `hello`
//! tells the version.

use super::table::{AccessRecord, ExportRecord};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use uuid::Uuid;

/// What the control process may ask.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// Who are you?
    Hello,
    /// Make a volume reachable, or change what is served for it.
    Export {
        /// The volume.
        volume_id: Uuid,
        /// The file or device.
        path: PathBuf,
        /// How much of it.
        len_bytes: u64,
    },
    /// Take a volume's export away.
    Unexport {
        /// The volume.
        volume_id: Uuid,
    },
    /// Let an initiator in.
    Allow {
        /// The volume.
        volume_id: Uuid,
        /// Who, and what it proves.
        access: AccessRecord,
    },
    /// Shut an initiator out.
    Deny {
        /// The volume.
        volume_id: Uuid,
        /// Who.
        initiator: String,
    },
    /// Serve another length.
    Resize {
        /// The volume.
        volume_id: Uuid,
        /// The length.
        len_bytes: u64,
    },
    /// Every export.
    List,
    /// Every session.
    Sessions,
    /// End one session.
    Kick {
        /// Its name, as `sessions` tells it.
        session: Uuid,
    },
    /// Begin to note writes, for as long as this connection lives.
    Track {
        /// The volume.
        volume_id: Uuid,
    },
    /// What was written since.
    Dirty {
        /// The volume.
        volume_id: Uuid,
    },
    /// Hold writes.
    Pause {
        /// The volume.
        volume_id: Uuid,
        /// For how long at most.
        max_ms: u64,
    },
    /// Let writes go on.
    Resume {
        /// The volume.
        volume_id: Uuid,
    },
    /// End the process, commands under way first.
    Stop,
    /// End the process unless somebody is logged in.
    StopIfIdle,
}

/// An export as `list` tells of it: without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportLine {
    /// The volume.
    pub volume_id: Uuid,
    /// The file or device.
    pub path: PathBuf,
    /// How much of it.
    pub len_bytes: u64,
    /// Who may log in.
    pub initiators: Vec<String>,
    /// Whether it is served now (its file could be opened).
    pub served: bool,
}

impl ExportLine {
    /// Leaves the secrets out.
    pub fn new(record: ExportRecord, served: bool) -> Self {
        Self {
            volume_id: record.volume_id,
            path: record.path,
            len_bytes: record.len_bytes,
            initiators: record
                .access
                .into_iter()
                .map(|access| access.initiator)
                .collect(),
            served,
        }
    }
}

/// A session as `sessions` tells of it. What later programs added has a default: a target of an older one may still run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLine {
    /// Its name.
    #[serde(default)]
    pub session: Uuid,
    /// The volume it uses.
    pub volume_id: Uuid,
    /// Who it is.
    pub initiator: String,
    /// Where it comes from.
    pub peer: String,
    /// When it logged in, in the spelling of [`Time`](crate::model::time::Time).
    #[serde(default)]
    pub since: String,
    /// Whether its writes are refused.
    #[serde(default)]
    pub read_only: bool,
    /// Reads answered.
    #[serde(default)]
    pub reads: u64,
    /// Writes answered.
    #[serde(default)]
    pub writes: u64,
    /// Its last read or write, from `since` on.
    #[serde(default)]
    pub last_ms: Option<u64>,
    /// For how long it has neither read nor written.
    #[serde(default)]
    pub quiet_ms: u64,
    /// Bytes it has read.
    pub read_bytes: u64,
    /// Bytes it has written.
    pub written_bytes: u64,
}

/// What the target answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// To `hello`.
    Hello {
        /// Version of the program.
        version: String,
        /// Its process.
        pid: u32,
        /// The addresses it listens on.
        listening: Vec<String>,
    },
    /// Done; `changed` is false when it was so already.
    Done {
        /// Whether anything changed.
        changed: bool,
    },
    /// To `list`.
    Exports {
        /// Every export.
        exports: Vec<ExportLine>,
    },
    /// To `sessions`.
    Sessions {
        /// Every session.
        sessions: Vec<SessionLine>,
    },
    /// To `dirty`.
    Dirty {
        /// Offset and length each.
        ranges: Vec<(u64, u64)>,
    },
    /// The volume is not exported.
    NotExported,
    /// It could not be done.
    Refused {
        /// Why.
        why: String,
    },
}
