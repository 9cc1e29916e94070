//! A full disk under the record: read-only, said so, never a wrong answer; and well again once there is room.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use anyhow::ensure;
use ashlar_tests::client::id;
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::seed::skipped;
use ashlar_tests::wait::{SOON, wait_for};
use ashlar_tests::{Result, cmd};
use serde_json::json;

/// Room for the record, its reserve and as much again.
const DISK_MIB: u32 = 64;
/// The daemon looks for room every so often, not at once.
const RECOVERY_DEADLINE: Duration = Duration::from_secs(90);

#[test]
fn a_full_disk_makes_the_daemon_read_only_until_there_is_room() -> Result<()> {
    let mut probe = cmd::program("unshare");
    probe.args([
        "--user",
        "--map-root-user",
        "--mount",
        "mount",
        "-t",
        "tmpfs",
        "none",
        "/mnt",
    ]);
    if !cmd::run(&mut probe, SOON).is_ok_and(|ended| ended.status.success()) {
        skipped(
            "full disk",
            "this machine lets nobody make a mount namespace",
        );
        return Ok(());
    }
    let config = Config {
        driver: "fake",
        ..Config::default()
    };
    let mut daemon = Daemon::on_small_disk(config, DISK_MIB)?;
    let done = full_and_well_again(&daemon);
    done.map_err(|error| error.context(daemon.last_words()))?;
    daemon.stop()
}

fn full_and_well_again(daemon: &Daemon) -> Result<()> {
    let client = daemon.client()?;
    let create = || client.post("/volumes", &json!({"volume": {"size": 1}}));
    let before = id(&client.make_volume("before", 1)?)?;
    let fill = daemon.inside("fill")?;
    fill_up(&fill)?;
    let mut accepted = 1;
    let refused = wait_for("a write that finds no room", SOON, || {
        let answer = create()?;
        accepted += usize::from(answer.status == 202);
        Ok((answer.status != 202).then_some(answer))
    })?;
    ensure!(refused.status == 503, "{}", refused.text);
    refused.ensure_is_fault()?;
    ensure!(!refused.message().is_empty(), "{}", refused.text);
    // Reading goes on, and knows of exactly what was accepted. What was accepted also ends.
    client.wait_quiet()?;
    client.get(&format!("/volumes/{before}"))?.expect(200)?;
    let volumes = client.all("/volumes/detail", "volumes")?;
    ensure!(
        volumes.len() == accepted,
        "{} volumes, {accepted} accepted",
        volumes.len()
    );
    ensure!(
        volumes.iter().all(|volume| volume["status"] == "available"),
        "{volumes:?}"
    );
    std::fs::remove_file(&fill)?;
    wait_for("writes to be taken again", RECOVERY_DEADLINE, || {
        Ok((create()?.status == 202).then_some(()))
    })?;
    client.wait_quiet()?;
    client.destroy("/volumes", &before)
}

/// Writes until not one more byte fits. Never more than the disk can hold: were it not there, this would fill the
/// machine's own.
fn fill_up(path: &std::path::Path) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let mut chunk = vec![0; 1 << 20];
    let mut written = 0;
    while !chunk.is_empty() {
        match file.write(&chunk) {
            Ok(len) if len > 0 => written += len,
            _ => chunk.truncate(chunk.len() / 2),
        }
        ensure!(
            written >> 20 <= usize::try_from(DISK_MIB)?,
            "the small disk is not there"
        );
    }
    Ok(())
}
