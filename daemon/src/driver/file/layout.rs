//! Where a pool's files lie and what they are called.
//!
//! ```text
//! <directory>/ashlar-pool        who owns the directory; locked while a daemon uses it
//!            /volumes/volume-<uuid>        whole, to be served
//!            /snapshots/snapshot-<uuid>    whole
//!            /partial/<name>               being made; renamed into the two above when whole and on the disk
//!            /import/<any name>            not ours: what may be taken over, and what was handed back (`import.rs`)
//!            /trash/<name>                 out of sight, being wiped
//!            /trash/<name>.replaced        what a revert took out of a volume, being wiped
//! ```
//! One file system, so that rename is atomic. Files whose names are not of this form are never touched.

use super::pool_file::fault;
use crate::driver::{DriverError, ObjectRef};
use crate::model::id::{SnapshotId, VolumeId};
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// More names than this are not listed: at some 100 bytes each it bounds the answer to 100 MB, and no pool of files
/// comes near.
const OBJECTS_MAX: usize = 1_000_000;
const REPLACED: &str = ".replaced";
/// No [`Place`]: nothing in it is ours.
const IMPORT: &str = "import";

/// The directories of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Volumes,
    Snapshots,
    Partial,
    Trash,
}

impl Place {
    const ALL: [Self; 4] = [Self::Volumes, Self::Snapshots, Self::Partial, Self::Trash];

    fn directory(self) -> &'static str {
        match self {
            Self::Volumes => "volumes",
            Self::Snapshots => "snapshots",
            Self::Partial => "partial",
            Self::Trash => "trash",
        }
    }
}

/// An object's name and where it lies once whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) home: Place,
}

impl Name {
    pub(super) fn of_volume(id: VolumeId) -> Self {
        Self {
            text: format!("volume-{id}"),
            home: Place::Volumes,
        }
    }

    pub(super) fn of_snapshot(id: SnapshotId) -> Self {
        Self {
            text: format!("snapshot-{id}"),
            home: Place::Snapshots,
        }
    }

    pub(super) fn of(object: &ObjectRef) -> Self {
        match object {
            ObjectRef::Volume(volume) => Self::of_volume(volume.id),
            ObjectRef::Snapshot(snapshot) => Self::of_snapshot(snapshot.id),
        }
    }

    fn replaced(&self) -> String {
        format!("{}{REPLACED}", self.text)
    }
}

fn is_ours(file_name: &str) -> bool {
    let name = file_name.strip_suffix(REPLACED).unwrap_or(file_name);
    let volume = name
        .strip_prefix("volume-")
        .map(|id| id.parse::<VolumeId>().is_ok());
    let snapshot = name
        .strip_prefix("snapshot-")
        .map(|id| id.parse::<SnapshotId>().is_ok());
    volume.or(snapshot).unwrap_or(false)
}

/// A pool's directory.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
    pool: Arc<str>,
}

impl Layout {
    /// Makes what is missing of the directories below `root`, which exists.
    pub(super) fn prepare(root: &Path, pool: &Arc<str>) -> io::Result<Self> {
        let places = Place::ALL.map(Place::directory);
        for directory in places.into_iter().chain([IMPORT]) {
            let path = root.join(directory);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        File::open(root)?.sync_all()?;
        Ok(Self {
            root: root.to_owned(),
            pool: pool.clone(),
        })
    }

    pub(super) fn pool(&self) -> &Arc<str> {
        &self.pool
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where what is not ours lies.
    pub(super) fn imports(&self) -> PathBuf {
        self.root.join(IMPORT)
    }

    fn path(&self, place: Place, file_name: &str) -> PathBuf {
        self.root.join(place.directory()).join(file_name)
    }

    pub(super) fn home(&self, name: &Name) -> PathBuf {
        self.path(name.home, &name.text)
    }

    pub(super) fn partial(&self, name: &Name) -> PathBuf {
        self.path(Place::Partial, &name.text)
    }

    pub(super) fn trash(&self, name: &Name) -> PathBuf {
        self.path(Place::Trash, &name.text)
    }

    pub(super) fn replaced(&self, name: &Name) -> PathBuf {
        self.path(Place::Trash, &name.replaced())
    }

    pub(super) fn is_at(&self, path: &Path) -> Result<bool, DriverError> {
        path.try_exists()
            .map_err(|error| fault(&self.pool, "looking", &path.display().to_string(), error))
    }

    /// Names in `place` are on the disk afterwards.
    pub(super) fn sync(&self, place: Place) -> Result<(), DriverError> {
        let path = self.root.join(place.directory());
        File::open(&path)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| {
                let object = path.display().to_string();
                fault(
                    &self.pool,
                    "writing a directory to the disk",
                    &object,
                    error,
                )
            })
    }

    /// Gives the file at `from` the name `to`, replacing what was there; `false` when there was nothing at `from`.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<bool, DriverError> {
        match fs::rename(from, to) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(fault(
                &self.pool,
                "renaming",
                &from.display().to_string(),
                error,
            )),
        }
    }

    /// Lets two files change names in one instant; `false` where the file system cannot.
    pub(super) fn exchange(&self, one: &Path, other: &Path) -> Result<bool, DriverError> {
        match rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
            Err(error) => {
                let object = one.display().to_string();
                Err(fault(&self.pool, "exchanging", &object, error.into()))
            }
        }
    }

    /// Removes the file at `path`; `false` when there was none.
    pub(super) fn unlink(&self, path: &Path) -> Result<bool, DriverError> {
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(fault(
                &self.pool,
                "removing",
                &path.display().to_string(),
                error,
            )),
        }
    }

    /// Every file of ours, as its path below the pool's directory, sorted.
    pub(super) fn objects(&self) -> Result<Vec<String>, DriverError> {
        let mut names = Vec::new();
        for place in Place::ALL {
            let path = self.root.join(place.directory());
            let failed = |error| fault(&self.pool, "listing", &path.display().to_string(), error);
            for entry in fs::read_dir(&path).map_err(failed)? {
                let file_name = entry.map_err(failed)?.file_name();
                let Some(file_name) = file_name.to_str().filter(|name| is_ours(name)) else {
                    continue;
                };
                if names.len() == OBJECTS_MAX {
                    let why = io::Error::other(format!("more than {OBJECTS_MAX} files"));
                    return Err(failed(why));
                }
                names.push(format!("{}/{file_name}", place.directory()));
            }
        }
        names.sort();
        Ok(names)
    }
}

/// A file under its name in `partial/`; unlinked when dropped, unless it was put in its final place. What a crash
/// leaves of it, the next try clears away.
#[derive(Debug)]
pub(super) struct Partial {
    layout: Layout,
    path: PathBuf,
    is_placed: AtomicBool,
}

impl Partial {
    pub(super) fn at(layout: &Layout, name: &Name) -> Self {
        Self {
            layout: layout.clone(),
            path: layout.partial(name),
            is_placed: AtomicBool::new(false),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// It now lies elsewhere, or is kept on purpose.
    pub(super) fn placed(&self) {
        self.is_placed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_placed.load(Ordering::Relaxed)
            && let Err(error) = self.layout.unlink(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a half-made file stays until the next try");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_form_of_name_is_ours() {
        let id = VolumeId::random();
        assert!(is_ours(&format!("volume-{id}")));
        assert!(is_ours(&format!("snapshot-{id}")));
        assert!(is_ours(&format!("volume-{id}.replaced")));
        for foreign in [
            "volume-1".to_owned(),
            format!("volume-{id}.bak"),
            format!("_snapshot-{id}"),
            format!("{id}"),
            "lost+found".to_owned(),
        ] {
            assert!(!is_ours(&foreign), "{foreign}");
        }
    }
}
