//! `ashlar.toml`, parsed once into checked types. Unknown keys are mistakes; every mistake names its place and remedy.
//!
//! This is the only reader of the file. The table of keys, defaults and limits is `docs/configuration.md`.

use crate::model::caller::Role;
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
        let written: Written = toml::from_str(text).map_err(|source| ConfigError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        written.check()
    }

    /// Whether this process has a role.
    pub fn has(&self, role: RoleName) -> bool {
        self.roles.contains(&role)
    }

    /// The role of callers on the unix socket whose user is root or ashlard's own.
    pub const UNIX_ROLE: Role = Role::Admin;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    state_dir: PathBuf,
    host: Option<String>,
    #[serde(default = "all_roles")]
    roles: Vec<RoleName>,
    #[serde(default = "zone")]
    availability_zone: String,
    #[serde(default)]
    api: WrittenApi,
    #[serde(default)]
    target: WrittenTarget,
    #[serde(default)]
    backend: Vec<WrittenBackend>,
    #[serde(default)]
    quota: WrittenQuota,
    faults: Option<WrittenFaults>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenApi {
    unix: Option<PathBuf>,
    listen: Option<SocketAddr>,
    auth: Option<Auth>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTarget {
    portals: Option<Vec<SocketAddr>>,
    iqn_prefix: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBackend {
    name: String,
    driver: DriverName,
    #[serde(default = "pool")]
    pool: String,
    directory: PathBuf,
    secure_delete: Option<SecureDelete>,
    wipe_mib_per_s: Option<u64>,
    #[serde(default = "over_subscription")]
    max_over_subscription_ratio: f64,
    #[serde(default)]
    reserved_percentage: u8,
    faults: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum DriverName {
    File,
    Fake,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenQuota {
    volumes: i64,
    snapshots: i64,
    gigabytes: i64,
    per_volume_gigabytes: i64,
}

impl Default for WrittenQuota {
    /// Cinder's defaults (cinder/quota.py).
    fn default() -> Self {
        Self {
            volumes: 10,
            snapshots: 10,
            gigabytes: 1000,
            per_volume_gigabytes: -1,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFaults {
    at: String,
    action: String,
}

fn all_roles() -> Vec<RoleName> {
    vec![RoleName::Api, RoleName::Scheduler, RoleName::Volume]
}

fn zone() -> String {
    "nova".to_owned()
}

fn pool() -> String {
    "pool".to_owned()
}

fn over_subscription() -> f64 {
    20.0
}

impl Written {
    fn check(self) -> Result<Config, ConfigError> {
        let wrong = |key, why: &str| ConfigError::Wrong {
            key,
            why: why.to_owned(),
        };
        if !self.state_dir.is_absolute() {
            return Err(wrong(
                "state_dir",
                "must be an absolute path, such as \"/var/lib/ashlar\"",
            ));
        }
        let roles: BTreeSet<RoleName> = self.roles.into_iter().collect();
        if roles.is_empty() {
            return Err(wrong(
                "roles",
                "must name at least one of \"api\", \"scheduler\", \"volume\"",
            ));
        }
        if roles.contains(&RoleName::Volume) && self.backend.is_empty() {
            return Err(wrong(
                "backend",
                "the role volume needs at least one [[backend]]",
            ));
        }
        let host = self.host.unwrap_or_else(host_name);
        if !is_name(&host) {
            return Err(wrong(
                "host",
                "must be letters, digits, '.', '_' and '-'; '@' and '#' separate host, backend and pool",
            ));
        }
        let api = check_api(self.api, &self.state_dir)?;
        let target = check_target(self.target)?;
        let backends = check_backends(self.backend)?;
        let faults = self.faults.map(|faults| (faults.at, faults.action));
        if faults.is_some() && !cfg!(feature = "faults") {
            return Err(wrong(
                "faults",
                "this build injects no faults; take the table out",
            ));
        }
        Ok(Config {
            state_dir: self.state_dir,
            host,
            roles,
            availability_zone: self.availability_zone,
            api,
            target,
            backends,
            quota: QuotaLimits {
                volumes: self.quota.volumes,
                snapshots: self.quota.snapshots,
                gigabytes: self.quota.gigabytes,
                per_volume_gigabytes: self.quota.per_volume_gigabytes,
            },
            faults,
        })
    }
}

fn check_api(written: WrittenApi, state_dir: &Path) -> Result<Api, ConfigError> {
    let auth = written.auth.unwrap_or(Auth::Token);
    if auth == Auth::None
        && written
            .listen
            .is_some_and(|address| !address.ip().is_loopback())
    {
        return Err(ConfigError::Wrong {
            key: "api.auth",
            why: "\"none\" lets everybody do everything and is allowed on a loopback address only; use \"token\"".to_owned(),
        });
    }
    let unix = written.unix.unwrap_or_else(|| state_dir.join("api.sock"));
    Ok(Api {
        unix,
        listen: written.listen,
        auth,
    })
}

fn check_target(written: WrittenTarget) -> Result<Target, ConfigError> {
    let portals = written
        .portals
        .unwrap_or_else(|| vec![SocketAddr::from(([127, 0, 0, 1], 3260))]);
    let wrong = |key, why: &str| {
        Err(ConfigError::Wrong {
            key,
            why: why.to_owned(),
        })
    };
    if portals.is_empty() || portals.iter().any(|portal| portal.port() == 0) {
        return wrong(
            "target.portals",
            "needs at least one \"ip:port\" with a port other than 0, since hosts come back to it",
        );
    }
    let iqn_prefix = written
        .iqn_prefix
        .unwrap_or_else(|| "iqn.2010-10.org.openstack:".to_owned());
    // 223 bytes is the RFC's limit for a name; the volume's part takes 43.
    if !iqn_prefix.starts_with("iqn.")
        || iqn_prefix.len() > 180
        || iqn_prefix.chars().any(|c| !c.is_ascii_graphic())
    {
        return wrong(
            "target.iqn_prefix",
            "must start with \"iqn.\", such as \"iqn.2010-10.org.openstack:\"",
        );
    }
    Ok(Target {
        portals,
        iqn_prefix: iqn_prefix.to_lowercase(),
    })
}

fn check_backends(written: Vec<WrittenBackend>) -> Result<Vec<Backend>, ConfigError> {
    let wrong = |key, why: String| Err(ConfigError::Wrong { key, why });
    let mut backends: Vec<Backend> = Vec::new();
    for one in written {
        if !is_name(&one.name) || !is_name(&one.pool) {
            return wrong(
                "backend.name",
                format!(
                    "\"{}\" and its pool must be letters, digits, '.', '_' and '-'",
                    one.name
                ),
            );
        }
        if backends.iter().any(|other| other.name == one.name) {
            return wrong("backend.name", format!("\"{}\" is there twice", one.name));
        }
        if backends
            .iter()
            .any(|other| other.directory == one.directory)
        {
            return wrong(
                "backend.directory",
                format!("{} is there twice", one.directory.display()),
            );
        }
        if !one.directory.is_absolute() {
            return wrong("backend.directory", "must be an absolute path".to_owned());
        }
        if !(one.max_over_subscription_ratio.is_finite() && one.max_over_subscription_ratio > 0.0) {
            return wrong(
                "backend.max_over_subscription_ratio",
                "must be a number above 0, such as 20.0".to_owned(),
            );
        }
        if one.reserved_percentage > 99 {
            return wrong("backend.reserved_percentage", "must be 0 to 99".to_owned());
        }
        backends.push(backend(one)?);
    }
    Ok(backends)
}

fn backend(written: WrittenBackend) -> Result<Backend, ConfigError> {
    let driver = match written.driver {
        DriverName::File if written.faults.is_some() => {
            return Err(ConfigError::Wrong {
                key: "backend.faults",
                why: "only the driver \"fake\" has faults".to_owned(),
            });
        }
        DriverName::File => DriverConfig::File {
            secure_delete: written.secure_delete.unwrap_or(SecureDelete::Zero),
            wipe_bytes_per_s: written.wipe_mib_per_s.unwrap_or(0).saturating_mul(1 << 20),
        },
        DriverName::Fake => DriverConfig::Fake {
            faults: written.faults.unwrap_or_default(),
        },
    };
    Ok(Backend {
        name: written.name,
        driver,
        pool: written.pool,
        directory: written.directory,
        max_over_subscription_ratio: written.max_over_subscription_ratio,
        reserved_percentage: written.reserved_percentage,
    })
}

fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-'))
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
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
