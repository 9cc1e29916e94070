//! What the daemon and its worker say to each other: one job down the worker's stdin, then lines of progress and one
//! last line up its stdout, each a JSON object on a line of its own.
//!
//! The job of a repository carries its password, which is why it is never an argument. Both ends are the same program, so
//! that this is no format to be kept.

use crate::backup::{BackupError, Depth, Description, StoreReport, Stored, cinder, restic};
use crate::model::id::BackupId;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// The line that asks a worker to stop.
pub(crate) const CANCEL: &str = "cancel";
/// A job or an answer is no longer than this: some 30,000 backups in one list, or as many changed ranges of a volume.
pub(crate) const LINE_LEN_MAX: u64 = 64 << 20;

/// A store as a worker finds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Place {
    Restic(restic::Place),
    Cinder(cinder::Place),
}

/// A volume as a worker finds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct VolumeAt {
    /// A regular file or a block device.
    pub(crate) path: PathBuf,
    pub(crate) len_bytes: u64,
    /// How fast at most it is read or written; 0 means no limit.
    pub(crate) bytes_per_s: u64,
}

/// What is to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Task {
    Report,
    Store {
        description: Box<Description>,
        volume: VolumeAt,
        data: Option<Vec<(u64, u64)>>,
        parent: Option<BackupId>,
        changed: Option<Vec<(u64, u64)>>,
    },
    Restore {
        backup: BackupId,
        volume: VolumeAt,
        is_blank: bool,
    },
    Compare {
        backup: BackupId,
        volume: VolumeAt,
    },
    Remove {
        backup: BackupId,
    },
    Prune,
    List,
    Verify {
        backup: Option<BackupId>,
        depth: Depth,
    },
}

/// All that a worker is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) place: Place,
    pub(crate) task: Task,
}

/// All that a worker says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Line {
    /// It lives, and is so far.
    Progress { done_bytes: u64, total_bytes: u64 },
    /// It is done; nothing follows.
    Done(Answer),
    /// It failed; nothing follows.
    Failed(Failure),
}

/// What came of a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Answer {
    Report(StoreReport),
    Stored(Stored),
    /// Whether it was not so before.
    Changed(bool),
    FreedBytes(u64),
    Backups(Vec<(Description, Stored)>),
    Findings(Vec<String>),
}

/// A [`BackupError`] without the store's name, which only the daemon's end knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    Absent {
        backup: String,
    },
    Damaged(String),
    NoSpace(String),
    WrongKey(String),
    ReadOnly,
    Device {
        doing: Doing,
        device: String,
        errno: Option<i32>,
        why: String,
    },
    Cancelled,
    Unavailable(String),
}

/// What was being done with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Doing {
    Opening,
    Reading,
    Writing,
    Syncing,
}

impl Doing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Reading => "reading",
            Self::Writing => "writing",
            Self::Syncing => "writing out",
        }
    }
}

impl Failure {
    /// What the daemon hears.
    pub(crate) fn of(self, store: &str) -> BackupError {
        let store = store.to_owned();
        match self {
            Self::Absent { backup } => BackupError::Absent { backup, store },
            Self::Damaged(why) => BackupError::Damaged { store, why },
            Self::NoSpace(why) => BackupError::NoSpace { store, why },
            Self::WrongKey(why) => BackupError::WrongKey { store, why },
            Self::ReadOnly => BackupError::ReadOnly { store },
            Self::Device {
                doing,
                device,
                errno,
                why,
            } => BackupError::Device {
                doing: doing.as_str(),
                device,
                source: match errno {
                    Some(errno) => io::Error::from_raw_os_error(errno),
                    None => io::Error::other(why),
                },
            },
            Self::Cancelled => BackupError::Cancelled,
            Self::Unavailable(why) => BackupError::Unavailable { store, why },
        }
    }

    pub(crate) fn device(doing: Doing, device: &std::path::Path, error: &io::Error) -> Self {
        Self::Device {
            doing,
            device: device.display().to_string(),
            errno: error.raw_os_error(),
            why: error.to_string(),
        }
    }
}
