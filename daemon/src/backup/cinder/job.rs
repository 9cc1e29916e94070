//! The jobs that a store is asked to do.

use super::files::Files;
use super::{Place, compare, listing, restore, verify};
use crate::backup::worker::device::Opened;
use crate::backup::worker::lock;
use crate::backup::worker::pipe::{Answer, Failure, Task};
use crate::driver::Work;

/// Does one, by the worker that was started for it.
pub(in crate::backup) fn perform(
    place: &Place,
    task: &Task,
    files: &Files,
    work: &Work,
) -> Result<Answer, Failure> {
    match task {
        Task::Report => listing::report(files).map(Answer::Report),
        Task::List => listing::list(files).map(Answer::Backups),
        Task::Restore {
            backup,
            volume,
            is_blank,
        } => {
            let _claim = lock::device(&place.keep, &volume.path, work)?;
            let target = Opened::to_write(volume)?;
            restore::restore(files, *backup, &target, *is_blank, work)?;
            Ok(Answer::Changed(true))
        }
        Task::Compare { backup, volume } => {
            compare::compare(files, *backup, &Opened::to_read(volume)?, work)?;
            Ok(Answer::Changed(false))
        }
        Task::Verify { backup, depth } => {
            verify::verify(files, *backup, *depth, work).map(Answer::Findings)
        }
        Task::Store { .. } | Task::Remove { .. } | Task::Prune => Err(Failure::ReadOnly),
    }
}
