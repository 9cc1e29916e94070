//! One guest: thawed from the frozen one, booted, frozen, or cut off from its power.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

use super::flushes;
use super::image::{Image, overlay};
use super::monitor::Monitor;
use super::shell::Shell;
use super::tools;
use crate::{Result, cmd};

/// What the frozen guest's memory depends on, beside the image: a change of it freezes anew.
pub const SHAPE: &str = "q35, 1 processor (Nehalem), 1536 MiB, root at 4, disks of 16, 8 and 4 GiB at 5 to 7, tools at 9, cards at 14 and 15";
/// The empty disks of a guest, in GiB: `/dev/vdb` and on.
pub const DISKS_GIB: [u64; 3] = [16, 8, 4];

/// The disks of the volume group and of the record, which a power cut is tried on.
const LOGGED: [&str; 2] = ["disk0", "disk2"];

/// Which of the two a guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Where `ashlard` runs.
    Storage,
    /// Who uses the volumes.
    Host,
}

impl Role {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Host => "host",
        }
    }

    /// The last byte of its addresses.
    pub fn number(self) -> u8 {
        match self {
            Self::Storage => 1,
            Self::Host => 2,
        }
    }
}

/// The two ends of the network between the guests: datagrams on loopback, so that a dead end disturbs nobody.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    here: u16,
    there: u16,
}

impl Wire {
    /// A pair of ends, the storage node's first.
    pub fn pair() -> Result<(Self, Self)> {
        let (one, other) = (
            UdpSocket::bind("127.0.0.1:0")?,
            UdpSocket::bind("127.0.0.1:0")?,
        );
        let (here, there) = (one.local_addr()?.port(), other.local_addr()?.port());
        Ok((
            Self { here, there },
            Self {
                here: there,
                there: here,
            },
        ))
    }
}

/// A guest that runs.
#[derive(Debug)]
pub struct Guest {
    /// The way in.
    pub shell: Shell,
    /// What is where it is.
    pub dir: PathBuf,
    role: Role,
    wire: Wire,
    image: Image,
    port: u16,
    /// Whether every write of the disks that a power cut is tried on is written down.
    is_logged: bool,
    child: Option<Child>,
}

impl Guest {
    /// Starts to thaw a guest on disks of its own below `dir`; [`Self::wait_thawed`] ends it. What is started here dies
    /// with the thread that started it, so threads of a case are no place for it.
    /// With `is_logged` a power cut makes the disks lose what had not been flushed.
    pub fn thaw(
        image: &Image,
        dir: &Path,
        role: Role,
        wire: Wire,
        is_logged: bool,
    ) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        overlay(&image.booted(), &dir.join("root.qcow2"))?;
        make_disks(dir)?;
        let mut guest = Self::of(image, dir, role, wire)?;
        guest.is_logged = is_logged;
        let state = format!("exec:cat '{}'", image.state().display());
        guest.spawn(&["-incoming", &state])?;
        Ok(guest)
    }

    /// Until it runs and is itself.
    pub fn wait_thawed(&mut self) -> Result<()> {
        self.monitor()?.wait_running()?;
        self.shell.connect()?;
        self.become_itself()
    }

    /// Boots the image for the first time, and lets it come to rest.
    pub(super) fn boot_for_freezing(image: &Image, root: &Path) -> Result<Self> {
        let dir = root.with_extension("booting");
        std::fs::create_dir_all(&dir)?;
        make_disks(&dir)?;
        let link = dir.join("root.qcow2");
        if !link.exists() {
            std::os::unix::fs::symlink(root, &link)?;
        }
        let (wire, _) = Wire::pair()?;
        let mut guest = Self::of(image, &dir, Role::Storage, wire)?;
        guest.spawn(&[])?;
        guest.shell.connect()?;
        guest.shell.run("systemctl is-system-running --wait || systemctl --failed --no-legend; udevadm settle; sync")?;
        Ok(guest)
    }

    /// Ends the guest, whose memory is then in `file`.
    pub(super) fn freeze(&mut self, file: &Path) -> Result<()> {
        self.shell.close();
        self.monitor()?.save_memory(file)?;
        self.cut_power();
        std::fs::remove_dir_all(&self.dir)?;
        Ok(())
    }

    fn of(image: &Image, dir: &Path, role: Role, wire: Wire) -> Result<Self> {
        // Taken at this instant, and free again when QEMU takes it.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self {
            shell: Shell::new(dir, &image.file("id"), port),
            dir: dir.to_owned(),
            role,
            wire,
            image: image.clone(),
            port,
            is_logged: false,
            child: None,
        })
    }

    /// What makes the two thawed guests differ.
    fn become_itself(&self) -> Result<()> {
        let (name, number) = (self.role.name(), self.role.number());
        // Its clock stood still while it was frozen.
        let now = cmd::run_ok(cmd::program("date").arg("+%s"), super::PATIENCE)?.stdout;
        let now_s = now.trim();
        self.shell.put(
            "/etc/systemd/network/20-between.network",
            &format!(
                "[Match]\nName=between\n[Link]\nMACAddress=52:54:00:77:00:0{number}\n\
                 [Network]\nAddress=10.77.0.{number}/24\nAddress=10.77.1.{number}/24\nAddress=fd77::{number}/64\n"
            ),
        )?;
        self.shell.run(&format!(
            "date -s @{now_s} >/dev/null; echo {name} > /etc/hostname; hostname {name}; \
             echo InitiatorName=iqn.1993-08.org.debian:01:{name} > /etc/iscsi/initiatorname.iscsi; \
             systemctl restart systemd-networkd iscsid; {}",
            tools::UNPACK
        ))?;
        Ok(())
    }

    /// SIGKILL to the guest: what it had not handed to its disks is gone.
    pub fn cut_power(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.shell.close();
    }

    /// The same, and the logged disks lose what had not been flushed. How many writes that were.
    pub fn cut_power_and_caches(&mut self) -> Result<usize> {
        self.cut_power();
        let mut lost = 0;
        for disk in LOGGED {
            lost += flushes::replay(&self.dir.join(format!("{disk}.log")), &self.dir.join(disk))?;
        }
        Ok(lost)
    }

    /// Boots the disks that are there.
    pub fn boot(&mut self) -> Result<()> {
        self.cut_power();
        self.spawn(&[])?;
        self.shell.connect()
    }

    /// Reboots it in good order, and waits until it is back.
    pub fn reboot(&mut self) -> Result<()> {
        let boot = self.shell.run("cat /proc/sys/kernel/random/boot_id")?;
        let _cut_off = self.shell.try_run("systemctl reboot", super::PATIENCE)?;
        crate::wait::wait_for("another boot", super::PATIENCE * 2, || {
            self.shell.connect()?;
            let now = self.shell.run("cat /proc/sys/kernel/random/boot_id");
            Ok(now.ok().filter(|now| *now != boot).map(|_| ()))
        })
    }

    fn monitor(&self) -> Result<Monitor> {
        Monitor::connect(&self.dir.join("monitor")).with_context(|| self.last_words())
    }

    fn spawn(&mut self, more: &[&str]) -> Result<()> {
        let _gone = std::fs::remove_file(self.dir.join("monitor"));
        if self.is_logged {
            for disk in LOGGED {
                let live = self.dir.join(format!("{disk}.live"));
                let mut copy = cmd::program("cp");
                copy.arg("--sparse=always")
                    .arg(self.dir.join(disk))
                    .arg(live);
                cmd::run_ok(&mut copy, super::PATIENCE)?;
                std::fs::File::create(self.dir.join(format!("{disk}.log")))?;
            }
        }
        let mut command = self.image.emulator.command();
        self.describe(&mut command);
        command.args(more);
        let log = std::fs::File::create(self.dir.join("qemu.log"))?;
        command.stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().context("starting QEMU")?);
        Ok(())
    }

    fn describe(&self, command: &mut Command) {
        let file = |name: &str| self.dir.join(name).display().to_string();
        command.args([
            "-machine", "q35", "-cpu", "Nehalem", "-smp", "1", "-m", "1536",
        ]);
        command.args(["-accel", "tcg,thread=multi,tb-size=512"]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        command.arg("-kernel").arg(self.image.file("vmlinuz"));
        command.arg("-initrd").arg(self.image.file("initrd"));
        command.args([
            "-append",
            "root=/dev/vda rw console=ttyS0 panic=-1 mitigations=off quiet",
        ]);
        command.args([
            "-chardev",
            &format!("file,id=console,path={},append=on", file("console")),
        ]);
        command.args(["-serial", "chardev:console"]);
        command.args([
            "-qmp",
            &format!("unix:{},server=on,wait=off", file("monitor")),
        ]);
        disk(
            command,
            4,
            "root",
            &format!(
                "qcow2,file.driver=file,file.filename={}",
                file("root.qcow2")
            ),
        );
        for (place, number) in (5_u8..).zip(0..DISKS_GIB.len()) {
            let name = format!("disk{number}");
            let path = file(&name);
            let driver = if self.is_logged && LOGGED.contains(&name.as_str()) {
                format!(
                    "blklogwrites,file.driver=raw,file.file.driver=file,file.file.filename={path}.live,\
                     log.driver=raw,log.file.driver=file,log.file.filename={path}.log"
                )
            } else {
                format!("raw,file.driver=file,file.filename={path}")
            };
            disk(command, place, &name, &driver);
        }
        disk(
            command,
            9,
            "tools",
            &format!("raw,file.driver=file,file.filename={}", file("tools")),
        );
        command.args(["-device", "virtio-rng-pci,addr=0xa"]);
        let way_in = format!("user,id=way-in,hostfwd=tcp:127.0.0.1:{}-:22", self.port);
        let end = |side: &str, port: u16| {
            format!("{side}.type=inet,{side}.host=127.0.0.1,{side}.port={port}")
        };
        let (here, there) = (end("local", self.wire.here), end("remote", self.wire.there));
        command.args([
            "-netdev",
            &way_in,
            "-device",
            "virtio-net-pci,netdev=way-in,addr=0xe",
        ]);
        command.args(["-netdev", &format!("dgram,id=between,{here},{there}")]);
        command.args(["-device", "virtio-net-pci,netdev=between,addr=0xf"]);
    }

    /// The end of what its console and QEMU said.
    pub fn last_words(&self) -> String {
        let mut words = String::new();
        for name in ["qemu.log", "console"] {
            let text = std::fs::read(self.dir.join(name)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines.len().saturating_sub(20);
            words.push_str(&format!("--- {name} of {}, its end\n", self.role.name()));
            words.push_str(&lines[tail..].join("\n"));
            words.push('\n');
        }
        words
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.cut_power();
    }
}

fn disk(command: &mut Command, place: u8, name: &str, driver: &str) {
    command.args([
        "-blockdev",
        &format!("driver={driver},node-name={name},discard=unmap"),
    ]);
    command.args([
        "-device",
        &format!("virtio-blk-pci,drive={name},serial={name},addr={place:#x}"),
    ]);
}

fn make_disks(dir: &Path) -> Result<()> {
    for (number, len_gib) in DISKS_GIB.iter().enumerate() {
        let file = std::fs::File::create(dir.join(format!("disk{number}")))?;
        file.set_len(len_gib << 30)?;
    }
    tools::write(&dir.join("tools"))
}
