//! Backup sets by a clock that the tests set: what is due is done once, what is missed once, and what goes is what no rule
//! keeps.

use super::backups::at_work;
use super::fixture::{Fixture, caller, fixture, refused};
use crate::backup::BackupEngine as _;
use crate::backup::fake::Fault;
use crate::model::backup::Backup;
use crate::model::backup_run::{BackupRun, Cause, RunState, RunVolume};
use crate::model::backup_set::{BackupSet, Selection};
use crate::model::caller::Role;
use crate::model::id::{BackupId, VolumeId};
use crate::model::retention::Retention;
use crate::model::status::{BackupStatus, VolumeStatus};
use crate::model::time::Time;
use crate::ops::backup_sets::{self, Request};
use crate::ops::retain_backups::Verdict;
use crate::ops::{backup_calendar, backup_queue, plan_backup_set, run_backup_sets};
use crate::store::list::{Filter, ListRequest};
use crate::store::{backup_runs, backup_sets as record, backups, messages};
use std::time::Duration;
use tokio::time::Instant;

/// No wait of a test is longer.
const PATIENCE: Duration = Duration::from_secs(20);

fn nightly() -> Request {
    Request {
        name: Some("nightly".to_owned()),
        selection: Some(Selection::Project),
        cron: Some("0 2 * * *".parse().ok()),
        ..Request::default()
    }
}

fn keep_last(last: u32) -> Option<Retention> {
    Some(Retention {
        last,
        ..Retention::default()
    })
}

fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}

impl Fixture {
    async fn set(&self, request: Request) -> BackupSet {
        backup_sets::create(&self.ctx, &self.caller, request)
            .await
            .unwrap()
    }

    /// The set as it is now.
    async fn same(&self, set: &BackupSet) -> BackupSet {
        record::get(&self.ctx.store, set.id).await.unwrap().unwrap()
    }

    async fn look(&self, now: &Time) {
        run_backup_sets::look(&self.ctx, now).await;
    }

    async fn runs(&self, set: &BackupSet) -> Vec<BackupRun> {
        let request = ListRequest {
            filters: vec![Filter::equal("set_id", set.id.to_string())],
            limit: 100,
            ..ListRequest::default()
        };
        backup_runs::list(&self.ctx.store, &request).await.unwrap()
    }

    /// The set's time comes, and its run is looked after until it is over.
    async fn runs_at(&self, set: &BackupSet, now: &Time) -> (BackupRun, Vec<RunVolume>) {
        self.look(now).await;
        self.ends(set, now).await
    }

    async fn ends(&self, set: &BackupSet, now: &Time) -> (BackupRun, Vec<RunVolume>) {
        let mut listener = self.ctx.doorbell.listen();
        let end = Instant::now() + PATIENCE;
        loop {
            self.look(now).await;
            let run = backup_runs::newest(&self.ctx.store, set.id)
                .await
                .unwrap()
                .unwrap();
            if run.finished_at.is_some() {
                let volumes = backup_runs::volumes(&self.ctx.store, run.id).await.unwrap();
                return (run, volumes);
            }
            assert!(Instant::now() < end, "still {run:?}");
            listener.heard().await;
        }
    }

    async fn of_set(&self, set: &BackupSet, volume: VolumeId) -> Vec<Backup> {
        backups::of_set(&self.ctx.store, set.id, volume)
            .await
            .unwrap()
    }

    async fn told(&self, volume: VolumeId) -> Vec<String> {
        let request = ListRequest {
            filters: vec![Filter::equal("resource_uuid", volume.to_string())],
            limit: 100,
            ..ListRequest::default()
        };
        let found = messages::list(&self.ctx.store, &request).await.unwrap();
        found
            .into_iter()
            .map(|message| message.user_message)
            .collect()
    }
}

#[tokio::test]
async fn what_is_due_is_backed_up_once_however_many_look() {
    let at = at_work().await;
    let (a, b) = (at.volume(|_| {}).await, at.volume(|_| {}).await);
    let set = at.set(nightly()).await;
    let due = set.next_at.clone().unwrap();
    assert!(due.as_str().ends_with("T02:00:00.000000"), "{due}");
    at.look(&Time::now()).await;
    assert!(at.runs(&set).await.is_empty());

    let now = due.plus(Duration::from_secs(5));
    tokio::join!(at.look(&now), at.look(&now), at.look(&now));
    let (run, volumes) = at.ends(&set, &now).await;
    assert_eq!(
        (run.cause, &run.due_at, run.problem),
        (Cause::Time, &due, None)
    );
    assert_eq!(volumes.len(), 2);
    for volume in [a.id, b.id] {
        let made = at.of_set(&set, volume).await;
        assert_eq!(made.len(), 1, "{made:?}");
        assert_eq!(made[0].status, BackupStatus::Available);
        let name = format!("nightly-{}", &due.as_str()[..16]);
        assert_eq!(made[0].name.as_deref(), Some(name.as_str()));
        assert_eq!(
            (made[0].user_id.as_str(), made[0].project_id.as_str()),
            ("u", "p")
        );
    }
    assert_eq!(at.runs(&set).await.len(), 1);
    assert_eq!(at.same(&set).await.next_at, Some(due.plus(hours(24))));
}

#[tokio::test]
async fn times_that_were_missed_are_made_up_for_once() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let set = at.set(nightly()).await;
    let due = set.next_at.clone().unwrap();
    let now = due.plus(hours(10 * 24 + 7));
    let (run, _) = at.runs_at(&set, &now).await;
    assert_eq!((run.cause, &run.due_at), (Cause::CatchUp, &due));
    at.look(&now).await;
    assert_eq!(at.of_set(&set, volume.id).await.len(), 1);
    assert_eq!(at.same(&set).await.next_at, Some(due.plus(hours(11 * 24))));
}

#[tokio::test]
async fn a_disabled_set_runs_only_when_it_is_asked_to() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let set = at.set(nightly()).await;
    let off = Request {
        is_enabled: Some(false),
        ..Request::default()
    };
    let changed = backup_sets::update(&at.ctx, &at.caller, set.id, off)
        .await
        .unwrap();
    assert_eq!(
        (changed.next_at.clone(), changed.cron.is_some()),
        (None, true)
    );
    let now = set.next_at.clone().unwrap().plus(hours(100));
    at.look(&now).await;
    assert!(at.runs(&set).await.is_empty());
    let run = backup_sets::run(&at.ctx, &at.caller, set.id).await.unwrap();
    assert_eq!(run.cause, Cause::Asked);
    at.ends(&set, &Time::now()).await;
    assert_eq!(at.of_set(&set, volume.id).await.len(), 1);
    let stranger = caller("q", Role::Member);
    refused(
        backup_sets::run(&at.ctx, &stranger, set.id).await,
        "could not be found",
    );
}

#[tokio::test]
async fn one_run_of_a_set_at_a_time() {
    let at = fixture().await; // Nobody works: what is begun stays so.
    assert!(crate::ops::backup_stores::open(&at.ctx, "nas").await);
    let volume = at.volume(|_| {}).await;
    let set = at.set(nightly()).await;
    let run = backup_sets::run(&at.ctx, &at.caller, set.id).await.unwrap();
    let again = backup_sets::run(&at.ctx, &at.caller, set.id).await;
    refused(again, &run.id.to_string());
    let late = set.next_at.clone().unwrap().plus(hours(1));
    at.look(&late).await;
    at.look(&late).await;
    assert_eq!(at.runs(&set).await.len(), 1);
    let made = at.of_set(&set, volume.id).await;
    assert_eq!(made[0].status, BackupStatus::Creating);
    // It waits in the queue of the volume's service, and the set's time stays due.
    let queued = backup_queue::list(&at.ctx, &at.caller).await.unwrap();
    let seen: Vec<_> = queued
        .iter()
        .map(|one| (one.position, one.at_once))
        .collect();
    assert_eq!(seen, [(1, 2)]);
    assert_eq!(queued[0].operation.object_id, made[0].id.to_string());
    assert_eq!(queued[0].operation.request_id, format!("req-{}", run.id));
    assert!(
        backup_queue::list(&at.ctx, &caller("q", Role::Member))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(at.same(&set).await.next_at, set.next_at);
    at.works();
    at.ends(&set, &late).await;
    at.look(&late).await;
    assert_eq!(at.runs(&set).await.len(), 2);
}

#[tokio::test]
async fn a_volume_that_cannot_be_backed_up_says_why_and_stops_no_other() {
    let at = at_work().await;
    let good = at.volume(|_| {}).await;
    let in_use = at.volume(|one| one.status = VolumeStatus::InUse).await;
    let broken = at.volume(|one| one.status = VolumeStatus::Error).await;
    let set = at.set(nightly()).await;
    let mut now = set.next_at.clone().unwrap();
    // What may pass is tried again, for some minutes.
    for _ in 0..25 {
        at.look(&now).await;
        now = now.plus(Duration::from_secs(31));
    }
    let (run, volumes) = at.ends(&set, &now).await;
    let of = |id| volumes.iter().find(|one| one.volume_id == id).unwrap();
    assert_eq!(of(good.id).state, RunState::Done);
    for (volume, tries, word) in [
        (in_use.id, 0, "force flag"),
        (broken.id, 19, "status is error"),
    ] {
        let one = of(volume);
        assert_eq!((one.state, one.tries), (RunState::Failed, tries));
        assert!(one.why.as_deref().unwrap().contains(word), "{:?}", one.why);
        let told = at.told(volume).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("Backup set nightly") && told[0].contains(word),
            "{told:?}"
        );
    }
    let told = backup_calendar::tell(&at.ctx, run).await.unwrap();
    assert_eq!(told.counts[3], (RunState::Failed, 2));
    assert_eq!(told.failed.len(), 2);
}

#[tokio::test]
async fn what_no_rule_keeps_is_given_up_after_the_run() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let mut one = nightly();
    one.retention = keep_last(1);
    let set = at.set(one).await;
    let mut now = set.next_at.clone().unwrap();
    let mut before: Option<BackupId> = None;
    for _ in 0..3 {
        let (run, _) = at.runs_at(&set, &now).await;
        assert_eq!(
            run.removed,
            i64::from(before.is_some()),
            "{:?}",
            run.problem
        );
        if let Some(gone) = before {
            at.over(&gone).await;
            assert!(backups::get(&at.ctx.store, gone).await.unwrap().is_none());
        }
        let left = at.of_set(&set, volume.id).await;
        assert_eq!((left.len(), left[0].status), (1, BackupStatus::Available));
        before = Some(left[0].id);
        now = now.plus(hours(24));
    }
    assert_eq!(at.engine.list().await.unwrap().len(), 1);
    // A backup that somebody else made is nothing to the set.
    let plan = plan_backup_set::plan(&at.ctx, &at.caller, set.id)
        .await
        .unwrap();
    assert_eq!(
        (plan.volumes.len(), plan.volumes[0].problem.clone()),
        (1, None)
    );
    let verdicts: Vec<_> = plan
        .backups
        .iter()
        .map(|(_, verdict)| verdict.clone())
        .collect();
    assert_eq!(verdicts, [Verdict::Unneeded]);
    assert!(
        at.of_set(&set, volume.id).await.len() == 1,
        "a plan changes nothing"
    );
    // Without its set it stays.
    backup_sets::delete(&at.ctx, &at.caller, set.id)
        .await
        .unwrap();
    assert!(at.runs(&set).await.is_empty());
    assert_eq!(at.of_set(&set, volume.id).await.len(), 1);
}

#[tokio::test]
async fn what_failed_is_given_up_once_it_was_tried_again() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let mut one = nightly();
    one.retention = keep_last(3);
    let set = at.set(one).await;
    let now = set.next_at.clone().unwrap();
    at.engine.set(Fault::Store, true);
    let (run, volumes) = at.runs_at(&set, &now).await;
    at.engine.set(Fault::Store, false);
    assert_eq!((volumes[0].state, run.removed), (RunState::Failed, 0));
    let failed = at.of_set(&set, volume.id).await[0].id;
    let (run, volumes) = at.runs_at(&set, &now.plus(hours(24))).await;
    assert_eq!((volumes[0].state, run.removed), (RunState::Done, 1));
    at.over(&failed).await;
    let left = at.of_set(&set, volume.id).await;
    assert_eq!((left.len(), left[0].status), (1, BackupStatus::Available));
}

#[tokio::test]
async fn every_second_one_is_full() {
    let at = at_work().await;
    let volume = at.volume(|_| {}).await;
    let mut one = nightly();
    (one.is_incremental, one.full_every) = (Some(true), Some(2));
    let set = at.set(one).await;
    let mut now = set.next_at.clone().unwrap();
    for _ in 0..3 {
        at.runs_at(&set, &now).await;
        now = now.plus(hours(24));
    }
    let made = at.of_set(&set, volume.id).await;
    let full: Vec<bool> = made
        .iter()
        .rev()
        .map(|one| one.parent_id.is_none())
        .collect();
    assert_eq!(full, [true, false, true]);
}

#[tokio::test]
async fn a_set_of_nothing_says_so() {
    let at = at_work().await;
    let mut one = nightly();
    one.selection = Some(Selection::Named("pg-*".to_owned()));
    let set = at.set(one).await;
    let (run, volumes) = at.runs_at(&set, set.next_at.as_ref().unwrap()).await;
    assert!(run.problem.unwrap().contains("no volume") && volumes.is_empty());
    let gone = VolumeId::random();
    let named = Request {
        selection: Some(Selection::Volumes(vec![gone])),
        ..nightly()
    };
    let refusal = backup_sets::create(&at.ctx, &at.caller, named).await;
    refused(refusal, &gone.to_string());
    let twice = at.volume(|_| {}).await.id;
    let named = Request {
        selection: Some(Selection::Volumes(vec![twice, twice])),
        ..nightly()
    };
    refused(
        backup_sets::create(&at.ctx, &at.caller, named).await,
        "each once",
    );
}

#[tokio::test]
async fn a_calendar_has_what_was_and_what_comes() {
    let at = at_work().await;
    at.volume(|_| {}).await;
    let set = at.set(nightly()).await;
    let due = set.next_at.clone().unwrap();
    at.runs_at(&set, &due).await;
    let (from, to) = (due.plus(Duration::ZERO), due.plus(hours(3 * 24)));
    let calendar = backup_calendar::calendar(&at.ctx, &at.caller, &from, &to, &due)
        .await
        .unwrap();
    let seen: Vec<(Time, bool)> = calendar
        .entries
        .iter()
        .map(|one| (one.at.clone(), one.run.is_some()))
        .collect();
    let days = |count: u64| due.plus(hours(24 * count));
    assert_eq!(
        seen,
        [
            (days(0), true),
            (days(1), false),
            (days(2), false),
            (days(3), false)
        ]
    );
    assert!(!calendar.is_cut);
    // A span that begins later has nothing of what comes before it, and its first instant.
    let third = days(2);
    let later = backup_calendar::calendar(&at.ctx, &at.caller, &third, &to, &due);
    let later: Vec<Time> = later
        .await
        .unwrap()
        .entries
        .into_iter()
        .map(|one| one.at)
        .collect();
    assert_eq!(later, [days(2), days(3)]);
    // While no daemon ran: what was missed is one run, and is due.
    let late = due.plus(hours(36));
    let overdue = backup_calendar::calendar(&at.ctx, &at.caller, &late, &to, &late);
    let overdue = overdue.await.unwrap().entries.into_iter().map(|one| one.at);
    assert_eq!(overdue.collect::<Vec<_>>(), [days(1), days(2), days(3)]);
    let stranger = caller("q", Role::Member);
    let none = backup_calendar::calendar(&at.ctx, &stranger, &from, &to, &due)
        .await
        .unwrap();
    assert!(none.entries.is_empty());
    let minutely = Request {
        cron: Some("* * * * *".parse().ok()),
        ..nightly()
    };
    at.set(minutely).await;
    let long = backup_calendar::calendar(&at.ctx, &at.caller, &from, &to, &due)
        .await
        .unwrap();
    assert!(
        long.is_cut && long.entries.len() < 300,
        "{}",
        long.entries.len()
    );
}

#[tokio::test]
async fn a_project_has_so_many_sets() {
    let at = fixture().await;
    for _ in 0..record::SETS_MAX {
        at.set(nightly()).await;
    }
    refused(
        backup_sets::create(&at.ctx, &at.caller, nightly()).await,
        "as many as there may be",
    );
    let other = caller("q", Role::Member);
    assert!(
        backup_sets::create(&at.ctx, &other, nightly())
            .await
            .is_ok()
    );
}
