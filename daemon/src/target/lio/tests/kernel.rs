//! Linux's LIO tree in memory: what a `mkdir` makes, what a write changes and what is refused, as far as the target
//! uses it (Linux 6.1: `target_core_configfs.c`, `target_core_fabric_configfs.c`, `iscsi_target_configfs.c`).

use crate::target::configfs::{Configfs, Entry, EntryKind};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard};

/// What an object has from the start, a line each: `name/` a group of its own, `name=value` an attribute, `name!value`
/// one that only tells, `name>` one that is only written.
const HBA: &str = "hba_info!HBA Index: 1 plugin: iblock\nhba_mode=0";
const DEVICE: &str = "alias=\ncontrol>\nenable=0\ninfo!Status: DEACTIVATED\nudev_path=\nalua/\nalua/default_tg_pt_gp/\n\
    alua/default_tg_pt_gp/alua_access_type=Implicit and Explicit\nattrib/\nattrib/block_size=512\nattrib/emulate_tpu=0\n\
    attrib/emulate_write_cache=0\nattrib/hw_block_size!512\nattrib/is_nonrot=1\nattrib/queue_depth=128\npr/\n\
    pr/res_type!SPC3_PERSISTENT_RESERVATIONS\nwwn/\nwwn/vpd_unit_serial=T10 VPD Unit Serial Number: ";
const FABRIC: &str =
    "lio_version!Datera Inc. iSCSI Target v4.1.0\ndiscovery_auth/\ndiscovery_auth/userid=";
const TARGET: &str = "fabric_statistics/\nfabric_statistics/iscsi_instance/\nparam/\nparam/cmd_completion_affinity=-1";
const TPG: &str = "dynamic_sessions!\nenable=0\nacls/\nlun/\nnp/\nauth/\nauth/userid=\nattrib/\nattrib/authentication=1\n\
    attrib/cache_dynamic_acls=0\nattrib/default_cmdsn_depth=64\nattrib/demo_mode_write_protect=1\n\
    attrib/generate_node_acls=0\nattrib/login_timeout=15\nattrib/prod_mode_write_protect=0\nparam/\n\
    param/AuthMethod=CHAP,None\nparam/ImmediateData=Yes\nparam/MaxBurstLength=262144";
const LUN: &str = "alua_tg_pt_offline=0\nstatistics/\nstatistics/scsi_port/";
const PORTAL: &str = "iser=0";
const ACL: &str = "cmdsn_depth=64\ntag=\nattrib/\nattrib/dataout_timeout=3\nattrib/nopin_timeout=15\nauth/\n\
    auth/authenticate_target!0\nauth/password=\nauth/password_mutual=\nauth/userid=\nauth/userid_mutual=\nparam/\nparam/MaxConnections!1";
const MAPPED: &str = "write_protect=\nstatistics/\nstatistics/scsi_auth_intr/\n\
    statistics/scsi_auth_intr/read_mbytes!3\nstatistics/scsi_auth_intr/write_mbytes!5";
const SERIAL_SAID: &str = "T10 VPD Unit Serial Number: ";
/// On this device the kernel finds no discard.
pub(super) const NO_DISCARD: &str = "/dev/vg0/no-discard";
/// This one is mounted.
pub(super) const MOUNTED: &str = "/dev/vg0/mounted";

/// When an act fails, counted from the last [`Kernel::fail`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// This one, and the next succeeds.
    Once(usize),
    /// This one and all that follow: the process died before it.
    FromThenOn(usize),
}

/// The kernel.
#[derive(Default)]
pub(super) struct Kernel {
    state: Mutex<State>,
    let_go: Condvar,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<PathBuf, Node>,
    /// What backstores were told to open, and whether they have.
    devices: BTreeMap<PathBuf, (String, bool)>,
    acts: usize,
    fault: Option<Fault>,
    /// Objects whose removal waits for a host's command.
    stuck: BTreeSet<PathBuf>,
    /// Objects that are being removed and wait: their parents are locked.
    waiting: BTreeSet<PathBuf>,
}

#[derive(Debug, Clone)]
enum Node {
    /// Made by somebody, or with the object that it is in.
    Directory {
        is_given: bool,
    },
    Link(PathBuf),
    Attribute {
        value: String,
        kind: EntryKind,
        is_readable: bool,
        is_set: bool,
    },
}

impl Kernel {
    /// A kernel whose target is loaded, and nothing else.
    pub(super) fn fresh() -> Self {
        let kernel = Self::default();
        {
            let mut state = kernel.state();
            let given = || Node::Directory { is_given: true };
            state.nodes.insert(PathBuf::new(), given());
            state.nodes.insert("core".into(), given());
            state.nodes.insert("core/alua".into(), given());
        }
        kernel
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on, this happens; and acts are counted anew.
    pub(super) fn fail(&self, fault: Option<Fault>) {
        let mut state = self.state();
        (state.fault, state.acts) = (fault, 0);
    }

    /// Acts since then.
    pub(super) fn acts(&self) -> usize {
        self.state().acts
    }

    /// The removal of `path` blocks until it is let go.
    pub(super) fn stick(&self, path: &Path) {
        self.state().stuck.insert(path.to_owned());
    }

    /// Lets all go that is stuck.
    pub(super) fn let_go(&self) {
        self.state().stuck.clear();
        self.let_go.notify_all();
    }

    /// What an attribute tells from now on.
    pub(super) fn tell(&self, path: &Path, text: &str) {
        let mut state = self.state();
        let told = state.nodes.get_mut(path).unwrap();
        if let Node::Attribute { value, .. } = told {
            text.clone_into(value);
        }
    }

    /// The whole tree as text. Without parents of backstores that have none: nobody can tell whose they are, and the
    /// next backstore takes the first of them.
    pub(super) fn all(&self) -> String {
        self.lines(|_| true)
    }

    /// What was made and set in it by others than the kernel.
    pub(super) fn made(&self) -> String {
        self.lines(|node| match node {
            Node::Directory { is_given } => !is_given,
            Node::Link(_) => true,
            Node::Attribute { is_set, .. } => *is_set,
        })
    }

    fn lines(&self, is_shown: impl Fn(&Node) -> bool) -> String {
        let state = self.state();
        let is_empty = |hba: &Path| {
            !state
                .nodes
                .keys()
                .any(|path| is_device(path) && path.starts_with(hba))
        };
        let mut text = String::new();
        for (path, node) in state.nodes.iter().filter(|(_, node)| is_shown(node)) {
            let hba: PathBuf = path.iter().take(2).collect();
            if is_hba(&hba) && is_empty(&hba) {
                continue;
            }
            let path = path.display();
            text.push_str(&match node {
                Node::Directory { .. } => format!("{path}/\n"),
                Node::Link(to) => format!("{path} -> {}\n", to.display()),
                Node::Attribute { value, .. } => format!("{path} = {value}\n"),
            });
        }
        text
    }

    fn act<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        state.acts += 1;
        let fails = match state.fault {
            Some(Fault::Once(at)) => state.acts == at,
            Some(Fault::FromThenOn(at)) => state.acts >= at,
            None => false,
        };
        if fails {
            return Err(Errno::IO.into());
        }
        act(&mut state)
    }
}

impl Configfs for Kernel {
    fn mkdir(&self, path: &Path) -> io::Result<()> {
        self.act(|state| state.mkdir(path))
    }

    fn rmdir(&self, path: &Path) -> io::Result<()> {
        {
            let mut state = self.state();
            while state.stuck.contains(path) {
                state.waiting.insert(path.to_owned());
                state = self.let_go.wait(state).unwrap();
            }
            state.waiting.remove(path);
        }
        self.act(|state| state.rmdir(path))
    }

    fn write(&self, path: &Path, value: &[u8]) -> io::Result<()> {
        let value = String::from_utf8(value.to_vec()).unwrap();
        self.act(|state| state.write(path, &value))
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        self.act(|state| match state.nodes.get(path) {
            Some(Node::Attribute {
                is_readable: false, ..
            }) => Err(Errno::ACCESS.into()),
            Some(Node::Attribute { value, .. }) => Ok(value.trim_end_matches('\n').to_owned()),
            Some(Node::Directory { .. } | Node::Link(_)) => Err(Errno::ISDIR.into()),
            None => Err(Errno::NOENT.into()),
        })
    }

    fn link(&self, to: &Path, link: &Path) -> io::Result<()> {
        self.act(|state| state.link(to, link))
    }

    fn unlink(&self, link: &Path) -> io::Result<()> {
        self.act(|state| match state.nodes.get(link) {
            Some(Node::Link(_)) => {
                state.nodes.remove(link);
                let protect = link.with_file_name("write_protect");
                if state.nodes.contains_key(&protect) {
                    state.set(&protect, "");
                }
                Ok(())
            }
            Some(_) => Err(Errno::PERM.into()),
            None => Err(Errno::NOENT.into()),
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        {
            let mut state = self.state();
            while state.waiting.iter().any(|one| one.parent() == Some(path)) {
                state = self.let_go.wait(state).unwrap();
            }
        }
        self.act(|state| {
            if !state.nodes.contains_key(path) {
                return Err(Errno::NOENT.into());
            }
            let children = state
                .nodes
                .iter()
                .filter(|(child, _)| child.parent() == Some(path));
            let entries = children.map(|(child, node)| Entry {
                name: child.file_name().unwrap().to_str().unwrap().to_owned(),
                kind: match node {
                    Node::Directory { .. } => EntryKind::Directory,
                    Node::Link(_) => EntryKind::Link,
                    Node::Attribute { kind, .. } => *kind,
                },
            });
            Ok(entries.collect())
        })
    }
}

impl State {
    fn mkdir(&mut self, path: &Path) -> io::Result<()> {
        if self.nodes.contains_key(path) {
            return Err(Errno::EXIST.into());
        }
        if !self.nodes.contains_key(path.parent().unwrap()) {
            return Err(Errno::NOENT.into());
        }
        let given = match parts(path)[..] {
            ["iscsi"] => FABRIC.to_owned(),
            ["core", hba] if hba.contains('_') => HBA.to_owned(),
            ["core", _, _] => DEVICE.to_owned(),
            ["iscsi", iqn] if iqn.starts_with("iqn.") => TARGET.to_owned(),
            ["iscsi", _, tpg] if tpg.starts_with("tpgt_") => TPG.to_owned(),
            ["iscsi", _, _, "lun", lun] if lun.starts_with("lun_") => LUN.to_owned(),
            ["iscsi", _, _, "np", portal] if portal.parse::<std::net::SocketAddr>().is_ok() => {
                PORTAL.to_owned()
            }
            ["iscsi", _, _, "acls", name] => format!("info!{}\n{ACL}", no_session(name)),
            ["iscsi", _, _, "acls", _, lun] if lun.starts_with("lun_") => MAPPED.to_owned(),
            _ => return Err(Errno::PERM.into()),
        };
        self.nodes
            .insert(path.to_owned(), Node::Directory { is_given: false });
        for line in given.lines() {
            let (name, node) = match line.strip_suffix('/') {
                Some(name) => (name, Node::Directory { is_given: true }),
                None => {
                    let (name, rest) = line.split_at(line.find(['=', '!', '>']).unwrap());
                    let kind = match &rest[..1] {
                        "!" => EntryKind::ReadOnly,
                        _ => EntryKind::Writable,
                    };
                    let (is_readable, is_set) = (&rest[..1] != ">", false);
                    let value = rest[1..].to_owned();
                    (
                        name,
                        Node::Attribute {
                            value,
                            kind,
                            is_readable,
                            is_set,
                        },
                    )
                }
            };
            self.nodes.insert(path.join(name), node);
        }
        Ok(())
    }

    /// As configfs detaches an object: not while a link leads to it, nor with anything in it that was made.
    fn rmdir(&mut self, path: &Path) -> io::Result<()> {
        match self.nodes.get(path) {
            Some(Node::Directory { is_given: false }) => {}
            Some(Node::Directory { is_given: true }) => return Err(Errno::PERM.into()),
            Some(Node::Link(_) | Node::Attribute { .. }) => return Err(Errno::NOTDIR.into()),
            None => return Err(Errno::NOENT.into()),
        }
        let leads_here = |node: &Node| matches!(node, Node::Link(to) if to.starts_with(path));
        if self.nodes.values().any(leads_here) {
            return Err(Errno::BUSY.into());
        }
        let is_made =
            |node: &Node| matches!(node, Node::Link(_) | Node::Directory { is_given: false });
        let mut within = self
            .nodes
            .iter()
            .filter(|(one, _)| one.starts_with(path) && *one != path);
        if within.any(|(_, node)| is_made(node)) {
            return Err(Errno::NOTEMPTY.into());
        }
        self.nodes.retain(|one, _| !one.starts_with(path));
        self.devices.remove(path);
        Ok(())
    }

    fn write(&mut self, path: &Path, value: &str) -> io::Result<()> {
        match self.nodes.get(path) {
            Some(Node::Attribute {
                kind: EntryKind::Writable,
                ..
            }) => {}
            Some(_) => return Err(Errno::ACCESS.into()),
            None => return Err(Errno::NOENT.into()),
        }
        let object = path.parent().unwrap();
        let device: PathBuf = path.iter().take(3).collect();
        let is_linked = self
            .nodes
            .values()
            .any(|node| matches!(node, Node::Link(to) if *to == device));
        match parts(path)[..] {
            ["core", _, _, "control"] => return self.control(object, value),
            ["core", _, _, "enable"] => self.enable(object)?,
            ["core", _, _, "wwn", "vpd_unit_serial"] if is_linked => {
                return Err(Errno::INVAL.into());
            }
            ["core", _, _, "wwn", "vpd_unit_serial"] => {
                self.set(path, &format!("{SERIAL_SAID}{value}"));
                return Ok(());
            }
            ["core", _, _, "attrib", "emulate_tpu"] if !self.can_discard(&device) => {
                return Err(Errno::NOSYS.into());
            }
            ["iscsi", _, _, "enable"] if self.value(path) == value => {
                return Err(Errno::INVAL.into());
            }
            // The kernel sees no empty write.
            ["iscsi", _, _, "acls", _, "auth", _] if value.is_empty() => return Ok(()),
            ["iscsi", _, _, "acls", _, "auth", _] => {
                self.set(path, value);
                self.authenticates_target(object);
                return Ok(());
            }
            // Kept with the link, of which there is none yet.
            ["iscsi", .., "write_protect"] if self.links_in(object).is_none() => return Ok(()),
            _ => {}
        }
        self.set(path, value);
        Ok(())
    }

    /// Whether it proves itself to an initiator: with both a user and a secret, of which `NULL` is neither.
    fn authenticates_target(&mut self, auth: &Path) {
        let is_set = |name: &str| {
            let value = self.value(&auth.join(name));
            !value.is_empty() && !value.starts_with("NULL")
        };
        let both = is_set("userid_mutual") && is_set("password_mutual");
        let told = if both { "1" } else { "0" };
        if let Some(Node::Attribute { value, .. }) =
            self.nodes.get_mut(&auth.join("authenticate_target"))
        {
            told.clone_into(value);
        }
    }

    fn control(&mut self, device: &Path, value: &str) -> io::Result<()> {
        if let Some(path) = value.strip_prefix("udev_path=") {
            if self
                .devices
                .get(device)
                .is_some_and(|(_, is_open)| *is_open)
            {
                return Err(Errno::EXIST.into());
            }
            self.devices
                .insert(device.to_owned(), (path.to_owned(), false));
        }
        Ok(())
    }

    /// Opens the device, alone.
    fn enable(&mut self, device: &Path) -> io::Result<()> {
        let Some((path, is_open)) = self.devices.get(device).cloned() else {
            return Err(Errno::INVAL.into());
        };
        if is_open {
            return Err(Errno::EXIST.into());
        }
        if path == MOUNTED
            || self
                .devices
                .values()
                .any(|other| *other == (path.clone(), true))
        {
            return Err(Errno::BUSY.into());
        }
        self.devices.insert(device.to_owned(), (path, true));
        Ok(())
    }

    fn can_discard(&self, device: &Path) -> bool {
        self.devices
            .get(device)
            .is_some_and(|(path, is_open)| *is_open && path != NO_DISCARD)
    }

    fn link(&mut self, to: &Path, link: &Path) -> io::Result<()> {
        let object = link.parent().unwrap();
        if !self.nodes.contains_key(object) || !self.nodes.contains_key(to) {
            return Err(Errno::NOENT.into());
        }
        let (from, to_parts) = (parts(link), parts(to));
        match (&from[..], &to_parts[..]) {
            _ if self.links_in(object).is_some() => return Err(Errno::EXIST.into()),
            (["iscsi", _, _, "lun", _, _], ["core", _, _]) => {
                if !self.devices.get(to).is_some_and(|(_, is_open)| *is_open) {
                    return Err(Errno::NODEV.into());
                }
            }
            (["iscsi", target, tpg, "acls", _, _, _], ["iscsi", of, in_tpg, "lun", _]) => {
                if (target, tpg) != (of, in_tpg) || self.links_in(to).is_none() {
                    return Err(Errno::INVAL.into());
                }
                self.set(&object.join("write_protect"), "0");
            }
            _ => return Err(Errno::PERM.into()),
        }
        self.nodes
            .insert(link.to_owned(), Node::Link(to.to_owned()));
        Ok(())
    }

    fn links_in(&self, object: &Path) -> Option<&PathBuf> {
        self.nodes.iter().find_map(|(path, node)| match node {
            Node::Link(to) if path.parent() == Some(object) => Some(to),
            Node::Link(_) | Node::Directory { .. } | Node::Attribute { .. } => None,
        })
    }

    fn value(&self, path: &Path) -> &str {
        match &self.nodes[path] {
            Node::Attribute { value, .. } => value,
            Node::Link(_) | Node::Directory { .. } => "",
        }
    }

    fn set(&mut self, path: &Path, to: &str) {
        if let Some(Node::Attribute { value, is_set, .. }) = self.nodes.get_mut(path) {
            to.clone_into(value);
            *is_set = true;
        }
    }
}

fn parts(path: &Path) -> Vec<&str> {
    path.iter().map(|part| part.to_str().unwrap()).collect()
}

fn is_hba(path: &Path) -> bool {
    matches!(parts(path)[..], ["core", name] if name.starts_with("iblock_"))
}

fn is_device(path: &Path) -> bool {
    let is_attribute = || {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("hba_")
    };
    parts(path).len() == 3 && path.parent().is_some_and(is_hba) && !is_attribute()
}

/// What `info` tells while nobody is logged in.
pub(super) fn no_session(initiator: &str) -> String {
    format!("No active iSCSI Session for Initiator Endpoint: {initiator}")
}
