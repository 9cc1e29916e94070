//! The data oracle: every block carries a stamp, written and verified over iSCSI across snapshot, clone, revert,
//! extend and crash. Seeded and replayable.

use anyhow::{Context as _, ensure};
use ashlar_tests::attached::Attached;
use ashlar_tests::client::{Client, id};
use ashlar_tests::config::Config;
use ashlar_tests::daemon::Daemon;
use ashlar_tests::initiator::Disk;
use ashlar_tests::qemu::{self, Qemu};
use ashlar_tests::seed::{Seed, sample_or_full, say, skipped};
use ashlar_tests::stamp::{self, BLOCK_LEN, Expected, Stamp};
use ashlar_tests::wait::{SOON, wait_for};
use ashlar_tests::{Result, cmd, target, with_daemon};
use serde_json::{Value, json};
use std::fs::File;
use std::time::Duration;

/// Stamps fall into the first 8 MiB and the last block: enough to hit every copy path, cheap to read.
const BLOCKS: u64 = 2048;
const STEPS: u64 = 24;
const VOLUMES_MAX: usize = 4;
const GIB: u64 = 1 << 30;

fn initiator(test: &str) -> Option<Qemu> {
    match qemu::ready(say) {
        Ok(qemu) => Some(qemu),
        Err(error) => {
            skipped(test, &format!("{error:#}"));
            None
        }
    }
}

/// A volume as it should be.
struct Volume {
    id: String,
    number: u32,
    size_gib: u64,
    blocks: Expected,
    snapshots: Vec<Snapshot>,
}

/// A snapshot as it should be.
struct Snapshot {
    id: String,
    size_gib: u64,
    blocks: Expected,
}

/// The world and the one who remembers it.
struct Oracle<'a> {
    daemon: &'a mut Daemon,
    client: Client,
    qemu: Qemu,
    seed: Seed,
    volumes: Vec<Volume>,
    generation: u64,
    made: u32,
}

#[test]
fn stamped_blocks_survive_snapshot_clone_revert_extend_and_crash() -> Result<()> {
    let Some(qemu) = initiator("oracle") else {
        return Ok(());
    };
    let seed = Seed::of_test("oracle", Some(20_260_801));
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let mut oracle = Oracle {
            daemon,
            client,
            qemu,
            seed,
            volumes: Vec::new(),
            generation: 0,
            made: 0,
        };
        oracle.make(json!({"size": 1}), 1, Expected::default())?;
        for step in 0..sample_or_full(STEPS) {
            oracle.step().with_context(|| format!("step {step}"))?;
        }
        oracle.verify_everything()
    })
}

impl Oracle<'_> {
    fn step(&mut self) -> Result<()> {
        let which = usize::try_from(self.seed.below(self.volumes.len() as u64))?;
        match self.seed.below(9) {
            0..=2 => self.write(which),
            3 => self.snapshot(which),
            4 => self.revert(which),
            5 => self.extend(which),
            6 => self.copy(which),
            7 => self.crash(),
            _ => self.verify(which),
        }
    }

    fn make(&mut self, mut body: Value, size_gib: u64, blocks: Expected) -> Result<()> {
        self.made += 1;
        body["name"] = json!(format!("v{}", self.made));
        let volume = self.client.make("/volumes", "volume", &body, "available")?;
        let number = self.made;
        self.volumes.push(Volume {
            id: id(&volume)?,
            number,
            size_gib,
            blocks,
            snapshots: Vec::new(),
        });
        Ok(())
    }

    fn write(&mut self, which: usize) -> Result<()> {
        self.generation += 1;
        let count = 1 + self.seed.below(12);
        let last = self.volumes[which].size_gib * GIB / BLOCK_LEN - 1;
        let mut at: Vec<u64> = (0..count).map(|_| self.seed.below(BLOCKS)).collect();
        at.push(last);
        at.sort_unstable();
        at.dedup();
        let stamp = Stamp {
            volume: self.volumes[which].number,
            generation: self.generation,
        };
        let dir = tempfile::tempdir()?;
        let volume = &mut self.volumes[which];
        let disk = Attached::new(&self.client, &self.qemu, &volume.id)?;
        stamp::write(&disk.disk, dir.path(), &mut volume.blocks, &at, stamp)?;
        disk.release(&self.client)
    }

    fn snapshot(&mut self, which: usize) -> Result<()> {
        let volume = &mut self.volumes[which];
        let body = json!({"volume_id": volume.id, "name": "s"});
        let made = self
            .client
            .make("/snapshots", "snapshot", &body, "available")?;
        volume.snapshots.push(Snapshot {
            id: id(&made)?,
            size_gib: volume.size_gib,
            blocks: volume.blocks.clone(),
        });
        Ok(())
    }

    fn revert(&mut self, which: usize) -> Result<()> {
        let volume = &mut self.volumes[which];
        let Some(snapshot) = volume.snapshots.last() else {
            return Ok(());
        };
        let body = json!({"snapshot_id": snapshot.id});
        if snapshot.size_gib != volume.size_gib {
            self.client.act(&volume.id, "revert", &body, 400)?;
            return Ok(());
        }
        self.client.act(&volume.id, "revert", &body, 202)?;
        volume.blocks = snapshot.blocks.clone();
        self.client
            .wait_status("/volumes", "volume", &volume.id, "available")
            .map(|_| ())
    }

    fn extend(&mut self, which: usize) -> Result<()> {
        let volume = &mut self.volumes[which];
        volume.size_gib += 1;
        let body = json!({"new_size": volume.size_gib});
        self.client.act(&volume.id, "os-extend", &body, 202)?;
        self.client
            .wait_status("/volumes", "volume", &volume.id, "available")
            .map(|_| ())
    }

    fn copy(&mut self, which: usize) -> Result<()> {
        if self.volumes.len() == VOLUMES_MAX {
            return self.verify(which);
        }
        let volume = &self.volumes[which];
        let (body, size_gib, blocks) = match volume.snapshots.first() {
            Some(snapshot) if self.seed.below(2) == 0 => (
                json!({"size": snapshot.size_gib, "snapshot_id": snapshot.id}),
                snapshot.size_gib,
                snapshot.blocks.clone(),
            ),
            _ => (
                json!({"size": volume.size_gib, "source_volid": volume.id}),
                volume.size_gib,
                volume.blocks.clone(),
            ),
        };
        self.make(body, size_gib, blocks)
    }

    /// SIGKILL while a copy is being made, then everything once more.
    fn crash(&mut self) -> Result<()> {
        let source = &self.volumes[0];
        let body = json!({"volume": {"size": source.size_gib, "source_volid": source.id}});
        let answer = self.client.post("/volumes", &body)?.expect(202)?;
        self.daemon.kill()?;
        self.daemon.start_again()?;
        self.client = self.daemon.client()?;
        self.client.wait_quiet()?;
        self.client
            .destroy("/volumes", &id(&answer.body["volume"])?)
    }

    fn verify(&mut self, which: usize) -> Result<()> {
        let volume = &self.volumes[which];
        let attached = Attached::new(&self.client, &self.qemu, &volume.id)?;
        ensure!(
            attached.disk.len_bytes()? == volume.size_gib * GIB,
            "the size is wrong"
        );
        volume
            .blocks
            .check_disk(&attached.disk, BLOCKS * BLOCK_LEN)?;
        attached.release(&self.client)
    }

    /// Every block of every volume and of every snapshot.
    fn verify_everything(&mut self) -> Result<()> {
        let newest = self
            .volumes
            .iter()
            .find_map(|volume| volume.snapshots.last());
        if let Some(snapshot) = newest {
            let body = json!({"size": snapshot.size_gib, "snapshot_id": snapshot.id});
            let (size_gib, blocks) = (snapshot.size_gib, snapshot.blocks.clone());
            self.make(body, size_gib, blocks)?;
        }
        let dir = tempfile::tempdir()?;
        let image = dir.path().join("image");
        for volume in &self.volumes {
            let attached = Attached::new(&self.client, &self.qemu, &volume.id)?;
            attached.disk.read_image(&image)?;
            let checked = volume.blocks.check_image(&image);
            checked.with_context(|| format!("volume {}", volume.number))?;
            attached.release(&self.client)?;
        }
        Ok(())
    }
}

/// Enough writes that the kill falls among them, few enough for an argument list.
const WRITES: u64 = 300;
/// libiscsi logs in again by itself; it backs off while nobody listens.
const IO_DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn flushed_blocks_survive_the_death_of_the_target_under_io() -> Result<()> {
    let Some(qemu) = initiator("target under I/O") else {
        return Ok(());
    };
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let volume = id(&client.make_volume("under-io", 1)?)?;
        let attached = Attached::new(&client, &qemu, &volume)?;
        under_io(&attached.disk, || {
            let dead = target::kill(&daemon.state_dir())?;
            wait_for("another target process", SOON, || {
                Ok(target::pid(&daemon.state_dir()).filter(|pid| *pid != dead))
            })
            .map(|_| ())
        })?;
        attached.release(&client)
    })
}

#[test]
fn io_goes_on_while_the_daemon_is_killed_and_started_again() -> Result<()> {
    let Some(qemu) = initiator("daemon under I/O") else {
        return Ok(());
    };
    with_daemon(Config::default(), |daemon| {
        let client = daemon.client()?;
        let volume = id(&client.make_volume("under-io", 1)?)?;
        let attached = Attached::new(&client, &qemu, &volume)?;
        let before = target::pid(&daemon.state_dir());
        under_io(&attached.disk, || {
            daemon.kill()?;
            daemon.start_again()
        })?;
        ensure!(
            target::pid(&daemon.state_dir()) == before,
            "the target process was replaced"
        );
        attached.release(&daemon.client()?)
    })
}

/// Writes stamped blocks, each flushed; `disturb` happens in the middle; afterwards all of them must read back.
fn under_io(disk: &Disk, disturb: impl FnOnce() -> Result<()>) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut expected = Expected::default();
    let mut commands = Vec::new();
    for number in 0..WRITES {
        let stamp = Stamp {
            volume: 1,
            generation: number,
        };
        let file = dir.path().join(format!("{number}"));
        std::fs::write(&file, stamp::block(stamp, number))?;
        let offset = number * BLOCK_LEN;
        commands.push(format!("write -s {} {offset} {BLOCK_LEN}", file.display()));
        commands.push("flush".to_owned());
        expected.set(number, stamp);
    }
    let output = dir.path().join("output");
    let mut command = disk.io_command(&commands);
    command
        .stdout(File::create(&output)?)
        .stderr(File::create(dir.path().join("errors"))?);
    let mut writer = command.spawn().context("starting qemu-io")?;
    // Its output is buffered: the first of it means that dozens of writes were answered.
    wait_for("the first writes", SOON, || {
        Ok((output.metadata()?.len() > 0).then_some(()))
    })?;
    let disturbed = disturb();
    let ended = cmd::end_of(&mut writer, "qemu-io", IO_DEADLINE);
    if ended.is_err() {
        let _ = writer.kill();
        let _ = writer.wait();
    }
    disturbed?;
    ensure!(
        ended?.success(),
        "{}",
        std::fs::read_to_string(dir.path().join("errors"))?
    );
    let answers = std::fs::read_to_string(&output)?;
    let acknowledged = answers.matches("wrote ").count() as u64;
    ensure!(
        acknowledged == WRITES,
        "{acknowledged} of {WRITES} writes were answered well"
    );
    expected.check_disk(disk, WRITES * BLOCK_LEN)
}
