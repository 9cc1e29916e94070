//! The calendar of a project's backup sets: the runs that were, with what came of them, and the times that come.

use super::run_backup_sets::unlistable;
use super::{Ctx, unreadable};
use crate::error::Error;
use crate::model::backup_run::{BackupRun, RunState, RunVolume};
use crate::model::backup_set::BackupSet;
use crate::model::caller::Caller;
use crate::model::id::BackupSetId;
use crate::model::time::Time;
use crate::store::list::{Comparison, Direction, Filter, ListRequest};
use crate::store::{backup_runs, backup_sets};

/// Entries of one calendar.
const ENTRIES_MAX: i64 = 1000;
/// Coming times of one set.
const COMING_MAX: usize = 200;
/// Volumes that were not backed up, told of one run.
const FAILED_MAX: usize = 20;

/// What is in a calendar.
#[derive(Debug, Default)]
pub struct Calendar {
    /// By time.
    pub entries: Vec<Entry>,
    /// Whether there is more in that span.
    pub is_cut: bool,
}

/// A run that was, or one that comes.
#[derive(Debug)]
pub struct Entry {
    /// The time that it is for.
    pub at: Time,
    /// The set.
    pub set_id: BackupSetId,
    /// Its name.
    pub set_name: String,
    /// The run; `None` while it is still to come.
    pub run: Option<Told>,
}

/// A run with what came of it.
#[derive(Debug)]
pub struct Told {
    /// The run.
    pub run: BackupRun,
    /// How many of its volumes are in each state.
    pub counts: Vec<(RunState, i64)>,
    /// The first of those that were not backed up, with the reasons.
    pub failed: Vec<RunVolume>,
}

/// What is known of a run.
pub async fn tell(ctx: &Ctx, run: BackupRun) -> Result<Told, Error> {
    let found = backup_runs::counts(&ctx.store, run.id)
        .await
        .map_err(unreadable)?;
    let count = |state| {
        found
            .iter()
            .find(|(of, _)| *of == state)
            .map_or(0, |(_, count)| *count)
    };
    let counts: Vec<(RunState, i64)> = RunState::ALL
        .into_iter()
        .map(|state| (state, count(state)))
        .collect();
    let mut failed = Vec::new();
    if count(RunState::Failed) > 0 {
        failed = backup_runs::volumes(&ctx.store, run.id)
            .await
            .map_err(unreadable)?;
        failed.retain(|volume| volume.state == RunState::Failed);
        failed.truncate(FAILED_MAX);
    }
    Ok(Told {
        run,
        counts,
        failed,
    })
}

/// The newest run of a set, if it ever ran.
pub async fn newest(ctx: &Ctx, set: BackupSetId) -> Result<Option<Told>, Error> {
    match backup_runs::newest(&ctx.store, set)
        .await
        .map_err(unlistable)?
    {
        Some(run) => tell(ctx, run).await.map(Some),
        None => Ok(None),
    }
}

/// The calendar of the caller's project, both ends included.
pub async fn calendar(
    ctx: &Ctx,
    caller: &Caller,
    from: &Time,
    to: &Time,
    now: &Time,
) -> Result<Calendar, Error> {
    let of_project = || Filter::equal("project_id", caller.project_id.as_str());
    let request = ListRequest {
        filters: vec![of_project()],
        limit: backup_sets::SETS_MAX,
        ..ListRequest::default()
    };
    let sets = backup_sets::list(&ctx.store, &request)
        .await
        .map_err(unlistable)?;
    let bound = |comparison, time: &Time| Filter {
        comparison,
        ..Filter::equal("due_at", time.as_str())
    };
    let request = ListRequest {
        filters: vec![
            of_project(),
            bound(Comparison::GreaterOrEqual, from),
            bound(Comparison::LessOrEqual, to),
        ],
        sort: vec![("due_at", Direction::Ascending)],
        limit: ENTRIES_MAX,
        ..ListRequest::default()
    };
    let runs = backup_runs::list(&ctx.store, &request)
        .await
        .map_err(unlistable)?;
    let max = usize::try_from(ENTRIES_MAX).unwrap_or(usize::MAX);
    let mut calendar = Calendar {
        is_cut: runs.len() == max,
        ..Calendar::default()
    };
    for run in runs {
        // Of a set that was deleted since, nothing is left to tell.
        if let Some(set) = sets.iter().find(|set| set.id == run.set_id) {
            calendar.entries.push(Entry {
                at: run.due_at.clone(),
                set_id: set.id,
                set_name: set.name.clone(),
                run: Some(tell(ctx, run).await?),
            });
        }
    }
    for set in &sets {
        let (coming, has_more) = coming(set, from, now, to);
        calendar.is_cut |= has_more;
        calendar.entries.extend(coming.into_iter().map(|at| Entry {
            at,
            set_id: set.id,
            set_name: set.name.clone(),
            run: None,
        }));
    }
    calendar.entries.sort_by(|a, b| a.at.cmp(&b.at));
    calendar.is_cut |= calendar.entries.len() > max;
    calendar.entries.truncate(max);
    Ok(calendar)
}

/// The times at which a set will run, and whether there are more than are told. One that is overdue comes first of all, in a
/// calendar that has the present.
fn coming(set: &BackupSet, from: &Time, now: &Time, to: &Time) -> (Vec<Time>, bool) {
    let mut times = Vec::new();
    let start = from.max(now);
    let mut next = set.next_at.clone().filter(|_| set.is_enabled);
    if let Some(first) = next.take_if(|first| *first < *start) {
        next = set.next_from(start);
        if first < *now && from <= now {
            times.push(first);
        }
    }
    while let Some(at) = next.filter(|at| at <= to) {
        if times.len() == COMING_MAX {
            return (times, true);
        }
        next = set.next_after(&at);
        times.push(at);
    }
    (times, false)
}
