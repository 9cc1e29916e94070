//! One run of a backup set: why it was begun, and what became of each volume.

use super::id::{BackupId, BackupRunId, BackupSetId, VolumeId};
use super::time::Time;

/// A run as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRun {
    /// Its id.
    pub id: BackupRunId,
    /// Of which set.
    pub set_id: BackupSetId,
    /// The set's owner.
    pub project_id: String,
    /// Why it was begun.
    pub cause: Cause,
    /// The time of the set that it is for; when it was asked for, if somebody did.
    pub due_at: Time,
    /// When it was begun.
    pub begun_at: Time,
    /// When its last backup was over and what was too old was given up; `None` while it goes on.
    pub finished_at: Option<Time>,
    /// What was wrong with it as a whole.
    pub problem: Option<String>,
    /// How many backups were given up after it.
    pub removed: i64,
}

/// Why a run was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The set's time had come.
    Time,
    /// A time of the set had gone by while nobody was there, or while its run before went on.
    CatchUp,
    /// Somebody asked.
    Asked,
}

impl Cause {
    /// Every one.
    pub const ALL: [Cause; 3] = [Cause::Time, Cause::CatchUp, Cause::Asked];

    /// The spelling in the record and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Time => "time",
            Cause::CatchUp => "catch_up",
            Cause::Asked => "asked",
        }
    }

    /// `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// What a run does about one volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunVolume {
    /// Of which run.
    pub run_id: BackupRunId,
    /// Which volume.
    pub volume_id: VolumeId,
    /// How far that is.
    pub state: RunState,
    /// Its backup, once that was begun.
    pub backup_id: Option<BackupId>,
    /// How often it was tried in vain to begin one.
    pub tries: i64,
    /// When that is tried again.
    pub again_at: Option<Time>,
    /// Why there is none, or why it was in vain so far.
    pub why: Option<String>,
}

/// How far a run is with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Nothing was begun.
    Waiting,
    /// Its backup is being made.
    Begun,
    /// Its backup is good.
    Done,
    /// There is none.
    Failed,
}

impl RunState {
    /// Every one.
    pub const ALL: [RunState; 4] = [
        RunState::Waiting,
        RunState::Begun,
        RunState::Done,
        RunState::Failed,
    ];

    /// The spelling in the record and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Waiting => "waiting",
            RunState::Begun => "begun",
            RunState::Done => "done",
            RunState::Failed => "failed",
        }
    }

    /// `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}
