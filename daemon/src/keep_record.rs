//! `ashlard db`: a backup of the record while the daemon runs, its restore while none does, and a look at it.
//!
//! What is told of a restore is part of the act: volumes and records are kept in different places, and who puts back
//! an older record must know what that means for what was made since. Nothing here touches a volume's bytes.

use crate::config::{Config, RoleName};
use crate::locks;
use crate::store::backup::{self, BackupError};
use crate::store::checkup::{self, Checked};
use crate::{RunError, make_directory};
use std::path::Path;

/// Why `ashlard db` did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The copy could not be made, checked or put in place.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A daemon runs, or the state directory cannot be used.
    #[error("the record was left as it is")]
    Run(#[source] RunError),
    /// The record is damaged or contradicts itself.
    #[error("{count} findings; see above")]
    Findings {
        /// How many.
        count: usize,
    },
}

/// Copies the record to `to`; the answer is what to tell.
pub fn back_up(config: &Config, to: &Path) -> Result<String, RecordError> {
    let held = backup::backup(&config.state_dir, to)?;
    Ok(format!(
        "{}: whole and on the disk; {held}.\n\
         It holds CHAP secrets and hashes of tokens: keep it as safe as the record itself. The volumes' data is in \
         their pools, not in it.",
        to.display()
    ))
}

/// Puts `from` in the place of the record; the answer is what to tell. Refused while any role runs.
pub fn restore(config: &Config, from: &Path) -> Result<String, RecordError> {
    make_directory(&config.state_dir).map_err(RecordError::Run)?;
    let mut held_locks = Vec::new();
    for role in RoleName::ALL {
        let lock = locks::take(&config.state_dir, role);
        held_locks.push(lock.map_err(|error| RecordError::Run(error.into()))?);
    }
    let restored = backup::restore(&config.state_dir, from)?;
    drop(held_locks);
    let kept = match &restored.kept {
        Some(kept) => format!("The record that was here is kept as {}.", kept.display()),
        None => "There was no record here before.".to_owned(),
    };
    Ok(format!(
        "The record is that of {} now; {}. {kept}\n\
         Before you start ashlard, know what it will make of what happened since the backup:\n\
         - Volumes and snapshots made since are unknown files in their pools' volumes/ and snapshots/. They are never \
         touched; to have one back, move it into the pool's import/ and manage it.\n\
         - Volumes and snapshots deleted since are recorded again, without their data: delete them again.\n\
         - Sizes, types and names are those of then; an extended volume keeps its longer file.\n\
         - Who may log in is as it was then: hosts connected since are shut out at the start.\n\
         - Tokens revoked since count again: revoke them again. Volumes that changed hands since are the giver's again.\n\
         - Operations that were under way then go on; an older schema is brought up to date at the start.",
        from.display(),
        restored.held
    ))
}

/// Looks at the record, or at a copy; the answer is what to tell of it.
pub fn check(config: &Config, copy: Option<&Path>) -> Result<Checked, RecordError> {
    Ok(checkup::check(&config.state_dir, copy)?)
}
