//! qemu's tools with their iSCSI client: found, or installed from Debian's packages, or refused with the one apt line.
//!
//! Debian ships the iSCSI client of `qemu-img` in a package of its own, which must be of the very version of
//! `qemu-utils`. Where another `qemu-utils` is installed than the archive offers (backports), a matching pair is
//! unpacked under `target/qemu`, and what is installed is left alone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};

use crate::{Result, binary, cmd};

/// What an unprivileged user is told to run.
pub const APT_LINE: &str = "sudo apt-get install qemu-utils qemu-block-extra e2fsprogs";
/// The archive may be slow; it is never this slow.
const APT_DEADLINE: Duration = Duration::from_secs(600);
const PROBE_DEADLINE: Duration = Duration::from_secs(20);

/// qemu's tools, where iSCSI is known to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qemu {
    /// Where the private pair was unpacked; none for the installed one.
    root: Option<PathBuf>,
}

impl Qemu {
    /// `qemu-img`.
    pub fn img(&self) -> Command {
        self.tool("qemu-img")
    }

    /// `qemu-io`.
    pub fn io(&self) -> Command {
        self.tool("qemu-io")
    }

    /// What makes other programs find these tools before any installed ones.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let Some(root) = &self.root else {
            return Vec::new();
        };
        let mut path = root.join("usr/bin").into_os_string();
        path.push(":");
        path.push(cmd::search_path());
        let mut environment = vec![("PATH", path)];
        if let Ok(entries) = std::fs::read_dir(root.join("usr/lib")) {
            let modules = entries.flatten().map(|entry| entry.path().join("qemu"));
            let modules = modules.filter(|path| path.is_dir());
            environment.extend(modules.map(|path| ("QEMU_MODULE_DIR", path.into_os_string())));
        }
        environment
    }

    fn tool(&self, name: &str) -> Command {
        let path = match &self.root {
            Some(root) => root.join("usr/bin").join(name),
            None => PathBuf::from(name),
        };
        let mut command = cmd::program(path);
        command.envs(self.environment());
        command
    }

    fn speaks_iscsi(&self) -> bool {
        let mut command = self.img();
        command.args(["info", "--image-opts"]);
        command.arg("driver=iscsi,transport=tcp,portal=127.0.0.1:1,target=iqn.x:y,lun=1");
        // Nothing listens there: a qemu that knows iSCSI says so, one that does not calls the driver unknown.
        cmd::run(&mut command, PROBE_DEADLINE)
            .is_ok_and(|ended| ended.stderr.contains("iSCSI") && !knows_not(&ended.stderr))
    }
}

fn knows_not(stderr: &str) -> bool {
    stderr.contains("Unknown driver") || stderr.contains("Unable to load module")
}

/// The tools; the first caller of a process looks for them, and as root installs what is missing. `say` hears what
/// is being installed.
pub fn ready(say: impl Fn(&str)) -> Result<Qemu> {
    static READY: OnceLock<Result<Qemu, String>> = OnceLock::new();
    let found = READY.get_or_init(|| find_or_install(&say).map_err(|error| format!("{error:#}")));
    found.clone().map_err(|error| anyhow!(error))
}

fn find_or_install(say: &impl Fn(&str)) -> Result<Qemu> {
    let installed = Qemu { root: None };
    let unpacked = Qemu {
        root: Some(binary::workspace().join("target/qemu/root")),
    };
    let missing = || format!("qemu's iSCSI client is missing; install it with\n  {APT_LINE}");
    for qemu in [&installed, &unpacked] {
        if qemu.speaks_iscsi() && cmd::find("mkfs.ext4").is_ok() {
            return Ok(qemu.clone());
        }
    }
    ensure!(rustix::process::geteuid().is_root(), missing());
    say("installing Debian's packages qemu-utils, qemu-block-extra and e2fsprogs");
    apt_update()?;
    if other_version_is_installed()? {
        say("another qemu-utils is installed: unpacking a matching pair under target/qemu");
        unpack(&binary::workspace().join("target/qemu"))?;
    } else {
        apt_install(&["qemu-utils", "qemu-block-extra", "e2fsprogs"])?;
    }
    let found = [installed, unpacked].into_iter().find(Qemu::speaks_iscsi);
    found.with_context(|| format!("after installing, {}", missing()))
}

fn apt(args: &[&str]) -> Result<String> {
    let mut command = cmd::program("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
    Ok(cmd::run_ok(&mut command, APT_DEADLINE)?.stdout)
}

/// Reads the archive's lists anew.
pub fn apt_update() -> Result<()> {
    apt(&["update", "-qq"]).map(|_| ())
}

/// Installs Debian's packages.
pub fn apt_install(packages: &[&str]) -> Result<()> {
    let options = ["install", "-y", "-qq", "--no-install-recommends"];
    apt(&[&options, packages].concat()).map(|_| ())
}

/// Whether installing the iSCSI client would need another `qemu-utils` than the one that is there.
fn other_version_is_installed() -> Result<bool> {
    let policy = |package: &str| -> Result<(String, String)> {
        let ended = cmd::run_ok(
            cmd::program("apt-cache").args(["policy", package]),
            APT_DEADLINE,
        )?;
        let field = |name: &str| {
            let line = ended
                .stdout
                .lines()
                .find_map(|line| line.trim().strip_prefix(name));
            line.unwrap_or("(none)").trim().to_owned()
        };
        Ok((field("Installed:"), field("Candidate:")))
    };
    let (utils, _) = policy("qemu-utils")?;
    let (_, extra) = policy("qemu-block-extra")?;
    Ok(utils != "(none)" && utils != extra)
}

fn unpack(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let madison = cmd::run_ok(
        cmd::program("apt-cache").args(["madison", "qemu-block-extra"]),
        APT_DEADLINE,
    )?;
    let version = madison
        .stdout
        .lines()
        .next()
        .and_then(|line| line.split('|').nth(1));
    let version = version
        .context("the archive has no qemu-block-extra")?
        .trim();
    // Its libraries, which unlike the tools can be installed beside anything.
    apt_install(&[
        "libiscsi7",
        "libaio1",
        "liburing2",
        "libfuse3-3",
        "e2fsprogs",
    ])?;
    let mut command = cmd::program("apt-get");
    command.current_dir(dir).args(["download", "-qq"]);
    command.args(["qemu-utils", "qemu-block-extra"].map(|name| format!("{name}={version}")));
    cmd::run_ok(&mut command, APT_DEADLINE)?;
    for entry in std::fs::read_dir(dir)?.flatten() {
        if entry.path().extension().is_some_and(|ext| ext == "deb") {
            let mut command = cmd::program("dpkg-deb");
            command.arg("-x").arg(entry.path()).arg(dir.join("root"));
            cmd::run_ok(&mut command, APT_DEADLINE)?;
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
