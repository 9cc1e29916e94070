//! Who may work on what, between workers: also between those of a daemon that died and those of the next.
//!
//! A lock is a file in the directory where this Ashlar keeps what it knows of its stores. The kernel lets go of it when
//! the process dies, however it dies.

use super::pipe::Failure;
use crate::driver::Work;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How often is looked whether a lock can be had.
const LOOK: Duration = Duration::from_millis(50);
/// A worker whose daemon died ends within seconds; one that hangs in a dead mount may not.
const CLAIM_WAIT: Duration = Duration::from_secs(60);
/// A prune that is alone, or what it waits for: both may take their time, and can be cancelled meanwhile.
const STORE_WAIT: Duration = Duration::from_secs(6 * 3600);

/// The directory where this Ashlar keeps what it knows of its stores; made when it is missing.
pub(in crate::backup) fn keep(state_dir: &Path) -> Result<PathBuf, Failure> {
    let keep = state_dir.join("backup");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&keep);
    match made {
        Ok(()) => Ok(keep),
        Err(error) => Err(Failure::Unavailable(format!(
            "{} cannot be used: {error}",
            keep.display()
        ))),
    }
}

/// Held until dropped.
#[derive(Debug)]
pub(in crate::backup) struct Lock {
    _file: File,
    /// Removed at the end, while it is still held.
    claim: Option<PathBuf>,
    was_left_behind: bool,
}

impl Lock {
    /// Whether the one who held it before died with it.
    pub(in crate::backup) fn was_left_behind(&self) -> bool {
        self.was_left_behind
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(path) = &self.claim {
            // A leftover is only a hint.
            let _ = fs::remove_file(path);
        }
    }
}

/// A place in a store, beside others; alone for who deletes what others may be about to use.
pub(in crate::backup) fn store(
    keep: &Path,
    name: &str,
    is_alone: bool,
    work: &Work,
) -> Result<Lock, Failure> {
    let path = keep.join(format!("{name}.lock"));
    let operation = match is_alone {
        true => FlockOperation::NonBlockingLockExclusive,
        false => FlockOperation::NonBlockingLockShared,
    };
    let file = take(&path, operation, STORE_WAIT, work)?;
    Ok(Lock {
        _file: file,
        claim: None,
        was_left_behind: false,
    })
}

/// One object (a backup, a device), for one worker at a time.
pub(in crate::backup) fn claim(keep: &Path, object: &str, work: &Work) -> Result<Lock, Failure> {
    let path = keep.join(format!("{object}.claim"));
    let was_left_behind = path.exists();
    let file = take(
        &path,
        FlockOperation::NonBlockingLockExclusive,
        CLAIM_WAIT,
        work,
    )?;
    Ok(Lock {
        _file: file,
        claim: Some(path),
        was_left_behind,
    })
}

/// One writer for a device, whatever it is restored from.
pub(in crate::backup) fn device(keep: &Path, path: &Path, work: &Work) -> Result<Lock, Failure> {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    let short: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    claim(keep, &format!("device-{short}"), work)
}

fn take(
    path: &Path,
    operation: FlockOperation,
    wait: Duration,
    work: &Work,
) -> Result<File, Failure> {
    let unusable = |error: io::Error| {
        Failure::Unavailable(format!(
            "the lock {} cannot be taken: {error}",
            path.display()
        ))
    };
    let deadline = Instant::now() + wait;
    loop {
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(unusable)?;
        match flock(&file, operation) {
            // Who held it may have removed it between our opening and now: then it is nobody's file.
            Ok(()) if is_at(&file, path) => return Ok(file),
            Ok(()) => continue,
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(errno) => return Err(unusable(errno.into())),
        }
        if work.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        if Instant::now() >= deadline {
            return Err(Failure::Unavailable(format!(
                "another worker held {} for {} s; is it hanging?",
                path.display(),
                wait.as_secs()
            )));
        }
        thread::park_timeout(LOOK);
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(found)) => (held.dev(), held.ino()) == (found.dev(), found.ino()),
        (Ok(_), Err(_)) | (Err(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_one_workers_and_says_when_it_was_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let work = Work::default();
        let held = claim(directory.path(), "x", &work).unwrap();
        assert!(!held.was_left_behind());
        let stopped = Work::default();
        stopped.cancel();
        assert_eq!(
            claim(directory.path(), "x", &stopped).unwrap_err(),
            Failure::Cancelled
        );
        drop(held);
        let again = claim(directory.path(), "x", &work).unwrap();
        assert!(!again.was_left_behind(), "it was given back");
        // As a kill leaves it.
        File::create(directory.path().join("y.claim")).unwrap();
        assert!(
            claim(directory.path(), "y", &work)
                .unwrap()
                .was_left_behind()
        );
    }

    #[test]
    fn a_store_has_many_or_one_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (work, stopped) = (Work::default(), Work::default());
        stopped.cancel();
        let one = store(directory.path(), "s", false, &work).unwrap();
        let two = store(directory.path(), "s", false, &stopped).unwrap();
        let alone = store(directory.path(), "s", true, &stopped);
        assert_eq!(alone.unwrap_err(), Failure::Cancelled);
        drop((one, two));
        let _alone = store(directory.path(), "s", true, &work).unwrap();
        let beside = store(directory.path(), "s", false, &stopped);
        assert_eq!(beside.unwrap_err(), Failure::Cancelled);
    }
}
