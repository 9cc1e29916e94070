//! The LVM driver keeps the contract, thin and thick, over volume groups in memory that udisks2 (over real D-Bus) and
//! LVM's own programs share; and what only volume groups can show.

use super::*;
use crate::driver::contract::{self, Stamps, Subject, driver_contract};
use ashlar_dbus::fake::FakeUdisks;
use ashlar_dbus::fake::fates::Fates;
use ashlar_dbus::fake::groups::{self, Group, Groups, SharedGroups, Volume, locked};
use ashlar_dbus::udisks::Deadlines;
use metadata::HeldMetadata;
use nodes::{Nodes, read_stamps, write_stamps};
use programs::StandIn;
use std::fs::OpenOptions;

mod crashes;
mod holding;
mod metadata;
mod moving;
mod nodes;
mod programs;
mod promises;

const GIB: u64 = 1 << 30;

fn config(vg: &str, thin_pool: Option<&str>) -> LvmConfig {
    LvmConfig {
        backend: "lvm".to_owned(),
        volume_group: vg.to_owned(),
        thin_pool: thin_pool.map(str::to_owned),
        thin_pool_percent: 50,
        secure_delete: true,
        wipe_bytes_per_s: 0,
        data_full_percent: 95,
        metadata_full_percent: 90,
        snapshot_percent: 100,
        reserved_percentage: 0,
        max_over_subscription_ratio: 20.0,
        owner: "us".to_owned(),
        devices: PathBuf::new(),
    }
}

/// A machine with one volume group and a driver of it.
struct Rig {
    groups: SharedGroups,
    fates: Arc<Fates>,
    udisks: FakeUdisks,
    config: LvmConfig,
    driver: Arc<LvmDriver>,
    directory: tempfile::TempDir,
}

impl Rig {
    fn new(mut config: LvmConfig) -> Self {
        let directory = tempfile::tempdir().unwrap();
        config.devices = directory.path().join("dev");
        std::fs::write(directory.path().join("disk"), "").unwrap();
        let nodes = Nodes::new(&directory.path().join("bytes"), &config.devices);
        let groups = Groups::shared(Box::new(nodes));
        {
            let mut groups = locked(&groups);
            groups.add_group(&config.volume_group, 1024 * GIB);
            if let Some(pool) = &config.thin_pool {
                let made = groups.create_thin_pool(&config.volume_group, pool, 500 * GIB);
                made.unwrap();
            }
        }
        let fates = Arc::new(Fates::default());
        let udisks = FakeUdisks::over(groups.clone(), fates.clone());
        let driver = driver(&config, &udisks, &groups, &fates);
        Self {
            groups,
            fates,
            udisks,
            config,
            driver,
            directory,
        }
    }

    /// Thin volumes in `pool` of the group `vg`.
    fn thin() -> Self {
        Self::new(config("vg", Some("pool")))
    }

    /// Thick volumes in the group `pool`.
    fn thick() -> Self {
        Self::new(config("pool", None))
    }

    /// A new daemon on the same machine.
    fn restarted(mut self) -> Self {
        self.driver = driver(&self.config, &self.udisks, &self.groups, &self.fates);
        self
    }

    fn vg(&self) -> &str {
        &self.config.volume_group
    }

    fn group(&self) -> Group {
        locked(&self.groups).group(self.vg()).unwrap().clone()
    }

    fn lv(&self, lv: &str) -> Option<Volume> {
        locked(&self.groups).volume(self.vg(), lv).ok().cloned()
    }

    /// Something done to the group by others, who succeed.
    fn by_others<T>(
        &self,
        act: impl FnOnce(&mut Groups, &str) -> Result<T, ashlar_dbus::fake::groups::Refused>,
    ) -> T {
        act(&mut locked(&self.groups), self.vg()).unwrap()
    }

    fn bytes_of(&self, volume: &Volume) -> PathBuf {
        let bytes = self.directory.path().join("bytes");
        bytes.join(volume.key.to_string())
    }

    fn write_lv(&self, lv: &str, stamps: &[(u64, u64)]) {
        // Under LVM's lock: a snapshot is of one instant.
        let groups = locked(&self.groups);
        let path = self.bytes_of(groups.volume(self.vg(), lv).unwrap());
        let file = OpenOptions::new().write(true).open(path).unwrap();
        write_stamps(&file, stamps);
    }

    fn read_lv(&self, lv: &str) -> (u64, Stamps) {
        let volume = self.lv(lv).unwrap();
        read_stamps(&self.bytes_of(&volume))
    }

    fn read(&self, object: &ObjectRef) -> (u64, Stamps) {
        self.read_lv(&self.whole(object))
    }

    /// What an object is called where it lies.
    fn whole(&self, object: &ObjectRef) -> String {
        let pool = match object {
            ObjectRef::Volume(volume) => &volume.pool,
            ObjectRef::Snapshot(snapshot) => &snapshot.pool,
        };
        let is_there = |name: &String| {
            let found = self.lv(name).map(|volume| volume.kind);
            found.is_some_and(|kind| match kind {
                groups::Kind::Thin { pool: lies } => lies == *pool,
                groups::Kind::Thick | groups::Kind::ThinPool | groups::Kind::Snapshot { .. } => {
                    *pool == self.config.volume_group
                }
            })
        };
        let name = Name::of(object);
        let names = [name.text.clone(), name.moved()];
        names.into_iter().find(is_there).unwrap_or(name.text)
    }

    fn leave_half_made(&self, object: &ObjectRef) {
        let name = Name::of(object);
        self.by_others(|groups, vg| match (object, &self.config.thin_pool) {
            (ObjectRef::Volume(volume), Some(pool)) if volume.pool == *pool => {
                groups.create_thin(vg, &name.partial(), GIB, pool)
            }
            (ObjectRef::Volume(_), _) => groups.create_plain(vg, &name.partial(), GIB),
            (ObjectRef::Snapshot(snapshot), thin_pool) => {
                let origin = Name::of_volume(snapshot.volume_id).text;
                let room = if thin_pool.is_some() { 0 } else { GIB };
                groups.create_snapshot(vg, &origin, &name.text, room)
            }
        });
    }
}

fn driver(
    config: &LvmConfig,
    udisks: &FakeUdisks,
    groups: &SharedGroups,
    fates: &Arc<Fates>,
) -> Arc<LvmDriver> {
    let programs = StandIn {
        groups: groups.clone(),
        fates: fates.clone(),
        disk: config.devices.with_file_name("disk"),
        metadata: HeldMetadata::in_directory(&config.devices.with_file_name("bytes")),
    };
    let udisks = udisks.client(Deadlines::default());
    let mut driver = LvmDriver::new(config.clone(), udisks, Arc::new(programs));
    // Who has a volume open here uses it.
    driver.closed_within = Duration::ZERO;
    Arc::new(driver)
}

macro_rules! subject {
    ($(#[$doc:meta])* $name:ident, $fresh:expr, $($what:tt)*) => {
        $(#[$doc])*
        struct $name(Rig);

        impl Subject for $name {
            $($what)*
            /// The kernel holds writes for the instant of a snapshot.
            const NEEDS_LIVE_WRITES: bool = false;
            /// LVM's names have no blanks.
            const FOREIGN_NAME: &'static str = "golden+image_1.x";

            fn fresh() -> Option<Self> {
                Some(Self($fresh))
            }
            fn driver(&self) -> Arc<dyn Driver> {
                self.0.driver.clone()
            }
            fn restarted(self) -> Self {
                Self(self.0.restarted())
            }
            fn write(&self, volume: &VolumeRef, stamps: &[(u64, u64)]) {
                let name = self.0.whole(&ObjectRef::Volume(volume.clone()));
                self.0.write_lv(&name, stamps);
            }
            fn read(&self, object: &ObjectRef) -> (u64, Stamps) {
                self.0.read(object)
            }
            fn leave_half_made(&self, object: &ObjectRef) {
                self.0.leave_half_made(object);
            }
            /// All names in a group are in one place, and what has one of our form is not foreign.
            fn name_when_released(volume: &VolumeRef) -> String {
                format!("volume-{}.1", volume.id)
            }
        }
    };
}

subject!(
    /// Volumes of a thin pool.
    Thin,
    Rig::thin(),
    const POOLS: &'static [&'static str] = &["pool", "vg"];
    const TELLS_PARTS: bool = true;
);
subject!(
    /// Thick volumes, overwritten when they are deleted.
    Thick,
    Rig::thick(),
    const SNAPSHOTS_DEPEND: bool = true;
);

mod thin {
    super::driver_contract!(super::Thin);
}
mod thick {
    super::driver_contract!(super::Thick);
}
