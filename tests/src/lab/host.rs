//! A host that uses volumes: open-iscsi, as an administrator drives it by hand.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::PATIENCE;
use super::guest::{Guest, Role, Wire};
use super::image::Image;
use crate::Result;
use crate::wait::wait_for;

/// A host.
#[derive(Debug)]
pub struct Host {
    /// The machine.
    pub guest: Guest,
}

/// A disk on the host: where to log in, and the stable path.
#[derive(Debug, Clone)]
pub struct Lun {
    iqn: String,
    portal: String,
    /// `/dev/disk/by-path/…`.
    pub path: String,
}

impl Host {
    /// Starts to thaw one.
    pub fn thaw(image: &Image, dir: &Path, wire: Wire) -> Result<Self> {
        let guest = Guest::thaw(image, dir, Role::Host, wire, false)?;
        Ok(Self { guest })
    }

    /// Who it is.
    pub fn initiator(&self) -> String {
        format!("iqn.1993-08.org.debian:01:{}", Role::Host.name())
    }

    /// As os-brick tells it.
    pub fn connector(&self) -> Value {
        json!({
            "initiator": self.initiator(), "host": "host", "ip": "10.77.0.2", "platform": "x86_64",
            "os_type": "linux", "multipath": false, "do_local_attach": false,
        })
    }

    /// Logs in with the connection info of an attachment.
    pub fn log_in(&self, info: &Value) -> Result<Lun> {
        let lun = self.record(info, None)?;
        let (iqn, portal) = (&lun.iqn, &lun.portal);
        self.guest
            .shell
            .run(&format!("iscsiadm -m node -T {iqn} -p {portal} --login"))?;
        self.wait_disk(&lun)?;
        Ok(lun)
    }

    /// Until the disk of a login is there. The kernel looks for disks in the background, so that udev may have nothing
    /// to settle yet when iscsiadm returns.
    pub fn wait_disk(&self, lun: &Lun) -> Result<()> {
        wait_for("the disk of a login", PATIENCE, || {
            let there = self
                .guest
                .shell
                .try_run(&format!("test -b {}", lun.path), PATIENCE)?;
            Ok(there.status.success().then_some(()))
        })?;
        self.guest.shell.run("udevadm settle -t 60").map(|_| ())
    }

    /// The node's record, with the secret of the info or another one.
    pub fn record(&self, info: &Value, secret: Option<&str>) -> Result<Lun> {
        let text = |key: &str| {
            info[key]
                .as_str()
                .with_context(|| format!("no {key} in the connection info"))
        };
        let (iqn, portal) = (text("target_iqn")?, text("target_portal")?);
        let node = format!("iscsiadm -m node -T {iqn} -p {portal}");
        let mut lines = vec![format!("{node} -o new")];
        let secret = secret.map_or_else(|| text("auth_password"), Ok)?;
        for (name, value) in [
            ("authmethod", "CHAP"),
            ("username", text("auth_username")?),
            ("password", secret),
        ] {
            lines.push(format!(
                "{node} -o update -n node.session.auth.{name} -v {value}"
            ));
        }
        self.guest.shell.run(&lines.join(" && "))?;
        Ok(Lun {
            iqn: iqn.to_owned(),
            portal: portal.to_owned(),
            path: format!(
                "/dev/disk/by-path/ip-{portal}-iscsi-{iqn}-lun-{}",
                info["target_lun"]
            ),
        })
    }

    /// Demands of the target that it proves itself with this secret.
    pub fn demand_proof(&self, lun: &Lun, user: &str, secret: &str) -> Result<()> {
        let node = format!("iscsiadm -m node -T {} -p {}", lun.iqn, lun.portal);
        let set = |name: &str, value: &str| {
            format!("{node} -o update -n node.session.auth.{name} -v {value}")
        };
        let both = [set("username_in", user), set("password_in", secret)];
        self.guest.shell.run(&both.join(" && ")).map(|_| ())
    }

    /// Whether the target lets it in; what it says if not.
    pub fn is_let_in(&self, lun: &Lun) -> Result<(bool, String)> {
        let login = format!("iscsiadm -m node -T {} -p {} --login", lun.iqn, lun.portal);
        let ended = self.guest.shell.try_run(&login, PATIENCE)?;
        Ok((ended.status.success(), ended.stderr))
    }

    /// Logs out and forgets the record.
    pub fn log_out(&self, lun: &Lun) -> Result<()> {
        let node = format!("iscsiadm -m node -T {} -p {}", lun.iqn, lun.portal);
        self.guest.shell.run(&format!(
            "{node} --logout && {node} -o delete; udevadm settle -t 60"
        ))?;
        Ok(())
    }

    /// Until the disk has this length, as a host sees it after a rescan.
    pub fn rescan(&self, lun: &Lun, len_bytes: u64) -> Result<()> {
        let (iqn, portal) = (&lun.iqn, &lun.portal);
        wait_for(&format!("{len_bytes} bytes on the host"), PATIENCE, || {
            let said = self.guest.shell.run(&format!(
                "iscsiadm -m node -T {iqn} -p {portal} -R >/dev/null; blockdev --getsize64 {}",
                lun.path
            ))?;
            Ok((said.trim() == len_bytes.to_string()).then_some(()))
        })
    }

    /// A file system of this kind on the disk, mounted, with files in it.
    pub fn format(&self, lun: &Lun, kind: &str, dir: &str) -> Result<()> {
        let force = if kind == "xfs" { "-f" } else { "-F" };
        self.guest.shell.run(&format!(
            "mkfs.{kind} -q {force} {} && mkdir -p {dir}",
            lun.path
        ))?;
        self.mount(lun, dir)
    }

    /// Mounts it.
    pub fn mount(&self, lun: &Lun, dir: &str) -> Result<()> {
        self.guest
            .shell
            .run(&format!("mkdir -p {dir} && mount {} {dir}", lun.path))?;
        Ok(())
    }

    /// Unmounts what is there.
    pub fn unmount(&self, dir: &str) -> Result<()> {
        self.guest.shell.run(&format!("umount {dir}")).map(|_| ())
    }

    /// Writes files below `dir`, and says what their sums are, once they are on the disk.
    pub fn write_files(&self, dir: &str, len_mib: u64) -> Result<String> {
        self.guest.shell.run(&format!(
            "mkdir -p {dir} && cp -r /usr/lib/python3.11/json /etc/ssh {dir}/ && \
             head -c {len_mib}M /dev/urandom > {dir}/random && sync -f {dir}"
        ))?;
        self.sums(dir)
    }

    /// The sums of all files below `dir`, read from the disk and not from memory.
    pub fn sums(&self, dir: &str) -> Result<String> {
        let sums = self.guest.shell.run(&format!(
            "sync; echo 3 > /proc/sys/vm/drop_caches; cd {dir} && find . -type f -print0 | sort -z | xargs -0 sha256sum"
        ))?;
        ensure!(!sums.trim().is_empty(), "no file below {dir}");
        Ok(sums)
    }
}
