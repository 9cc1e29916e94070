//! The backup worker from outside: its process, what it leaves when it is killed, and what Debian's restic says of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use ashlar_tests::wait::{SOON, wait_for};
use ashlar_tests::{Result, binary, cmd, seed};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MIB: u64 = 1 << 20;
/// A copy of some 100 MiB on a busy machine.
const LONG: Duration = Duration::from_secs(180);
/// What the issue allows, whatever the size of the volume.
const MEMORY_MAX_KIB: u64 = 200 << 10;

/// A store and a volume.
struct Bench {
    top: tempfile::TempDir,
    store: PathBuf,
}

impl Bench {
    /// With a repository that is made.
    fn new() -> Result<Self> {
        let top = tempfile::tempdir()?;
        let store = top.path().join("store");
        Self::at(top, store)
    }

    fn at(top: tempfile::TempDir, store: PathBuf) -> Result<Self> {
        fs::create_dir_all(&store)?;
        fs::create_dir(top.path().join("keep"))?;
        let bench = Self { top, store };
        bench.done(&json!("Report"))?;
        Ok(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    fn start(&self, task: &Value) -> Result<Worker> {
        let place = json!({
            "store": "near", "directory": self.store, "password": "secret",
            "keep": self.path("keep"), "keep_deleted_s": 0,
        });
        Worker::start(&json!({"place": {"Restic": place}, "task": task}))
    }

    /// What the worker answers.
    fn done(&self, task: &Value) -> Result<Value> {
        let mut worker = self.start(task)?;
        let line = worker.last_line()?;
        let status = cmd::end_of(&mut worker.child, "the worker", SOON)?;
        ensure!(status.success(), "{status}");
        match line.get("Done") {
            Some(answer) => Ok(answer.clone()),
            None => bail!("{line}"),
        }
    }

    /// A volume's file: `noise_mib` of noise from MiB 2 on, then holes, then its last bytes.
    fn volume(&self, name: &str, len_mib: u64, noise_mib: u64) -> Result<PathBuf> {
        let path = self.path(name);
        let file = File::create(&path)?;
        file.set_len(len_mib * MIB)?;
        let mut piece = vec![0; 1 << 20];
        let mut random = File::open("/dev/urandom")?;
        for index in 0..noise_mib {
            random.read_exact(&mut piece)?;
            file.write_all_at(&piece, (2 + index) * MIB)?;
        }
        file.write_all_at(b"the end", len_mib * MIB - 7)?;
        Ok(path)
    }

    fn list(&self) -> Result<Vec<String>> {
        let list = self.done(&json!("List"))?;
        let backups = list["Backups"].as_array().context("no list")?;
        let id = |backup: &Value| backup[0]["id"].as_str().map(str::to_owned);
        backups
            .iter()
            .map(|backup| id(backup).context("no id"))
            .collect()
    }
}

fn store(id: &str, path: &Path, parent: Option<&str>) -> Result<Value> {
    let volume = json!({
        "id": "6f1c0f5e-0000-4000-8000-000000000001", "name": "root", "description": null, "size_gib": 1,
        "volume_type": "fast", "availability_zone": "nova", "bootable": false, "metadata": {}, "image_metadata": {},
    });
    let description = json!({
        "id": id, "project_id": "p", "user_id": "u", "name": null, "description": null, "metadata": {},
        "created_at": "2026-12-01T00:00:00.000000", "data_timestamp": "2026-12-01T00:00:00.000000",
        "parent_id": null, "snapshot_id": null, "volume": volume,
    });
    Ok(json!({"Store": {
        "description": description, "volume": {"path": path, "len_bytes": fs::metadata(path)?.len(), "bytes_per_s": 0},
        "parent": parent, "changed": null,
    }}))
}

/// A worker process and what it says.
struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Worker {
    fn start(job: &Value) -> Result<Self> {
        let mut child = cmd::program(binary::ashlard()?)
            .arg("backup-worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        let stdout = child.stdout.take().context("no stdout")?;
        writeln!(stdin, "{job}")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout)
                .lines()
                .map_while(std::io::Result::ok)
            {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            stdin: Some(stdin),
            lines,
        })
    }

    fn line(&self) -> Result<Value> {
        let line = self
            .lines
            .recv_timeout(LONG)
            .context("the worker is silent")?;
        serde_json::from_str(&line).context(line)
    }

    /// The word after all progress.
    fn last_line(&self) -> Result<Value> {
        loop {
            let line = self.line()?;
            if line.get("Progress").is_none() {
                return Ok(line);
            }
        }
    }

    /// Waits until it is in the middle of its copy, and has written something.
    fn in_the_middle(&self, store: &Path) -> Result<()> {
        loop {
            let line = self.line()?;
            let progress = line.get("Progress").with_context(|| format!("{line}"))?;
            let has_begun = progress["done_bytes"].as_u64().unwrap_or(0) > 0;
            if has_begun && !files(&store.join("data"))?.is_empty() {
                return Ok(());
            }
        }
    }

    fn status(&self, key: &str) -> Result<String> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path)?;
        let line = text.lines().find(|line| line.starts_with(key));
        Ok(line.context("no such line")?[key.len()..].trim().to_owned())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn files(below: &Path) -> Result<BTreeMap<PathBuf, u64>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![below.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => todo.push(entry.path()),
                false => {
                    found.insert(entry.path(), entry.metadata()?.len());
                }
            }
        }
    }
    Ok(found)
}

fn sha256(path: &Path) -> Result<Vec<u8>> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().to_vec()),
            len => hash.update(&piece[..len]),
        }
    }
}

const ONE: &str = "0b1c0f5e-0000-4000-8000-000000000001";
const TWO: &str = "0b1c0f5e-0000-4000-8000-000000000002";

#[test]
fn restic_lists_checks_and_restores_it() -> Result<()> {
    let Ok(restic) = cmd::find("restic") else {
        seed::skipped(
            "restic_lists_checks_and_restores_it",
            "restic is not installed",
        );
        return Ok(());
    };
    let bench = Bench::new()?;
    // More than a GiB, so that there are two directories.
    let volume = bench.volume("volume", 1032, 20)?;
    bench.done(&store(ONE, &volume, None)?)?;
    let first = sha256(&volume)?;
    let file = File::options().write(true).open(&volume)?;
    file.write_all_at(&[0; 1 << 20], 3 * MIB)?;
    file.write_all_at(b"another", 9 * MIB + 77)?;
    let stored = bench.done(&store(TWO, &volume, Some(ONE))?)?;
    ensure!(
        stored["Stored"]["added_bytes"].as_u64() < Some(3 * MIB),
        "{stored}"
    );
    let second = sha256(&volume)?;
    fs::write(bench.path("password"), "secret\n")?;
    let run = |args: &[&str]| {
        let mut command = cmd::program(&restic);
        command.args(["--no-cache", "--repo"]).arg(&bench.store);
        command
            .arg("--password-file")
            .arg(bench.path("password"))
            .args(args);
        cmd::run_ok(&mut command, LONG)
    };
    let snapshots: Value = serde_json::from_str(&run(&["snapshots", "--json"])?.stdout)?;
    let tags: Vec<&Value> = snapshots
        .as_array()
        .context("no list")?
        .iter()
        .map(|one| &one["tags"])
        .collect();
    ensure!(tags.len() == 2, "{snapshots}");
    let checked = run(&["check", "--read-data"])?;
    ensure!(
        checked.stdout.contains("no errors were found"),
        "{checked:?}"
    );
    for (id, want) in [(ONE, first), (TWO, second)] {
        let out = bench.path(id);
        let target = out.to_str().context("no text")?;
        run(&["restore", "latest", "--tag", id, "--target", target])?;
        let about: Value = serde_json::from_slice(&fs::read(out.join("ashlar.json"))?)?;
        let size = about["len_bytes"].to_string();
        // The line of docs/backup.md, as it stands there.
        let page = fs::read_to_string(binary::workspace().join("docs/backup.md"))?;
        let line = page
            .lines()
            .find(|line| line.starts_with("truncate -s SIZE"));
        let readme = fs::read_to_string(out.join("README"))?;
        ensure!(
            readme.lines().nth(1) == line && readme.lines().count() == 3,
            "{readme}"
        );
        let script = line.context("no such line")?.replace("SIZE", &size);
        let mut shell = cmd::program("sh");
        cmd::run_ok(shell.args(["-ec", &script]).current_dir(&out), LONG)?;
        ensure!(sha256(&out.join("image"))? == want, "{id} is another");
    }
    Ok(())
}

#[test]
fn a_killed_worker_leaves_no_backup_and_the_next_goes_on() -> Result<()> {
    let bench = Bench::new()?;
    let volume = bench.volume("volume", 256, 200)?;
    let mut worker = bench.start(&store(ONE, &volume, None)?)?;
    worker.in_the_middle(&bench.store)?;
    let stat = fs::read_to_string(format!("/proc/{}/stat", worker.child.id()))?;
    let fields = stat.rsplit(')').next().context("no stat")?;
    let niceness = fields.split_whitespace().nth(16).context("no niceness")?;
    let niceness: i32 = niceness.parse()?;
    worker.child.kill()?;
    worker.child.wait()?;
    // More, when the tests themselves give way.
    ensure!(niceness >= 10, "{niceness}");
    ensure!(bench.list()?.is_empty(), "half a backup is listed");
    let left: u64 = files(&bench.store.join("data"))?.values().sum();
    let stored = bench.done(&store(ONE, &volume, None)?)?;
    let added = stored["Stored"]["added_bytes"]
        .as_u64()
        .context("no number")?;
    ensure!(
        added + left < 230 * MIB,
        "{added} bytes were written beside {left}"
    );
    ensure!(bench.list()? == [ONE]);
    restored(&bench, ONE, &volume)?;
    ensure!(
        bench.done(&json!({"Verify": {"backup": null, "depth": "data"}}))?
            == json!({"Findings": []})
    );
    let kept: Vec<_> = files(&bench.path("keep"))?.into_keys().collect();
    ensure!(
        !kept.iter().any(|path| path.ends_with(".claim")),
        "{kept:?}"
    );
    Ok(())
}

fn restored(bench: &Bench, id: &str, volume: &Path) -> Result<()> {
    let target = bench.path("target");
    let len_bytes = fs::metadata(volume)?.len();
    File::create(&target)?.set_len(len_bytes)?;
    let task = json!({"Restore": {"backup": id, "volume": {"path": target, "len_bytes": len_bytes, "bytes_per_s": 0}, "is_blank": true}});
    bench.done(&task)?;
    ensure!(sha256(&target)? == sha256(volume)?, "{id} is another");
    Ok(())
}

/// Its daemon died, or told it to stop.
#[test]
fn a_worker_stops_when_it_is_told_or_alone() -> Result<()> {
    let bench = Bench::new()?;
    let volume = bench.volume("volume", 256, 200)?;
    for is_told in [true, false] {
        let mut worker = bench.start(&store(ONE, &volume, None)?)?;
        wait_for("progress", LONG, || {
            let line = worker.line()?;
            Ok((line["Progress"]["done_bytes"].as_u64() > Some(0)).then_some(()))
        })?;
        let mut stdin = worker.stdin.take().context("no stdin")?;
        if is_told {
            writeln!(stdin, "cancel")?;
        } else {
            drop(stdin);
        }
        ensure!(worker.last_line()? == json!({"Failed": "Cancelled"}));
        cmd::end_of(&mut worker.child, "the worker", SOON)?;
        ensure!(bench.list()?.is_empty(), "half a backup is listed");
    }
    bench.done(&store(ONE, &volume, None)?)?;
    restored(&bench, ONE, &volume)
}

#[test]
fn memory_is_bounded() -> Result<()> {
    let bench = Bench::new()?;
    let volume = bench.volume("volume", 8192, 300)?;
    let mut most_kib = 0;
    for (id, parent) in [(ONE, None), (TWO, Some(ONE))] {
        let worker = bench.start(&store(id, &volume, parent)?)?;
        loop {
            // Gone between its last word and this look.
            if let Ok(peak) = worker.status("VmHWM:") {
                let kib = peak
                    .split_whitespace()
                    .next()
                    .context("no number")?
                    .parse()?;
                most_kib = most_kib.max(kib);
            }
            let line = worker.line()?;
            if line.get("Progress").is_none() {
                ensure!(line.get("Done").is_some(), "{line}");
                break;
            }
        }
    }
    ensure!(most_kib > 0 && most_kib < MEMORY_MAX_KIB, "{most_kib} KiB");
    Ok(())
}

/// What was left of an earlier worker is waited for.
#[test]
fn one_worker_at_a_time_makes_a_backup() -> Result<()> {
    use rustix::fs::{FlockOperation, flock};
    let bench = Bench::new()?;
    let volume = bench.volume("volume", 8, 1)?;
    let claim = File::create(bench.path("keep").join(format!("near.{ONE}.claim")))?;
    flock(&claim, FlockOperation::LockExclusive)?;
    let mut worker = bench.start(&store(ONE, &volume, None)?)?;
    for _ in 0..4 {
        ensure!(worker.line()?.get("Progress").is_some(), "it did not wait");
    }
    drop(claim);
    let line = worker.last_line()?;
    ensure!(line.get("Done").is_some(), "{line}");
    cmd::end_of(&mut worker.child, "the worker", SOON)?;
    Ok(())
}

#[test]
fn a_full_store_is_said_to_be_full() -> Result<()> {
    let top = tempfile::tempdir()?;
    let small = top.path().join("store");
    fs::create_dir(&small)?;
    let mut mount = cmd::program("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=40m", "tmpfs"])
        .arg(&small);
    if let Err(error) = cmd::run_ok(&mut mount, SOON) {
        seed::skipped(
            "a_full_store_is_said_to_be_full",
            &format!("no tmpfs: {error:#}"),
        );
        return Ok(());
    }
    let checked = full(top, &small);
    let mut umount = cmd::program("umount");
    cmd::run_ok(umount.arg("-l").arg(&small), SOON)?;
    checked
}

fn full(top: tempfile::TempDir, small: &Path) -> Result<()> {
    let bench = Bench::at(top, small.to_owned())?;
    let little = bench.volume("little", 8, 4)?;
    bench.done(&store(ONE, &little, None)?)?;
    let much = bench.volume("much", 128, 100)?;
    let worker = bench.start(&store(TWO, &much, Some(ONE))?)?;
    let line = worker.last_line()?;
    ensure!(line["Failed"].get("NoSpace").is_some(), "{line}");
    drop(worker);
    ensure!(bench.list()? == [ONE]);
    restored(&bench, ONE, &little)?;
    let freed = bench.done(&json!("Prune"))?;
    ensure!(freed["FreedBytes"].as_u64() > Some(0), "{freed}");
    let little_two = bench.volume("little", 8, 4)?;
    bench.done(&store(TWO, &little_two, None)?)?;
    restored(&bench, TWO, &little_two)
}
