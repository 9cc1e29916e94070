//! `ashlar.toml` as it is written: what must hold of each table, and the checked types that come of it.
//!
//! Each table has a function of its own. It says everything that is wrong with its keys, each with what to write
//! instead, and returns something usable all the same, so that the tables after it are looked at too.

use super::drivers::check_driver;
use super::reader::{Reader, Section};
use super::stores::check_stores;
use super::{
    Api, Auth, Backend, Config, DriverConfig, LogFormat, Metrics, Mistake, Places, RoleName,
    Target, TargetKind,
};
use crate::ops::{DetachPolicy, QuotaLimits};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What the kernel has room for in the address of a unix socket, less the byte that ends it.
const SOCKET_PATH_LEN_MAX: usize = 107;
/// 223 bytes is the RFC's limit for a name of iSCSI; the volume's part takes 43.
const IQN_PREFIX_LEN_MAX: usize = 180;
/// Cinder's columns are 32 bits wide.
const QUOTA_MAX: i64 = i32::MAX as i64;

/// Where Debian's targetcli keeps it.
const SAVECONFIG: &str = "/etc/rtslib-fb-target/saveconfig.json";

/// Less than the minute that Cinder's clients wait for an answer.
const DETACH_WAIT: Duration = Duration::from_secs(30);
const DETACH: &[(&str, DetachPolicy)] = &[
    ("cut", DetachPolicy::Cut),
    ("wait", DetachPolicy::Wait(DETACH_WAIT)),
    ("refuse", DetachPolicy::Refuse),
];

const ROLES: &[(&str, RoleName)] = &[
    ("api", RoleName::Api),
    ("scheduler", RoleName::Scheduler),
    ("volume", RoleName::Volume),
    ("backup", RoleName::Backup),
];

/// Reads a text; the answer is the configuration with where its paths stand, or everything that is wrong with it.
pub(super) fn read(text: &str) -> Result<(Config, Places), Vec<Mistake>> {
    let reader = Reader::new(text);
    let parsed = reader.parse();
    let mut places = Places::default();
    let config = whole(&reader, parsed.get_ref(), &mut places);
    let mistakes = reader.mistakes();
    match config {
        Some(config) if mistakes.is_empty() => Ok((config, places)),
        Some(_) | None => Err(mistakes),
    }
}

fn whole<'r, 't>(
    reader: &'r Reader<'t>,
    table: &'r DeTable<'t>,
    places: &mut Places,
) -> Option<Config> {
    let top = Section::new(reader, "", table, None);
    let state_dir = top
        .path("state_dir", "\"/var/lib/ashlar\"")
        .or_else(|| top.missing("state_dir", "\"/var/lib/ashlar\""));
    places.state_dir = top.place("state_dir");
    let roles: BTreeSet<RoleName> = match top.words("roles", ROLES) {
        Some(roles) => roles.into_iter().collect(),
        None => ROLES.iter().map(|(_, role)| *role).collect(),
    };
    if roles.is_empty() {
        top.wrong(
            "roles",
            "must name at least one of \"api\", \"scheduler\", \"volume\", \"backup\"",
        );
    }
    let host = top.text("host").unwrap_or_else(host_name);
    if !is_name(&host) {
        top.wrong(
            "host",
            "must be letters, digits, '.', '_' and '-'; '@' and '#' separate host, backend and pool",
        );
    }
    let availability_zone = top.text("availability_zone");
    let availability_zone = availability_zone.unwrap_or_else(|| "nova".to_owned());
    if availability_zone.is_empty() {
        top.wrong("availability_zone", "must say something, such as \"nova\"");
    }
    let words = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let log_format = top.word("log_format", &words).unwrap_or_default();
    let api_table = table_of(reader, &top, "api");
    let api = check_api(&api_table, state_dir.as_deref(), &top);
    places.unix = api_table.place("unix");
    let backends = check_backends(reader, &top, state_dir.as_deref(), &roles, places);
    let backup_stores = check_stores(reader, &top, state_dir.as_deref(), &backends, places);
    let target = check_target(&table_of(reader, &top, "target"), &backends);
    let quota = check_quota(&table_of(reader, &top, "quota"));
    let faults = check_faults(&table_of(reader, &top, "faults"), &top);
    Some(Config {
        state_dir: state_dir?,
        host,
        roles,
        availability_zone,
        log_format,
        api: api?,
        target,
        backends,
        backup_stores,
        quota,
        faults,
    })
}

/// A table of the top; every default when it is absent.
fn table_of<'r, 't>(
    reader: &'r Reader<'t>,
    top: &Section<'r, 't>,
    name: &'static str,
) -> Section<'r, 't> {
    match top.value(name).map(|value| (value.get_ref(), value.span())) {
        None => Section::absent(reader, name),
        Some((DeValue::Table(table), span)) => Section::new(reader, name, table, Some(span)),
        Some(_) => {
            top.wrong(
                name,
                &format!("must be a table: write [{name}] on a line of its own"),
            );
            Section::absent(reader, name)
        }
    }
}

fn check_api(
    api: &Section<'_, '_>,
    state_dir: Option<&Path>,
    top: &Section<'_, '_>,
) -> Option<Api> {
    let words = [("token", Auth::Token), ("none", Auth::None)];
    let auth = api.word("auth", &words).unwrap_or(Auth::Token);
    let listen = api.address("listen");
    if auth == Auth::None && listen.is_some_and(|address| !address.ip().is_loopback()) {
        api.wrong(
            "auth",
            "\"none\" lets everybody do everything and is allowed on a loopback address only; use \"token\"",
        );
    }
    let is_said = api.value("unix").is_some();
    let unix = match api.path("unix", "\"/run/ashlar/api.sock\"") {
        Some(path) => path,
        None => state_dir?.join("api.sock"),
    };
    let len = unix.as_os_str().len();
    if len > SOCKET_PATH_LEN_MAX {
        let why = format!(
            "the socket's path has {len} bytes and may have {SOCKET_PATH_LEN_MAX}: {}; set api.unix to a shorter one",
            unix.display()
        );
        if is_said {
            api.wrong("unix", &why);
        } else {
            top.wrong("state_dir", &why);
        }
    }
    let words = [("admin", Metrics::Admin), ("loopback", Metrics::Loopback)];
    let metrics = api.word("metrics", &words).unwrap_or_default();
    Some(Api {
        unix,
        listen,
        auth,
        metrics,
    })
}

fn check_target(target: &Section<'_, '_>, backends: &[Backend]) -> Target {
    let portals = match target.texts("portals") {
        None => vec![SocketAddr::from(([127, 0, 0, 1], 3260))],
        Some(texts) => {
            if texts.is_empty() {
                target.wrong(
                    "portals",
                    "needs at least one \"ip:port\", such as \"10.0.0.5:3260\"",
                );
            }
            let read = texts
                .iter()
                .map(|text| target.read_address("portals", text));
            read.collect::<Option<Vec<_>>>().unwrap_or_default()
        }
    };
    let mut seen = BTreeSet::new();
    for portal in &portals {
        if portal.port() == 0 {
            let why = format!("{portal} needs a port other than 0, since hosts come back to it");
            target.wrong("portals", &why);
        }
        if portal.ip().is_unspecified() {
            let why = format!(
                "hosts are told these addresses: name those that they reach, not {}",
                portal.ip()
            );
            target.wrong("portals", &why);
        }
        if !seen.insert(*portal) {
            target.wrong("portals", &format!("{portal} is there twice; take one out"));
        }
    }
    let iqn_prefix = target.text("iqn_prefix");
    let iqn_prefix = iqn_prefix.unwrap_or_else(|| "iqn.2010-10.org.openstack:".to_owned());
    let is_plain = iqn_prefix.chars().all(|letter| letter.is_ascii_graphic());
    if !iqn_prefix.starts_with("iqn.") || iqn_prefix.len() > IQN_PREFIX_LEN_MAX || !is_plain {
        let why = format!(
            "must start with \"iqn.\", have no blanks and at most {IQN_PREFIX_LEN_MAX} bytes, such as \"iqn.2010-10.org.openstack:\""
        );
        target.wrong("iqn_prefix", &why);
    }
    let saveconfig = target.path("saveconfig", "\"/etc/target/saveconfig.json\"");
    Target {
        portals,
        iqn_prefix: iqn_prefix.to_lowercase(),
        kind: check_kind(target, backends),
        saveconfig: saveconfig.unwrap_or_else(|| PathBuf::from(SAVECONFIG)),
        detach: target.word("detach", DETACH).unwrap_or_default(),
        mutual_chap: target.flag("mutual_chap").unwrap_or_default(),
    }
}

/// `auto` follows from the rest of the file alone, so that it never differs from one start to the next.
fn check_kind(target: &Section<'_, '_>, backends: &[Backend]) -> TargetKind {
    let is_block = |one: &Backend| matches!(one.driver, DriverConfig::Lvm { .. });
    let all = backends.iter().all(is_block);
    let words = [
        ("auto", None),
        ("lio", Some(TargetKind::Lio)),
        ("userspace", Some(TargetKind::Userspace)),
    ];
    match target.word("kind", &words).flatten() {
        Some(TargetKind::Lio) if !all => {
            target.wrong("kind", "\"lio\" serves block devices only; use \"userspace\", or backends with the driver \"lvm\" alone");
            TargetKind::Lio
        }
        Some(kind) => kind,
        None if all && !backends.is_empty() => TargetKind::Lio,
        None => TargetKind::Userspace,
    }
}

fn check_backends<'r, 't>(
    reader: &'r Reader<'t>,
    top: &Section<'r, 't>,
    state_dir: Option<&Path>,
    roles: &BTreeSet<RoleName>,
    places: &mut Places,
) -> Vec<Backend> {
    let written: &[Spanned<DeValue<'t>>] = match top.value("backend").map(Spanned::get_ref) {
        None => &[],
        Some(DeValue::Array(list)) => list,
        Some(_) => {
            top.wrong(
                "backend",
                "must be a list of tables: write [[backend]] with two brackets",
            );
            return Vec::new();
        }
    };
    if roles.contains(&RoleName::Volume) && written.is_empty() {
        top.wrong("backend", "the role volume needs at least one [[backend]]");
    }
    let mut backends: Vec<Backend> = Vec::new();
    for one in written {
        let DeValue::Table(table) = one.get_ref() else {
            reader.note(
                Some(&one.span()),
                "backend: must be a table: write [[backend]]".to_owned(),
            );
            continue;
        };
        let section = Section::new(reader, "backend", table, Some(one.span()));
        // Both of them: what is wrong with its directory is said although its name is wrong too.
        let found = check_backend(&section);
        let Some(backend) = found else { continue };
        check_among(&section, &backend, &backends, state_dir);
        places.directories.push(section.place("directory"));
        backends.push(backend);
    }
    backends
}

/// What must hold between one backend and those before it.
fn check_among(
    section: &Section<'_, '_>,
    backend: &Backend,
    before: &[Backend],
    state_dir: Option<&Path>,
) {
    if before.iter().any(|other| other.name == backend.name) {
        let why = format!(
            "{:?} is there twice; give this one another name",
            backend.name
        );
        section.wrong("name", &why);
    }
    if let DriverConfig::Lvm { volume_group, .. } = &backend.driver {
        let has_it = |other: &&Backend| matches!(&other.driver, DriverConfig::Lvm { volume_group: group, .. } if group == volume_group);
        if let Some(other) = before.iter().find(has_it) {
            let why = format!(
                "{volume_group} is the group of backend {} already; a backend has a group of its own",
                other.name
            );
            section.wrong("volume_group", &why);
        }
    }
    let Some(directory) = backend.directory() else {
        return;
    };
    let overlaps = |other: &Path| directory.starts_with(other) || other.starts_with(directory);
    let nested = before.iter().find_map(|other| {
        let path = other.directory().filter(|path| overlaps(path))?;
        Some((path, &other.name))
    });
    if let Some((path, other)) = nested {
        let why = format!(
            "{} and {} of backend {other} lie one in the other; a pool needs a directory of its own",
            directory.display(),
            path.display(),
        );
        section.wrong("directory", &why);
    }
    if state_dir.is_some_and(|state_dir| state_dir.starts_with(directory)) {
        let why = "state_dir lies in it; a pool needs a directory of its own";
        section.wrong("directory", why);
    }
}

fn check_backend(section: &Section<'_, '_>) -> Option<Backend> {
    let name = section
        .text("name")
        .or_else(|| section.missing("name", "\"default\""));
    must_be_name(section, "name", name.as_deref());
    let driver = check_driver(section);
    let ratio = section.number("max_over_subscription_ratio");
    let reserved = section.integer("reserved_percentage", 0..=99).unwrap_or(0);
    Some(Backend {
        name: name?,
        driver: driver?,
        max_over_subscription_ratio: ratio.unwrap_or(20.0),
        reserved_percentage: u8::try_from(reserved).unwrap_or(0),
    })
}

pub(super) fn must_be_name(section: &Section<'_, '_>, key: &'static str, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !is_name(text)) {
        let why =
            format!("{text:?} must be letters, digits, '.', '_' and '-', at most 100 of them");
        section.wrong(key, &why);
    }
}

/// Cinder's defaults (cinder/quota.py).
fn check_quota(quota: &Section<'_, '_>) -> QuotaLimits {
    let limit = |key, default| quota.integer(key, -1..=QUOTA_MAX).unwrap_or(default);
    QuotaLimits {
        volumes: limit("volumes", 10),
        snapshots: limit("snapshots", 10),
        gigabytes: limit("gigabytes", 1000),
        per_volume_gigabytes: limit("per_volume_gigabytes", -1),
        backups: limit("backups", 10),
        backup_gigabytes: limit("backup_gigabytes", 1000),
    }
}

fn check_faults(faults: &Section<'_, '_>, top: &Section<'_, '_>) -> Option<(String, String)> {
    top.value("faults")?;
    if !cfg!(feature = "faults") {
        top.wrong("faults", "this build injects no faults; take the table out");
        return None;
    }
    let at = faults
        .text("at")
        .or_else(|| faults.missing("at", "\"create_volume/make/after-effect#1\""));
    let action = faults
        .text("action")
        .or_else(|| faults.missing("action", "\"kill\""));
    at.zip(action)
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
