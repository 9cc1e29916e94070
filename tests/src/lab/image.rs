//! The guests' image and the frozen guest: built once, cached by a hash of all that they are made of.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use super::emulator::Emulator;
use super::guest::{self, Guest};
use crate::{Result, binary, cmd, qemu};

/// The recipe.
const RECIPE: &str = "tests/lab/image.sh";
/// The archive may be slow, and so may this machine.
const BUILD_DEADLINE: Duration = Duration::from_secs(1500);
/// What the recipe needs here, by a program of each package.
const PACKAGES: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("ssh-keygen", "openssh-client"),
    ("mke2fs", "e2fsprogs"),
    ("strip", "binutils"),
];

/// What every case starts from.
#[derive(Debug, Clone)]
pub struct Image {
    /// QEMU itself.
    pub emulator: Emulator,
    dir: PathBuf,
    frozen: PathBuf,
}

impl Image {
    /// The image with its frozen guest; made if it is not there. `say` hears what takes long.
    pub fn ready(say: impl Fn(&str)) -> Result<Self> {
        install(&say)?;
        let emulator = Emulator::ready(&say)?;
        let recipe = std::fs::read(binary::workspace().join(RECIPE))?;
        let frozen_as = format!("{} {}", guest::SHAPE, emulator.version);
        let dir = binary::workspace().join("target/lab").join(hash(&recipe));
        let image = Self {
            emulator,
            frozen: dir.join(hash(frozen_as.as_bytes())),
            dir,
        };
        if !image.root().exists() {
            say("building the guests' image from Debian's packages, some minutes");
            image.build()?;
        }
        if !image.state().exists() {
            say("booting the guest and freezing it");
            image.freeze()?;
        }
        Ok(image)
    }

    fn build(&self) -> Result<()> {
        // Beside its place until it is whole: an interrupted build is begun anew.
        let beside = self.dir.with_extension("new");
        if beside.exists() {
            std::fs::remove_dir_all(&beside)?;
        }
        std::fs::create_dir_all(&beside)?;
        let mut build = cmd::program("sh");
        build.arg(binary::workspace().join(RECIPE)).arg(&beside);
        cmd::run_ok(&mut build, BUILD_DEADLINE)?;
        std::fs::rename(&beside, &self.dir)?;
        Ok(())
    }

    fn freeze(&self) -> Result<()> {
        std::fs::create_dir_all(&self.frozen)?;
        let booted = self.booted();
        overlay(&self.root(), &booted)?;
        let mut guest = Guest::boot_for_freezing(self, &booted)?;
        let beside = self.frozen.join("state.new");
        guest.freeze(&beside)?;
        std::fs::rename(&beside, self.state())?;
        Ok(())
    }

    /// The file system as it was built.
    fn root(&self) -> PathBuf {
        self.dir.join("root.qcow2")
    }

    /// The file system when the guest was frozen.
    pub(super) fn booted(&self) -> PathBuf {
        self.frozen.join("booted.qcow2")
    }

    /// The frozen guest's memory.
    pub(super) fn state(&self) -> PathBuf {
        self.frozen.join("state")
    }

    /// A file that the recipe left: `vmlinuz`, `initrd`, `id`.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn hash(of: &[u8]) -> String {
    let hash = Sha256::digest(of);
    hash.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A disk that shows `below` until it is written to.
pub(super) fn overlay(below: &Path, disk: &Path) -> Result<()> {
    if disk.exists() {
        std::fs::remove_file(disk)?;
    }
    let mut create = cmd::program("qemu-img");
    create.args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"]);
    create.arg(below).arg(disk);
    cmd::run_ok(&mut create, Duration::from_secs(60))?;
    Ok(())
}

fn install(say: &impl Fn(&str)) -> Result<()> {
    qemu::ready(say).context("qemu-img is missing")?;
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(program, _)| cmd::find(program).is_err())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    ensure!(
        rustix::process::geteuid().is_root(),
        "install what builds the guests with\n  sudo apt-get install {names}"
    );
    say(&format!("installing Debian's packages {names}"));
    qemu::apt_update()?;
    qemu::apt_install(&missing)
}
