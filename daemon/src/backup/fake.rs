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
use sha2::{Digest as _, Sha256};
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
    /// What is compared differs.
    Compare,
    /// Nothing can be removed.
    Remove,
    /// A look whether backups can be read waits until it is cancelled.
    HangVerify,
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
    /// Of what is not zero; `None` where somebody laid the image there by hand.
    #[serde(default)]
    digest: Option<String>,
}

/// What was read of a volume or of its image.
struct Read {
    read_bytes: u64,
    data_bytes: u64,
    digest: String,
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

    /// Gives every piece that is not all zeros to `keep`. Holes are not read, nor what lies outside of `data` where that is
    /// known.
    fn read(
        &self,
        from: &Path,
        len_bytes: u64,
        data: Option<&[(u64, u64)]>,
        work: &Work,
        mut keep: impl FnMut(&[u8], u64) -> io::Result<()>,
    ) -> Result<Read, BackupError> {
        let failed = |doing, source| device_failed(doing, from, source);
        let source = File::open(from).map_err(|error| failed("opening", error))?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut digest = Sha256::new();
        let (mut at, mut data_bytes, mut read_bytes) = (0, 0, 0);
        while at < len_bytes {
            if work.is_cancelled() {
                return Err(BackupError::Cancelled);
            }
            at = match rustix::fs::seek(&source, SeekFrom::Data(at)) {
                // The same pieces of a volume and of its image, wherever their holes end.
                Ok(data) => data - data % PIECE_BYTES as u64,
                Err(Errno::NXIO) => break,
                Err(_) => at, // What knows no holes is read from here on.
            };
            let len = len_bytes.saturating_sub(at).min(PIECE_BYTES as u64);
            let is_in =
                |(start, long): &(u64, u64)| *start < at + len && at < start.saturating_add(*long);
            if data.is_some_and(|parts| !parts.iter().any(is_in)) {
                at += len;
                continue;
            }
            let part = piece.get_mut(..usize::try_from(len).unwrap_or(0));
            let part = part.unwrap_or_default();
            source
                .read_exact_at(part, at)
                .map_err(|error| failed("reading", error))?;
            read_bytes += len;
            if part.iter().any(|byte| *byte != 0) {
                keep(part, at).map_err(|error| failed("copying", error))?;
                digest.update(at.to_le_bytes());
                digest.update(&*part);
                data_bytes += len;
            }
            at += len;
            work.report(at, len_bytes);
        }
        work.report(len_bytes, len_bytes);
        let digest = digest.finalize();
        Ok(Read {
            data_bytes,
            read_bytes,
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// What is wrong with the bytes that were read of a backup's image.
    fn damage(kept: &Kept, read: &Read) -> Option<String> {
        let is_as_kept = kept.digest.as_ref().is_none_or(|one| *one == read.digest);
        (!is_as_kept).then(|| {
            let id = kept.description.id;
            format!("backup {id}: its image holds other bytes than were stored")
        })
    }

    fn look_at(
        &self,
        id: BackupId,
        depth: Depth,
        work: &Work,
    ) -> Result<Option<String>, BackupError> {
        let (kept, image) = (self.must_have(id)?, self.image(id));
        let Ok(about) = fs::metadata(&image) else {
            return Ok(Some(format!("backup {id}: its image is missing")));
        };
        match depth {
            Depth::Structure => Ok(None),
            Depth::Data => {
                let read = self.read(&image, about.len(), None, work, |_, _| Ok(()))?;
                Ok(Self::damage(&kept, &read))
            }
        }
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
        let read = self.read(
            &source.device.path,
            len_bytes,
            source.data.as_deref(),
            work,
            |bytes, at| image.write_all_at(bytes, at),
        )?;
        let stored = Stored {
            objects: 1,
            data_bytes: read.data_bytes,
            read_bytes: read.read_bytes,
            added_bytes: read.data_bytes,
        };
        let kept = Kept {
            description: description.clone(),
            stored,
            digest: Some(read.digest),
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
        let kept = self.must_have(backup)?;
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
        let read = self.read(&image, len_bytes, None, work, |bytes, at| {
            file.write_all_at(bytes, at)
        })?;
        match Self::damage(&kept, &read) {
            None => Ok(Done::Changed),
            Some(why) => Err(BackupError::Damaged {
                store: self.name.clone(),
                why,
            }),
        }
    }

    async fn compare(
        &self,
        backup: BackupId,
        device: &Device,
        work: &Work,
    ) -> Result<(), BackupError> {
        self.open()?;
        self.must_have(backup)?;
        let image = self.image(backup);
        let len_bytes = fs::metadata(&image).map_err(|error| self.io(&error))?.len();
        let mut differs = self.has(Fault::Compare);
        // What the one has, the other has to have, too.
        for (one, one_bytes, other) in [
            (&device.path, device.len_bytes, &image),
            (&image, len_bytes, &device.path),
        ] {
            let other = File::open(other).map_err(|error| self.io(&error))?;
            let compare = |bytes: &[u8], at: u64| {
                let mut rest = vec![0; bytes.len()];
                let mut filled = 0;
                while let Some(left) = rest.get_mut(filled..).filter(|left| !left.is_empty()) {
                    match other.read_at(left, at + filled as u64)? {
                        0 => break,
                        more => filled += more,
                    }
                }
                differs |= rest != bytes;
                Ok(())
            };
            self.read(one, one_bytes, None, work, compare)?;
        }
        if !differs {
            return Ok(());
        }
        let why = format!("what backup {backup} was restored into has something else");
        let store = self.name.clone();
        Err(BackupError::Damaged { store, why })
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
        depth: Depth,
        work: &Work,
    ) -> Result<Vec<String>, BackupError> {
        self.open()?;
        self.hang(Fault::HangVerify, work).await?;
        let all = match backup {
            Some(id) => vec![id],
            None => {
                let list = self.list().await?;
                list.into_iter()
                    .map(|(description, _)| description.id)
                    .collect()
            }
        };
        let mut findings = Vec::new();
        for id in all {
            findings.extend(self.look_at(id, depth, work)?);
        }
        Ok(findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::contract::{MIB, Subject, Volumes, all_of, engine_contract, stored, write};
    use std::sync::Arc;

    /// A store in a directory of its own.
    struct Store(tempfile::TempDir);

    impl Subject for Store {
        fn fresh() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn engine(&self) -> Arc<dyn BackupEngine> {
            Arc::new(FakeEngine::new("fake", &self.0.path().join("store")))
        }

        fn restarted(self) -> Self {
            self
        }
    }

    engine_contract!(Store);

    #[tokio::test]
    async fn other_bytes_than_were_stored_are_damage() {
        let store = Store::fresh();
        let engine = store.engine();
        let mut volumes = Volumes::new(7);
        let (id, _) = stored(&engine, &all_of(&volumes.mixed("mixed", 4))).await;
        let image = Device {
            path: store.0.path().join(format!("store/{id}.img")),
            len_bytes: MIB,
        };
        write(&image, b"?", 20);
        let work = Work::default();
        let found = engine.verify(Some(id), Depth::Structure, &work).await;
        assert_eq!(found.unwrap(), Vec::<String>::new());
        let found = engine.verify(None, Depth::Data, &work).await.unwrap();
        assert!(found[0].contains("other bytes"), "{found:?}");
        let target = volumes.empty("target", 9 * MIB);
        let restored = engine.restore(id, &target, true, &work).await;
        assert!(
            matches!(restored, Err(BackupError::Damaged { .. })),
            "{restored:?}"
        );
        fs::remove_file(&image.path).unwrap();
        let found = engine.verify(None, Depth::Structure, &work).await.unwrap();
        assert!(found[0].contains("is missing"), "{found:?}");
    }
}
