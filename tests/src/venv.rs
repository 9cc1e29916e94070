//! Python packages for the tests: a virtual environment below `target/`, made out of `tests/clients/requirements.txt`.
//!
//! `make check` makes it ([`prepare`]); a test that finds none, or one of other requirements, says that it is skipped.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::{Result, binary, cmd, qemu};

/// Some seventy packages through a slow line.
const INSTALL_DEADLINE: Duration = Duration::from_secs(600);

/// The environment, whole and of the present requirements.
#[derive(Debug)]
pub struct Venv(PathBuf);

fn place() -> PathBuf {
    binary::workspace().join("target/venv")
}

fn requirements() -> PathBuf {
    directory().join("requirements.txt")
}

/// Where the Python programs of the tests are.
pub fn directory() -> PathBuf {
    binary::workspace().join("tests/clients")
}

/// The environment, if it is there.
pub fn get() -> Result<Venv> {
    let wanted = std::fs::read(requirements())?;
    let stamp = std::fs::read(place().join("requirements.txt"));
    let has = stamp.is_ok_and(|stamp| stamp == wanted);
    ensure!(
        has,
        "target/venv is not there or of older requirements; `make check` makes it"
    );
    Ok(Venv(place()))
}

/// Makes it, if it is not there.
pub fn prepare(say: impl Fn(&str)) -> Result<Venv> {
    if let Ok(venv) = get() {
        return Ok(venv);
    }
    say("installing the clients of PyPI into target/venv");
    let place = place();
    if place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    let make = || {
        cmd::run_ok(
            cmd::program("python3").args(["-m", "venv"]).arg(&place),
            INSTALL_DEADLINE,
        )
    };
    if make().is_err() {
        ensure!(
            rustix::process::geteuid().is_root(),
            "python3 cannot make environments; install it with\n  sudo apt-get install python3-venv"
        );
        qemu::apt_update().and_then(|()| qemu::apt_install(&["python3-venv"]))?;
        make()?;
    }
    let mut pip = cmd::program(place.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "-r",
    ]);
    cmd::run_ok(pip.arg(requirements()), INSTALL_DEADLINE).context("pip")?;
    // Last, so that an environment that was cut short is made again.
    std::fs::copy(requirements(), place.join("requirements.txt"))?;
    get()
}

impl Venv {
    /// Where its packages are.
    pub fn packages(&self) -> Result<PathBuf> {
        let entries = std::fs::read_dir(self.0.join("lib"))?.flatten();
        let mut dirs = entries.map(|entry| entry.path().join("site-packages"));
        dirs.find(|dir| dir.is_dir())
            .context("the environment has no packages")
    }

    /// One of its programs.
    pub fn program(&self, name: &str) -> Command {
        let mut command = cmd::program(self.0.join("bin").join(name));
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(directory());
        command
    }
}
