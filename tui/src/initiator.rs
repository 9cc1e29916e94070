//! The host's side of an attachment: open-iscsi logs in, the disk appears, and goes again.
//!
//! Each step looks whether it is done already, so that a command which was interrupted is simply given again. What this
//! host does not use is never touched: a target is known by its name, its records and sessions by the target.

mod device;
mod record;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::text;
use crate::cmd::{self, Ended};
use crate::failure::{Exit, Failure};
use record::{Chap, ROOTS};

const NAME_FILE: &str = "/etc/iscsi/initiatorname.iscsi";
/// The kernel looks for disks within a second of the login; udev names them soon after.
const DISK_DEADLINE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
/// iscsiadm's exit codes (open-iscsi, include/iscsi_err.h).
const HAS_SESSION: i32 = 15;
const IS_FATAL: i32 = 19;
const HAS_NOTHING: i32 = 21;
const IS_REFUSED: i32 = 24;

/// A disk that this host has.
pub(crate) struct Disk {
    /// Its name that stays the same.
    pub(crate) path: PathBuf,
    /// Its length.
    pub(crate) len_bytes: u64,
    /// The portals that lead to it.
    pub(crate) portals: Vec<String>,
}

/// Where a volume is, out of a connection info.
struct Place {
    iqn: String,
    lun: u64,
    portals: Vec<String>,
    user: String,
    secret: String,
    /// What the target proves to this host, if anything.
    proof: Option<(String, String)>,
}

impl Place {
    fn of(info: &Value) -> Result<Self, Failure> {
        let kind = text(info, "driver_volume_type");
        if kind != "iscsi" {
            let why = format!("it is reached by {kind:?}, and this command knows iSCSI only");
            return Err(failed(&why));
        }
        let many = info["target_portals"].as_array().into_iter().flatten();
        let mut portals: Vec<String> = many.filter_map(Value::as_str).map(str::to_owned).collect();
        if portals.is_empty() {
            portals.push(text(info, "target_portal"));
        }
        let proof = (
            text(info, "mutual_auth_username"),
            text(info, "mutual_auth_password"),
        );
        Ok(Self {
            iqn: text(info, "target_iqn"),
            lun: info["target_lun"].as_u64().unwrap_or(0),
            portals,
            user: text(info, "auth_username"),
            secret: text(info, "auth_password"),
            proof: (!proof.0.is_empty()).then_some(proof),
        })
    }
}

/// What this host is called; needs open-iscsi, and root, which alone may log in.
pub(crate) fn name() -> Result<String, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(failed("only root may log in to volumes")
            .hint("run it as root")
            .unchanged());
    }
    let missing = |why: &str| {
        failed(&format!("{NAME_FILE}: {why}"))
            .hint("install open-iscsi; it gives this host its name")
            .unchanged()
    };
    let file = std::fs::read_to_string(NAME_FILE).map_err(|error| missing(&error.to_string()))?;
    let name = file
        .lines()
        .find_map(|line| line.trim().strip_prefix("InitiatorName="));
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    name.map(str::to_owned)
        .ok_or_else(|| missing("it names nobody"))
}

/// Whether several paths to a disk become one here.
pub(crate) fn has_multipath() -> bool {
    cmd::run("multipathd", &["show", "daemon"]).is_ok_and(|ended| ended.code == Some(0))
}

/// As whom this host has a record of the target: each attachment has a user name of its own.
pub(crate) fn user_of(iqn: &str) -> Option<String> {
    record::of(ROOTS, iqn)
        .iter()
        .find_map(|path| record::user(path))
}

/// Logs in and waits for the disk. Where it is connected already it is looked at anew: that is how it grows.
pub(crate) fn connect(info: &Value) -> Result<Disk, Failure> {
    let place = Place::of(info)?;
    let is_multipath = place.portals.len() > 1 && has_multipath();
    let mut portals = Vec::new();
    let mut refused = None;
    for portal in &place.portals {
        match log_in(&place, portal) {
            Ok(()) => portals.push(portal.clone()),
            Err(failure) => refused = Some(failure),
        }
        if !is_multipath && !portals.is_empty() {
            break;
        }
    }
    if let (true, Some(failure)) = (portals.is_empty(), refused) {
        forget(&place.iqn)?;
        return Err(failure);
    }
    iscsiadm(&["-m", "node", "-T", &place.iqn, "-R"])?;
    let disk = wait_for_disk(&place, is_multipath)?;
    let path = wait("its name below /dev/disk/by-id", || {
        device::by_id(dev(), &disk)
    })?;
    if is_multipath
        && let Some(wwid) =
            first_disk(&place.iqn, place.lun).and_then(|disk| device::wwid(dev(), &disk))
    {
        tool("multipathd", &["resize", "map", &wwid])?;
    }
    Ok(Disk {
        path,
        len_bytes: device::len_bytes(sys(), &disk),
        portals,
    })
}

fn log_in(place: &Place, portal: &str) -> Result<(), Failure> {
    let node = ["-m", "node", "-T", place.iqn.as_str(), "-p", portal];
    let with = |more: &[&'static str]| [node.as_slice(), more].concat();
    let known = iscsiadm(&with(&["-o", "show"]))?;
    if known.code != Some(0) {
        must(
            &format!("making the record of {portal}"),
            &iscsiadm(&with(&["-o", "new"]))?,
        )?;
    }
    if !place.user.is_empty() {
        let chap = Chap {
            user: &place.user,
            secret: &place.secret,
            proof: place
                .proof
                .as_ref()
                .map(|(user, secret)| (&**user, &**secret)),
        };
        for path in record::of(ROOTS, &place.iqn) {
            let set = record::set_chap(&path, &chap);
            set.map_err(|error| failed(&format!("{}: {error}", path.display())))?;
        }
    }
    let ended = iscsiadm(&with(&["--login"]))?;
    match ended.code {
        Some(0 | HAS_SESSION) => Ok(()),
        Some(IS_REFUSED) => {
            let why = format!("{portal} does not let this host in: {}", ended.said);
            Err(failed(&why).hint("is the attachment of this host, and not detached since?"))
        }
        Some(IS_FATAL) if place.proof.is_some() => {
            let why = format!("no login at {portal}: {}", ended.said);
            Err(failed(&why).hint(
                "iscsid's log says more; if the target failed to prove itself, it may be another's that answers there",
            ))
        }
        _ => must(&format!("logging in at {portal}"), &ended),
    }
}

fn wait_for_disk(place: &Place, is_multipath: bool) -> Result<String, Failure> {
    let disk = wait("the disk", || first_disk(&place.iqn, place.lun))?;
    if !is_multipath {
        return Ok(disk);
    }
    let wwid = wait("the disk's id", || device::wwid(dev(), &disk))?;
    if device::multipath(sys(), &disk).is_none() {
        // A single path is no multipath device by itself unless it was told to be one.
        tool("multipath", &["-a", &format!("/dev/{disk}")])?;
        for path in device::disks(sys(), &place.iqn, place.lun) {
            tool("multipathd", &["add", "path", &path])?;
        }
        tool("multipathd", &["add", "map", &wwid])?;
    }
    wait("the multipath device", || device::multipath(sys(), &disk))
}

fn first_disk(iqn: &str, lun: u64) -> Option<String> {
    device::disks(sys(), iqn, lun).into_iter().next()
}

/// Writes out, logs out and forgets the target. Refused while anything on this host uses the disk.
pub(crate) fn disconnect(iqn: &str, lun: u64) -> Result<(), Failure> {
    let disks = device::disks(sys(), iqn, lun);
    let over = disks
        .first()
        .and_then(|disk| device::multipath(sys(), disk));
    for disk in over.iter().chain(&disks) {
        let mut users = device::users(sys(), Path::new("/proc"), disk);
        // The multipath device over its own paths goes with them.
        users.retain(|user| {
            over.as_ref()
                .is_none_or(|over| *user != format!("{over} is made on it"))
        });
        if !users.is_empty() {
            return Err(Failure::new(
                Exit::Conflict,
                DISCONNECTING,
                &format!("{disk}: {}", users.join(", ")),
            )
            .hint("unmount it, or end what uses it")
            .unchanged());
        }
    }
    for disk in over.iter().chain(&disks) {
        let flushed = device::flush(dev(), disk);
        flushed.map_err(|error| {
            failed(&format!(
                "what is still to be written to {disk} cannot be: {error}"
            ))
        })?;
    }
    if over.is_some()
        && let Some(wwid) = disks.first().and_then(|disk| device::wwid(dev(), disk))
    {
        must(
            "removing the multipath device",
            &tool("multipath", &["-f", &wwid])?,
        )?;
        tool("multipath", &["-w", &wwid])?;
    }
    forget(iqn)
}

/// Logs out of every portal and removes the records.
fn forget(iqn: &str) -> Result<(), Failure> {
    for (doing, last) in [
        ("logging out", "--logout"),
        ("removing the record", "-odelete"),
    ] {
        let ended = iscsiadm(&["-m", "node", "-T", iqn, last])?;
        if ended.code != Some(HAS_NOTHING) {
            must(doing, &ended)?;
        }
    }
    Ok(())
}

const DISCONNECTING: &str = "disconnecting the volume from this host";

fn iscsiadm(args: &[&str]) -> Result<Ended, Failure> {
    tool("iscsiadm", args)
}

fn tool(program: &str, args: &[&str]) -> Result<Ended, Failure> {
    cmd::run(program, args).map_err(|error| {
        let failure = failed(&format!("{program}: {error}"));
        if error.kind() == std::io::ErrorKind::NotFound {
            failure.hint("install open-iscsi, and multipath-tools where it is used")
        } else {
            failure
        }
    })
}

fn must(doing: &str, ended: &Ended) -> Result<(), Failure> {
    match ended.code {
        Some(0) => Ok(()),
        _ => Err(failed(&format!("{doing} failed: {}", ended.said))),
    }
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T, Failure> {
    let end = Instant::now() + DISK_DEADLINE;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() >= end {
            let why = format!(
                "{what} has not appeared within {} s of the login",
                DISK_DEADLINE.as_secs()
            );
            return Err(failed(&why).hint(
                "the kernel's log (dmesg) says what it found; the same command tries again",
            ));
        }
        std::thread::park_timeout(PAUSE);
    }
}

fn failed(why: &str) -> Failure {
    Failure::new(Exit::Failed, "the host's side of the attachment", why)
}

fn sys() -> &'static Path {
    Path::new("/sys")
}

fn dev() -> &'static Path {
    Path::new("/dev")
}
