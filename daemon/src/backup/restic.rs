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

use crate::backup::worker::Worker;
use crate::backup::worker::pipe::{self, Answer, Task};
use crate::backup::{
    BackupEngine, BackupError, Depth, Description, Source, StoreKind, StoreReport, Stored,
};
use crate::driver::{Device, Done, Work};
use crate::model::id::BackupId;
use async_trait::async_trait;
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
    /// How long what nobody needs stays before a prune deletes it. At least as long as the longest copy into the
    /// repository by anybody else; zero when there is nobody else.
    pub keep_deleted: Duration,
}

impl Settings {
    /// Long enough for any copy that another program has under way.
    pub const KEEP_DELETED: Duration = Duration::from_secs(23 * 3600);
}

/// The store.
#[derive(Debug)]
pub struct ResticStore {
    settings: Settings,
    worker: Worker,
}

impl ResticStore {
    /// A store whose jobs are done by processes of the running program.
    pub fn new(settings: Settings) -> Self {
        let worker = Worker::new(&settings.name);
        Self { settings, worker }
    }

    async fn ask(&self, task: Task, work: &Work) -> Result<Answer, BackupError> {
        let settings = self.settings.clone();
        let place = move || key::place(&settings).map(pipe::Place::Restic);
        self.worker.ask(place, task, work).await
    }

    fn confused(&self) -> BackupError {
        self.worker.confused()
    }

    async fn changed(&self, task: Task, work: &Work) -> Result<Done, BackupError> {
        let Answer::Changed(is_changed) = self.ask(task, work).await? else {
            return Err(self.confused());
        };
        Ok(match is_changed {
            true => Done::Changed,
            false => Done::AlreadySo,
        })
    }
}

#[async_trait]
impl BackupEngine for ResticStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Restic
    }

    async fn report(&self) -> Result<StoreReport, BackupError> {
        let Answer::Report(report) = self.ask(Task::Report, &Work::default()).await? else {
            return Err(self.confused());
        };
        Ok(report)
    }

    async fn store(
        &self,
        description: &Description,
        source: &Source,
        work: &Work,
    ) -> Result<Stored, BackupError> {
        let task = Task::Store {
            description: Box::new(description.clone()),
            path: source.device.path.clone(),
            len_bytes: source.device.len_bytes,
            data: source.data.clone(),
            parent: source.parent,
            changed: source.changed.clone(),
        };
        let Answer::Stored(stored) = self.ask(task, work).await? else {
            return Err(self.confused());
        };
        Ok(stored)
    }

    async fn restore(
        &self,
        backup: BackupId,
        target: &Device,
        is_blank: bool,
        work: &Work,
    ) -> Result<Done, BackupError> {
        let task = Task::Restore {
            backup,
            path: target.path.clone(),
            len_bytes: target.len_bytes,
            is_blank,
        };
        self.changed(task, work).await
    }

    async fn remove(&self, backup: BackupId) -> Result<Done, BackupError> {
        self.changed(Task::Remove { backup }, &Work::default())
            .await
    }

    async fn prune(&self, work: &Work) -> Result<u64, BackupError> {
        let Answer::FreedBytes(freed_bytes) = self.ask(Task::Prune, work).await? else {
            return Err(self.confused());
        };
        Ok(freed_bytes)
    }

    async fn list(&self) -> Result<Vec<(Description, Stored)>, BackupError> {
        let Answer::Backups(backups) = self.ask(Task::List, &Work::default()).await? else {
            return Err(self.confused());
        };
        Ok(backups)
    }

    async fn verify(
        &self,
        backup: Option<BackupId>,
        depth: Depth,
        work: &Work,
    ) -> Result<Vec<String>, BackupError> {
        let task = Task::Verify { backup, depth };
        let Answer::Findings(findings) = self.ask(task, work).await? else {
            return Err(self.confused());
        };
        Ok(findings)
    }
}
