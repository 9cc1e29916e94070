//! `ashlar.toml`, parsed once into checked types. Unknown keys are mistakes; all mistakes are told, each with its place
//! and remedy.
//!
//! This is the only reader of the file: `config/keys.rs` has every key with its default, `reader.rs` reads values,
//! `written.rs` says what must hold of them, `surroundings.rs` looks whether what they name can be used. The page is
//! `docs/configuration.md`.

mod drivers;
mod keys;
mod reader;
mod stores;
mod surroundings;
mod written;

use crate::model::backup::StoreKind;
use crate::ops::{DetachPolicy, QuotaLimits};
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A part of the daemon; any set of them runs in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoleName {
    /// Answers HTTP.
    Api,
    /// Chooses pools.
    Scheduler,
    /// Makes volumes and exports them.
    Volume,
    /// Keeps backups.
    Backup,
}

impl RoleName {
    /// Every role.
    pub const ALL: [RoleName; 4] = [
        RoleName::Api,
        RoleName::Scheduler,
        RoleName::Volume,
        RoleName::Backup,
    ];
}

/// Everything that a process of Ashlar needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Everything that ashlard owns lies below.
    pub state_dir: PathBuf,
    /// This host's name.
    pub host: String,
    /// What this process does.
    pub roles: BTreeSet<RoleName>,
    /// The zone of this host.
    pub availability_zone: String,
    /// How the log is written.
    pub log_format: LogFormat,
    /// Who may call, and where.
    pub api: Api,
    /// How hosts reach volumes.
    pub target: Target,
    /// Where bytes live.
    pub backends: Vec<Backend>,
    /// Where copies are kept.
    pub backup_stores: Vec<BackupStore>,
    /// What projects may use.
    pub quota: QuotaLimits,
    /// A fault for the crash harness: point and action.
    pub faults: Option<(String, String)>,
}

/// Who may call, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// The unix socket; the peer's credentials decide.
    pub unix: PathBuf,
    /// The TCP address, if any.
    pub listen: Option<SocketAddr>,
    /// How TCP callers prove who they are.
    pub auth: Auth,
    /// Who may read `/metrics`.
    pub metrics: Metrics,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metrics {
    /// Administrators, and the unix socket.
    #[default]
    Admin,
    /// Also whoever asks over the loopback interface, without a token.
    Loopback,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// How TCP callers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// A token of Ashlar's own.
    Token,
    /// Not at all; on loopback only.
    None,
}

/// How hosts reach volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where initiators log in.
    pub portals: Vec<SocketAddr>,
    /// What the volume's name is appended to.
    pub iqn_prefix: String,
    /// Who serves them.
    pub kind: TargetKind,
    /// Where targetcli keeps what is to be there after a reboot.
    pub saveconfig: PathBuf,
    /// What a detach does about a host that is still logged in.
    pub detach: DetachPolicy,
    /// Whether the target proves itself to hosts in turn.
    pub mutual_chap: bool,
}

/// Who serves volumes over iSCSI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// The kernel (LIO).
    Lio,
    /// A process of Ashlar's own, which needs nothing of the kernel.
    Userspace,
}

/// A configured driver.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    /// The middle of `host@backend#pool`.
    pub name: String,
    /// Which driver, with its own settings.
    pub driver: DriverConfig,
    /// How far virtual sizes may exceed the pool.
    pub max_over_subscription_ratio: f64,
    /// Percent that is kept free.
    pub reserved_percentage: u8,
}

/// Which driver, with its own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverConfig {
    /// Sparse files in a directory.
    File {
        /// The pool's name.
        pool: String,
        /// Where the pool lies.
        directory: PathBuf,
        /// Whether deleted volumes are overwritten.
        secure_delete: SecureDelete,
        /// At what rate at most, bytes a second; 0 for no limit.
        wipe_bytes_per_s: u64,
    },
    /// No bytes at all, for tests and benches.
    Fake {
        /// The pool's name.
        pool: String,
        /// Where its table lies.
        directory: PathBuf,
        /// What goes wrong.
        faults: String,
    },
    /// Logical volumes of a volume group.
    Lvm {
        /// The group, and the pool of its thick volumes.
        volume_group: String,
        /// The thin pool, if there is to be one.
        thin_pool: Option<String>,
        /// How much of an empty group it gets.
        thin_pool_percent: u8,
        /// Whether deleted thick volumes are overwritten.
        secure_delete: SecureDelete,
        /// At what rate at most, bytes a second; 0 for no limit.
        wipe_bytes_per_s: u64,
        /// From here on the thin pool takes nothing new.
        data_full_percent: u8,
        /// The same of its metadata.
        metadata_full_percent: u8,
        /// Room of a snapshot of a thick volume, percent of the volume.
        snapshot_percent: u8,
    },
}

impl Backend {
    /// Where its pool lies, if in a directory.
    pub fn directory(&self) -> Option<&Path> {
        match &self.driver {
            DriverConfig::File { directory, .. } | DriverConfig::Fake { directory, .. } => {
                Some(directory)
            }
            DriverConfig::Lvm { .. } => None,
        }
    }
}

/// Where copies are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupStore {
    /// What clients call it (Cinder's `container`).
    pub name: String,
    /// What lies there.
    pub kind: StoreKind,
    /// Where it lies.
    pub directory: PathBuf,
    /// The file with the password of what is encrypted there; one of Ashlar's own when absent.
    pub password_file: Option<PathBuf>,
    /// How fast at most each of its jobs reads or writes a volume, bytes a second; 0 means no limit.
    pub bytes_per_s: u64,
}

/// Whether deleted volumes are overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecureDelete {
    /// With zeros, what was allocated.
    Zero,
    /// No.
    None,
}

/// Where something stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

/// Where the paths stand that `--check-config` looks at.
#[derive(Debug, Default)]
struct Places {
    state_dir: Option<Place>,
    unix: Option<Place>,
    /// One a backend.
    directories: Vec<Option<Place>>,
    /// One a backup store.
    stores: Vec<Option<Place>>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where; `None` for what is not there at all.
    pub place: Option<Place>,
    /// The key, what is wrong with it, and what to write or do instead.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(Place { line, column }) => {
                write!(f, "line {line}, column {column}: {}", self.what)
            }
            None => write!(f, "{}", self.what),
        }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// It says what cannot be; every mistake is told, one a line.
    #[error("{}", told(path, mistakes))]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// In the order of the file.
        mistakes: Vec<Mistake>,
    },
}

fn told(path: &Path, mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(|one| format!("\n  {one}")).collect();
    let count = match mistakes.len() {
        1 => "1 mistake".to_owned(),
        count => format!("{count} mistakes"),
    };
    format!("{}: {count}{}", path.display(), lines.concat())
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Ok(Self::read_with_places(path)?.0)
    }

    /// Reads and checks a file, and looks whether what it names is there and can be used.
    pub fn check(path: &Path) -> Result<Self, ConfigError> {
        let (config, places) = Self::read_with_places(path)?;
        let mistakes = surroundings::look(&config, &places);
        if mistakes.is_empty() {
            return Ok(config);
        }
        let path = path.to_owned();
        Err(ConfigError::Mistakes { path, mistakes })
    }

    fn read_with_places(path: &Path) -> Result<(Self, Places), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        written::read(&text).map_err(|mistakes| ConfigError::Mistakes {
            path: path.to_owned(),
            mistakes,
        })
    }

    /// Whether this process has a role.
    pub fn has(&self, role: RoleName) -> bool {
        self.roles.contains(&role)
    }
}

#[cfg(test)]
mod tests;
