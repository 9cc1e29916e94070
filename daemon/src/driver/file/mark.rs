//! Whose a directory is: the owner's mark, and the lock that a running daemon holds on it.
//!
//! The mark is written once and names the pool by a random id; the lock (flock) is the kernel's and ends with the
//! process, however it ends. A directory without a mark is taken only while it is empty, so that nobody's files ever
//! lie between ours. The id is remembered outside of the directory too: where a pool was, an empty directory is the
//! mount point of a file system that was not mounted, and must not be taken for a new pool whose volumes are all gone.

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use uuid::Uuid;

const MARK: &str = "ashlar-pool";
const FIRST_LINE: &str = "ashlar file pool 1";
/// A mark has 70 bytes; a longer file is none of ours.
const MARK_BYTES_MAX: u64 = 1024;

/// Why a directory cannot be used as a pool; nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error(
        "{} is used by another ashlard (its file {MARK} is locked); stop that one, or give this one another directory",
        directory.display()
    )]
    InUse {
        /// The pool's directory.
        directory: PathBuf,
    },
    /// Something else lies there.
    #[error(
        "{} holds files but no mark of Ashlar's ({MARK}); give an empty directory",
        directory.display()
    )]
    Foreign {
        /// The pool's directory.
        directory: PathBuf,
    },
    /// The mark is not one that this version wrote or can read.
    #[error("{} is not a mark that this ashlard understands", path.display())]
    BadMark {
        /// The mark.
        path: PathBuf,
    },
    /// Another pool, or none, lies where one was.
    #[error(
        "{} is not the pool {pool_id} that was here before; is its file system mounted? To begin anew, without the \
         volumes of that pool, remove {}",
        directory.display(),
        memory.display()
    )]
    AnotherPool {
        /// The pool's directory.
        directory: PathBuf,
        /// The pool that was here.
        pool_id: Uuid,
        /// Where that is remembered.
        memory: PathBuf,
    },
    /// The system refused.
    #[error("{doing} failed on {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The mark, open and locked.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    path: PathBuf,
    pool_id: Uuid,
}

impl Mark {
    /// Makes `directory` where it is missing, and takes it for this process. `memory` is the file in which the pool's
    /// id is remembered.
    pub(super) fn take(directory: &Path, memory: &Path) -> Result<Self, OpenError> {
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io {
                doing,
                path,
                source,
            }
        };
        let path = directory.join(MARK);
        let remembered = recall(memory)?;
        let is_marked = path.try_exists().map_err(io("looking", &path))?;
        let another = |pool_id| OpenError::AnotherPool {
            directory: directory.to_owned(),
            pool_id,
            memory: memory.to_owned(),
        };
        if let Some(pool_id) = remembered.filter(|_| !is_marked) {
            return Err(another(pool_id));
        }
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(directory)
            .map_err(io("making the directory", directory))?;
        if !is_marked && !is_empty(directory).map_err(io("listing", directory))? {
            let directory = directory.to_owned();
            return Err(OpenError::Foreign { directory });
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io("opening", &path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let directory = directory.to_owned();
                return Err(OpenError::InUse { directory });
            }
            Err(error) => return Err(io("locking", &path)(error.into())),
        }
        let pool_id = match read_mark(&mut file).map_err(io("reading", &path))? {
            Found::Id(id) => id,
            // New, or a crash came between its creation and its first line; we hold the lock, so it is ours to write.
            Found::Nothing => {
                if let Some(pool_id) = remembered {
                    return Err(another(pool_id));
                }
                let id = Uuid::new_v4();
                write_mark(&mut file, id, directory).map_err(io("writing", &path))?;
                id
            }
            Found::Other => return Err(OpenError::BadMark { path }),
        };
        match remembered {
            Some(remembered) if remembered != pool_id => return Err(another(remembered)),
            Some(_) => {}
            None => remember(memory, pool_id).map_err(io("writing", memory))?,
        }
        Ok(Self {
            file,
            path,
            pool_id,
        })
    }

    /// The pool's random id, the same for as long as the directory exists.
    pub(super) fn pool_id(&self) -> Uuid {
        self.pool_id
    }

    /// The mark's file; it lies on the pool's file system.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Whether the path still leads to the mark that we hold; it does not when the file system was unmounted, or the
    /// directory was replaced under us.
    pub(super) fn is_in_place(&self) -> bool {
        match (self.file.metadata(), fs::metadata(&self.path)) {
            (Ok(held), Ok(found)) => held.dev() == found.dev() && held.ino() == found.ino(),
            (Err(_), _) | (_, Err(_)) => false,
        }
    }
}

fn is_empty(directory: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        // A fresh ext4 has this one.
        if entry?.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}

enum Found {
    Nothing,
    Id(Uuid),
    Other,
}

fn read_mark(file: &mut File) -> io::Result<Found> {
    let mut bytes = Vec::new();
    file.take(MARK_BYTES_MAX).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Ok(Found::Nothing);
    }
    let id = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.strip_prefix(FIRST_LINE)?.strip_prefix("\nid "))
        .and_then(|rest| Uuid::try_parse(rest.trim_end()).ok());
    Ok(id.map_or(Found::Other, Found::Id))
}

fn write_mark(file: &mut File, id: Uuid, directory: &Path) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    // One write of less than a block: a crash leaves nothing or all of it.
    file.write_all(format!("{FIRST_LINE}\nid {}\n", id.hyphenated()).as_bytes())?;
    file.sync_all()?;
    File::open(directory)?.sync_all()
}

/// The pool that was here when it was last opened.
fn recall(memory: &Path) -> Result<Option<Uuid>, OpenError> {
    match fs::read_to_string(memory) {
        Ok(text) => match Uuid::try_parse(text.trim_end()) {
            Ok(id) => Ok(Some(id)),
            Err(_) => Err(OpenError::BadMark {
                path: memory.to_owned(),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::Io {
            doing: "reading",
            path: memory.to_owned(),
            source,
        }),
    }
}

/// Written beside and renamed: there is a whole id or none.
fn remember(memory: &Path, id: Uuid) -> io::Result<()> {
    let beside = memory.with_added_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(format!("{}\n", id.hyphenated()).as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, memory)?;
    match memory.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_and_the_id_stays() {
        let directory = tempfile::tempdir().unwrap();
        let pool = directory.path().join("a/b");
        let memory = directory.path().join("memory");
        let first = Mark::take(&pool, &memory).unwrap();
        assert!(matches!(
            Mark::take(&pool, &memory),
            Err(OpenError::InUse { .. })
        ));
        assert!(first.is_in_place());
        let id = first.pool_id();
        drop(first);
        let again = Mark::take(&pool, &memory).unwrap();
        assert_eq!(again.pool_id(), id);
        fs::remove_file(pool.join(MARK)).unwrap();
        assert!(!again.is_in_place());
    }

    #[test]
    fn foreign_directories_and_marks_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let beside = tempfile::tempdir().unwrap();
        let memory = beside.path().join("memory");
        fs::create_dir(directory.path().join("lost+found")).unwrap();
        fs::write(directory.path().join("thesis.tex"), "x").unwrap();
        assert!(matches!(
            Mark::take(directory.path(), &memory),
            Err(OpenError::Foreign { .. })
        ));
        fs::remove_file(directory.path().join("thesis.tex")).unwrap();
        drop(Mark::take(directory.path(), &memory).unwrap());
        fs::write(directory.path().join(MARK), "ashlar file pool 2\nid x\n").unwrap();
        assert!(matches!(
            Mark::take(directory.path(), &memory),
            Err(OpenError::BadMark { .. })
        ));
        fs::write(directory.path().join(MARK), "").unwrap();
        assert!(matches!(
            Mark::take(directory.path(), &memory),
            Err(OpenError::AnotherPool { .. })
        ));
        fs::remove_file(&memory).unwrap();
        assert!(
            Mark::take(directory.path(), &memory).is_ok(),
            "a half-made mark"
        );
    }

    #[test]
    fn an_empty_mount_point_is_not_a_new_pool() {
        let directory = tempfile::tempdir().unwrap();
        let (pool, memory) = (
            directory.path().join("pool"),
            directory.path().join("memory"),
        );
        let id = Mark::take(&pool, &memory).unwrap().pool_id();
        let mounted_elsewhere = directory.path().join("elsewhere");
        fs::rename(&pool, &mounted_elsewhere).unwrap();
        // Neither when it is missing, nor empty, nor another pool's.
        let refused = Mark::take(&pool, &memory);
        assert!(matches!(refused, Err(OpenError::AnotherPool { pool_id, .. }) if pool_id == id));
        assert!(!pool.exists(), "nothing was made");
        fs::create_dir(&pool).unwrap();
        let refused = Mark::take(&pool, &memory);
        assert!(matches!(refused, Err(OpenError::AnotherPool { .. })));
        assert!(is_empty(&pool).unwrap(), "nothing was made");
        drop(Mark::take(&pool, &directory.path().join("other memory")).unwrap());
        let refused = Mark::take(&pool, &memory);
        assert!(matches!(refused, Err(OpenError::AnotherPool { .. })));
        // Mounted again, or given up on purpose.
        assert_eq!(
            Mark::take(&mounted_elsewhere, &memory).unwrap().pool_id(),
            id
        );
        fs::remove_file(&memory).unwrap();
        assert!(Mark::take(&pool, &memory).is_ok());
    }
}
