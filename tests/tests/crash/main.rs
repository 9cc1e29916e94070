//! The crash harness: the daemon dies at every point of every step of every operation, starts again on the same
//! directory, and the world must be whole. Each step is also failed once and repeated once. The points come from
//! `ashlard operations`, so that a new operation is in here by being in the table.

mod at_once;
mod backing_up;
mod check;
mod data;
mod handing_over;
mod points;
mod tour;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;

use anyhow::{bail, ensure};
use ashlar_tests::client::Client;
use ashlar_tests::config::{Config, Fault};
use ashlar_tests::daemon::Daemon;
use ashlar_tests::qemu::Qemu;
use ashlar_tests::stamp::Expected;
use ashlar_tests::wait::{SOON, wait_for};
use ashlar_tests::{Result, backups, pool, table};

use crate::tour::{End, Traveller, tour};

const SIGKILL: i32 = 9;
/// One point in so many is died at again while recovering from it.
const KILLED_TWICE_ONE_IN: usize = 3;

#[test]
fn the_tour_reaches_every_operation_of_the_table() -> Result<()> {
    let reached: BTreeSet<&str> = tour().iter().map(|ask| ask.operation).collect();
    for row in table::rows()? {
        ensure!(
            reached.contains(row.operation.as_str()),
            "no request for {}",
            row.operation
        );
    }
    Ok(())
}

#[test]
fn killed_at_every_point_of_every_step() -> Result<()> {
    let points = ["before-effect", "after-effect", "after-record"];
    points::each(&points::all(&points, "kill")?, killed)
}

#[test]
fn every_step_failed_once() -> Result<()> {
    points::each(
        &points::all(&["before-effect", "after-effect"], "fail")?,
        failed,
    )
}

#[test]
fn every_step_repeated_once() -> Result<()> {
    points::each(&points::all(&["after-effect"], "repeat")?, repeated)
}

fn with_fault(fault: &Fault) -> Config {
    Config {
        fault: Some(fault.clone()),
        ..without_fault()
    }
}

/// Lays backups into the store of a daemon, as one whose record is lost; the answer is the record of the first.
fn laid(daemon: &Daemon, client: &Client) -> Result<String> {
    let (store, project) = (daemon.backup_dir(), &client.project);
    backups::lay(&store, backing_up::LAID_TOO, project)?;
    Ok(backups::lay(&store, backing_up::LAID, project)?.to_string())
}

/// Two pools, so that a volume can move.
fn without_fault() -> Config {
    Config {
        has_other_pool: true,
        ..Config::default()
    }
}

fn killed(number: usize, fault: &Fault, daemon: &mut Daemon) -> Result<()> {
    daemon.start_with(with_fault(fault))?;
    let client = daemon.client()?;
    let baseline = check::names(daemon)?;
    let qemu = data::sampled(number);
    let stamps = travel_to_death(&client, daemon, qemu.as_ref())?;
    let status = daemon.wait_end(SOON)?;
    ensure!(
        status.signal() == Some(SIGKILL),
        "it did not die by its own hand: {status}"
    );
    if number.is_multiple_of(KILLED_TWICE_ONE_IN) {
        die_again(fault, daemon)?;
    }
    daemon.start_with(without_fault())?;
    let client = daemon.client()?;
    check::all(daemon, &client, &baseline)?;
    check::nothing_is_lost(daemon, &client, &fault.operation)?;
    check::end_is_in_the_table(&client, &fault.operation)?;
    check::let_go(&client)?;
    if let (Some(qemu), Some(stamps)) = (&qemu, &stamps) {
        data::verify(&client, qemu, stamps)?;
    }
    check::clean_up(daemon, &client, &baseline)?;
    daemon.stop()
}

/// The same point once more, during recovery: the daemon dies there again, or has nothing to do there any more.
fn die_again(fault: &Fault, daemon: &mut Daemon) -> Result<()> {
    daemon.set(with_fault(fault));
    daemon.spawn()?;
    let client = daemon.client()?;
    wait_for("a second death, or quiet", SOON, || {
        let is_quiet = client.live_operations().is_ok_and(|live| live.is_empty());
        Ok((daemon.exited()?.is_some() || is_quiet).then_some(()))
    })?;
    daemon.kill()
}

/// The tour until the daemon is gone; with tools at hand, its first volume is stamped.
fn travel_to_death(
    client: &Client,
    daemon: &mut Daemon,
    qemu: Option<&Qemu>,
) -> Result<Option<Expected>> {
    let tour = tour();
    let (first, rest) = tour.split_at(1);
    let record = laid(daemon, client)?;
    let mut traveller = Traveller::new(client, &record);
    let mut stamps = None;
    let mut end = traveller.go(first)?;
    if let (End::Finished, Some(qemu), Some(volume)) = (&end, qemu, traveller.id("a")) {
        stamps = data::stamp(client, qemu, volume)?;
    }
    if matches!(end, End::Finished) {
        end = traveller.go(rest)?;
    }
    match end {
        End::Lost => Ok(stamps),
        End::Finished => bail!("the point never fired: the tour does not reach it"),
        End::Failed(why) => {
            // The last answer may have been on its way when the daemon died.
            ensure!(
                daemon.exited()?.is_some(),
                "the tour went wrong before the point: {why}"
            );
            Ok(stamps)
        }
    }
}

fn failed(_: usize, fault: &Fault, daemon: &mut Daemon) -> Result<()> {
    daemon.start_with(with_fault(fault))?;
    let client = daemon.client()?;
    let baseline = check::names(daemon)?;
    let end = Traveller::new(&client, &laid(daemon, &client)?).go(&tour())?;
    ensure!(!matches!(end, End::Lost), "a failed step ended the daemon");
    ensure!(
        daemon.whole_log().contains("injected fault"),
        "the point never fired: {end:?}"
    );
    check::all(daemon, &client, &baseline)?;
    if matches!(end, End::Failed(_)) {
        check::nothing_is_lost(daemon, &client, &fault.operation)?;
    }
    if let End::Failed(why) = end {
        let phase = check::end_is_in_the_table(&client, &fault.operation)?;
        ensure!(phase == "failed", "{why}, and yet the operation is {phase}");
    }
    if fault.operation.starts_with("create_") {
        check::what_was_not_made_has_no_bytes(daemon, &client)?;
    }
    check::clean_up(daemon, &client, &baseline)?;
    daemon.stop()
}

fn repeated(_: usize, fault: &Fault, daemon: &mut Daemon) -> Result<()> {
    daemon.start_with(with_fault(fault))?;
    let client = daemon.client()?;
    let baseline = check::names(daemon)?;
    match Traveller::new(&client, &laid(daemon, &client)?).go(&tour())? {
        End::Finished => {}
        end @ (End::Lost | End::Failed(_)) => bail!("\"already so\" is no success: {end:?}"),
    }
    ensure!(
        daemon.whole_log().contains("injected fault"),
        "the point never fired"
    );
    check::all(daemon, &client, &baseline)?;
    ensure!(
        check::names(daemon)? == baseline,
        "the tour left something in the pool"
    );
    ensure!(
        pool::foreign(&daemon.pool_dir())?.is_empty(),
        "the tour handed something back and did not take it over again"
    );
    daemon.stop()
}
