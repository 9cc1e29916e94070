//! The objects of udisks2 on the bus: its own names, methods and errors, over the groups in memory.

use super::fates::Failure;
use super::groups::{Refused, locked};
use super::{Shared, publish};
use crate::path;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zbus::wire::OwnedVariant;
use zbus::{Connection, ObjectPath, OwnedObjectPath, interface};

type Options = HashMap<String, OwnedVariant>;

/// udisks2 says hardly more than that it failed; what matters is LVM's text within.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop.UDisks2.Error")]
pub(super) enum Answer {
    #[zbus(error)]
    Bus(zbus::Error),
    Failed(String),
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(why) => Self::Failed(why),
            Failure::Killed => Self::Failed("udisksd was killed".to_owned()),
        }
    }
}

/// `/org/freedesktop/UDisks2/Manager`.
pub(super) struct ManagerObject {
    shared: Arc<Shared>,
    has_module: AtomicBool,
}

impl ManagerObject {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            has_module: AtomicBool::new(false),
        }
    }
}

#[interface(name = "org.freedesktop.UDisks2.Manager")]
impl ManagerObject {
    async fn enable_modules(
        &self,
        enable: bool,
        #[zbus(connection)] connection: &Connection,
    ) -> Result<(), Answer> {
        if !enable {
            return Err(Answer::Failed("Invalid value \"FALSE\"".to_owned()));
        }
        if !self.has_module.swap(true, Ordering::Relaxed) {
            tokio::spawn(publish(self.shared.clone(), connection.clone()));
        }
        Ok(())
    }
}

/// A volume group.
pub(super) struct VolumeGroupObject {
    shared: Arc<Shared>,
    vg: String,
}

impl VolumeGroupObject {
    pub(super) fn new(shared: Arc<Shared>, vg: &str) -> Self {
        let vg = vg.to_owned();
        Self { shared, vg }
    }

    /// The volume that a path stands for.
    fn named(&self, path: &ObjectPath<'_>) -> Result<String, Refused> {
        let groups = locked(&self.shared.groups);
        let mut names = groups.group(&self.vg)?.volumes.keys();
        let is_it = |lv: &&String| {
            path::object(&self.vg, Some(lv)).is_some_and(|one| one.as_str() == path.as_str())
        };
        let found = names.find(is_it).cloned();
        found.ok_or_else(|| Refused("Not a valid thin pool".to_owned()))
    }
}

#[interface(name = "org.freedesktop.UDisks2.VolumeGroup")]
impl VolumeGroupObject {
    #[zbus(property)]
    fn name(&self) -> &str {
        &self.vg
    }

    #[zbus(property)]
    fn free_size(&self) -> u64 {
        let groups = locked(&self.shared.groups);
        groups.group(&self.vg).map_or(0, |group| group.free_bytes())
    }

    async fn create_plain_volume(
        &self,
        name: &str,
        size: u64,
        _options: Options,
    ) -> Result<OwnedObjectPath, Answer> {
        let made = |groups: &mut super::Groups| groups.create_plain(&self.vg, name, size);
        self.shared.act(made).await?;
        path_of(&self.vg, name)
    }

    async fn create_thin_pool_volume(
        &self,
        name: &str,
        size: u64,
        _options: Options,
    ) -> Result<OwnedObjectPath, Answer> {
        let made = |groups: &mut super::Groups| groups.create_thin_pool(&self.vg, name, size);
        self.shared.act(made).await?;
        path_of(&self.vg, name)
    }

    async fn create_thin_volume(
        &self,
        name: &str,
        size: u64,
        pool: ObjectPath<'_>,
        _options: Options,
    ) -> Result<OwnedObjectPath, Answer> {
        let pool = self.named(&pool).map_err(Failure::from)?;
        let made = |groups: &mut super::Groups| groups.create_thin(&self.vg, name, size, &pool);
        self.shared.act(made).await?;
        path_of(&self.vg, name)
    }
}

/// A logical volume, known by its name: another of that name is the same object.
pub(super) struct LogicalVolumeObject {
    shared: Arc<Shared>,
    vg: String,
    lv: String,
}

impl LogicalVolumeObject {
    pub(super) fn new(shared: Arc<Shared>, vg: &str, lv: &str) -> Self {
        let (vg, lv) = (vg.to_owned(), lv.to_owned());
        Self { shared, vg, lv }
    }
}

#[interface(name = "org.freedesktop.UDisks2.LogicalVolume")]
impl LogicalVolumeObject {
    #[zbus(property)]
    fn name(&self) -> &str {
        &self.lv
    }

    async fn create_snapshot(
        &self,
        name: &str,
        size: u64,
        _options: Options,
    ) -> Result<OwnedObjectPath, Answer> {
        let made =
            |groups: &mut super::Groups| groups.create_snapshot(&self.vg, &self.lv, name, size);
        self.shared.act(made).await?;
        path_of(&self.vg, name)
    }

    async fn resize(&self, new_size: u64, _options: Options) -> Result<(), Answer> {
        let resized = |groups: &mut super::Groups| groups.resize(&self.vg, &self.lv, new_size);
        Ok(self.shared.act(resized).await?)
    }

    async fn rename(&self, new_name: &str, _options: Options) -> Result<OwnedObjectPath, Answer> {
        let renamed = |groups: &mut super::Groups| groups.rename(&self.vg, &self.lv, new_name);
        self.shared.act(renamed).await?;
        path_of(&self.vg, new_name)
    }

    /// udisks2 cannot ignore the skip: it waits in vain for the device.
    async fn activate(&self, _options: Options) -> Result<OwnedObjectPath, Answer> {
        let activated = |groups: &mut super::Groups| groups.activate(&self.vg, &self.lv, false);
        if !self.shared.act(activated).await? {
            let why = "Error waiting for block object for volume";
            return Err(Answer::Failed(why.to_owned()));
        }
        let block = "/org/freedesktop/UDisks2/block_devices/dm_2d0";
        OwnedObjectPath::try_from(block).map_err(|error| Answer::Failed(error.to_string()))
    }

    async fn deactivate(&self, _options: Options) -> Result<(), Answer> {
        let deactivated = |groups: &mut super::Groups| groups.deactivate(&self.vg, &self.lv);
        Ok(self.shared.act(deactivated).await?)
    }

    async fn delete(&self, _options: Options) -> Result<(), Answer> {
        let deleted = |groups: &mut super::Groups| groups.delete(&self.vg, &self.lv);
        Ok(self.shared.act(deleted).await?)
    }
}

/// Where it will be published.
fn path_of(vg: &str, lv: &str) -> Result<OwnedObjectPath, Answer> {
    let path = path::object(vg, Some(lv));
    path.ok_or_else(|| Answer::Failed(format!("{vg}/{lv} is no possible name")))
}
