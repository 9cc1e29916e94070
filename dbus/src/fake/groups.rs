//! Volume groups in memory, as LVM keeps them: extents, volumes of each kind, tags, activation, and what LVM says when
//! it refuses. Plain Rust; it has never heard of a bus or of a program.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

mod acts;
mod content;

pub use content::{Content, Holds, NoContent};

/// LVM's default.
const EXTENT_BYTES: u64 = 4 << 20;

/// Why LVM did not, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

/// What a logical volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// All its space is its own.
    Thick,
    /// Gives its space to thin volumes.
    ThinPool,
    /// Lies in a thin pool.
    Thin {
        /// The pool.
        pool: String,
    },
    /// A classic snapshot: lost with its origin.
    Snapshot {
        /// What it reads as long; its own size is the room for what changes.
        len_bytes: u64,
    },
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Tells its bytes from all others, whatever it is called.
    pub key: u64,
    /// Its size, in whole extents.
    pub size_bytes: u64,
    /// What it is.
    pub kind: Kind,
    /// What it is a snapshot of, while that is there.
    pub origin: Option<String>,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// It has a device node.
    pub is_active: bool,
    /// Somebody has its device open.
    pub is_open: bool,
    /// LVM leaves it out when it activates.
    pub is_skipped: bool,
    /// A classic snapshot that overflowed.
    pub is_invalid: bool,
    /// A classic snapshot that is being merged; LVM hides it.
    pub is_merging: bool,
    /// How much a pool or a classic snapshot holds.
    pub used_bytes: u64,
    /// How full a pool's metadata are.
    pub metadata_percent: f64,
    /// A pool that zeroes a block before a volume gets it.
    pub zeroes: bool,
}

impl Volume {
    fn new(key: u64, size_bytes: u64, kind: Kind) -> Self {
        Self {
            key,
            size_bytes,
            kind,
            origin: None,
            tags: BTreeSet::new(),
            is_active: true,
            is_open: false,
            is_skipped: false,
            is_invalid: false,
            is_merging: false,
            used_bytes: 0,
            metadata_percent: 1.0,
            zeroes: true,
        }
    }

    /// The thin pool it lies in.
    pub fn pool(&self) -> Option<&str> {
        match &self.kind {
            Kind::Thin { pool } => Some(pool),
            Kind::Thick | Kind::ThinPool | Kind::Snapshot { .. } => None,
        }
    }

    /// Whether it is a classic snapshot of `origin`.
    pub fn is_classic_snapshot_of(&self, origin: &str) -> bool {
        matches!(self.kind, Kind::Snapshot { .. }) && self.origin.as_deref() == Some(origin)
    }

    /// The extents it takes from its group; a pool has metadata and a spare of them beside its data.
    fn bytes_of_group(&self) -> u64 {
        match self.kind {
            Kind::Thick | Kind::Snapshot { .. } => self.size_bytes,
            Kind::ThinPool => self.size_bytes + 2 * EXTENT_BYTES,
            Kind::Thin { .. } => 0,
        }
    }
}

/// A volume group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// All its bytes.
    pub size_bytes: u64,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Disks that are not there.
    pub missing_disks: u64,
    /// Its volumes by name.
    pub volumes: BTreeMap<String, Volume>,
}

impl Group {
    /// The size of an extent.
    pub fn extent_bytes(&self) -> u64 {
        EXTENT_BYTES
    }

    /// What no volume has.
    pub fn free_bytes(&self) -> u64 {
        let taken: u64 = self.volumes.values().map(Volume::bytes_of_group).sum();
        self.size_bytes.saturating_sub(taken)
    }
}

/// All the groups of a machine.
pub struct Groups {
    groups: BTreeMap<String, Group>,
    content: Box<dyn Content>,
    last_key: u64,
    changed: watch::Sender<u64>,
}

/// The groups of a machine, as everybody there reaches them.
pub type SharedGroups = Arc<Mutex<Groups>>;

/// The right to look at the groups and to change them: LVM's lock.
pub fn locked(groups: &SharedGroups) -> MutexGuard<'_, Groups> {
    groups.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Groups {
    /// A machine without groups, whose volumes keep their bytes in `content`.
    pub fn shared(content: Box<dyn Content>) -> SharedGroups {
        let (changed, _) = watch::channel(0);
        Arc::new(Mutex::new(Self {
            groups: BTreeMap::new(),
            content,
            last_key: 0,
            changed,
        }))
    }

    /// Makes an empty group.
    pub fn add_group(&mut self, vg: &str, size_bytes: u64) {
        let group = Group {
            size_bytes: size_bytes / EXTENT_BYTES * EXTENT_BYTES,
            ..Group::default()
        };
        self.groups.insert(vg.to_owned(), group);
        self.tell();
    }

    /// Takes a group away, as when its disks are pulled.
    pub fn pull(&mut self, vg: &str) -> Option<Group> {
        let group = self.groups.remove(vg);
        self.tell();
        group
    }

    /// Puts a group that was pulled back.
    pub fn plug(&mut self, vg: &str, group: Group) {
        self.groups.insert(vg.to_owned(), group);
        self.tell();
    }

    /// A group.
    pub fn group(&self, vg: &str) -> Result<&Group, Refused> {
        self.groups.get(vg).ok_or_else(|| no_group(vg))
    }

    /// A group, to be changed from behind.
    pub fn group_mut(&mut self, vg: &str) -> Result<&mut Group, Refused> {
        self.groups.get_mut(vg).ok_or_else(|| no_group(vg))
    }

    /// A volume.
    pub fn volume(&self, vg: &str, lv: &str) -> Result<&Volume, Refused> {
        let volumes = &self.group(vg)?.volumes;
        volumes.get(lv).ok_or_else(|| no_volume(vg, lv))
    }

    /// A volume, to be changed from behind.
    pub fn volume_mut(&mut self, vg: &str, lv: &str) -> Result<&mut Volume, Refused> {
        let volumes = &mut self.group_mut(vg)?.volumes;
        volumes.get_mut(lv).ok_or_else(|| no_volume(vg, lv))
    }

    /// Every group, and every volume of each.
    pub fn names(&self) -> BTreeSet<(String, Option<String>)> {
        let groups = self.groups.iter();
        let named = groups.flat_map(|(vg, group)| {
            let volumes = group.volumes.keys().cloned().map(Some);
            std::iter::once(None)
                .chain(volumes)
                .map(|lv| (vg.clone(), lv))
        });
        named.collect()
    }

    /// Hears of every change, as the kernel's events tell udisks2.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn tell(&mut self) {
        self.changed.send_modify(|changes| *changes += 1);
    }
}

fn no_group(vg: &str) -> Refused {
    Refused(format!(
        "Volume group \"{vg}\" not found\n  Cannot process volume group {vg}"
    ))
}

fn no_volume(vg: &str, lv: &str) -> Refused {
    Refused(format!("Failed to find logical volume \"{vg}/{lv}\""))
}
