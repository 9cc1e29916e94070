//! Copying a volume into the repository.
//!
//! The library writes a snapshot even when reading failed half way. So it writes it as *unfinished*, under a tag that
//! nobody takes for a backup; when everything was counted and found whole, a second snapshot of the same tree is written
//! as the backup, in one rename, and the first is deleted. A crash at any point leaves the one, the other or both.

use super::layout::{About, TAG, TAG_UNFINISHED, heads};
use super::parent::Parent;
use super::repository::{Repository, explain, is_unfinished};
use super::source::{Counts, Tally, Volume};
use crate::backup::worker::device::Opened;
use crate::backup::worker::pipe::{Failure, VolumeAt};
use crate::backup::{Description, Stored};
use crate::driver::Work;
use crate::model::id::BackupId;
use rustic_core::repofile::{IndexFile, SnapshotFile, SnapshotId, StringList};
use rustic_core::{BackupOptions, FileType, Open, ReadBackend as _, RepairIndexOptions};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What is to be copied.
pub(super) struct Copy<'a> {
    pub(super) description: &'a Description,
    pub(super) volume: &'a VolumeAt,
    pub(super) data: Option<&'a [(u64, u64)]>,
    pub(super) parent: Option<BackupId>,
    pub(super) changed: Option<Vec<(u64, u64)>>,
    /// Whether an earlier try of this backup died, and may have left packs that no index names.
    pub(super) was_left_behind: bool,
}

impl Copy<'_> {
    fn open(&self) -> Result<Opened, Failure> {
        let device = Opened::to_read(self.volume)?;
        Ok(match self.data {
            Some(parts) => device.with_data_in(parts),
            None => device,
        })
    }

    /// What is known before it is made.
    fn about(&self) -> About {
        About {
            len_bytes: self.volume.len_bytes,
            description: self.description.clone(),
            stored: None,
        }
    }
}

/// Copies, unless that backup is there.
pub(super) fn store(
    repository: Repository,
    copy: &Copy<'_>,
    work: &Work,
) -> Result<Stored, Failure> {
    let id = copy.description.id;
    let (backups, _) = repository.backups()?;
    if let Some(stored) = backups
        .get(&id)
        .and_then(|backup| backup.about.as_ref()?.stored)
    {
        forget_unfinished(&repository, id)?;
        return Ok(stored);
    }
    let device = Arc::new(copy.open()?);
    heal_index(&repository, copy.was_left_behind)?;
    let parent = copy.parent.and_then(|parent| backups.get(&parent)).cloned();
    let directory = repository.directory().clone();
    let written_before = directory.written_bytes();

    let repository = Arc::new(repository.with_ids()?);
    let parent_tree = parent.as_ref().and_then(|parent| {
        let len_bytes = parent.about.as_ref().map_or(0, |about| about.len_bytes);
        // Without it, everything is read and compared by the library.
        Parent::read(Arc::clone(&repository), &parent.snapshot, len_bytes).ok()
    });
    // What failed there was made good, or shows again.
    directory.take_fault();
    let about = copy.about();
    let heads = heads(&about).map_err(|error| Failure::Unavailable(error.to_string()))?;
    let head_bytes: u64 = heads.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    let head_count = heads.len() as u64;
    let snapshot = unfinished(id)?;
    let tally = Arc::new(Tally::default());
    let volume = Volume {
        heads: heads.into(),
        device: Arc::clone(&device),
        changed: copy.changed.clone().filter(|_| parent_tree.is_some()),
        parent: parent_tree.map(Arc::new),
        generation: snapshot.time.timestamp(),
        tally: Arc::clone(&tally),
        store: directory.clone(),
        work: work.clone(),
    };
    let options = options(parent.as_ref().map(|parent| parent.snapshot.id));
    let paths = [PathBuf::from(format!(
        "volume-{}",
        copy.description.volume.id
    ))];
    let archived = repository
        .rustic()
        .archive(&options, &volume, snapshot, &paths);

    let counts = tally.counts();
    let whole = whole(&counts, &device, work).and_then(|()| {
        let snapshot = archived.map_err(|error| explain(&directory, &error))?;
        is_all_there(&snapshot, &counts, head_count, head_bytes)?;
        Ok(snapshot)
    });
    let snapshot = match whole {
        Ok(snapshot) => snapshot,
        Err(failure) => {
            // If that fails too: nobody takes it for a backup, and the next try removes it.
            let _ = forget_unfinished(&repository, id);
            return Err(failure);
        }
    };
    let stored = Stored {
        objects: counts.entries,
        data_bytes: counts.entry_bytes,
        read_bytes: counts.read_bytes,
        added_bytes: directory.written_bytes() - written_before,
    };
    finish(&repository, snapshot, about, stored)?;
    forget_unfinished(&repository, id)?;
    work.report(copy.volume.len_bytes, copy.volume.len_bytes);
    Ok(stored)
}

/// Whether everything was read that was to be.
fn whole(counts: &Counts, device: &Opened, work: &Work) -> Result<(), Failure> {
    if work.is_cancelled() {
        return Err(Failure::Cancelled);
    }
    match &counts.failure {
        Some(failure) => Err(failure.clone()),
        None => device.is_whole(),
    }
}

/// Whether the snapshot has all that was handed to the library.
fn is_all_there(
    snapshot: &SnapshotFile,
    counts: &Counts,
    head_count: u64,
    head_bytes: u64,
) -> Result<(), Failure> {
    let summary = snapshot.summary.as_ref();
    let files = summary.map_or(0, |summary| summary.total_files_processed);
    let bytes = summary.map_or(0, |summary| summary.total_bytes_processed);
    let (want_files, want_bytes) = (counts.entries + head_count, counts.entry_bytes + head_bytes);
    if (files, bytes) == (want_files, want_bytes) {
        return Ok(());
    }
    Err(Failure::Damaged(format!(
        "{files} files and {bytes} bytes were written of {want_files} and {want_bytes}; nothing is kept"
    )))
}

/// The index names what is there: neither packs that are gone, whose content would be taken for kept, nor none of what
/// a killed worker wrote, which need not be written again.
fn heal_index(repository: &Repository, was_left_behind: bool) -> Result<(), Failure> {
    let failed = |error| repository.explain(&error);
    let packs = repository.directory().list_with_size(FileType::Pack);
    let mut present: HashMap<_, _> = packs.map_err(|error| failed(*error))?.into_iter().collect();
    let mut is_wrong = false;
    let indexes = repository.rustic().stream_files::<IndexFile>();
    for index in indexes.map_err(|error| failed(*error))? {
        let (_, index) = index.map_err(|error| failed(*error))?;
        for pack in &index.packs {
            is_wrong |= present.get(&pack.id) != Some(&pack.pack_size());
        }
        for pack in index.packs.iter().chain(&index.packs_to_delete) {
            present.remove(&pack.id);
        }
    }
    if is_wrong || (was_left_behind && !present.is_empty()) {
        tracing::warn!(
            store = repository.name(),
            "the index does not say what is there; it is put right"
        );
        let options = RepairIndexOptions::default();
        let healed = repository.rustic().repair_index(&options, false);
        healed.map_err(|error| failed(*error))?;
    }
    Ok(())
}

fn unfinished(id: BackupId) -> Result<SnapshotFile, Failure> {
    let node = rustix::system::uname();
    Ok(SnapshotFile {
        program_version: concat!("ashlar ", env!("CARGO_PKG_VERSION")).to_owned(),
        hostname: node.nodename().to_string_lossy().into_owned(),
        tags: tags(TAG_UNFINISHED, id)?,
        ..SnapshotFile::default()
    })
}

fn tags(tag: &str, id: BackupId) -> Result<StringList, Failure> {
    let tags = format!("{tag},{id}").parse::<StringList>();
    tags.map_err(|error| Failure::Unavailable(error.to_string()))
}

fn options(parent: Option<SnapshotId>) -> BackupOptions {
    let mut options = BackupOptions::default();
    options.no_scan = true;
    options.parent_opts.parents = parent
        .iter()
        .map(|parent| parent.to_hex().as_str().to_owned())
        .collect();
    // None of its own choice: it would be one whose times ours were never compared with.
    options.parent_opts.force = parent.is_none();
    options
}

/// Writes the snapshot that is the backup.
fn finish(
    repository: &Repository<impl Open>,
    unfinished: SnapshotFile,
    about: About,
    stored: Stored,
) -> Result<(), Failure> {
    let about = About {
        stored: Some(stored),
        ..about
    };
    let text = serde_json::to_string(&about);
    let snapshot = SnapshotFile {
        tags: tags(TAG, about.description.id)?,
        description: Some(text.map_err(|error| Failure::Unavailable(error.to_string()))?),
        original: None,
        ..unfinished
    };
    let saved = repository.rustic().save_snapshots(vec![snapshot]);
    saved.map_err(|error| repository.explain(&error))
}

/// Deletes what tries of this backup left.
pub(super) fn forget_unfinished(
    repository: &Repository<impl Open>,
    id: BackupId,
) -> Result<bool, Failure> {
    let (snapshots, _) = repository.snapshots()?;
    let left: Vec<SnapshotId> = snapshots
        .iter()
        .filter(|snapshot| is_unfinished(snapshot, id))
        .map(|snapshot| snapshot.id)
        .collect();
    if !left.is_empty() {
        repository.delete(&left)?;
    }
    Ok(!left.is_empty())
}
