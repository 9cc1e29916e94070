//! EDGE: where the copies live. The contract that every engine keeps; `contract.rs` is the suite that checks it.
//!
//! An engine knows backup stores, bytes and descriptions. It knows no status, no quota, no row and no driver: `ops`
//! hands it a device that nobody writes to meanwhile, and records what it answers.
//!
//! The rules of every method, which are a driver's:
//! - It may be repeated at any time, after success, after failure, or after a crash in the middle, and then does what
//!   is still missing. What is already so is [`Done::AlreadySo`], never an error; removing the absent is already so.
//! - A backup is there whole or not at all: one that failed half way is seen by nobody, and what it left takes room only
//!   until the store is pruned.
//! - What is read back is compared with what was stored, every byte. A difference is [`BackupError::Damaged`], never
//!   bytes that look right.
//! - Copies are independent: each is whole by itself, and removing one harms no other, whatever they share.
//! - Long work reports to [`Work`] at least once a second, and returns [`BackupError::Cancelled`] soon after
//!   [`Work::is_cancelled`] turns true.
//! - Memory is bounded, whatever the size of the volume.

pub mod cinder;
#[cfg(test)]
pub(crate) mod contract;
pub mod fake;
pub mod restic;
mod worker;
mod written;

pub use crate::model::backup::{Depth, DescribedVolume, StoreKind};
pub use worker::{WorkerStore, run as run_worker};

use crate::driver::{Device, Done, Work};
use crate::model::id::BackupId;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

/// What a backup says of itself, kept beside its bytes: enough to make its row anew where the record is lost. Written as
/// JSON into the store, so that other versions and other programs read it: fields are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The backup.
    pub id: BackupId,
    /// Its owner.
    pub project_id: String,
    /// Who asked for it.
    pub user_id: String,
    /// The owner's name for it.
    pub name: Option<String>,
    /// The owner's description.
    pub description: Option<String>,
    /// The owner's key-value pairs.
    pub metadata: BTreeMap<String, String>,
    /// When it was asked for.
    pub created_at: String,
    /// The instant that its content is of: that of its snapshot, or when the copying began.
    pub data_timestamp: String,
    /// The backup that it was made on top of; a hint for people, nothing depends on it.
    pub parent_id: Option<BackupId>,
    /// The snapshot that was asked to be copied, if one was.
    pub snapshot_id: Option<String>,
    /// What was copied.
    pub volume: DescribedVolume,
}

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// A regular file or a block device that nobody writes to meanwhile. Holes of a file are found by the engine.
    pub device: Device,
    /// The byte ranges (offset, length) outside of which it reads as zeros, if the driver knows: nothing else is read.
    pub data: Option<Vec<(u64, u64)>>,
    /// The backup whose content is most like this one; what is the same is neither copied nor kept twice. When it is
    /// gone, everything is copied.
    pub parent: Option<BackupId>,
    /// The byte ranges (offset, length) that may differ from the parent, if the driver knows; everything else is taken
    /// from the parent unread.
    pub changed: Option<Vec<(u64, u64)>>,
}

/// What a finished copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// How many objects of the store it is made of, shared ones included (Cinder's `object_count`).
    pub objects: u64,
    /// Bytes of the volume that are not zero.
    pub data_bytes: u64,
    /// Bytes read for it.
    pub read_bytes: u64,
    /// Bytes by which the store grew.
    pub added_bytes: u64,
}

/// A store as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreReport {
    /// Where it is, without secrets.
    pub location: String,
    /// What it is identified by: two names of one store have the same.
    pub repository_id: String,
    /// Bytes that it takes up.
    pub used_bytes: u64,
    /// Bytes that may still be written; `None` where nobody can tell.
    pub free_bytes: Option<u64>,
    /// How many backups of Ashlar's it has.
    pub backups: u64,
}

/// An engine's methods; the module's text states the rules that hold for all of them. One engine is one store.
#[async_trait]
pub trait BackupEngine: Send + Sync {
    /// What the store is. One that is only read has [`StoreKind::is_read_only`]: it answers [`BackupError::ReadOnly`]
    /// to what would change it, and changes nothing.
    fn kind(&self) -> StoreKind;

    /// Makes the store if nothing is there (unless it is only read), and says what it has.
    async fn report(&self) -> Result<StoreReport, BackupError>;

    /// Copies `source` into the store as `description.id`. It survives a power cut once this returned. Already so when
    /// that backup is there: then its numbers are told again.
    async fn store(
        &self,
        description: &Description,
        source: &Source,
        work: &Work,
    ) -> Result<Stored, BackupError>;

    /// Makes `target` read as the volume of `backup` did, from its first byte to that volume's last; what lies beyond reads
    /// as zeros. With `is_blank` the target reads as zeros so far, and zeros are not written.
    async fn restore(
        &self,
        backup: BackupId,
        target: &Device,
        is_blank: bool,
        work: &Work,
    ) -> Result<Done, BackupError>;

    /// Compares `device`, which [`BackupEngine::restore`] filled and nobody wrote to since, with what the store has of `backup`,
    /// every byte. A difference is [`BackupError::Damaged`]. Nothing is written.
    async fn compare(
        &self,
        backup: BackupId,
        device: &Device,
        work: &Work,
    ) -> Result<(), BackupError>;

    /// Removes a backup. The room of what no other backup shares comes back with [`BackupEngine::prune`].
    async fn remove(&self, backup: BackupId) -> Result<Done, BackupError>;

    /// Gives back the room of what no backup needs; how many bytes that were.
    async fn prune(&self, work: &Work) -> Result<u64, BackupError>;

    /// What every backup in the store says of itself, oldest first.
    async fn list(&self) -> Result<Vec<(Description, Stored)>, BackupError>;

    /// Looks whether a backup can be read, or all of them; what is wrong, a line each, and none when nothing is.
    async fn verify(
        &self,
        backup: Option<BackupId>,
        depth: Depth,
        work: &Work,
    ) -> Result<Vec<String>, BackupError>;
}

/// Why an engine could not; each variant is a different thing for `ops` or the owner to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The backup is not in the store.
    #[error("backup {backup} is not in store {store}")]
    Absent {
        /// Which.
        backup: String,
        /// The store's name.
        store: String,
    },
    /// What the store holds is not what was put there.
    #[error("store {store} is damaged: {why}")]
    Damaged {
        /// The store's name.
        store: String,
        /// What was found, and of which backup.
        why: String,
    },
    /// The store has not enough room.
    #[error("store {store} is full: {why}")]
    NoSpace {
        /// The store's name.
        store: String,
        /// What was being written.
        why: String,
    },
    /// The store's key is missing, or is another store's.
    #[error("store {store} cannot be opened with its key: {why}")]
    WrongKey {
        /// The store's name.
        store: String,
        /// What was noticed, without secrets.
        why: String,
    },
    /// The store is only read: what is in it is another program's.
    #[error(
        "store {store} is only read: its backups are another program's, which alone makes and removes them; nothing was changed"
    )]
    ReadOnly {
        /// The store's name.
        store: String,
    },
    /// The volume could not be read or written.
    #[error("{doing} failed on {device}")]
    Device {
        /// What was being done.
        doing: &'static str,
        /// The file or device.
        device: String,
        #[source]
        source: io::Error,
    },
    /// Somebody asked to stop, and nothing was left half done.
    #[error("the work was cancelled")]
    Cancelled,
    /// The store as a whole does not answer, or its worker died.
    #[error("store {store} is not available: {why}")]
    Unavailable {
        /// The store's name.
        store: String,
        /// What was noticed.
        why: String,
    },
}
