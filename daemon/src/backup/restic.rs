//! A backup store that is a restic repository: plain `restic` lists, checks and restores what is in it, with Ashlar gone.
//!
//! This end only asks: everything is done by a worker process of the same program (`backup/worker.rs`), one a job. In
//! reading order: [`job`], [`layout`] (what lies in a repository), [`repository`], [`store`] with [`source`] and
//! [`parent`], [`restore`], [`verify`], [`upkeep`]; [`directory`] and [`key`] are what they stand on.

mod directory;
mod job;
mod key;
mod layout;
mod parent;
mod repository;
mod restore;
mod source;
mod store;
mod upkeep;
mod verify;

#[cfg(test)]
mod tests;

use crate::backup::StoreKind;
use crate::backup::worker::{Worker, WorkerStore, pipe};
use std::path::PathBuf;
use std::time::Duration;

pub(in crate::backup) use directory::Directory;
pub(in crate::backup) use job::perform;
pub(in crate::backup) use key::Place;

/// Where a store is and how it is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The store's name: of letters, digits, `-`, `_` and `.`, since files are named by it.
    pub name: String,
    /// The repository's directory: local, or where an NFS share is mounted. Made with the repository.
    pub directory: PathBuf,
    /// The file whose first line is the repository's password. Without, one is made below `state_dir`.
    pub password_file: Option<PathBuf>,
    /// Ashlar's state directory.
    pub state_dir: PathBuf,
    /// How fast at most each job reads or writes its volume; 0 means no limit.
    pub bytes_per_s: u64,
    /// How long what nobody needs stays before a prune deletes it. At least as long as the longest copy into the
    /// repository by anybody else; zero when there is nobody else.
    pub keep_deleted: Duration,
}

impl Settings {
    /// Long enough for any copy that another program has under way.
    pub const KEEP_DELETED: Duration = Duration::from_secs(23 * 3600);
}

/// The store, whose jobs are done by processes of the running program.
pub fn open(settings: Settings) -> WorkerStore {
    let (name, bytes_per_s) = (settings.name.clone(), settings.bytes_per_s);
    let find = move || key::place(&settings).map(pipe::Place::Restic);
    WorkerStore::new(StoreKind::Restic, Worker::new(&name, find), bytes_per_s)
}
