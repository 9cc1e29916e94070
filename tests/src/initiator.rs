//! A host with an iSCSI initiator: libiscsi, through qemu's tools.
//!
//! Built from a `connection_info` as Cinder gives it. The CHAP secret goes to qemu in a file that only we can read,
//! never in an argument list.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::qemu::Qemu;
use crate::{Result, cmd};

/// The initiator name that tests use as connector, unless they need a second host.
pub const INITIATOR: &str = "iqn.1993-08.org.debian:01:ashlar-host1";
/// A gigabyte over loopback, on a machine that is busy with other tests.
const IO_DEADLINE: Duration = Duration::from_secs(120);

/// A connector as os-brick collects it on a host.
pub fn connector(initiator: &str) -> Value {
    json!({
        "initiator": initiator, "host": "host1", "ip": "127.0.0.1", "platform": "x86_64",
        "os_type": "linux", "multipath": false, "do_local_attach": false,
    })
}

/// A volume as this host reaches it.
#[derive(Debug)]
pub struct Disk {
    qemu: Qemu,
    options: String,
    secret: Option<PathBuf>,
    dir: tempfile::TempDir,
}

impl Disk {
    /// From the connection info of an attachment (flat) or of `os-initialize_connection` (with `data`).
    pub fn new(qemu: &Qemu, info: &Value, initiator: &str) -> Result<Self> {
        let data = if info["data"].is_object() {
            &info["data"]
        } else {
            info
        };
        let kind = info["driver_volume_type"].as_str().unwrap_or_default();
        ensure!(kind == "iscsi", "driver_volume_type is {kind:?} in {info}");
        let text = |key: &str| {
            data[key]
                .as_str()
                .with_context(|| format!("no {key} in the connection info"))
        };
        let dir = tempfile::tempdir()?;
        let mut options = format!(
            "driver=iscsi,transport=tcp,portal={},target={},lun={},initiator-name={initiator}",
            text("target_portal")?,
            text("target_iqn")?,
            data["target_lun"],
        );
        let mut secret = None;
        if data["auth_method"] == "CHAP" {
            let path = dir.path().join("chap");
            let mut options_of_file = std::fs::OpenOptions::new();
            let mut file = options_of_file
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(text("auth_password")?.as_bytes())?;
            options.push_str(&format!(
                ",user={},password-secret=chap",
                text("auth_username")?
            ));
            secret = Some(path);
        }
        Ok(Self {
            qemu: qemu.clone(),
            options,
            secret,
            dir,
        })
    }

    /// The same disk with another CHAP secret (or with none at all), to see it refused.
    pub fn with_secret(mut self, secret: Option<&str>) -> Result<Self> {
        match (secret, &self.secret) {
            (Some(secret), Some(path)) => std::fs::write(path, secret)?,
            _ => {
                let end = self.options.find(",user=").unwrap_or(self.options.len());
                self.options.truncate(end);
                self.secret = None;
            }
        }
        Ok(self)
    }

    /// The size that the target reports.
    pub fn len_bytes(&self) -> Result<u64> {
        let mut command = self.qemu.img();
        self.object(command.args(["info", "--output=json"]));
        let ended = cmd::run_ok(command.arg("--image-opts").arg(&self.options), IO_DEADLINE)?;
        let info: Value = serde_json::from_str(&ended.stdout)?;
        info["virtual-size"]
            .as_u64()
            .context("qemu-img names no size")
    }

    /// Writes a raw image to the start of the disk: its data only when the disk is known to read zeros.
    pub fn write_image(&self, image: &Path, is_disk_zero: bool) -> Result<()> {
        let len = std::fs::metadata(image)?.len();
        let mut command = self.qemu.img();
        self.object(command.args(["convert", "-n", "-f", "raw", "-W"]));
        if is_disk_zero {
            command.arg("--target-is-zero");
        }
        command
            .arg("--target-image-opts")
            .arg(image)
            .arg(self.window(0, len));
        cmd::run_ok(&mut command, IO_DEADLINE).map(|_| ())
    }

    /// Reads the whole disk into a sparse raw image.
    pub fn read_image(&self, image: &Path) -> Result<()> {
        let mut command = self.qemu.img();
        self.object(command.args(["convert", "-O", "raw"]));
        command.arg("--image-opts").arg(&self.options).arg(image);
        cmd::run_ok(&mut command, IO_DEADLINE).map(|_| ())
    }

    /// Reads a stretch of the disk.
    pub fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let image = self.dir.path().join("read");
        let mut command = self.qemu.img();
        self.object(command.args(["convert", "-O", "raw"]));
        command
            .arg("--image-opts")
            .arg(self.window(offset, len))
            .arg(&image);
        cmd::run_ok(&mut command, IO_DEADLINE)?;
        Ok(std::fs::read(image)?)
    }

    /// Runs qemu-io commands in one login; each must succeed.
    pub fn io(&self, commands: &[String]) -> Result<String> {
        let mut command = self.io_command(commands);
        let ended = cmd::run_ok(&mut command, IO_DEADLINE)?;
        // qemu-io exits 0 even when a read or a write failed.
        let is_bad = ended.stdout.contains("failed") || ended.stderr.contains("failed");
        ensure!(!is_bad, "qemu-io: {}{}", ended.stdout, ended.stderr);
        Ok(ended.stdout)
    }

    /// qemu-io with these commands, to be started by the caller.
    pub fn io_command(&self, commands: &[String]) -> Command {
        let mut command = self.qemu.io();
        // No cache of qemu's own, so that an answered write has been at the target.
        self.object(command.args(["-t", "none"]));
        command.arg("--image-opts").arg(&self.options);
        for line in commands {
            command.arg("-c").arg(line);
        }
        command
    }

    /// Whether a login gets through to the disk at all.
    pub fn is_open(&self) -> bool {
        self.len_bytes().is_ok()
    }

    fn object(&self, command: &mut Command) {
        if let Some(path) = &self.secret {
            command
                .arg("--object")
                .arg(format!("secret,id=chap,file={}", path.display()));
        }
    }

    fn window(&self, offset: u64, len: u64) -> String {
        let below = self
            .options
            .split(',')
            .map(|option| format!("file.{option}"));
        let below = below.collect::<Vec<_>>().join(",");
        format!("driver=raw,offset={offset},size={len},{below}")
    }
}
