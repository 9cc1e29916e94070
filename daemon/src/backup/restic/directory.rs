//! A repository's files in a local directory, or in one that is mounted (NFS).
//!
//! Why not the library's own backend for this: that one logs an error of listing and goes on with a shorter list. A
//! prune that sees no snapshots, since their directory could not be read, would delete everything. Here every error is
//! one, the first of them is kept with what was being done (the library tells only words), and names are on the disk,
//! not only bytes, when a write returns.

use crate::driver::Work;
use bytes::Bytes;
use rustic_core::{
    BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend,
};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What a file is called while it is written; restic's name for the same.
const TEMPORARY: &str = "-tmp-";
const WRITING: &str = "writing";

/// A failed call, as it was.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) doing: &'static str,
    pub(super) path: PathBuf,
    pub(super) kind: io::ErrorKind,
    pub(super) text: String,
}

/// The directory. Clones share everything.
#[derive(Debug, Clone)]
pub(in crate::backup) struct Directory {
    root: PathBuf,
    state: Arc<State>,
    work: Work,
}

#[derive(Debug, Default)]
struct State {
    first_fault: Mutex<Option<Fault>>,
    failed_write: Mutex<Option<Fault>>,
    /// Whether a cancel stops calls too.
    is_cut_short: AtomicBool,
    written_bytes: AtomicU64,
    calls: AtomicU64,
}

impl Directory {
    pub(in crate::backup) fn new(root: &Path, work: &Work) -> Self {
        Self {
            root: root.to_owned(),
            state: Arc::default(),
            work: work.clone(),
        }
    }

    /// From now on a cancel makes every call fail: how work that the library does by itself is stopped.
    pub(super) fn cut_short_when_cancelled(&self) {
        self.state.is_cut_short.store(true, Ordering::Relaxed);
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether calls fail since the work was cancelled.
    pub(super) fn is_cancelled(&self) -> bool {
        self.state.is_cut_short.load(Ordering::Relaxed) && self.work.is_cancelled()
    }

    /// The first call that failed since this was last asked, if one did.
    pub(super) fn take_fault(&self) -> Option<Fault> {
        let fault = &self.state.first_fault;
        fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The first write that failed, if one did. The library goes on after that, to no end.
    pub(super) fn failed_write(&self) -> Option<Fault> {
        let fault = &self.state.failed_write;
        fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn written_bytes(&self) -> u64 {
        self.state.written_bytes.load(Ordering::Relaxed)
    }

    /// How many calls there were; it grows as long as something moves.
    pub(in crate::backup) fn calls(&self) -> u64 {
        self.state.calls.load(Ordering::Relaxed)
    }

    /// Bytes of all the repository's files.
    pub(super) fn used_bytes(&self) -> RusticResult<u64> {
        let kinds = [
            FileType::Key,
            FileType::Snapshot,
            FileType::Index,
            FileType::Pack,
        ];
        let mut used_bytes = 0;
        for kind in kinds {
            let sizes = self.list_with_size(kind)?;
            used_bytes += sizes.iter().map(|(_, size)| u64::from(*size)).sum::<u64>();
        }
        Ok(used_bytes)
    }

    /// Removes what writers that were killed left half written, once it is so old that nobody writes it.
    pub(super) fn remove_half_written(&self, older_than: Duration) -> io::Result<u64> {
        let mut freed_bytes = 0;
        for kind in [FileType::Pack, FileType::Index, FileType::Snapshot] {
            for directory in self.directories(kind)? {
                for entry in fs::read_dir(&directory)? {
                    let entry = entry?;
                    let is_temporary = entry.file_name().to_string_lossy().contains(TEMPORARY);
                    if !is_temporary {
                        continue;
                    }
                    let meta = match entry.metadata() {
                        Ok(meta) => meta,
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        Err(error) => return Err(error),
                    };
                    if age(&meta) >= older_than {
                        fs::remove_file(entry.path())?;
                        freed_bytes += meta.len();
                    }
                }
            }
        }
        Ok(freed_bytes)
    }

    fn file_name(kind: FileType, id: &Id) -> String {
        match kind {
            FileType::Config => "config".to_owned(),
            FileType::Index | FileType::Key | FileType::Snapshot | FileType::Pack => {
                id.to_hex().as_str().to_owned()
            }
        }
    }

    fn home(&self, kind: FileType, id: &Id) -> PathBuf {
        match kind {
            FileType::Config => self.root.clone(),
            FileType::Pack => {
                let hex = id.to_hex();
                let (first_byte, _) = hex.as_str().split_at(2);
                self.root.join(kind.dirname()).join(first_byte)
            }
            FileType::Index | FileType::Key | FileType::Snapshot => self.root.join(kind.dirname()),
        }
    }

    fn path(&self, kind: FileType, id: &Id) -> PathBuf {
        self.home(kind, id).join(Self::file_name(kind, id))
    }

    /// Where files of this kind lie. Packs are spread over directories.
    fn directories(&self, kind: FileType) -> io::Result<Vec<PathBuf>> {
        let top = self.root.join(kind.dirname());
        if kind != FileType::Pack {
            return Ok(vec![top]);
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&top)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found.push(entry.path());
            }
        }
        Ok(found)
    }

    fn sizes(&self, kind: FileType) -> io::Result<Vec<(Id, u32)>> {
        if kind == FileType::Config {
            return match fs::metadata(self.root.join("config")) {
                Ok(meta) => Ok(vec![(Id::default(), len_u32(&meta)?)]),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(error) => Err(error),
            };
        }
        let mut found = Vec::new();
        for directory in self.directories(kind)? {
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                let name = entry.file_name();
                let Some(Ok(id)) = name.to_str().map(str::parse::<Id>) else {
                    continue;
                };
                match entry.metadata() {
                    Ok(meta) if meta.is_file() => found.push((id, len_u32(&meta)?)),
                    Ok(_) => {}
                    // Removed since by somebody else.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(found)
    }

    fn write(&self, kind: FileType, id: &Id, content: &BytesList) -> io::Result<()> {
        let home = self.home(kind, id);
        if kind == FileType::Pack {
            // Only this one level: were the root not there (not mounted), it must not be made.
            match fs::create_dir(&home) {
                Ok(()) => File::open(self.root.join(kind.dirname()))?.sync_all()?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        let name = Self::file_name(kind, id);
        let temporary = home.join(format!("{name}{TEMPORARY}"));
        let written = self
            .write_out(&temporary, content)
            .and_then(|()| fs::rename(&temporary, home.join(name)));
        if let Err(error) = written {
            // Its room is wanted; if that fails too, a later prune removes it.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        File::open(&home)?.sync_all()
    }

    fn write_out(&self, path: &Path, content: &BytesList) -> io::Result<()> {
        let mut file = File::create(path)?;
        for part in content.slice() {
            file.write_all(part)?;
            let len = u64::try_from(part.len()).unwrap_or(u64::MAX);
            self.state.written_bytes.fetch_add(len, Ordering::Relaxed);
        }
        file.sync_all()
    }

    /// Does one call, unless the work was cancelled, and remembers how the first one failed.
    fn call<T>(
        &self,
        doing: &'static str,
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> RusticResult<T> {
        self.state.calls.fetch_add(1, Ordering::Relaxed);
        if self.is_cancelled() {
            return Err(RusticError::new(ErrorKind::Backend, "cancelled"));
        }
        act().map_err(|error| {
            let fault = Fault {
                doing,
                path: path.to_owned(),
                kind: error.kind(),
                text: error.to_string(),
            };
            let words = format!("{doing} {}", path.display());
            if doing == WRITING {
                let failed = &self.state.failed_write;
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert_with(|| fault.clone());
            }
            let first = &self.state.first_fault;
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(fault);
            RusticError::with_source(ErrorKind::Backend, words, error)
        })
    }
}

fn len_u32(meta: &fs::Metadata) -> io::Result<u32> {
    u32::try_from(meta.len())
        .map_err(|_| io::Error::other("a file of 4 GiB or more is no part of it"))
}

/// How long ago a file was written. By the clock of files, which is not that of the record.
#[expect(
    clippy::disallowed_methods,
    reason = "it is compared with times of files"
)]
fn age(meta: &fs::Metadata) -> Duration {
    let written = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    SystemTime::now()
        .duration_since(written)
        .unwrap_or_default()
}

impl ReadBackend for Directory {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let path = self.root.join(kind.dirname());
        self.call("listing", &path, || self.sizes(kind))
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        let path = self.path(kind, id);
        self.call("reading", &path, || Ok(fs::read(&path)?.into()))
    }

    fn read_partial(
        &self,
        kind: FileType,
        id: &Id,
        _cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let path = self.path(kind, id);
        self.call("reading", &path, || {
            let len = usize::try_from(length).map_err(io::Error::other)?;
            let mut bytes = vec![0; len];
            File::open(&path)?.read_exact_at(&mut bytes, offset.into())?;
            Ok(bytes.into())
        })
    }

    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        self.path(kind, id).display().to_string()
    }
}

impl WriteBackend for Directory {
    fn create(&self) -> RusticResult<()> {
        self.call("making", &self.root, || {
            for kind in [
                FileType::Key,
                FileType::Snapshot,
                FileType::Index,
                FileType::Pack,
            ] {
                match fs::create_dir(self.root.join(kind.dirname())) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
            File::open(&self.root)?.sync_all()
        })
    }

    fn write_bytes(
        &self,
        kind: FileType,
        id: &Id,
        _cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        let path = self.path(kind, id);
        self.call(WRITING, &path, || self.write(kind, id, &content))
    }

    fn remove(&self, kind: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let path = self.path(kind, id);
        self.call("removing", &path, || {
            match fs::remove_file(&path) {
                Ok(()) => {}
                // Somebody else was faster, or an earlier try.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            }
            // What is gone must not come back with a power cut: a prune that forgot it would take it for a stray.
            match kind {
                FileType::Pack => Ok(()),
                FileType::Config | FileType::Index | FileType::Key | FileType::Snapshot => {
                    File::open(self.home(kind, id))?.sync_all()
                }
            }
        })
    }
}
