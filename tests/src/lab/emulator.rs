//! QEMU's system emulator: the installed one, or one unpacked under `target/lab` beside other QEMU packages.
//!
//! Debian's `qemu-system-x86` must be of the version of every other QEMU package, so installing it could take a newer
//! `qemu-utils` away. It is unpacked instead, and its libraries, which harm nobody, are installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::{Result, binary, cmd, qemu};

const NAME: &str = "qemu-system-x86_64";
const DEADLINE: Duration = Duration::from_secs(600);
/// The emulator with its firmware.
const PACKAGES: &[&str] = &[
    "qemu-system-x86",
    "qemu-system-common",
    "qemu-system-data",
    "seabios",
    "ipxe-qemu",
];

/// A QEMU that starts here.
#[derive(Debug, Clone)]
pub struct Emulator {
    /// Where it was unpacked; none for the installed one.
    root: Option<PathBuf>,
    /// What it calls itself: a frozen guest is thawed by the version that froze it.
    pub version: String,
}

impl Emulator {
    /// One that starts, and knows a network over datagrams (7.2 and later).
    pub fn ready(say: &impl Fn(&str)) -> Result<Self> {
        let unpacked = binary::workspace().join("target/lab/qemu/root");
        for root in [None, Some(unpacked.clone())] {
            if let Ok(emulator) = Self::at(root) {
                return Ok(emulator);
            }
        }
        ensure!(
            rustix::process::geteuid().is_root(),
            "{NAME} 7.2 or later is missing; install it with\n  sudo apt-get install qemu-system-x86"
        );
        say("unpacking Debian's QEMU under target/lab");
        unpack(&binary::workspace().join("target/lab/qemu"))?;
        Self::at(Some(unpacked))
    }

    fn at(root: Option<PathBuf>) -> Result<Self> {
        let mut emulator = Self {
            root,
            version: String::new(),
        };
        let told = cmd::run_ok(emulator.command().arg("--version"), Duration::from_secs(20))?;
        let version = told.stdout.lines().next().unwrap_or_default().to_owned();
        let number = version.split("version ").nth(1).unwrap_or_default();
        let mut parts = number.split('.').map_while(|part| part.parse::<u32>().ok());
        let known = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        ensure!(known >= (7, 2), "{version} is older than 7.2");
        emulator.version = version;
        Ok(emulator)
    }

    /// The emulator, which ends when whoever starts it does.
    pub fn command(&self) -> Command {
        let mut command = cmd::program("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        let Some(root) = &self.root else {
            command.arg(NAME);
            return command;
        };
        command.arg(root.join("usr/bin").join(NAME));
        if let Some(modules) = modules(root) {
            command.env("QEMU_MODULE_DIR", modules);
        }
        for firmware in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(root.join(firmware));
        }
        command
    }
}

fn modules(root: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(root.join("usr/lib")).ok()?;
    let mut dirs = entries.flatten().map(|entry| entry.path().join("qemu"));
    dirs.find(|path| path.is_dir())
}

fn unpack(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    qemu::apt_update()?;
    let libraries = libraries()?;
    let libraries: Vec<&str> = libraries.iter().map(String::as_str).collect();
    qemu::apt_install(&libraries)?;
    let mut download = cmd::program("apt-get");
    download.current_dir(dir).args(["download", "-qq"]);
    for package in PACKAGES {
        let version = offered(package)?;
        download.arg(format!("{package}={version}"));
    }
    cmd::run_ok(&mut download, DEADLINE)?;
    for entry in std::fs::read_dir(dir)?.flatten() {
        if entry.path().extension().is_some_and(|ext| ext == "deb") {
            let mut extract = cmd::program("dpkg-deb");
            extract.arg("-x").arg(entry.path()).arg(dir.join("root"));
            cmd::run_ok(&mut extract, DEADLINE)?;
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The libraries that the emulator is linked with, as its package names them.
fn libraries() -> Result<Vec<String>> {
    let mut depends = cmd::program("apt-cache");
    depends.args(["depends", "--important"]);
    depends.arg(PACKAGES[0]);
    let told = cmd::run_ok(&mut depends, DEADLINE)?.stdout;
    let named = told
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    let libraries = named.filter(|name| name.starts_with("lib"));
    Ok(libraries.map(str::to_owned).collect())
}

/// The newest version of the archive of this release: all of the packages must be of one.
fn offered(package: &str) -> Result<String> {
    let mut madison = cmd::program("apt-cache");
    madison.args(["madison", package]);
    let told = cmd::run_ok(&mut madison, DEADLINE)?.stdout;
    let version = told.lines().next().and_then(|line| line.split('|').nth(1));
    let version = version.with_context(|| format!("the archive has no {package}"))?;
    Ok(version.trim().to_owned())
}
