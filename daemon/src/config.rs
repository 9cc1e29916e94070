//! `ashlar.toml`, parsed once into checked types. Unknown keys are mistakes; every mistake names its place and remedy.
//!
//! This is the only reader of the file; `config/written.rs` is how it is written there. The table of keys, defaults and limits is `docs/configuration.md`.

mod written;

use crate::ops::QuotaLimits;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A part of the daemon; any set of them runs in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// Answers HTTP.
    Api,
    /// Chooses pools.
    Scheduler,
    /// Makes volumes and exports them.
    Volume,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metrics {
    /// Administrators, and the unix socket.
    #[default]
    Admin,
    /// Also whoever asks over the loopback interface, without a token.
    Loopback,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// How TCP callers prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
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
}

/// A configured driver.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    /// The middle of `host@backend#pool`.
    pub name: String,
    /// Which driver, with its own settings.
    pub driver: DriverConfig,
    /// The pool's name.
    pub pool: String,
    /// Where the pool lies.
    pub directory: PathBuf,
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
        /// Whether deleted volumes are overwritten.
        secure_delete: SecureDelete,
        /// At what rate at most, bytes a second; 0 for no limit.
        wipe_bytes_per_s: u64,
    },
    /// No bytes at all, for tests and benches.
    Fake {
        /// What goes wrong.
        faults: String,
    },
}

/// Whether deleted volumes are overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecureDelete {
    /// With zeros, what was allocated.
    Zero,
    /// No.
    None,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// It is no TOML, or has a key or value that does not belong there. The cause shows line and column.
    #[error("{} is not a configuration of ashlard", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value that cannot work.
    #[error("{key}: {why}")]
    Wrong {
        /// The key, with its table.
        key: &'static str,
        /// What is wrong and what to write instead.
        why: String,
    },
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let written: written::Written =
            toml::from_str(text).map_err(|source| ConfigError::Malformed {
                path: path.to_owned(),
                source: Box::new(source),
            })?;
        written.check()
    }

    /// Whether this process has a role.
    pub fn has(&self, role: RoleName) -> bool {
        self.roles.contains(&role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str =
        "state_dir = '/s'\n[[backend]]\nname = 'a'\ndriver = 'file'\ndirectory = '/p'\n";

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("ashlar.toml"))
    }

    #[test]
    fn the_least_configuration_has_every_default() {
        let config = parse(LEAST).unwrap();
        assert_eq!(config.api.unix, Path::new("/s/api.sock"));
        assert_eq!(config.api.listen, None);
        assert_eq!(config.api.auth, Auth::Token);
        assert_eq!(config.api.metrics, Metrics::Admin);
        assert_eq!(config.log_format, LogFormat::Text);
        assert_eq!(config.roles.len(), 3);
        assert_eq!(config.quota.gigabytes, 1000);
        assert_eq!(config.target.iqn_prefix, "iqn.2010-10.org.openstack:");
        assert!(matches!(
            config.backends[0].driver,
            DriverConfig::File {
                secure_delete: SecureDelete::Zero,
                wipe_bytes_per_s: 0
            }
        ));
    }

    #[test]
    fn every_mistake_names_its_place() {
        for (text, place) in [
            ("state_dir = 'relative'", "state_dir"),
            ("state_dir = '/s'", "backend"),
            ("state_dir = '/s'\nroles = []", "roles"),
            (
                &format!("{LEAST}[api]\nlisten = '0.0.0.0:8776'\nauth = 'none'"),
                "api.auth",
            ),
            (
                &format!("{LEAST}[target]\nportals = ['127.0.0.1:0']"),
                "target.portals",
            ),
            (
                &format!("{LEAST}[target]\nportals = ['0.0.0.0:3260']"),
                "target.portals",
            ),
            (
                &format!("{LEAST}[target]\niqn_prefix = 'x'"),
                "target.iqn_prefix",
            ),
            (
                &format!("{LEAST}[[backend]]\nname = 'a'\ndriver = 'file'\ndirectory = '/q'"),
                "backend.name",
            ),
            (
                &format!("{LEAST}[[backend]]\nname = 'b'\ndriver = 'file'\ndirectory = '/p'"),
                "backend.directory",
            ),
            (&format!("host = 'a@b'\n{LEAST}"), "host"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.to_string().starts_with(place), "{place}: {error}");
        }
    }

    #[test]
    fn unknown_keys_are_mistakes_with_a_line() {
        let error = parse(&format!("{LEAST}colour = 'red'\n")).unwrap_err();
        let ConfigError::Malformed { source, .. } = error else {
            panic!("{error}")
        };
        let text = source.to_string();
        assert!(text.contains("line 6") && text.contains("colour"), "{text}");
    }
}
