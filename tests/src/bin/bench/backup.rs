//! Backups: the worker beside restic and dd, on the same volume, one after the other in each round.
//!
//! The volume: 8 MiB each of noise, zeros and program text, over and over. What is compared is time to the end of the
//! process, with the repository on the same disk.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ashlar_tests::{Result, binary, cmd};
use serde_json::{Value, json};

use crate::figure::{Figure, Goal};
use crate::rig::Rig;

pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        name: "backup, first full, times as fast as restic",
        unit: "x",
        goal: Goal::Above(1.7),
        cinder: None,
        is_once: false,
        measure: full,
    },
    Figure {
        name: "backup, nothing changed, all read",
        unit: "ms",
        goal: Goal::Below(2000.0),
        cinder: None,
        is_once: false,
        measure: unchanged,
    },
    Figure {
        name: "backup, 1 % changed and known",
        unit: "ms",
        goal: Goal::Below(2000.0),
        cinder: None,
        is_once: false,
        measure: changed,
    },
    Figure {
        name: "backup, restore, times as fast as dd",
        unit: "x",
        goal: Goal::Above(0.8),
        cinder: None,
        is_once: false,
        measure: restore,
    },
];

const MIB: u64 = 1 << 20;
const LEN_MIB: u64 = 1024;
const LONG: Duration = Duration::from_secs(900);

/// The volume, and a store that has it once.
pub(crate) struct Backups {
    top: tempfile::TempDir,
    count: u64,
}

impl Backups {
    pub(crate) fn new() -> Result<Self> {
        let target = binary::workspace().join("target/bench");
        fs::create_dir_all(&target)?;
        let top = tempfile::tempdir_in(target)?;
        fs::create_dir(top.path().join("keep"))?;
        let file = File::create(top.path().join("volume"))?;
        file.set_len(LEN_MIB * MIB)?;
        let mut random = File::open("/dev/urandom")?;
        let text = text()?;
        let mut piece = vec![0; 8 << 20];
        for index in 0..LEN_MIB / 8 {
            match index % 3 {
                0 => random.read_exact(&mut piece)?,
                1 => piece.fill(0),
                _ => {
                    let start = usize::try_from(index)? * 65_521 % (text.len() - piece.len());
                    piece.copy_from_slice(&text[start..start + (8 << 20)]);
                }
            }
            file.write_all_at(&piece, index * 8 * MIB)?;
        }
        file.sync_all()?;
        fs::write(top.path().join("password"), "secret\n")?;
        Ok(Self { top, count: 0 })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// An id that was not used yet.
    fn id(&mut self) -> String {
        self.count += 1;
        format!("0b1c0f5e-0000-4000-8000-{:012}", self.count)
    }
}

/// Program text, at least as much as there is of it in a piece.
fn text() -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut todo = vec![binary::workspace().join("daemon/src")];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            match path.is_dir() {
                true => todo.push(path),
                false => text.extend(fs::read(path)?),
            }
        }
    }
    while text.len() < 24 << 20 {
        text.extend_from_within(..);
    }
    Ok(text)
}

/// A job of the worker, and how long it took from start to end.
fn work(rig: &mut Rig, store: &str, task: &Value) -> Result<f64> {
    let program = rig.ashlard().to_owned();
    let backups = rig.backups()?;
    let directory = backups.path(store);
    fs::create_dir_all(&directory)?;
    let place = json!({"store": store, "directory": directory, "password": "secret",
        "keep": backups.path("keep"), "keep_deleted_s": 0});
    let began = Instant::now();
    let mut child = cmd::program(program)
        .arg("backup-worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    writeln!(stdin, "{}", json!({"place": place, "task": task}))?;
    let mut said = String::new();
    let mut stdout = child.stdout.take().context("no stdout")?;
    stdout.read_to_string(&mut said)?;
    cmd::end_of(&mut child, "the worker", LONG)?;
    let took_s = began.elapsed().as_secs_f64();
    let last = said.lines().last().unwrap_or_default();
    ensure!(last.starts_with("{\"Done\""), "{last}");
    Ok(took_s)
}

fn store(id: &str, volume: &Path, parent: Option<&str>, changed: Option<&[(u64, u64)]>) -> Value {
    let described = json!({"id": "v", "name": null, "description": null, "size_gib": 1, "volume_type": "t",
        "availability_zone": "nova", "bootable": false, "metadata": {}, "image_metadata": {}});
    let description = json!({"id": id, "project_id": "p", "user_id": "u", "name": null, "description": null,
        "metadata": {}, "created_at": "", "data_timestamp": "", "parent_id": null, "snapshot_id": null,
        "volume": described});
    json!({"Store": {"description": description, "volume": {"path": volume, "len_bytes": LEN_MIB * MIB, "bytes_per_s": 0},
        "parent": parent, "changed": changed}})
}

/// Each round has a new store of each kind, which is removed after it.
fn full(rig: &mut Rig) -> Result<f64> {
    let restic = cmd::find("restic")?;
    let (id, volume) = (rig.backups()?.id(), rig.backups()?.path("volume"));
    work(rig, "fresh", &json!("Report"))?;
    let ours_s = work(rig, "fresh", &store(&id, &volume, None, None))?;
    let backups = rig.backups()?;
    fs::remove_dir_all(backups.path("fresh"))?;
    fs::remove_file(backups.path("keep/fresh.id"))?;
    let run = |args: &[&str]| {
        let mut command = cmd::program(&restic);
        command
            .args(["--no-cache", "--repo"])
            .arg(backups.path("restic"));
        command.arg("--password-file").arg(backups.path("password"));
        cmd::run_ok(command.args(args), LONG)
    };
    run(&["init"])?;
    let began = Instant::now();
    run(&["backup", volume.to_str().context("no text")?])?;
    let restics_s = began.elapsed().as_secs_f64();
    fs::remove_dir_all(backups.path("restic"))?;
    crate::say(&format!("  worker {ours_s:.2} s, restic {restics_s:.2} s"));
    Ok(restics_s / ours_s)
}

/// The store that has the volume already, and its backup there.
fn kept(rig: &mut Rig) -> Result<String> {
    let id = "0b1c0f5e-0000-4000-8000-999999999999".to_owned();
    let volume = rig.backups()?.path("volume");
    work(rig, "kept", &json!("Report"))?;
    work(rig, "kept", &store(&id, &volume, None, None))?;
    Ok(id)
}

fn unchanged(rig: &mut Rig) -> Result<f64> {
    let parent = kept(rig)?;
    let (id, volume) = (rig.backups()?.id(), rig.backups()?.path("volume"));
    Ok(work(rig, "kept", &store(&id, &volume, Some(&parent), None))? * 1000.0)
}

fn changed(rig: &mut Rig) -> Result<f64> {
    let parent = kept(rig)?;
    let (id, volume) = (rig.backups()?.id(), rig.backups()?.path("volume"));
    let file = File::options().write(true).open(&volume)?;
    let mut noise = vec![0; 64 << 10];
    let mut random = File::open("/dev/urandom")?;
    let mut ranges = Vec::new();
    for index in 0..LEN_MIB * 16 / 100 {
        random.read_exact(&mut noise)?;
        let at = index * (100 << 16);
        file.write_all_at(&noise, at)?;
        ranges.push((at, 64 << 10));
    }
    file.sync_all()?;
    let task = store(&id, &volume, Some(&parent), Some(&ranges));
    Ok(work(rig, "kept", &task)? * 1000.0)
}

fn restore(rig: &mut Rig) -> Result<f64> {
    let backup = kept(rig)?;
    let (target, copy) = (rig.backups()?.path("target"), rig.backups()?.path("copy"));
    File::create(&target)?.set_len(LEN_MIB * MIB)?;
    let task = json!({"Restore": {"backup": backup, "volume": {"path": target, "len_bytes": LEN_MIB * MIB, "bytes_per_s": 0}, "is_blank": true}});
    let ours_s = work(rig, "kept", &task)?;
    let volume = rig.backups()?.path("volume");
    let mut dd = cmd::program("dd");
    dd.arg(format!("if={}", volume.display()));
    dd.arg(format!("of={}", copy.display()));
    let began = Instant::now();
    cmd::run_ok(dd.args(["bs=1M", "conv=fsync,sparse", "status=none"]), LONG)?;
    let dds_s = began.elapsed().as_secs_f64();
    fs::remove_file(&target)?;
    fs::remove_file(&copy)?;
    crate::say(&format!("  worker {ours_s:.2} s, dd {dds_s:.2} s"));
    Ok(dds_s / ours_s)
}
