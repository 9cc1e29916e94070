//! A backup store of plain files: an image and a description for each backup, in one directory.
//!
//! For tests of everything above the engines, and for `kind = "fake"` in a configuration. It keeps the contract, shares
//! nothing between backups, and what it holds outlives the process, also one that was killed. It fails as it is told.

use super::{
    BackupEngine, BackupError, Depth, Description, Source, StoreKind, StoreReport, Stored,
};
use crate::driver::{Device, Done, Work};
use crate::model::id::BackupId;
use async_trait::async_trait;
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What is read and written at once, and what a cancel waits for.
const PIECE_BYTES: usize = 1 << 20;
/// A hanging call looks this often whether it may go on.
const HANG_POLL: Duration = Duration::from_millis(10);
/// A call hangs no longer, whatever happens.
const HANG_MAX: Duration = Duration::from_secs(600);

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing can be stored.
    Store,
    /// Storing waits until it is cancelled.
    HangStore,
    /// Nothing can be restored, after what was there is gone.
    Restore,
    /// Restoring waits until it is cancelled, after what was there is gone.
    HangRestore,
    /// Nothing can be removed.
    Remove,
    /// The store does not answer at all.
    Away,
}

/// The store.
#[derive(Debug)]
pub struct FakeEngine {
    name: String,
    directory: PathBuf,
    faults: Mutex<BTreeSet<Fault>>,
}

/// A description's file.
#[derive(Serialize, Deserialize)]
struct Kept {
    description: Description,
    stored: Stored,
}

impl FakeEngine {
    /// The store called `name` in `directory`, which is made when it is first used.
    pub fn new(name: &str, directory: &Path) -> Self {
        Self {
            name: name.to_owned(),
            directory: directory.to_owned(),
            faults: Mutex::default(),
        }
    }

    /// Lets something go wrong from now on, or not any more.
    pub fn set(&self, fault: Fault, is_on: bool) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        match is_on {
            true => faults.insert(fault),
            false => faults.remove(&fault),
        };
    }

    fn has(&self, fault: Fault) -> bool {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.contains(&fault)
    }

    fn open(&self) -> Result<(), BackupError> {
        if self.has(Fault::Away) {
            return Err(self.unavailable("it was told to be away"));
        }
        fs::create_dir_all(&self.directory).map_err(|error| self.unavailable(&error.to_string()))
    }

    fn unavailable(&self, why: &str) -> BackupError {
        BackupError::Unavailable {
            store: self.name.clone(),
            why: why.to_owned(),
        }
    }

    fn io(&self, error: &io::Error) -> BackupError {
        self.unavailable(&error.to_string())
    }

    fn image(&self, backup: BackupId) -> PathBuf {
        self.directory.join(format!("{backup}.img"))
    }

    /// Its being there is what makes a backup whole.
    fn description(&self, backup: BackupId) -> PathBuf {
        self.directory.join(format!("{backup}.json"))
    }

    fn kept(&self, backup: BackupId) -> Result<Option<Kept>, BackupError> {
        let text = match fs::read(self.description(backup)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(&error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            let why = format!("{backup}: {error}");
            BackupError::Damaged {
                store: self.name.clone(),
                why,
            }
        })
    }

    fn must_have(&self, backup: BackupId) -> Result<Kept, BackupError> {
        self.kept(backup)?.ok_or_else(|| BackupError::Absent {
            backup: backup.to_string(),
            store: self.name.clone(),
        })
    }

    async fn hang(&self, fault: Fault, work: &Work) -> Result<(), BackupError> {
        let end = tokio::time::Instant::now() + HANG_MAX;
        while self.has(fault) && tokio::time::Instant::now() < end {
            if work.is_cancelled() {
                return Err(BackupError::Cancelled);
            }
            tokio::time::sleep(HANG_POLL).await;
        }
        Ok(())
    }

    /// Copies what is not zero; the answer is how much that was. Holes are not read, so that this may block.
    fn copy(
        &self,
        from: &Path,
        to: &File,
        len_bytes: u64,
        work: &Work,
    ) -> Result<u64, BackupError> {
        let failed = |doing, source| device_failed(doing, from, source);
        let source = File::open(from).map_err(|error| failed("opening", error))?;
        let mut piece = vec![0; PIECE_BYTES];
        let (mut at, mut data_bytes) = (0, 0);
        while at < len_bytes {
            if work.is_cancelled() {
                return Err(BackupError::Cancelled);
            }
            at = match rustix::fs::seek(&source, SeekFrom::Data(at)) {
                Ok(data) => data,
                Err(Errno::NXIO) => break,
                Err(_) => at, // What knows no holes is read from here on.
            };
            let len = len_bytes.saturating_sub(at).min(PIECE_BYTES as u64);
            let part = piece.get_mut(..usize::try_from(len).unwrap_or(0));
            let part = part.unwrap_or_default();
            source
                .read_exact_at(part, at)
                .map_err(|error| failed("reading", error))?;
            if part.iter().any(|byte| *byte != 0) {
                to.write_all_at(part, at)
                    .map_err(|error| failed("copying", error))?;
                data_bytes += len;
            }
            at += len;
            work.report(at, len_bytes);
        }
        work.report(len_bytes, len_bytes);
        Ok(data_bytes)
    }
}

fn device_failed(doing: &'static str, device: &Path, source: io::Error) -> BackupError {
    BackupError::Device {
        doing,
        device: device.display().to_string(),
        source,
    }
}

#[async_trait]
impl BackupEngine for FakeEngine {
    fn kind(&self) -> StoreKind {
        StoreKind::Fake
    }

    async fn report(&self) -> Result<StoreReport, BackupError> {
        self.open()?;
        let list = self.list().await?;
        Ok(StoreReport {
            location: self.directory.display().to_string(),
            repository_id: self.directory.display().to_string(),
            used_bytes: list.iter().map(|(_, stored)| stored.data_bytes).sum(),
            free_bytes: None,
            backups: list.len() as u64,
        })
    }

    async fn store(
        &self,
        description: &Description,
        source: &Source,
        work: &Work,
    ) -> Result<Stored, BackupError> {
        self.open()?;
        if let Some(kept) = self.kept(description.id)? {
            return Ok(kept.stored);
        }
        self.hang(Fault::HangStore, work).await?;
        if self.has(Fault::Store) {
            return Err(self.unavailable("it was told to fail"));
        }
        let path = self.image(description.id);
        let image = File::create(&path).map_err(|error| self.io(&error))?;
        let len_bytes = source.device.len_bytes;
        image.set_len(len_bytes).map_err(|error| self.io(&error))?;
        let data_bytes = self.copy(&source.device.path, &image, len_bytes, work)?;
        let stored = Stored {
            objects: 1,
            data_bytes,
            read_bytes: len_bytes,
            added_bytes: data_bytes,
        };
        let kept = Kept {
            description: description.clone(),
            stored,
        };
        let text =
            serde_json::to_vec(&kept).map_err(|error| self.unavailable(&error.to_string()))?;
        let beside = path.with_extension("new");
        // No fsync: the fake outlives its process, not its machine.
        let written = fs::write(&beside, text)
            .and_then(|()| fs::rename(&beside, self.description(description.id)));
        written.map_err(|error| self.io(&error))?;
        Ok(stored)
    }

    async fn restore(
        &self,
        backup: BackupId,
        target: &Device,
        is_blank: bool,
        work: &Work,
    ) -> Result<Done, BackupError> {
        self.open()?;
        self.must_have(backup)?;
        let file = File::options().write(true).open(&target.path);
        let file = file.map_err(|error| device_failed("opening", &target.path, error))?;
        let image = self.image(backup);
        let len_bytes = fs::metadata(&image).map_err(|error| self.io(&error))?.len();
        if !is_blank {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            rustix::fs::fallocate(&file, hole, 0, target.len_bytes)
                .map_err(|error| device_failed("zeroing", &target.path, error.into()))?;
        }
        self.hang(Fault::HangRestore, work).await?;
        if self.has(Fault::Restore) {
            return Err(self.unavailable("it was told to fail"));
        }
        self.copy(&image, &file, len_bytes, work)?;
        Ok(Done::Changed)
    }

    async fn remove(&self, backup: BackupId) -> Result<Done, BackupError> {
        self.open()?;
        if self.has(Fault::Remove) {
            return Err(self.unavailable("it was told to fail"));
        }
        let mut done = Done::AlreadySo;
        for path in [self.description(backup), self.image(backup)] {
            match fs::remove_file(path) {
                Ok(()) => done = Done::Changed,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.io(&error)),
            }
        }
        Ok(done)
    }

    async fn prune(&self, _: &Work) -> Result<u64, BackupError> {
        self.open()?;
        Ok(0)
    }

    async fn list(&self) -> Result<Vec<(Description, Stored)>, BackupError> {
        self.open()?;
        let mut found = Vec::new();
        let entries = fs::read_dir(&self.directory).map_err(|error| self.io(&error))?;
        for entry in entries {
            let name = entry.map_err(|error| self.io(&error))?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            if let Some(id) = id.and_then(|id| id.parse().ok())
                && let Some(kept) = self.kept(id)?
            {
                found.push((kept.description, kept.stored));
            }
        }
        found.sort_by(|(one, _), (other, _)| one.created_at.cmp(&other.created_at));
        Ok(found)
    }

    async fn verify(
        &self,
        backup: Option<BackupId>,
        _: Depth,
        _: &Work,
    ) -> Result<Vec<String>, BackupError> {
        self.open()?;
        let all = match backup {
            Some(id) => vec![self.must_have(id)?.description.id],
            None => {
                let list = self.list().await?;
                list.into_iter()
                    .map(|(description, _)| description.id)
                    .collect()
            }
        };
        let missing = all.into_iter().filter(|id| !self.image(*id).exists());
        Ok(missing
            .map(|id| format!("the image of {id} is missing"))
            .collect())
    }
}
