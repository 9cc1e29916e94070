//! One process a role on a state directory: what a queue holds has one worker, and two schedulers would not know of
//! each other's choices. The kernel lets go of a lock when its process dies, however it dies.

use crate::config::RoleName;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A role that this process holds on a state directory; held until dropped.
#[derive(Debug)]
pub struct RoleLock {
    _file: File,
}

/// Why a role cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another ashlard runs the role {role} on {}: stop it, or give this one another state_dir", directory.display())]
    Held {
        /// The role.
        role: &'static str,
        /// The state directory.
        directory: PathBuf,
    },
    /// The lock file cannot be used.
    #[error("the lock {} cannot be taken", path.display())]
    Unusable {
        /// The lock file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Takes a role, at once or not at all.
pub fn take(state_dir: &Path, role: RoleName) -> Result<RoleLock, LockError> {
    let word = match role {
        RoleName::Api => "api",
        RoleName::Scheduler => "scheduler",
        RoleName::Volume => "volume",
        RoleName::Backup => "backup",
    };
    let path = state_dir.join(format!("{word}.lock"));
    let unusable = |source| LockError::Unusable {
        path: path.clone(),
        source,
    };
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(unusable)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(RoleLock { _file: file }),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Held {
            role: word,
            directory: state_dir.to_owned(),
        }),
        Err(errno) => Err(unusable(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_a_role() {
        let directory = tempfile::tempdir().unwrap();
        let held = take(directory.path(), RoleName::Volume).unwrap();
        take(directory.path(), RoleName::Api).unwrap();
        let refused = take(directory.path(), RoleName::Volume).unwrap_err();
        assert!(matches!(refused, LockError::Held { role: "volume", .. }));
        drop(held);
        take(directory.path(), RoleName::Volume).unwrap();
    }
}
