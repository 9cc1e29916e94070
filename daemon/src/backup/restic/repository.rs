//! One repository, opened: its snapshots, and what an error of the library means.
//!
//! A repository is made in an empty directory only, and only where none was known: an empty directory in place of a
//! known store is one that is not mounted.

use super::directory::{Directory, Fault};
use super::key::Place;
use super::layout::{ABOUT, About, TAG, TAG_UNFINISHED};
use crate::backup::Stored;
use crate::backup::worker::pipe::Failure;
use crate::model::id::BackupId;
use rustic_core::repofile::{Chunker, SnapshotFile, SnapshotId};
use rustic_core::{
    ConfigOptions, Credentials, IndexedFullStatus, IndexedIdsStatus, KeyOptions, Open, OpenStatus,
    Progress, ProgressBars, ProgressType, Repository as Rustic, RepositoryBackends,
    RepositoryOptions, RusticError, RusticResult,
};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

/// As restic's; what a killed worker loses, and several of them are in memory while they are written.
const PACK_SIZE: &str = "16MiB";

/// A repository whose snapshots can be looked at.
pub(super) struct Repository<S = OpenStatus> {
    place: Place,
    directory: Directory,
    rustic: Rustic<S>,
}

/// A snapshot that is a finished backup, and what it says.
#[derive(Debug, Clone)]
pub(super) struct Backup {
    pub(super) snapshot: SnapshotFile,
    /// `None` where the snapshot was copied by a program that leaves descriptions out; then its tree still says.
    pub(super) about: Option<About>,
}

impl Repository {
    /// Opens what is there.
    pub(super) fn open(place: &Place, directory: &Directory) -> Result<Self, Failure> {
        let found = look(directory.root()).map_err(|why| away(directory.root(), &why))?;
        if found != Found::Repository {
            let why = match found {
                Found::Nothing => "the directory is empty or missing; is the file system mounted?",
                Found::HalfMade | Found::Repository => "the repository was never finished",
                Found::Other => "the directory holds something, but no repository",
            };
            return Err(away(directory.root(), why));
        }
        let new = new_rustic(directory).map_err(|error| explain(directory, &error))?;
        let credentials = Credentials::password(&place.password);
        let opened = new.open(&credentials);
        let rustic = opened.map_err(|error| explain(directory, &error))?;
        let repository = Self {
            place: place.clone(),
            directory: directory.clone(),
            rustic,
        };
        repository.is_the_known_one()?;
        Ok(repository)
    }

    /// Opens what is there; makes it when there is nothing and never was.
    pub(super) fn open_or_make(place: &Place, directory: &Directory) -> Result<Self, Failure> {
        let root = directory.root();
        let found = look(root).map_err(|why| away(root, &why))?;
        let is_known = known_id(place)?.is_some();
        match found {
            Found::Nothing | Found::HalfMade if !is_known => make(place, directory)?,
            Found::Nothing | Found::HalfMade | Found::Repository | Found::Other => {}
        }
        Self::open(place, directory)
    }

    /// With all its index in memory, which a restore needs and a copy does not.
    pub(super) fn indexed(self) -> Result<Rustic<IndexedFullStatus>, Failure> {
        let directory = self.directory;
        let indexed = self.rustic.to_indexed();
        indexed.map_err(|error| explain(&directory, &error))
    }

    /// With so much of its index in memory as tells what need not be stored.
    pub(super) fn with_ids(self) -> Result<Repository<IndexedIdsStatus>, Failure> {
        let Self {
            place,
            directory,
            rustic,
        } = self;
        let rustic = rustic.to_indexed_ids();
        Ok(Repository {
            rustic: rustic.map_err(|error| explain(&directory, &error))?,
            place,
            directory,
        })
    }
}

impl<S: Open> Repository<S> {
    /// What the repository calls itself.
    pub(super) fn id(&self) -> String {
        self.rustic.config().id.to_hex().as_str().to_owned()
    }

    /// The store's name.
    pub(super) fn name(&self) -> &str {
        &self.place.store
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(super) fn rustic(&self) -> &Rustic<S> {
        &self.rustic
    }

    pub(super) fn explain(&self, error: &RusticError) -> Failure {
        explain(&self.directory, error)
    }

    /// Another repository in a known one's place is a mistake of mounting, and must not be filled.
    fn is_the_known_one(&self) -> Result<(), Failure> {
        let id = self.id();
        let path = id_path(&self.place);
        match known_id(&self.place)? {
            Some(known) if known == id => Ok(()),
            Some(known) => Err(Failure::Unavailable(format!(
                "{} holds repository {id}, but this store's is {known}; if that is meant, remove {}",
                self.directory.root().display(),
                path.display()
            ))),
            None => fs::write(&path, &id).map_err(|error| kept(&path, &error)),
        }
    }

    /// All snapshots, each read by itself: one that cannot be read is told, and hides no other.
    pub(super) fn snapshots(&self) -> Result<(Vec<SnapshotFile>, Vec<String>), Failure> {
        let ids = self.rustic.list::<SnapshotId>();
        let mut found = Vec::new();
        let mut unreadable = Vec::new();
        for id in ids.map_err(|error| self.explain(&error))? {
            match self.rustic.get_file::<SnapshotFile>(&id) {
                Ok(mut snapshot) => {
                    snapshot.id = id;
                    found.push(snapshot);
                }
                Err(error) => match self.explain(&error) {
                    Failure::Damaged(why) => {
                        // Removed by somebody else since it was listed: that is no damage.
                        if self.is_there(id)? {
                            let hex = id.to_hex();
                            let short = hex.as_str().get(..8).unwrap_or_default();
                            unreadable.push(format!("snapshot {short} cannot be read: {why}"));
                        }
                    }
                    other @ (Failure::Absent { .. }
                    | Failure::NoSpace(_)
                    | Failure::WrongKey(_)
                    | Failure::ReadOnly
                    | Failure::Device { .. }
                    | Failure::Cancelled
                    | Failure::Unavailable(_)) => return Err(other),
                },
            }
        }
        found.sort_by(|one, other| one.time.cmp(&other.time));
        Ok((found, unreadable))
    }

    fn is_there(&self, id: SnapshotId) -> Result<bool, Failure> {
        let ids = self.rustic.list::<SnapshotId>();
        let mut ids = ids.map_err(|error| self.explain(&error))?;
        Ok(ids.any(|other| other == id))
    }

    /// Every finished backup, oldest first, and what could not be read.
    pub(super) fn backups(&self) -> Result<(BTreeMap<BackupId, Backup>, Vec<String>), Failure> {
        let (snapshots, unreadable) = self.snapshots()?;
        let mut backups = BTreeMap::new();
        for snapshot in snapshots {
            if let Some(id) = backup_of(&snapshot, TAG) {
                let about = snapshot.description.as_deref();
                let about = about.and_then(|text| serde_json::from_str(text).ok());
                // A second one of the same id is a copy made by hand; the older counts.
                backups.entry(id).or_insert(Backup { snapshot, about });
            }
        }
        Ok((backups, unreadable))
    }

    /// One finished backup.
    pub(super) fn backup(&self, id: BackupId) -> Result<Backup, Failure> {
        let (mut backups, unreadable) = self.backups()?;
        match (backups.remove(&id), unreadable.first()) {
            (Some(backup), _) => Ok(backup),
            (None, None) => Err(Failure::Absent {
                backup: id.to_string(),
            }),
            (None, Some(why)) => Err(Failure::Damaged(format!(
                "backup {id} is not among what can be read; {why}"
            ))),
        }
    }

    pub(super) fn delete(&self, snapshots: &[SnapshotId]) -> Result<(), Failure> {
        let deleted = self.rustic.delete_snapshots(snapshots);
        deleted.map_err(|error| self.explain(&error))
    }
}

/// Which backup a snapshot with this tag is of.
pub(super) fn backup_of(snapshot: &SnapshotFile, tag: &str) -> Option<BackupId> {
    if !snapshot.tags.contains(tag) {
        return None;
    }
    snapshot.tags.iter().find_map(|tag| tag.parse().ok())
}

/// Whether this is what is left of a try of the backup.
pub(super) fn is_unfinished(snapshot: &SnapshotFile, id: BackupId) -> bool {
    backup_of(snapshot, TAG_UNFINISHED) == Some(id)
}

/// What the tree says of a backup whose snapshot lost its description; its numbers are the library's then.
pub(super) fn about_from_tree(
    rustic: &Rustic<IndexedFullStatus>,
    snapshot: &SnapshotFile,
) -> RusticResult<Option<About>> {
    let node = rustic.node_from_path(snapshot.tree, Path::new(ABOUT))?;
    let mut text = Vec::new();
    rustic.dump(&node, &mut text)?;
    let about: Option<About> = serde_json::from_slice(&text).ok();
    Ok(about.map(|mut about| {
        let summary = snapshot.summary.clone().unwrap_or_default();
        about.stored.get_or_insert(Stored {
            objects: summary.total_files_processed.saturating_sub(2),
            data_bytes: summary.total_bytes_processed,
            read_bytes: summary.total_bytes_processed,
            added_bytes: summary.data_added_packed,
        });
        about
    }))
}

/// What lies in a store's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// The directories of a repository without its last file: whoever made it was killed.
    HalfMade,
    Repository,
    Other,
}

fn look(root: &Path) -> Result<Found, String> {
    let told = |error: std::io::Error| error.to_string();
    if root.join("config").try_exists().map_err(told)? {
        return Ok(Found::Repository);
    }
    if !root.try_exists().map_err(told)? {
        return Ok(Found::Nothing);
    }
    let mut is_empty = true;
    for entry in fs::read_dir(root).map_err(told)? {
        let entry = entry.map_err(told)?;
        let name = entry.file_name();
        // What every fresh ext4 has.
        if name == "lost+found" {
            continue;
        }
        is_empty = false;
        let is_ours = match name.to_str() {
            Some("keys") => true,
            Some("data" | "index" | "snapshots") => {
                let mut inside = fs::read_dir(entry.path()).map_err(told)?;
                inside.next().is_none()
            }
            Some(name) => name.starts_with("config-tmp-"),
            None => false,
        };
        if !is_ours {
            return Ok(Found::Other);
        }
    }
    Ok(match is_empty {
        true => Found::Nothing,
        false => Found::HalfMade,
    })
}

fn make(place: &Place, directory: &Directory) -> Result<(), Failure> {
    let root = directory.root();
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root);
    made.map_err(|error| away(root, &error.to_string()))?;
    // Keys of a repository that was never finished open with the same password, and to another secret.
    let stale = root.join("keys");
    if let Ok(keys) = fs::read_dir(&stale) {
        for key in keys {
            let removed = key.and_then(|key| fs::remove_file(key.path()));
            removed.map_err(|error| away(root, &error.to_string()))?;
        }
    }
    let mut options = ConfigOptions::default();
    options.set_chunker = Some(Chunker::FixedSize);
    options.set_chunk_size = "1MiB".parse().ok();
    options.set_datapack_size = PACK_SIZE.parse().ok();
    options.set_datapack_growfactor = Some(0);
    let made = new_rustic(directory).and_then(|new| {
        let credentials = Credentials::password(&place.password);
        new.init(&credentials, &KeyOptions::default(), &options)
    });
    made.map_err(|error| explain(directory, &error))?;
    Ok(())
}

fn new_rustic(directory: &Directory) -> RusticResult<Rustic<()>> {
    let mut options = RepositoryOptions::default();
    // A cache would be a second thing to keep, to clean and to be wrong; the repository is near.
    options.no_cache = true;
    let backends = RepositoryBackends::new(Arc::new(directory.clone()), None);
    Rustic::new_with_progress(&options, &backends, Quiet)
}

fn id_path(place: &Place) -> std::path::PathBuf {
    place.keep.join(format!("{}.id", place.store))
}

fn known_id(place: &Place) -> Result<Option<String>, Failure> {
    let path = id_path(place);
    match fs::read_to_string(&path) {
        // Empty as a power cut may leave it: then nothing is known.
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|id| !id.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(kept(&path, &error)),
    }
}

fn kept(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Unavailable(format!("{} cannot be used: {error}", path.display()))
}

fn away(root: &Path, why: &str) -> Failure {
    Failure::Unavailable(format!("{}: {why}", root.display()))
}

/// What an error of the library means for who asked. The library has words only; the first call to the file system
/// that failed says more, if one did.
pub(super) fn explain(directory: &Directory, error: &RusticError) -> Failure {
    if error.is_incorrect_password() {
        let why = format!("no key in {} opens with it", directory.root().display());
        return Failure::WrongKey(why);
    }
    if directory.is_cancelled() {
        return Failure::Cancelled;
    }
    match directory.take_fault() {
        Some(fault) => explain_fault(directory.root(), &fault),
        None => Failure::Damaged(error.display_log()),
    }
}

/// What a call that failed means.
pub(super) fn explain_fault(root: &Path, fault: &Fault) -> Failure {
    let why = format!("{} {}: {}", fault.doing, fault.path.display(), fault.text);
    let is_full = matches!(
        fault.kind,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    );
    if is_full {
        return Failure::NoSpace(why);
    }
    // A part of the repository is missing or too short; unless all of it is missing.
    let is_gone = matches!(
        fault.kind,
        ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::NotADirectory
    );
    match is_gone && root.join("config").exists() {
        true => Failure::Damaged(why),
        false => Failure::Unavailable(why),
    }
}

/// The library's progress, which nobody looks at: what moves is seen by the directory and by our own loops.
#[derive(Debug)]
struct Quiet;

impl ProgressBars for Quiet {
    fn progress(&self, _kind: ProgressType, _prefix: &str) -> Progress {
        Progress::hidden()
    }
}
