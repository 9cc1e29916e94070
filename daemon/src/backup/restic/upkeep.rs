//! What a repository has, and giving back what nobody needs.

use super::layout::{About, TAG};
use super::repository::{Repository, about_from_tree, explain, is_unfinished};
use crate::backup::worker::pipe::Failure;
use crate::backup::{Description, StoreReport, Stored};
use crate::model::id::BackupId;
use rustic_core::PruneOptions;
use rustic_core::jiff::{SignedDuration, Span};
use std::time::Duration;

pub(super) fn report(repository: &Repository) -> Result<StoreReport, Failure> {
    let (backups, _) = repository.backups()?;
    let directory = repository.directory();
    let used_bytes = directory.used_bytes();
    let room = rustix::fs::statvfs(directory.root());
    Ok(StoreReport {
        location: directory.root().display().to_string(),
        repository_id: repository.id(),
        used_bytes: used_bytes.map_err(|error| repository.explain(&error))?,
        free_bytes: room.ok().map(|room| room.f_bavail * room.f_frsize),
        backups: backups.len() as u64,
    })
}

/// Oldest first. A snapshot that lost its description (restic leaves it out of a copy) is asked for in its tree.
pub(super) fn list(repository: Repository) -> Result<Vec<(Description, Stored)>, Failure> {
    let (backups, unreadable) = repository.backups()?;
    for why in unreadable {
        tracing::warn!(
            store = repository.name(),
            why,
            "a snapshot is left out of the list"
        );
    }
    let mut backups: Vec<_> = backups.into_values().collect();
    backups.sort_by(|one, other| one.snapshot.time.cmp(&other.snapshot.time));
    if backups.iter().any(|backup| backup.about.is_none()) {
        let directory = repository.directory().clone();
        let rustic = repository.indexed()?;
        for backup in backups.iter_mut().filter(|backup| backup.about.is_none()) {
            let about = about_from_tree(&rustic, &backup.snapshot);
            backup.about = about.map_err(|error| explain(&directory, &error))?;
        }
    }
    let told = |about: About| Some((about.description, about.stored?));
    Ok(backups
        .into_iter()
        .filter_map(|backup| told(backup.about?))
        .collect())
}

/// Whether there was one.
pub(super) fn remove(repository: &Repository, id: BackupId) -> Result<bool, Failure> {
    let (snapshots, unreadable) = repository.snapshots()?;
    let is_of = |snapshot: &&rustic_core::repofile::SnapshotFile| {
        super::repository::backup_of(snapshot, TAG) == Some(id) || is_unfinished(snapshot, id)
    };
    let ids: Vec<_> = snapshots
        .iter()
        .filter(is_of)
        .map(|snapshot| snapshot.id)
        .collect();
    if ids.is_empty() {
        // It may be the one that cannot be read: then it is not known to be gone.
        return match unreadable.first() {
            Some(why) => Err(Failure::Damaged(why.clone())),
            None => Ok(false),
        };
    }
    repository.delete(&ids)?;
    Ok(true)
}

/// Deletes what no snapshot needs, Ashlar's or not, and how many bytes that were.
///
/// In two phases: what is found unneeded is marked, and deleted by a prune that comes `keep_deleted` later, so that a
/// copy that began before the mark, here or from another machine, still finds what it counts on; a later prune unmarks
/// what turned out to be needed. With zero nobody else may use the repository, and no other job runs meanwhile.
pub(super) fn prune(repository: &Repository, keep_deleted: Duration) -> Result<u64, Failure> {
    let failed = |error: Box<rustic_core::RusticError>| repository.explain(&error);
    let directory = repository.directory();
    let before = directory.used_bytes().map_err(failed)?;
    let mut options = PruneOptions::default();
    let seconds = i64::try_from(keep_deleted.as_secs()).unwrap_or(i64::MAX);
    options.keep_delete = Span::try_from(SignedDuration::from_secs(seconds))
        .map_err(|error| Failure::Unavailable(error.to_string()))?;
    options.instant_delete = keep_deleted.is_zero();
    let plan = repository.rustic().prune_plan(&options).map_err(failed)?;
    repository.rustic().prune(&options, plan).map_err(failed)?;
    let after = directory.used_bytes().map_err(failed)?;
    let half_written = directory.remove_half_written(keep_deleted);
    let half_written = half_written.map_err(|error| Failure::Unavailable(error.to_string()))?;
    Ok(before.saturating_sub(after) + half_written)
}
