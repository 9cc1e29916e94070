//! Backup sets at their times: what is due begins a run, a run begins its backups, a few at once, and after the last of
//! them the set's old backups are given up. The scheduler's task.
//!
//! A run and its volumes are rows before anything is begun. A run is begun in the transaction that moves the set to its
//! next time, and a backup in the one that marks its volume as begun: so each happens once, however many schedulers
//! look, and a restart goes on where the last pass ended. A set whose run goes on is not begun again; the times that go
//! by meanwhile, or while nobody is there, become one run as soon as that is possible.

use super::messages::not_backed_up;
use super::{Ctx, Lane, create_backup, retain_backups, unreadable, unwritable};
use crate::error::{Error, Refusal, chain};
use crate::model::backup_run::{BackupRun, Cause, RunState, RunVolume};
use crate::model::backup_set::{BackupSet, Selection, VOLUMES_MAX};
use crate::model::caller::{Caller, Role};
use crate::model::id::{BackupRunId, VolumeId};
use crate::model::service::service_host;
use crate::model::status::BackupStatus;
use crate::model::time::Time;
use crate::store::backup_runs::Begun;
use crate::store::list::{Direction, Filter, ListError, ListRequest};
use crate::store::{Batch, StoreError, backup_runs, backup_sets, backups, volumes};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often is looked for what is to be done.
const LOOK: Duration = Duration::from_secs(2);
/// Sets and runs that are dealt with in one look.
const RUNS_AT_ONCE: i64 = 50;
/// Volumes that wait, and such whose backups are being made, that are looked at together.
const VOLUMES_AT_ONCE: i64 = 1000;
/// When a backup that could not be begun is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// How often it is tried, before the run goes on without.
const TRIES_MAX: i64 = 20;
/// A run that is begun later than this after its time catches up.
const LATE_S: f64 = 300.0;
/// Volumes of a project that are read at once.
const PAGE: i64 = 1000;

/// Deals with what is due until `shutdown`.
pub async fn keep_running(ctx: Arc<Ctx>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.cancelled() => return,
        }
        look(&ctx, &Time::now()).await;
    }
}

/// One look at what is to be done at `now`. Each part is for itself: what fails is tried again at the next.
pub(super) async fn look(ctx: &Ctx, now: &Time) {
    for (doing, done) in [
        ("ended backups were not noted", settle(ctx).await),
        ("due runs were not begun", begin_due(ctx, now).await),
        ("backups were not begun", begin_backups(ctx, now).await),
        ("ended runs were not finished", finish(ctx, now).await),
    ] {
        if let Err(error) = done {
            tracing::warn!(error = chain(&error), "backup sets: {doing}; trying again");
        }
    }
}

/// In whose name a set's backups are asked for.
pub(super) fn owner(set: &BackupSet, request_id: &str) -> Caller {
    Caller {
        project_id: set.project_id.clone(),
        user_id: set.user_id.clone(),
        role: Role::Member,
        request_id: request_id.to_owned(),
    }
}

/// The request that everything of a run counts as.
fn request_id(run: BackupRunId) -> String {
    format!("req-{run}")
}

async fn begin_due(ctx: &Ctx, now: &Time) -> Result<(), Error> {
    let due = backup_sets::due(&ctx.store, now, RUNS_AT_ONCE).await;
    for set in due.map_err(unlistable)? {
        let due_at = set.next_at.as_ref().unwrap_or(now);
        let cause = match now.seconds_since(due_at) > LATE_S {
            true => Cause::CatchUp,
            false => Cause::Time,
        };
        // Not begun means that another scheduler did, or that the set was changed meanwhile.
        let _begun = begin_run(ctx, &set, cause, now).await?;
    }
    Ok(())
}

/// Why a run was not begun.
#[derive(Debug)]
pub(super) enum NotBegun {
    /// The set is gone, or not due any more.
    SetIsGone,
    /// This run of it is not over.
    IsUnderWay(String),
}

/// Records a run of the set with the volumes that it is of now; if its time had come, the set then has its next one.
pub(super) async fn begin_run(
    ctx: &Ctx,
    set: &BackupSet,
    cause: Cause,
    now: &Time,
) -> Result<Result<BackupRun, NotBegun>, Error> {
    let (volumes, left_out) = selected(ctx, set).await?;
    let problem = match (volumes.len(), left_out) {
        (0, _) => Some(format!(
            "Backup set {} is of no volume that there is.",
            set.name
        )),
        (_, 0) => None,
        (_, left_out) => Some(format!(
            "Backup set {} is of more volumes than one run backs up ({VOLUMES_MAX}): the {left_out} newest were left out. \
             Make several sets of it.",
            set.name
        )),
    };
    let due_at = set.next_at.clone().filter(|_| cause != Cause::Asked);
    let run = BackupRun {
        id: BackupRunId::random(),
        set_id: set.id,
        project_id: set.project_id.clone(),
        cause,
        due_at: due_at.unwrap_or_else(|| now.clone()),
        begun_at: now.clone(),
        finished_at: None,
        problem,
        removed: 0,
    };
    let mut batch = Batch::new();
    match cause {
        Cause::Asked => backup_sets::hold(&mut batch, set.id),
        Cause::Time | Cause::CatchUp => {
            backup_sets::advance(&mut batch, set, set.next_after(now).as_ref());
        }
    }
    backup_runs::insert(&mut batch, &run, &volumes);
    if let Some(problem) = &run.problem {
        let caller = owner(set, &request_id(run.id));
        not_backed_up(&mut batch, &caller, &set.id.to_string(), problem);
    }
    match ctx.store.write(batch).await {
        Ok(()) => {
            tracing::info!(set = %set.id, run = %run.id, cause = cause.as_str(), volumes = volumes.len(), "backup run begun");
            Ok(Ok(run))
        }
        Err(StoreError::Conflict { guard: "idle" }) => {
            let other = backup_runs::newest(&ctx.store, set.id)
                .await
                .map_err(unlistable)?;
            let other = other.map(|run| run.id.to_string()).unwrap_or_default();
            Ok(Err(NotBegun::IsUnderWay(other)))
        }
        Err(StoreError::Conflict { .. }) => Ok(Err(NotBegun::SetIsGone)),
        Err(error) => Err(unwritable(error)),
    }
}

/// The volumes that a set is of now, the oldest first, and how many more there are than one run backs up.
pub(super) async fn selected(ctx: &Ctx, set: &BackupSet) -> Result<(Vec<VolumeId>, usize), Error> {
    if let Selection::Volumes(ids) = &set.selection {
        return Ok((ids.clone(), 0));
    }
    let mut request = ListRequest {
        filters: vec![Filter::equal("project_id", set.project_id.as_str())],
        sort: vec![("created_at", Direction::Ascending)],
        limit: PAGE,
        ..ListRequest::default()
    };
    let mut found = Vec::new();
    loop {
        let page = volumes::list(&ctx.store, &request)
            .await
            .map_err(unlistable)?;
        let taken = page.iter().filter(|volume| set.selection.takes(volume));
        found.extend(taken.map(|volume| volume.id));
        match page.last() {
            Some(last) if i64::try_from(page.len()) == Ok(PAGE) => {
                request.marker = Some(last.id.to_string());
            }
            Some(_) | None => break,
        }
    }
    let left_out = found.len().saturating_sub(VOLUMES_MAX);
    found.truncate(VOLUMES_MAX);
    Ok((found, left_out))
}

/// Begins backups that wait: of the volumes of each service no more than it works on at once. The others stay as they are
/// meanwhile, and can be attached and detached.
async fn begin_backups(ctx: &Ctx, now: &Time) -> Result<(), Error> {
    let waiting = backup_runs::waiting(&ctx.store, VOLUMES_AT_ONCE, now).await;
    let waiting = waiting.map_err(unreadable)?;
    if waiting.is_empty() {
        return Ok(());
    }
    let begun = backup_runs::begun(&ctx.store, VOLUMES_AT_ONCE)
        .await
        .map_err(unreadable)?;
    let mut busy: BTreeMap<String, usize> = BTreeMap::new();
    for host in begun.iter().filter_map(|one| one.host.as_deref()) {
        *busy.entry(service_host(host).to_owned()).or_default() += 1;
    }
    let has_room = |host: &Option<String>| {
        // One that is gone or lies nowhere takes no room: it only fails.
        let Some(host) = host else { return true };
        let begun = busy.entry(service_host(host).to_owned()).or_default();
        let has_room = *begun < Lane::Backup.at_once();
        *begun += usize::from(has_room);
        has_room
    };
    let next = chosen(waiting, has_room);
    let mut runs: BTreeMap<BackupRunId, (BackupRun, BackupSet)> = BTreeMap::new();
    for volume in &next {
        if runs.contains_key(&volume.run_id) {
            continue;
        }
        let Some(run) = backup_runs::get(&ctx.store, volume.run_id)
            .await
            .map_err(unreadable)?
        else {
            continue; // Its set was deleted since.
        };
        if let Some(set) = backup_sets::get(&ctx.store, run.set_id)
            .await
            .map_err(unreadable)?
        {
            runs.insert(volume.run_id, (run, set));
        }
    }
    // Together: one whose volume is held waits a few seconds for it, and the others need not.
    let all = next.iter().filter_map(|volume| {
        let (run, set) = runs.get(&volume.run_id)?;
        Some(begin_backup(ctx, set, run, volume, now))
    });
    join_all(all).await.into_iter().collect()
}

/// Those that there is room for, in their order; a volume that waits in two runs is begun in one after the other.
fn chosen(
    waiting: Vec<(RunVolume, Option<String>)>,
    mut has_room: impl FnMut(&Option<String>) -> bool,
) -> Vec<RunVolume> {
    let mut seen = BTreeSet::new();
    let fits = |(volume, host): (RunVolume, Option<String>)| {
        (!seen.contains(&volume.volume_id) && has_room(&host)).then(|| {
            seen.insert(volume.volume_id);
            volume
        })
    };
    waiting.into_iter().filter_map(fits).collect()
}

async fn begin_backup(
    ctx: &Ctx,
    set: &BackupSet,
    run: &BackupRun,
    volume: &RunVolume,
    now: &Time,
) -> Result<(), Error> {
    let caller = owner(set, &request_id(run.id));
    let Err(error) = ask(ctx, &caller, set, run, volume.volume_id).await else {
        return Ok(());
    };
    let why = error.to_string();
    if may_pass(&error) && volume.tries + 1 < TRIES_MAX {
        let tried = backup_runs::tried(volume, &now.plus(AGAIN), &why);
        return ctx.store.write(tried).await.map_err(unwritable);
    }
    let mut batch = Batch::new();
    backup_runs::end(&mut batch, volume, RunState::Failed, Some(&why));
    let id = volume.volume_id.to_string();
    let told = format!("Backup set {} did not back up volume {id}: {why}", set.name);
    not_backed_up(&mut batch, &caller, &id, &told);
    tracing::warn!(set = %set.id, run = %run.id, volume = %id, error = chain(&error), "a volume was not backed up");
    recorded(ctx, batch).await
}

/// Asks for the backup of one volume, as its owner would.
async fn ask(
    ctx: &Ctx,
    caller: &Caller,
    set: &BackupSet,
    run: &BackupRun,
    volume_id: VolumeId,
) -> Result<(), Error> {
    let is_full = is_full_next(ctx, set, volume_id).await?;
    // To the minute, as the set's times are.
    let due = run.due_at.as_str().get(..16).unwrap_or_default();
    let request = create_backup::Request {
        volume_id,
        snapshot_id: None,
        store: set.how.store.clone(),
        name: Some(format!("{}-{due}", set.name)),
        description: None,
        metadata: BTreeMap::new(),
        availability_zone: None,
        is_incremental: !is_full,
        may_be_attached: set.how.may_be_attached,
        of_run: Some(create_backup::OfRun {
            set_id: set.id,
            run_id: run.id,
        }),
    };
    create_backup::begin(ctx, caller, request).await.map(drop)
}

/// Whether the set's next backup of a volume reads all of it.
pub(super) async fn is_full_next(
    ctx: &Ctx,
    set: &BackupSet,
    volume: VolumeId,
) -> Result<bool, Error> {
    let made = backups::of_set(&ctx.store, set.id, volume)
        .await
        .map_err(unlistable)?;
    let good = made
        .iter()
        .filter(|one| one.status == BackupStatus::Available);
    Ok(set.is_full_next(good.map(|one| one.parent_id.is_some())))
}

/// Whether what is in the way may be gone soon.
fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::Conflict(_)
            | Error::Unavailable { .. }
            | Error::NoService { .. }
            | Error::TimedOut { .. }
            | Error::Store { .. }
            | Error::Refused(Refusal::Status { .. } | Refusal::Frozen)
    )
}

/// Notes what became of the backups that were begun.
async fn settle(ctx: &Ctx) -> Result<(), Error> {
    let begun = backup_runs::begun(&ctx.store, VOLUMES_AT_ONCE)
        .await
        .map_err(unreadable)?;
    for one in &begun {
        let Some((state, why)) = came_of(one) else {
            continue;
        };
        let mut batch = Batch::new();
        backup_runs::end(&mut batch, &one.volume, state, why);
        recorded(ctx, batch).await?;
    }
    Ok(())
}

/// What became of a backup; `None` while it is being made. Why it failed, its own operation has told its owner already.
fn came_of(begun: &Begun) -> Option<(RunState, Option<&str>)> {
    match begun.status {
        Some(BackupStatus::Creating) => None,
        Some(BackupStatus::Available | BackupStatus::Restoring) => Some((RunState::Done, None)),
        Some(BackupStatus::Error) => {
            let why = begun.fail_reason.as_deref();
            Some((RunState::Failed, why.or(Some("The backup was not made."))))
        }
        Some(BackupStatus::Deleting | BackupStatus::ErrorDeleting | BackupStatus::Deleted)
        | None => Some((RunState::Failed, Some("The backup was deleted."))),
    }
}

/// Ends the runs that have nothing left to do, and gives up what their sets keep no longer.
async fn finish(ctx: &Ctx, now: &Time) -> Result<(), Error> {
    let ended = backup_runs::to_finish(&ctx.store, RUNS_AT_ONCE).await;
    for run in ended.map_err(unlistable)? {
        let Some(set) = backup_sets::get(&ctx.store, run.set_id)
            .await
            .map_err(unreadable)?
        else {
            continue; // Deleted in between, and the run with it.
        };
        let caller = owner(&set, &request_id(run.id));
        let removed = retain_backups::remove(ctx, &caller, &set).await?;
        let problem = removed.problem.as_deref();
        recorded(ctx, backup_runs::finish(&run, now, removed.count, problem)).await?;
        tracing::info!(set = %set.id, run = %run.id, removed = removed.count, "backup run finished");
    }
    Ok(())
}

/// Writes; that another scheduler recorded the same before is well, too.
async fn recorded(ctx: &Ctx, batch: Batch) -> Result<(), Error> {
    match ctx.store.write(batch).await {
        Ok(()) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(unwritable(error)),
    }
}

/// A failed list, as the domain's error.
pub(super) fn unlistable(error: ListError) -> Error {
    match error {
        ListError::Store(source) => unreadable(source),
        ListError::NoSuchMarker { marker } => Error::Unavailable {
            what: "the list",
            why: format!("{marker}, at which a page ended, is gone; repeat the request."),
        },
    }
}
