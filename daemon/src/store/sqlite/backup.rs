//! Copies of the record that are whole: made while the daemon runs, checked, and put in the record's place.
//!
//! A copy is of one instant (`VACUUM INTO` reads one snapshot of the database and disturbs no writer), is made beside
//! its name, checked, brought to the disk, and only then given that name, which it never takes from another file. A
//! restore checks the copy it made of the backup before it touches the record, keeps the old record beside, and
//! changes it for the new one in one rename. Nothing here runs a migration: the next start does.
//!
//! Knows no locks: whoever calls [`restore`] has seen to it that no daemon runs.

use super::checkup::damage;
use super::connection::{self, FLAGS, fault, pragma};
use crate::model::time::Time;
use crate::store::batch::StoreError;
use crate::store::migrations;
use rusqlite::{Connection, OpenFlags};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another process's lock is waited for; the daemon holds one for milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// What SQLite keeps beside a database in use.
const BESIDE: [&str; 2] = ["-wal", "-shm"];
/// More events than any record had since a backup of it, and few enough for thousands of restores within the numbers
/// that JSON's readers tell apart.
const LOST_EVENTS_MAX: i64 = 1_000_000_000_000;

/// Why a copy could not be made, checked or put in place; each says what is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no record to copy.
    #[error("there is no record at {}: has ashlard ever run with this configuration?", path.display())]
    NoRecord {
        /// Where it should be.
        path: PathBuf,
    },
    /// The name of the copy is taken.
    #[error("{} is there already and was left as it is: give the backup another name", path.display())]
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// What was given is no backup.
    #[error("{} cannot be restored, the record is as it was: {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// The copy does not hold what was copied.
    #[error("the copy of {} is damaged and was removed: {why}", path.display())]
    Damaged {
        /// What was copied.
        path: PathBuf,
        /// What the check found.
        why: String,
    },
    /// The file system refused.
    #[error("{doing} {} failed; {unchanged}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What is as it was.
        unchanged: &'static str,
        #[source]
        source: io::Error,
    },
    /// The database cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The database.
        path: PathBuf,
        #[source]
        source: StoreError,
    },
}

/// What a record holds, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// How many migrations it has run.
    pub schema: i64,
    /// Its length.
    pub len_bytes: u64,
    /// Rows by noun, in the order in which they are told.
    pub counts: Vec<(&'static str, i64)>,
    /// When its newest operation was begun; `None` when there never was one.
    pub newest: Option<Time>,
}

/// The nouns that are counted, and how. Tables of the first schema, so that every record has them.
const COUNTS: [(&str, &str); 6] = [
    ("volumes", "SELECT COUNT(*) FROM volumes"),
    ("snapshots", "SELECT COUNT(*) FROM snapshots"),
    ("attachments", "SELECT COUNT(*) FROM attachments"),
    ("volume types", "SELECT COUNT(*) FROM volume_types"),
    ("tokens", "SELECT COUNT(*) FROM tokens"),
    (
        "operations under way",
        "SELECT COUNT(*) FROM operations WHERE phase IN ('queued', 'running', 'undoing')",
    ),
];

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self
            .counts
            .iter()
            .map(|(noun, count)| format!("{noun} {count}"))
            .collect();
        write!(
            f,
            "schema {}, {} KiB: {}; ",
            self.schema,
            self.len_bytes.div_ceil(1024),
            counts.join(", ")
        )?;
        match &self.newest {
            Some(time) => write!(f, "the newest operation is of {time} UTC"),
            None => write!(f, "no operation was ever begun"),
        }
    }
}

/// Copies the record of a state directory to `to`, which must not be there, whether or not a daemon runs.
pub fn backup(dir: &Path, to: &Path) -> Result<Held, BackupError> {
    let record = record_of(dir)?;
    if to.symlink_metadata().is_ok() {
        let path = to.to_owned();
        return Err(BackupError::Exists { path });
    }
    let parent = parent_of(to);
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let partial = parent.join(format!(".{name}.partial-{}", std::process::id()));
    let made = make_copy(&record, &partial).and_then(|held| {
        let failed =
            |doing| io_failed(doing, to, "there is no backup, and the record is as it was");
        // Takes the name from nobody: a link, not a rename.
        fs::hard_link(&partial, to).map_err(|source| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                let path = to.to_owned();
                return BackupError::Exists { path };
            }
            failed("naming")(source)
        })?;
        Ok(held)
    });
    let removed = fs::remove_file(&partial);
    let held = made?;
    let failed = |doing| {
        io_failed(
            doing,
            to,
            "the record is as it was; do not rely on the backup",
        )
    };
    removed.map_err(failed("removing the unfinished name of"))?;
    sync_directory(&parent).map_err(failed("bringing to the disk"))?;
    Ok(held)
}

fn make_copy(record: &Path, partial: &Path) -> Result<Held, BackupError> {
    let failed = |doing| {
        io_failed(
            doing,
            partial,
            "there is no backup, and the record is as it was",
        )
    };
    let unreadable = |source| BackupError::Unreadable {
        path: record.to_owned(),
        source,
    };
    private_file(partial).map_err(failed("making"))?;
    let source = open(record, FLAGS).map_err(unreadable)?;
    is_ours(&source, record)?;
    // An existing, empty file is taken for the copy; it keeps its mode.
    source
        .execute("VACUUM INTO ?1", [partial.to_string_lossy()])
        .map_err(|error| unreadable(fault(error)))?;
    let file = File::open(partial).and_then(|file| file.sync_all());
    file.map_err(failed("bringing to the disk"))?;
    let copy = open(partial, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unreadable)?;
    let damage = damage(&copy).map_err(unreadable)?;
    if let Some(why) = damage.into_iter().next() {
        let path = record.to_owned();
        return Err(BackupError::Damaged { path, why });
    }
    held(&copy, partial).map_err(unreadable)
}

/// What became of a record that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the record holds now.
    pub held: Held,
    /// Where the old one was kept; `None` when there was none.
    pub kept: Option<PathBuf>,
}

/// Puts a copy of `from` in the place of the record of `dir`. No daemon may run there.
pub fn restore(dir: &Path, from: &Path) -> Result<Restored, BackupError> {
    let record = dir.join(connection::FILE_NAME);
    let unchanged = "the record is as it was";
    refuse_what_is_in_use(&record, from)?;
    let copy = dir.join(format!("ashlar.db.restoring-{}", std::process::id()));
    let copied = copy_and_check(from, &copy).and_then(|held| {
        let spoilt = |source| BackupError::Unreadable {
            path: copy.clone(),
            source,
        };
        forget_events(&copy).map_err(spoilt)?;
        Ok(held)
    });
    let placed = copied.and_then(|held| {
        let kept = keep_old(&record)?;
        fs::rename(&copy, &record).map_err(io_failed("putting in place", &record, unchanged))?;
        Ok(Restored { held, kept })
    });
    if placed.is_err() {
        // What is left of it would only take room; its absence is no failure.
        let _ = fs::remove_file(&copy);
    }
    let restored = placed?;
    sync_directory(dir).map_err(io_failed(
        "bringing to the disk",
        &record,
        "the backup is in its place, but a power cut might still undo that: restore again",
    ))?;
    Ok(restored)
}

fn refuse_what_is_in_use(record: &Path, from: &Path) -> Result<(), BackupError> {
    let unfit = |why: &str| BackupError::Unfit {
        path: from.to_owned(),
        why: why.to_owned(),
    };
    let told = fs::metadata(from).map_err(io_failed("opening", from, "the record is as it was"))?;
    if !told.is_file() {
        return Err(unfit("it is not a file"));
    }
    let same =
        fs::metadata(record).is_ok_and(|one| (one.dev(), one.ino()) == (told.dev(), told.ino()));
    if same {
        return Err(unfit("it is the record itself"));
    }
    if beside(from, BESIDE[0]).exists() {
        return Err(unfit(
            "it is a database in use, with a log beside it; make backups with `ashlard db backup`",
        ));
    }
    Ok(())
}

fn copy_and_check(from: &Path, copy: &Path) -> Result<Held, BackupError> {
    let failed = |doing| io_failed(doing, copy, "the record is as it was");
    let unfit = |why: String| BackupError::Unfit {
        path: from.to_owned(),
        why,
    };
    let _ = fs::remove_file(copy);
    let mut file = private_file(copy).map_err(failed("making"))?;
    let mut source = File::open(from).map_err(failed("reading the backup for"))?;
    io::copy(&mut source, &mut file).map_err(failed("copying the backup to"))?;
    file.sync_all().map_err(failed("bringing to the disk"))?;
    drop(file);
    let opened = open(copy, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let connection = opened.map_err(|error| unfit(error.to_string()))?;
    is_ours(&connection, from)?;
    let damage = damage(&connection).map_err(|error| unfit(told(&error)))?;
    if let Some(why) = damage.into_iter().next() {
        return Err(unfit(format!("it is damaged ({why}); take another backup")));
    }
    let held = held(&connection, copy).map_err(|error| unfit(told(&error)))?;
    let known = migrations::version(migrations::MIGRATIONS);
    if held.schema > known {
        return Err(unfit(
            StoreError::TooNew {
                found: held.schema,
                known,
            }
            .to_string(),
        ));
    }
    Ok(held)
}

/// Events that were told since the backup must not get their ids a second time: a reader who saw the first ones would
/// not hear of the second. So the newest gets an id beyond all of them, the older ones go, and every reader who comes
/// back is told of a gap. A record from before there were events has none.
fn forget_events(copy: &Path) -> Result<(), StoreError> {
    let connection = open(copy, FLAGS)?;
    if connection::has_table(&connection, "events")? {
        connection
            .execute_batch(&format!(
                "BEGIN; DELETE FROM events WHERE id < (SELECT MAX(id) FROM events); \
                 UPDATE events SET id = id + {LOST_EVENTS_MAX}; COMMIT"
            ))
            .map_err(fault)?;
    }
    // The last one to close it folds its log in.
    connection.close().map_err(|(_, error)| fault(error))
}

/// Gives the old record a second name, with what SQLite keeps beside it; the first name goes with the rename to come.
fn keep_old(record: &Path) -> Result<Option<PathBuf>, BackupError> {
    if !record.exists() {
        return Ok(None);
    }
    let failed = |doing| io_failed(doing, record, "the record is as it was");
    // Folds the log in, so that the record is one file. A damaged one cannot; then its log is kept as it is.
    if let Ok(old) = open(record, FLAGS) {
        let folded = old.pragma_query(None, "wal_checkpoint(TRUNCATE)", |_row| Ok(()));
        if let Err(error) = folded.and_then(|()| old.close().map_err(|(_, error)| error)) {
            tracing::warn!(%error, "the old record's log is kept beside it");
        }
    }
    let stamp: String = Time::now()
        .as_str()
        .chars()
        .filter(|letter| letter.is_ascii_digit() || *letter == 'T')
        .take("20260101T000000".len())
        .collect();
    let names = (0..100).map(|number| match number {
        0 => record.with_file_name(format!("ashlar.db.before-{stamp}")),
        number => record.with_file_name(format!("ashlar.db.before-{stamp}.{number}")),
    });
    for kept in names {
        match fs::hard_link(record, &kept) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(failed("keeping")(error)),
        }
        // Before the record is replaced: SQLite would read an old log into the new database.
        for suffix in BESIDE {
            let log = beside(record, suffix);
            if log.exists() {
                fs::rename(&log, beside(&kept, suffix)).map_err(failed("keeping the log of"))?;
            }
        }
        return Ok(Some(kept));
    }
    Err(failed("keeping")(io::ErrorKind::AlreadyExists.into()))
}

pub(super) fn held(connection: &Connection, path: &Path) -> Result<Held, StoreError> {
    let count = |query: &str| connection.query_row(query, [], |row| row.get::<_, i64>(0));
    let mut counts = Vec::new();
    for (noun, query) in COUNTS {
        counts.push((noun, count(query).map_err(fault)?));
    }
    let newest: Option<String> = connection
        .query_row("SELECT MAX(created_at) FROM operations", [], |row| {
            row.get(0)
        })
        .map_err(fault)?;
    Ok(Held {
        schema: pragma(connection, "user_version")?,
        len_bytes: fs::metadata(path).map_or(0, |told| told.len()),
        counts,
        newest: newest.map(Time::from_stored),
    })
}

pub(super) fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
    Ok(connection)
}

pub(super) fn is_ours(connection: &Connection, path: &Path) -> Result<(), BackupError> {
    let unfit = |why: String| BackupError::Unfit {
        path: path.to_owned(),
        why,
    };
    match pragma(connection, "application_id") {
        Ok(connection::APPLICATION_ID) => Ok(()),
        Ok(_) => Err(unfit("it is another program's database".to_owned())),
        Err(error) => Err(unfit(told(&error))),
    }
}

/// An error of the store with its cause, in one line.
fn told(error: &StoreError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

pub(super) fn record_of(dir: &Path) -> Result<PathBuf, BackupError> {
    let path = dir.join(connection::FILE_NAME);
    if path.exists() {
        Ok(path)
    } else {
        Err(BackupError::NoRecord { path })
    }
}

/// A new file that only its owner may read: a record holds secrets.
fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn io_failed(
    doing: &'static str,
    path: &Path,
    unchanged: &'static str,
) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io {
        doing,
        path: path.clone(),
        unchanged,
        source,
    }
}

#[cfg(test)]
mod tests;
