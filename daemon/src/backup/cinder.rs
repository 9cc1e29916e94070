//! A backup store that Cinder's posix or NFS backup driver wrote: it is only read, so that what was backed up there can be
//! restored here.
//!
//! A full backup is the volume cut into objects; an incremental one has the parts in which a chunk changed since its parent,
//! and needs that parent. In reading order: [`job`], [`files`] (what lies in the directory), [`metadata`] and
//! [`volume_meta`] (what a backup says), [`catalogue`] (which backup stands on which), [`hashes`] and [`layer`] (what its
//! bytes are held to), [`object`], [`restore`], [`verify`], [`listing`].
//!
//! Everything in the directory is another program's word, maybe a hostile one's: nothing is believed that was not looked at,
//! and memory is bounded whatever is claimed. A worker process does the work (`backup/worker.rs`).

mod catalogue;
mod files;
mod hashes;
mod job;
mod layer;
mod listing;
mod metadata;
mod object;
mod restore;
mod verify;
mod volume_meta;

#[cfg(test)]
mod tests;

use crate::backup::worker::pipe::{self, Answer, Task};
use crate::backup::worker::{Worker, lock};
use crate::backup::{
    BackupEngine, BackupError, Depth, Description, Source, StoreKind, StoreReport, Stored,
};
use crate::driver::{Device, Done, Work};
use crate::model::id::BackupId;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

pub(in crate::backup) use files::Files;
pub(in crate::backup) use job::perform;

/// Where a store is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The store's name.
    pub name: String,
    /// Cinder's `backup_posix_path`, or where its `backup_share` is mounted.
    pub directory: PathBuf,
    /// Ashlar's state directory.
    pub state_dir: PathBuf,
}

/// The same for a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::backup) struct Place {
    pub(in crate::backup) directory: PathBuf,
    /// Where locks are kept.
    keep: PathBuf,
}

/// The store.
#[derive(Debug)]
pub struct CinderStore {
    settings: Settings,
    worker: Worker,
}

impl CinderStore {
    /// A store whose jobs are done by processes of the running program.
    pub fn new(settings: Settings) -> Self {
        let worker = Worker::new(&settings.name);
        Self { settings, worker }
    }

    /// A store whose jobs are done in threads, where there is no program to run.
    #[cfg(test)]
    pub(crate) fn in_threads(settings: Settings) -> Self {
        let worker = Worker::in_threads(&settings.name);
        Self { settings, worker }
    }

    async fn ask(&self, task: Task, work: &Work) -> Result<Answer, BackupError> {
        let settings = self.settings.clone();
        let place = move || {
            let keep = lock::keep(&settings.state_dir)?;
            let directory = settings.directory;
            Ok(pipe::Place::Cinder(Place { directory, keep }))
        };
        self.worker.ask(place, task, work).await
    }

    fn read_only(&self) -> BackupError {
        BackupError::ReadOnly {
            store: self.settings.name.clone(),
        }
    }
}

#[async_trait]
impl BackupEngine for CinderStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Cinder
    }

    async fn report(&self) -> Result<StoreReport, BackupError> {
        let Answer::Report(report) = self.ask(Task::Report, &Work::default()).await? else {
            return Err(self.worker.confused());
        };
        Ok(report)
    }

    async fn store(&self, _: &Description, _: &Source, _: &Work) -> Result<Stored, BackupError> {
        Err(self.read_only())
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
        let Answer::Changed(_) = self.ask(task, work).await? else {
            return Err(self.worker.confused());
        };
        Ok(Done::Changed)
    }

    async fn remove(&self, _: BackupId) -> Result<Done, BackupError> {
        Err(self.read_only())
    }

    async fn prune(&self, _: &Work) -> Result<u64, BackupError> {
        Err(self.read_only())
    }

    async fn list(&self) -> Result<Vec<(Description, Stored)>, BackupError> {
        let Answer::Backups(backups) = self.ask(Task::List, &Work::default()).await? else {
            return Err(self.worker.confused());
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
            return Err(self.worker.confused());
        };
        Ok(findings)
    }
}
