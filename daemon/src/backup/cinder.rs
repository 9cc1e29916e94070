//! A backup store that Cinder's posix or NFS backup driver wrote: it is only read, so that what was backed up there can be
//! restored here.
//!
//! A full backup is the volume cut into objects; an incremental one has the parts in which a chunk changed since its parent,
//! and needs that parent. In reading order: [`job`], [`files`] (what lies in the directory), [`metadata`] and
//! [`volume_meta`] (what a backup says), [`catalogue`] (which backup stands on which), [`hashes`] and [`layer`] (what its
//! bytes are held to), [`object`], [`restore`], [`compare`], [`verify`], [`listing`].
//!
//! Everything in the directory is another program's word, maybe a hostile one's: nothing is believed that was not looked at,
//! and memory is bounded whatever is claimed. A worker process does the work (`backup/worker.rs`).

mod catalogue;
mod compare;
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

use crate::backup::StoreKind;
use crate::backup::worker::{Worker, WorkerStore, lock, pipe};
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
    /// How fast at most each job reads or writes its volume; 0 means no limit.
    pub bytes_per_s: u64,
}

/// The same for a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::backup) struct Place {
    pub(in crate::backup) directory: PathBuf,
    /// Where locks are kept.
    keep: PathBuf,
}

/// The store, whose jobs are done by processes of the running program.
pub fn open(settings: Settings) -> WorkerStore {
    let (name, bytes_per_s) = (settings.name.clone(), settings.bytes_per_s);
    let find = move || {
        let keep = lock::keep(&settings.state_dir)?;
        let directory = settings.directory.clone();
        Ok(pipe::Place::Cinder(Place { directory, keep }))
    };
    WorkerStore::new(StoreKind::Cinder, Worker::new(&name, find), bytes_per_s)
}
