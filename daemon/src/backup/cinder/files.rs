//! What lies in the directory, found and opened. Nothing is followed out of it, and nothing but regular files is read.

use crate::backup::worker::pipe::Failure;
use crate::driver::Work;
use crate::model::id::{BackupId, VolumeId};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::{self, DirEntry, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Directories in directories: a container is three deep, and one of the administrator's naming hardly deeper.
const DEPTH_MAX: usize = 8;
/// More directories that cannot be read are not told.
const UNREADABLE_MAX: usize = 5;

/// The directory. Clones share everything.
#[derive(Debug, Clone)]
pub(in crate::backup) struct Files {
    root: PathBuf,
    calls: Arc<AtomicU64>,
    work: Work,
}

/// A backup, by the name of its metadata file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: BackupId,
    pub(super) volume_id: VolumeId,
    /// When it was begun: `YYYYMMDDhhmmss`.
    pub(super) begun_at: String,
    /// Cinder's container.
    directory: PathBuf,
    /// What the names of all its files begin with.
    pub(super) prefix: String,
}

impl Found {
    /// The backup whose metadata has this name; `None` for any other file.
    fn of(directory: &Path, name: &str) -> Option<Self> {
        let prefix = name.strip_suffix("_metadata")?;
        let (volume, rest) = prefix.strip_prefix("volume_")?.split_once('_')?;
        let (begun_at, backup) = rest.split_once("_backup_")?;
        let is_time = begun_at.len() == 14 && begun_at.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self {
            id: backup.parse().ok()?,
            volume_id: volume.parse().ok()?,
            begun_at: Some(begun_at.to_owned()).filter(|_| is_time)?,
            directory: directory.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    pub(super) fn metadata(&self) -> PathBuf {
        self.directory.join(format!("{}_metadata", self.prefix))
    }

    pub(super) fn hashes(&self) -> PathBuf {
        self.directory.join(format!("{}_sha256file", self.prefix))
    }

    /// The file of an object, by the number that Cinder gave it.
    pub(super) fn object(&self, number: u32) -> PathBuf {
        self.directory.join(object_name(&self.prefix, number))
    }
}

/// What Cinder calls an object's file.
pub(super) fn object_name(prefix: &str, number: u32) -> String {
    format!("{prefix}-{number:05}")
}

/// What a walk through the directory found.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// More than one where somebody made a copy within the directory.
    pub(super) backups: BTreeMap<BackupId, Vec<Found>>,
    /// Directories that could not be looked into.
    pub(super) unreadable: Vec<String>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) backups: u64,
    /// Bytes of all files.
    pub(super) used_bytes: u64,
    /// Whether that is all.
    pub(super) is_whole: bool,
}

impl Files {
    pub(in crate::backup) fn new(root: &Path, work: &Work) -> Self {
        Self {
            root: root.to_owned(),
            calls: Arc::default(),
            work: work.clone(),
        }
    }

    /// How many calls there were; it grows as long as something moves.
    pub(in crate::backup) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Every backup that has metadata, which Cinder writes last: one without was never finished.
    pub(super) fn walk(&self) -> Result<Walk, Failure> {
        let mut walk = Walk::default();
        let mut backups = BTreeMap::<BackupId, Vec<Found>>::new();
        walk.unreadable = self.each(&mut |directory, entry| {
            let name = entry.file_name();
            if let Some(found) = name.to_str().and_then(|name| Found::of(directory, name)) {
                backups.entry(found.id).or_default().push(found);
            }
            true
        })?;
        walk.backups = backups;
        Ok(walk)
    }

    /// Counts what there is, as far as it gets.
    pub(super) fn count(&self, within: Duration) -> Result<Count, Failure> {
        let end = Instant::now() + within;
        let mut count = Count {
            backups: 0,
            used_bytes: 0,
            is_whole: true,
        };
        self.each(&mut |directory, entry| {
            let name = entry.file_name();
            let is_backup = |name: &str| Found::of(directory, name).is_some();
            count.backups += u64::from(name.to_str().is_some_and(is_backup));
            // One that went away meanwhile takes nothing.
            count.used_bytes += entry.metadata().map_or(0, |told| told.len());
            count.is_whole = Instant::now() < end;
            count.is_whole
        })?;
        Ok(count)
    }

    /// Shows every file, until `see` has seen enough; the answer is which directories could not be looked into.
    fn each(&self, see: &mut dyn FnMut(&Path, &DirEntry) -> bool) -> Result<Vec<String>, Failure> {
        let mut unreadable = Vec::new();
        let mut goes_on = true;
        let mut directories = vec![(self.root.clone(), 0)];
        while goes_on && let Some((directory, depth)) = directories.pop() {
            let seen = self.each_in(&directory, &mut |entry| {
                let kind = entry.file_type()?;
                if kind.is_dir() && depth < DEPTH_MAX {
                    directories.push((entry.path(), depth + 1));
                } else if kind.is_file() {
                    goes_on = see(&directory, entry);
                }
                Ok(goes_on)
            });
            match seen {
                Ok(()) => {}
                Err(error) if depth == 0 || self.work.is_cancelled() => {
                    return Err(self.failed(&directory, &error));
                }
                Err(error) if unreadable.len() < UNREADABLE_MAX => {
                    unreadable.push(format!("{}: {error}", directory.display()));
                }
                Err(_) => {}
            }
        }
        Ok(unreadable)
    }

    fn each_in(
        &self,
        directory: &Path,
        see: &mut dyn FnMut(&DirEntry) -> io::Result<bool>,
    ) -> io::Result<()> {
        self.call()?;
        for entry in fs::read_dir(directory)? {
            self.call()?;
            if !see(&entry?)? {
                break;
            }
        }
        Ok(())
    }

    /// Opens a file, and neither what a link leads to nor what would keep its reader waiting.
    pub(super) fn open(&self, path: &Path) -> io::Result<Input> {
        self.call()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let odd = || io::Error::other("it is no regular file");
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => return Err(odd()),
            Err(errno) => return Err(errno.into()),
        };
        if !file.metadata()?.is_file() {
            return Err(odd());
        }
        Ok(Input {
            file,
            files: self.clone(),
        })
    }

    /// The length of a file, without opening it.
    pub(super) fn len_of(&self, path: &Path) -> io::Result<u64> {
        self.call()?;
        let told = fs::symlink_metadata(path)?;
        match told.is_file() {
            true => Ok(told.len()),
            false => Err(io::Error::other("it is no regular file")),
        }
    }

    /// What a failed call means: of a file that ought to be there, or of the store.
    pub(super) fn failed(&self, path: &Path, error: &io::Error) -> Failure {
        if self.work.is_cancelled() {
            return Failure::Cancelled;
        }
        let shown = path.display();
        if path == self.root {
            let why = format!("{shown} cannot be read: {error}; is the file system mounted?");
            return Failure::Unavailable(why);
        }
        match error.kind() == ErrorKind::NotFound {
            true => Failure::Damaged(format!("{shown} is missing")),
            false => Failure::Unavailable(format!("{shown} cannot be read: {error}")),
        }
    }

    /// What failed reading of a file means: of the store, where the system says so, and else of the file's content.
    pub(super) fn misread(
        &self,
        path: &Path,
        error: &io::Error,
        damaged: impl FnOnce(&str) -> Failure,
    ) -> Failure {
        match error.raw_os_error().is_some() || self.work.is_cancelled() {
            true => self.failed(path, error),
            false => damaged(&error.to_string()),
        }
    }

    /// Says that something moves, and stops it where the work was cancelled.
    fn call(&self) -> io::Result<()> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.work.is_cancelled() {
            true => Err(io::Error::other("cancelled")),
            false => Ok(()),
        }
    }
}

/// A file that is being read; it cannot be once the work is cancelled.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    files: Files,
}

impl Read for Input {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.files.call()?;
        self.file.read(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "volume_0a000000-0000-4000-8000-000000000001_20260102030405_backup_0b000000-0000-4000-8000-000000000002";

    #[test]
    fn a_backup_is_known_by_its_metadatas_name() {
        let found = Found::of(Path::new("/c"), &format!("{NAME}_metadata")).unwrap();
        assert_eq!(found.id.to_string(), "0b000000-0000-4000-8000-000000000002");
        assert_eq!(found.begun_at, "20260102030405");
        assert_eq!(found.prefix, NAME);
        assert_eq!(
            found.object(7),
            Path::new("/c").join(format!("{NAME}-00007"))
        );
        assert_eq!(
            found.object(123_456),
            Path::new("/c").join(format!("{NAME}-123456"))
        );
        for other in [
            format!("{NAME}_sha256file"),
            format!("{NAME}-00001"),
            format!("{NAME}_metadata.bak"),
            NAME.replace("20260102030405", "2026") + "_metadata",
            NAME.replace("0b000000", "../../..") + "_metadata",
            "_metadata".to_owned(),
        ] {
            assert_eq!(Found::of(Path::new("/c"), &other), None, "{other}");
        }
    }

    #[test]
    fn nothing_is_followed_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(directory.path(), &Work::default());
        let at = |name: &str| directory.path().join(name);
        fs::write(at("secret"), "x").unwrap();
        std::os::unix::fs::symlink(at("secret"), at("link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        std::os::unix::fs::symlink("/", at("out")).unwrap();
        assert!(files.open(&at("secret")).is_ok());
        for name in ["link", "pipe", "out"] {
            assert!(files.open(&at(name)).is_err(), "{name}");
            assert!(files.len_of(&at(name)).is_err(), "{name}");
        }
        let count = files.count(Duration::from_secs(60)).unwrap();
        assert_eq!(
            (count.backups, count.used_bytes, count.is_whole),
            (0, 1, true)
        );
        let some = files.count(Duration::ZERO).unwrap();
        assert!(!some.is_whole);
    }

    #[test]
    fn a_cancel_ends_reading_and_a_missing_directory_is_said_to_be() {
        let directory = tempfile::tempdir().unwrap();
        let work = Work::default();
        let files = Files::new(directory.path(), &work);
        fs::write(directory.path().join("x"), "x").unwrap();
        let mut input = files.open(&directory.path().join("x")).unwrap();
        work.cancel();
        assert!(input.read(&mut [0]).is_err());
        assert_eq!(files.walk().unwrap_err(), Failure::Cancelled);
        let gone = Files::new(&directory.path().join("gone"), &Work::default());
        let told = gone.walk().unwrap_err();
        assert!(
            matches!(&told, Failure::Unavailable(why) if why.contains("mounted")),
            "{told:?}"
        );
    }
}
