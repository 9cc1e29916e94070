//! Whether what a configuration names is there and can be used, as far as a look can tell: for `--check-config`.
//! Changes nothing. The start finds the same out by doing it, since things may have changed in between.

use super::{Config, DriverConfig, Mistake, Place, Places, RoleName, TargetKind};
use crate::target::configfs;
use rustix::fs::Access;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Everything that a start would stumble over.
pub(super) fn look(config: &Config, places: &Places) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut note = |key: &str, place: Option<Place>, why: String| {
        let what = format!("{key}: {why}");
        mistakes.push(Mistake { place, what });
    };
    if let Some(why) = unusable(&config.state_dir) {
        note("state_dir", places.state_dir, why);
    }
    if config.has(RoleName::Api)
        && let Some(parent) = config.api.unix.parent()
        && parent != config.state_dir
        && !parent.is_dir()
    {
        let why = format!("{} is not there; make it", parent.display());
        note("api.unix", places.unix, why);
    }
    if config.has(RoleName::Volume) {
        if config.target.kind == TargetKind::Lio
            && let Some(why) = no_lio()
        {
            note("target.kind", None, why);
        }
        for (number, backend) in config.backends.iter().enumerate() {
            let place = places.directories.get(number).copied().flatten();
            let (key, why) = match &backend.driver {
                DriverConfig::File { directory, .. } => (
                    "backend.directory",
                    unusable(directory).or_else(|| foreign(directory)),
                ),
                DriverConfig::Fake { directory, .. } => ("backend.directory", unusable(directory)),
                DriverConfig::Lvm { .. } => ("backend.driver", no_lvm()),
            };
            if let Some(why) = why {
                note(key, place, why);
            }
        }
    }
    if config.has(RoleName::Volume) || config.has(RoleName::Backup) {
        for (number, store) in config.backup_stores.iter().enumerate() {
            let place = places.stores.get(number).copied().flatten();
            let why = match store.kind.is_read_only() {
                true => unreadable(&store.directory),
                false => unusable(&store.directory),
            };
            if let Some(why) = why {
                note("backup_store.directory", place, why);
            }
        }
    }
    mistakes
}

/// Why a directory cannot be looked into. One that is not there is not mounted yet, and its store waits for it.
fn unreadable(path: &Path) -> Option<String> {
    let shown = path.display();
    match fs::read_dir(path) {
        Ok(_) => None,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(format!(
            "{shown} cannot be read: {error}; ashlard reads it as the user as whom it runs"
        )),
    }
}

/// Why there can be no logical volumes here. Whether the group is there is found out by the running daemon, which
/// starts without it and goes on when it comes.
fn no_lvm() -> Option<String> {
    let is_there = |path: &str| Path::new(path).exists();
    if !["/sbin/lvs", "/usr/sbin/lvs"]
        .iter()
        .any(|path| is_there(path))
    {
        return Some("there is no LVM here; install lvm2 and udisks2-lvm2".to_owned());
    }
    if !is_there("/run/dbus/system_bus_socket") {
        return Some("there is no system bus at /run/dbus/system_bus_socket; install and start dbus and udisks2".to_owned());
    }
    None
}

/// What the kernel lacks for serving volumes by itself.
fn no_lio() -> Option<String> {
    if !Path::new(configfs::ROOT).exists() {
        return Some(format!(
            "the kernel's target is not there; run `modprobe iscsi_target_mod` so that {} appears, or use kind = \"userspace\"",
            configfs::ROOT
        ));
    }
    (!rustix::process::geteuid().is_root()).then(|| {
        "the kernel's target needs root; run ashlard as root, or use kind = \"userspace\""
            .to_owned()
    })
}

/// Why a directory cannot be used, or made where it is missing.
fn unusable(path: &Path) -> Option<String> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(told) if !told.is_dir() => Some(format!("{shown} is not a directory; name another one")),
        Ok(told) => {
            let mode = told.permissions().mode() & 0o7777;
            // A sticky directory is one like /tmp, which is shared on purpose and no place for this.
            if mode & 0o022 != 0 {
                return Some(format!(
                    "others may write to {shown} (mode {mode:04o}); run `chmod go-w {shown}`"
                ));
            }
            may_write(path).then_some(()).map_or_else(
                || Some(format!("{shown} cannot be written by this user; give it to the user as whom ashlard runs")),
                |()| None,
            )
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => unmakeable(path),
        Err(error) => Some(format!("{shown} cannot be reached: {error}")),
    }
}

/// Why a directory that is missing cannot be made.
fn unmakeable(path: &Path) -> Option<String> {
    let there = path.ancestors().skip(1).find(|one| one.exists())?;
    let (shown, there_shown) = (path.display(), there.display());
    if !there.is_dir() {
        return Some(format!(
            "{shown} cannot be made: {there_shown} is not a directory"
        ));
    }
    if !may_write(there) {
        return Some(format!(
            "{shown} is not there and cannot be made by this user in {there_shown}; make it and give it to the user as \
             whom ashlard runs"
        ));
    }
    None
}

fn may_write(path: &Path) -> bool {
    rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Why a directory is no pool and must not become one.
fn foreign(path: &Path) -> Option<String> {
    let mut entries = fs::read_dir(path).ok()?;
    let is_marked = path.join("ashlar-pool").exists();
    (!is_marked && entries.next().is_some()).then(|| {
        format!(
            "{} holds files but no mark of Ashlar's (ashlar-pool); give an empty directory",
            path.display()
        )
    })
}
