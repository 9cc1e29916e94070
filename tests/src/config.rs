//! The `ashlar.toml` of a daemon under test.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A kill point, or another fault at a step boundary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The operation.
    pub operation: String,
    /// Its step.
    pub step: String,
    /// `before-effect`, `after-effect` or `after-record`.
    pub point: &'static str,
    /// At which arrival at the point, 1 being the first.
    pub arrival: usize,
    /// `kill`, `fail` or `repeat`.
    pub action: &'static str,
}

/// What a test wants of its daemon; the rest is as a user's.
#[derive(Debug, Clone)]
pub struct Config {
    /// `file` or `fake`.
    pub driver: &'static str,
    /// `token` or `none`; `none` opens a TCP port.
    pub auth: &'static str,
    /// Whether TCP is served at all.
    pub is_tcp_served: bool,
    /// What this process does.
    pub roles: Vec<&'static str>,
    /// `text` or `json`.
    pub log_format: &'static str,
    /// Quota of volumes, of snapshots and of backups.
    pub quota_count: i64,
    /// Quota of GiB, of volumes and snapshots, and of backups.
    pub quota_gib: i64,
    /// Quota of GiB of one volume.
    pub quota_volume_gib: i64,
    /// Whether there is a second file pool, of the backend `other`. It is the lesser choice: what does not ask for it by
    /// its type never comes to lie there.
    pub has_other_pool: bool,
    /// `fake` or `restic`.
    pub store: &'static str,
    /// The directory of a second store, `old`, of backups that Cinder made.
    pub old_backups: Option<PathBuf>,
    /// Faults of the fake driver.
    pub driver_faults: &'static str,
    /// The fault at a step boundary.
    pub fault: Option<Fault>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            driver: "file",
            auth: "token",
            is_tcp_served: false,
            roles: vec!["api", "scheduler", "volume", "backup"],
            log_format: "text",
            quota_count: 100,
            quota_gib: 1000,
            quota_volume_gib: -1,
            has_other_pool: false,
            store: "fake",
            old_backups: None,
            driver_faults: "",
            fault: None,
        }
    }
}

impl Config {
    /// The file's text, for a daemon that lives in `dir` and exports at `portal`.
    pub fn to_toml(&self, dir: &Path, socket: &Path, portal: &str) -> String {
        let dir = dir.display();
        let roles = self
            .roles
            .iter()
            .map(|role| format!("{role:?}"))
            .collect::<Vec<_>>()
            .join(", ");
        let mut text = format!(
            "state_dir = \"{dir}/state\"\nhost = \"host1\"\nroles = [{roles}]\n\
             availability_zone = \"nova\"\nlog_format = \"{}\"\n\n[api]\nunix = \"{}\"\nauth = \"{}\"\n",
            self.log_format,
            socket.display(),
            self.auth,
        );
        if self.is_tcp_served {
            text.push_str("listen = \"127.0.0.1:0\"\n");
        }
        let _ = write!(
            text,
            "\n[target]\nportals = [\"{portal}\"]\niqn_prefix = \"iqn.2010-10.org.openstack:\"\n\n\
             [[backend]]\nname = \"default\"\ndriver = \"{}\"\npool = \"pool\"\n\
             secure_delete = \"zero\"\nwipe_mib_per_s = 0\n",
            self.driver,
        );
        let _ = writeln!(text, "directory = \"{dir}/pool\"");
        if self.driver == "fake" {
            let _ = writeln!(text, "faults = \"{}\"", self.driver_faults);
        }
        if self.has_other_pool {
            let _ = write!(
                text,
                "\n[[backend]]\nname = \"other\"\ndriver = \"file\"\npool = \"pool\"\n\
                 secure_delete = \"zero\"\nwipe_mib_per_s = 0\nmax_over_subscription_ratio = 1.0\n\
                 directory = \"{dir}/other\"\n",
            );
        }
        let _ = write!(
            text,
            "\n[[backup_store]]\nname = \"nas\"\nkind = \"{}\"\ndirectory = \"{dir}/nas\"\n",
            self.store,
        );
        if let Some(directory) = &self.old_backups {
            let _ = write!(
                text,
                "\n[[backup_store]]\nname = \"old\"\nkind = \"cinder\"\ndirectory = \"{}\"\n",
                directory.display(),
            );
        }
        let _ = write!(
            text,
            "\n[quota]\nvolumes = {count}\nsnapshots = {count}\nbackups = {count}\ngigabytes = {gib}\n\
             backup_gigabytes = {gib}\nper_volume_gigabytes = {}\n",
            self.quota_volume_gib,
            gib = self.quota_gib,
            count = self.quota_count,
        );
        if let Some(fault) = &self.fault {
            let _ = write!(
                text,
                "\n[faults]\nat = \"{}/{}/{}#{}\"\naction = \"{}\"\n",
                fault.operation, fault.step, fault.point, fault.arrival, fault.action
            );
        }
        text
    }
}
