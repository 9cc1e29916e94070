//! Backup sets with the real daemon: a set's time comes, what is kept no longer goes, and what was missed while no daemon
//! ran is made up for once.
//!
//! The daemon's clock is the machine's, so a test that wants a set's time to have come puts that time into the record
//! while the daemon is dead: the same as having been dead since then.

use anyhow::{Context as _, ensure};
use ashlar_tests::client::{Client, id};
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::wait::{SOON, wait_for};
use ashlar_tests::{Result, backups, with_daemon};

use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn make(client: &Client, set: &Value) -> Result<String> {
    let body = json!({"backup_set": set});
    let made = client.ashlar(Method::POST, "/backup-sets", Some(&body))?;
    id(&made.expect(201)?.body["backup_set"])
}

fn show(client: &Client, set: &str) -> Result<Value> {
    let shown = client.ashlar(Method::GET, &format!("/backup-sets/{set}"), None)?;
    Ok(shown.expect(200)?.body["backup_set"].clone())
}

/// Asks for a run, and waits for its end.
fn run(client: &Client, set: &str) -> Result<Value> {
    let begun = client.ashlar(Method::POST, &format!("/backup-sets/{set}/run"), None)?;
    let run = id(&begun.expect(202)?.body["backup_run"])?;
    let ended = ended(client, set, 1)?;
    ensure!(ended["id"] == run.as_str(), "another run: {ended}");
    Ok(ended)
}

/// The newest run of a set, once it is over with so many good backups.
fn ended(client: &Client, set: &str, done: u64) -> Result<Value> {
    wait_for("the run of a backup set to end", SOON, || {
        let run = show(client, set)?["last_run"].clone();
        let is_over = !run["finished_at"].is_null();
        ensure!(
            !is_over || run["volumes"]["done"] == done,
            "the run ended so: {run}"
        );
        Ok(is_over.then_some(run))
    })
}

/// The ids of the project's backups.
fn ids(client: &Client) -> Result<BTreeSet<String>> {
    let all = client.all("/backups/detail", "backups")?;
    all.iter().map(id).collect()
}

/// Puts back the time at which a set runs next.
#[expect(
    clippy::disallowed_methods,
    reason = "what a daemon that was dead for long finds is put there by hand"
)]
fn is_due_since(daemon: &Daemon, set: &str, at: &str) -> Result<()> {
    let record = rusqlite::Connection::open(daemon.state_dir().join("ashlar.db"))?;
    let changed = record.execute(
        "UPDATE backup_sets SET next_at = ?2 WHERE id = ?1",
        [set, at],
    )?;
    ensure!(changed == 1, "{changed} sets are due");
    Ok(())
}

#[test]
fn what_was_missed_is_made_up_for_once() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        for name in ["pg-1", "pg-2", "web"] {
            client.make_volume(name, 1)?;
        }
        let set = json!({"name": "nightly", "volumes": {"name": "pg-*"}, "schedule": "0 2 * * *"});
        let set = make(&client, &set)?;
        let next = show(&client, &set)?["next_at"].clone();
        let due = "2026-01-05T02:00:00.000000";
        daemon.kill()?;
        is_due_since(daemon, &set, due)?;
        daemon.start_again()?;
        let client = daemon.client()?;
        let run = ended(&client, &set, 2)?;
        ensure!(
            run["cause"] == "catch_up" && run["due_at"] == due,
            "another run: {run}"
        );
        ensure!(
            show(&client, &set)?["next_at"] == next,
            "its next time is another than before"
        );
        ensure!(ids(&client)? == backups::ids(&daemon.backup_dir())?);
        let names = client.all("/backups/detail", "backups")?;
        let called = |one: &Value| one["name"] == "nightly-2026-01-05T02:00";
        ensure!(names.len() == 2 && names.iter().all(called), "{names:?}");

        // Killed while a run is under way, it goes on with it and begins no other.
        daemon.kill()?;
        is_due_since(daemon, &set, due)?;
        daemon.start_again()?;
        let client = daemon.client()?;
        wait_for("a second run", SOON, || {
            Ok((show(&client, &set)?["last_run"]["id"] != run["id"]).then_some(()))
        })?;
        daemon.kill()?;
        daemon.start_again()?;
        let client = daemon.client()?;
        ended(&client, &set, 2)?;
        ensure!(ids(&client)?.len() == 4, "{:?}", ids(&client)?);
        let path = "/backup-calendar?from=2026-01-01&to=2026-02-01";
        let calendar = client.ashlar(Method::GET, path, None)?.expect(200)?;
        let runs = calendar.body["backup_calendar"].as_array();
        ensure!(
            runs.is_some_and(|runs| runs.len() == 2),
            "{}",
            calendar.text
        );
        Ok(())
    })
}

#[test]
fn what_no_rule_keeps_goes_and_the_rest_says_why_it_stays() -> Result<()> {
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let volume = id(&client.make_volume("v", 1)?)?;
        let set = json!({"name": "s", "volumes": {"ids": [volume]}, "incremental": true,
            "retention": {"keep_last": 2}});
        let set = make(&client, &set)?;
        let by_hand = client.make(
            "/backups",
            "backup",
            &json!({"volume_id": volume}),
            "available",
        )?;
        run(&client, &set)?;
        let first: BTreeSet<String> = ids(&client)?;
        run(&client, &set)?;
        let plan = client
            .ashlar(Method::POST, &format!("/backup-sets/{set}/plan"), None)?
            .expect(200)?;
        let plan = &plan.body["backup_plan"];
        ensure!(
            plan["volumes"][0]["problem"].is_null() && plan["volumes"][0]["is_full"] == false,
            "{plan}"
        );
        let told = plan["backups"].as_array().context("no backups")?;
        let told: Vec<(bool, &Value)> = told
            .iter()
            .map(|one| (one["goes"] == true, &one["reasons"]))
            .collect();
        let (last, unneeded) = (json!(["last"]), json!(["unneeded"]));
        ensure!(told == [(false, &last), (true, &unneeded)], "{plan}");
        ensure!(ids(&client)?.len() == 3, "the plan changed something");
        let ended = run(&client, &set)?;
        ensure!(ended["removed_backups"] == 1, "{ended}");
        client.wait_quiet()?;
        let left = ids(&client)?;
        let gone: Vec<&String> = first.difference(&left).collect();
        ensure!(
            gone.len() == 1 && left.len() == 3,
            "{first:?} became {left:?}"
        );
        ensure!(
            left.contains(&id(&by_hand)?),
            "a backup of somebody else's went"
        );
        ensure!(left == backups::ids(&daemon.backup_dir())?);
        let path = format!("/backup-sets/{set}");
        client.ashlar(Method::DELETE, &path, None)?.expect(204)?;
        ensure!(ids(&client)? == left, "the backups went with their set");
        Ok(())
    })
}
