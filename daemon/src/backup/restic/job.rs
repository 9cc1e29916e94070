//! The jobs that a store is asked to do, each under the locks that it needs.

use super::directory::Directory;
use super::key::Place;
use super::repository::{Repository, explain};
use super::store::{Copy, store};
use super::{restore, upkeep, verify};
use crate::backup::worker::device::Opened;
use crate::backup::worker::lock;
use crate::backup::worker::pipe::{Answer, Failure, Task};
use crate::driver::Work;
use crate::model::id::BackupId;
use std::time::Duration;

/// Does one, by the worker that was started for it.
pub(in crate::backup) fn perform(
    place: &Place,
    task: &Task,
    directory: &Directory,
    work: &Work,
) -> Result<Answer, Failure> {
    match task {
        Task::Store {
            description,
            volume,
            data,
            parent,
            changed,
        } => {
            let _store = share(place, work)?;
            let claim = claim(place, description.id, work)?;
            let copy = Copy {
                description,
                volume,
                data: data.as_deref(),
                parent: *parent,
                changed: changed.clone(),
                was_left_behind: claim.was_left_behind(),
            };
            store(Repository::open(place, directory)?, &copy, work).map(Answer::Stored)
        }
        // Whatever else it is, it may be cut off between any two calls.
        Task::Report
        | Task::Restore { .. }
        | Task::Compare { .. }
        | Task::Remove { .. }
        | Task::Prune
        | Task::List
        | Task::Verify { .. } => {
            directory.cut_short_when_cancelled();
            perform_short(place, task, directory, work)
        }
    }
}

fn perform_short(
    place: &Place,
    task: &Task,
    directory: &Directory,
    work: &Work,
) -> Result<Answer, Failure> {
    match task {
        Task::Report => {
            // Two that make it at once would make two.
            let _making = lock::claim(&place.keep, &format!("{}.report", place.store), work)?;
            let repository = Repository::open_or_make(place, directory)?;
            upkeep::report(&repository).map(Answer::Report)
        }
        Task::List => upkeep::list(Repository::open(place, directory)?).map(Answer::Backups),
        Task::Restore {
            backup,
            volume,
            is_blank,
        } => {
            let _store = share(place, work)?;
            let _claim = lock::device(&place.keep, &volume.path, work)?;
            let target = Opened::to_write(volume)?;
            restore_to(place, *backup, &target, *is_blank, directory, work)?;
            Ok(Answer::Changed(true))
        }
        Task::Compare { backup, volume } => {
            let _store = share(place, work)?;
            let target = Opened::to_compare(volume)?;
            restore_to(place, *backup, &target, false, directory, work)?;
            Ok(Answer::Changed(false))
        }
        Task::Remove { backup } => {
            let _store = share(place, work)?;
            let _claim = claim(place, *backup, work)?;
            let repository = Repository::open(place, directory)?;
            upkeep::remove(&repository, *backup).map(Answer::Changed)
        }
        Task::Prune => {
            let keep_deleted = Duration::from_secs(place.keep_deleted_s);
            let is_alone = keep_deleted.is_zero();
            let _store = lock::store(&place.keep, &place.store, is_alone, work)?;
            let repository = Repository::open(place, directory)?;
            upkeep::prune(&repository, keep_deleted).map(Answer::FreedBytes)
        }
        Task::Verify { backup, depth } => {
            let _store = share(place, work)?;
            let repository = Repository::open(place, directory)?;
            verify::verify(repository, *backup, *depth, work).map(Answer::Findings)
        }
        Task::Store { .. } => Err(Failure::Unavailable("a copy is no short task".to_owned())),
    }
}

fn restore_to(
    place: &Place,
    id: BackupId,
    target: &Opened,
    is_blank: bool,
    directory: &Directory,
    work: &Work,
) -> Result<(), Failure> {
    let repository = Repository::open(place, directory)?;
    let backup = repository.backup(id)?;
    let need_bytes = backup.about.as_ref().map_or(0, |about| about.len_bytes);
    target.holds(need_bytes)?;
    let rustic = repository.indexed()?;
    let explained = |error: &rustic_core::RusticError| explain(directory, error);
    restore::restore(
        &rustic,
        &backup.snapshot,
        target,
        is_blank,
        work,
        &explained,
    )
}

/// A place in the store beside others.
fn share(place: &Place, work: &Work) -> Result<lock::Lock, Failure> {
    lock::store(&place.keep, &place.store, false, work)
}

fn claim(place: &Place, backup: BackupId, work: &Work) -> Result<lock::Lock, Failure> {
    lock::claim(&place.keep, &format!("{}.{backup}", place.store), work)
}
