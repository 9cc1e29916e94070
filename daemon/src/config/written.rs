//! `ashlar.toml` as it is written, with its defaults, and what must hold of it.
//!
//! Each table is checked by a function of its own, which names the key that is wrong and what to write instead.

use super::{
    Api, Auth, Backend, Config, ConfigError, DriverConfig, LogFormat, Metrics, RoleName,
    SecureDelete, Target,
};
use crate::ops::QuotaLimits;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    state_dir: PathBuf,
    host: Option<String>,
    #[serde(default = "all_roles")]
    roles: Vec<RoleName>,
    #[serde(default = "zone")]
    availability_zone: String,
    #[serde(default)]
    log_format: LogFormat,
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
    #[serde(default)]
    metrics: Metrics,
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
    pub(super) fn check(self) -> Result<Config, ConfigError> {
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
            log_format: self.log_format,
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
        metrics: written.metrics,
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
    if portals.iter().any(|portal| portal.ip().is_unspecified()) {
        return wrong(
            "target.portals",
            "hosts are told these addresses: name those that they reach, not 0.0.0.0 or [::]",
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
