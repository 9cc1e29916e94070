//! The storage node: a volume group, `ashlard` with the kernel's target, and a client of it over the way in.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::PATIENCE;
use super::guest::{Guest, Role, Wire};
use super::image::Image;
use crate::Result;
use crate::client::Client;
use crate::config::Fault;
use crate::wait::wait_for;

/// The group of the cases, on the first disk.
pub const GROUP: &str = "vg0";
const SOCKET: &str = "/var/lib/ashlar/api.sock";

/// How the daemon is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where hosts log in.
    pub portals: Vec<&'static str>,
    /// Where the API listens, beside its socket.
    pub listen: Option<&'static str>,
    /// More keys of `[target]`.
    pub target: &'static str,
    /// `zero` or `none`.
    pub secure_delete: &'static str,
    /// A second group, a backend of its own.
    pub second_group: Option<&'static str>,
    /// More keys of the first backend.
    pub more: &'static str,
    /// The directory of a backup store.
    pub store: Option<&'static str>,
    /// Whether the power will be cut: the record is on a disk of its own then, and it and the group's disk lose what
    /// was not flushed.
    pub is_power_cut: bool,
    /// The fault at a step boundary.
    pub fault: Option<Fault>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            portals: vec!["10.77.0.1:3260"],
            listen: None,
            target: "",
            secure_delete: "zero",
            second_group: None,
            more: "thin_pool_percent = 40",
            store: None,
            is_power_cut: false,
            fault: None,
        }
    }
}

impl Setup {
    fn to_toml(&self) -> String {
        let portals: Vec<String> = self
            .portals
            .iter()
            .map(|portal| format!("{portal:?}"))
            .collect();
        let listen = self
            .listen
            .map_or_else(String::new, |listen| format!("listen = {listen:?}\n"));
        let mut text = format!(
            "state_dir = \"/var/lib/ashlar\"\nhost = \"storage\"\nroles = [\"api\", \"scheduler\", \"volume\", \"backup\"]\n\
             [api]\nunix = \"{SOCKET}\"\nauth = \"token\"\n{listen}\
             [target]\nkind = \"lio\"\nportals = [{}]\n{}\n\
             [quota]\nvolumes = -1\nsnapshots = -1\ngigabytes = -1\n",
            portals.join(", "),
            self.target
        );
        for (name, group) in [("default", Some(GROUP)), ("second", self.second_group)] {
            if let Some(group) = group {
                let more = if name == "default" { self.more } else { "" };
                let _ = write!(
                    text,
                    "[[backend]]\nname = \"{name}\"\ndriver = \"lvm\"\nvolume_group = \"{group}\"\n\
                     secure_delete = \"{}\"\n{more}\n",
                    self.secure_delete
                );
            }
        }
        if let Some(directory) = self.store {
            let _ = writeln!(
                text,
                "[[backup_store]]\nname = \"default\"\ndirectory = {directory:?}"
            );
        }
        if let Some(fault) = &self.fault {
            let _ = write!(
                text,
                "[faults]\nat = \"{}/{}/{}#{}\"\naction = \"{}\"\n",
                fault.operation, fault.step, fault.point, fault.arrival, fault.action
            );
        }
        text
    }
}

/// A storage node with a running daemon.
#[derive(Debug)]
pub struct Storage {
    /// The machine.
    pub guest: Guest,
    setup: Setup,
}

impl Storage {
    /// Starts to thaw one; [`Self::prepare`] ends it.
    pub fn thaw(image: &Image, dir: &Path, wire: Wire, setup: Setup) -> Result<Self> {
        let guest = Guest::thaw(image, dir, Role::Storage, wire, setup.is_power_cut)?;
        Ok(Self { guest, setup })
    }

    /// Makes its volume group and starts the daemon.
    pub fn prepare(&mut self) -> Result<()> {
        self.guest.wait_thawed()?;
        let mut groups = format!("udevadm control --reload && vgcreate -q {GROUP} /dev/vdb");
        if let Some(second) = self.setup.second_group {
            groups.push_str(&format!(" && vgcreate -q {second} /dev/vdc"));
        }
        if self.setup.is_power_cut {
            groups.push_str(
                " && mkfs.ext4 -q -F /dev/vdd && mkdir -p /var/lib/ashlar /etc/systemd/system/ashlard.service.d \
                 && echo '/dev/vdd /var/lib/ashlar ext4 defaults 0 0' >> /etc/fstab && mount /var/lib/ashlar \
                 && printf '[Service]\\nRestart=no\\n' > /etc/systemd/system/ashlard.service.d/lab.conf; systemctl daemon-reload",
            );
        }
        self.guest.shell.run(&groups)?;
        self.start_daemon()
    }

    /// Writes the configuration and starts the daemon, now and at every boot.
    pub fn start_daemon(&self) -> Result<()> {
        let shell = &self.guest.shell;
        shell.put("/etc/ashlar/ashlar.toml", &self.setup.to_toml())?;
        shell.run("systemctl daemon-reload; systemctl enable -q --now ashlard")?;
        self.wait_ready()
    }

    /// Restarts the daemon under its unit as it is now.
    pub fn start_anew(&self) -> Result<()> {
        let anew = "systemctl daemon-reload; systemctl restart ashlard";
        self.guest.shell.run(anew)?;
        self.wait_ready()
    }

    /// Stops the daemon; the kernel goes on serving.
    pub fn stop_daemon(&self) -> Result<()> {
        self.guest.shell.run("systemctl stop ashlard").map(|_| ())
    }

    /// Another configuration, from the next start on.
    pub fn set(&mut self, setup: Setup) {
        self.setup = setup;
    }

    /// How it is set up.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Until the daemon answers, knows what room there is in each backend, and its store of backups is open.
    pub fn wait_ready(&self) -> Result<()> {
        let socket = self.socket();
        self.guest.shell.forward(&socket, SOCKET)?;
        let client = self.client()?;
        let mut backends = vec!["@default#"];
        backends.extend(self.setup.second_group.map(|_| "@second#"));
        wait_for("ashlard to report what it has", PATIENCE, || {
            if !client.is_up() {
                return Ok(None);
            }
            let pools = client.get("/scheduler-stats/get_pools?detail=true")?;
            let pools = pools.body["pools"].as_array().cloned().unwrap_or_default();
            if self.setup.store.is_some() {
                let services = client.get("/os-services?binary=cinder-backup")?;
                let services = services.body["services"].as_array().cloned();
                if !(services.unwrap_or_default().iter()).any(|one| one["state"] == "up") {
                    return Ok(None);
                }
            }
            let is_up = |backend: &&str| {
                pools.iter().any(|pool| {
                    pool["capabilities"]["backend_state"] == "up"
                        && pool["name"]
                            .as_str()
                            .is_some_and(|name| name.contains(*backend))
                })
            };
            Ok(backends.iter().all(is_up).then_some(()))
        })
        .with_context(|| self.last_words())
    }

    /// A client that is as patient as emulation asks for.
    pub fn client(&self) -> Result<Client> {
        let client = Client::forwarded(&self.socket(), PATIENCE)?;
        client.at_home().or(Ok(client))
    }

    /// Starts the daemon anew with a fault, which the boot after it will not have.
    pub fn start_with_fault(&mut self, fault: Fault) -> Result<()> {
        let shell = &self.guest.shell;
        self.setup.fault = Some(fault);
        shell.put("/etc/ashlar/ashlar.toml", &self.setup.to_toml())?;
        shell.run("systemctl restart ashlard")?;
        self.wait_ready()?;
        self.setup.fault = None;
        let shell = &self.guest.shell;
        shell.put("/etc/ashlar/ashlar.toml", &self.setup.to_toml())?;
        shell.run("sync -f /etc").map(|_| ())
    }

    /// The power goes and comes back; the boot starts the daemon. How many writes the disks had not kept.
    pub fn power_cycle(&mut self) -> Result<usize> {
        let lost = self.guest.cut_power_and_caches()?;
        self.guest.boot()?;
        self.wait_ready()?;
        Ok(lost)
    }

    /// The daemon's last log lines.
    pub fn last_words(&self) -> String {
        let log = self
            .guest
            .shell
            .run("journalctl -q --no-pager -o cat -u ashlard | grep -v api::door | tail -n 40");
        format!(
            "--- ashlard's log, its end\n{}",
            log.unwrap_or_else(|error| format!("{error:#}"))
        )
    }

    fn socket(&self) -> std::path::PathBuf {
        self.guest.dir.join("api.sock")
    }
}
