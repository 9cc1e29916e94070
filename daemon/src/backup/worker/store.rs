//! A store all of whose jobs are done by workers: each question, and the kind of answer that it has.

use super::Worker;
use super::pipe::{Answer, Task, VolumeAt};
use crate::backup::{
    BackupEngine, BackupError, Depth, Description, Source, StoreKind, StoreReport, Stored,
};
use crate::driver::{Device, Done, Work};
use crate::model::id::BackupId;
use async_trait::async_trait;

/// The store.
pub struct WorkerStore {
    kind: StoreKind,
    worker: Worker,
    /// How fast at most each job reads or writes its volume; 0 means no limit.
    bytes_per_s: u64,
}

impl WorkerStore {
    /// A store of this kind, whose jobs `worker` does.
    pub(in crate::backup) fn new(kind: StoreKind, worker: Worker, bytes_per_s: u64) -> Self {
        Self {
            kind,
            worker,
            bytes_per_s,
        }
    }

    /// The same with jobs done in threads, where there is no program to run.
    #[cfg(test)]
    pub(crate) fn in_threads(mut self) -> Self {
        self.worker.means = super::Means::Thread;
        self
    }

    /// The same with jobs done by processes of `program`.
    #[cfg(test)]
    pub(in crate::backup) fn by(mut self, program: std::path::PathBuf) -> Self {
        self.worker.means = super::Means::Process(program);
        self
    }

    fn may_change(&self) -> Result<(), BackupError> {
        match self.kind.is_read_only() {
            true => Err(BackupError::ReadOnly {
                store: self.worker.store.clone(),
            }),
            false => Ok(()),
        }
    }

    fn volume_at(&self, device: &Device) -> VolumeAt {
        VolumeAt {
            path: device.path.clone(),
            len_bytes: device.len_bytes,
            bytes_per_s: self.bytes_per_s,
        }
    }

    async fn changed(&self, task: Task, work: &Work) -> Result<Done, BackupError> {
        let Answer::Changed(is_changed) = self.worker.ask(task, work).await? else {
            return Err(self.worker.confused());
        };
        Ok(match is_changed {
            true => Done::Changed,
            false => Done::AlreadySo,
        })
    }
}

#[async_trait]
impl BackupEngine for WorkerStore {
    fn kind(&self) -> StoreKind {
        self.kind
    }

    async fn report(&self) -> Result<StoreReport, BackupError> {
        let answer = self.worker.ask(Task::Report, &Work::default()).await?;
        let Answer::Report(report) = answer else {
            return Err(self.worker.confused());
        };
        Ok(report)
    }

    async fn store(
        &self,
        description: &Description,
        source: &Source,
        work: &Work,
    ) -> Result<Stored, BackupError> {
        self.may_change()?;
        let task = Task::Store {
            description: Box::new(description.clone()),
            volume: self.volume_at(&source.device),
            data: source.data.clone(),
            parent: source.parent,
            changed: source.changed.clone(),
        };
        let Answer::Stored(stored) = self.worker.ask(task, work).await? else {
            return Err(self.worker.confused());
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
            volume: self.volume_at(target),
            is_blank,
        };
        self.changed(task, work).await
    }

    async fn compare(
        &self,
        backup: BackupId,
        device: &Device,
        work: &Work,
    ) -> Result<(), BackupError> {
        let volume = self.volume_at(device);
        self.changed(Task::Compare { backup, volume }, work)
            .await
            .map(drop)
    }

    async fn remove(&self, backup: BackupId) -> Result<Done, BackupError> {
        self.may_change()?;
        self.changed(Task::Remove { backup }, &Work::default())
            .await
    }

    async fn prune(&self, work: &Work) -> Result<u64, BackupError> {
        self.may_change()?;
        let Answer::FreedBytes(freed_bytes) = self.worker.ask(Task::Prune, work).await? else {
            return Err(self.worker.confused());
        };
        Ok(freed_bytes)
    }

    async fn list(&self) -> Result<Vec<(Description, Stored)>, BackupError> {
        let answer = self.worker.ask(Task::List, &Work::default()).await?;
        let Answer::Backups(backups) = answer else {
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
        let Answer::Findings(findings) = self.worker.ask(task, work).await? else {
            return Err(self.worker.confused());
        };
        Ok(findings)
    }
}
