//! The interfaces of udisks2 (2.9.4) that are used here, trimmed to the methods that are. `introspect/` describes
//! them; the fake is held to it by a test, and the proxies by being used against the fake.

use std::collections::HashMap;
use zbus::wire::Variant;
use zbus::{ObjectPath, OwnedObjectPath, proxy};

/// Options of a call; none is needed here but that nobody is asked for a password.
pub(crate) type Options<'a> = HashMap<&'a str, Variant<'a>>;

#[proxy(
    interface = "org.freedesktop.UDisks2.Manager",
    default_service = "org.freedesktop.UDisks2",
    default_path = "/org/freedesktop/UDisks2/Manager"
)]
pub(crate) trait Manager {
    /// Loads the modules (LVM2 among them), once; later calls do nothing.
    fn enable_modules(&self, enable: bool) -> zbus::Result<()>;
}

#[proxy(
    interface = "org.freedesktop.UDisks2.VolumeGroup",
    default_service = "org.freedesktop.UDisks2"
)]
pub(crate) trait VolumeGroup {
    fn create_plain_volume(
        &self,
        name: &str,
        size: u64,
        options: Options<'_>,
    ) -> zbus::Result<OwnedObjectPath>;
    fn create_thin_pool_volume(
        &self,
        name: &str,
        size: u64,
        options: Options<'_>,
    ) -> zbus::Result<OwnedObjectPath>;
    fn create_thin_volume(
        &self,
        name: &str,
        size: u64,
        pool: &ObjectPath<'_>,
        options: Options<'_>,
    ) -> zbus::Result<OwnedObjectPath>;
}

#[proxy(
    interface = "org.freedesktop.UDisks2.LogicalVolume",
    default_service = "org.freedesktop.UDisks2"
)]
pub(crate) trait LogicalVolume {
    fn create_snapshot(
        &self,
        name: &str,
        size: u64,
        options: Options<'_>,
    ) -> zbus::Result<OwnedObjectPath>;
    fn resize(&self, new_size: u64, options: Options<'_>) -> zbus::Result<()>;
    fn rename(&self, new_name: &str, options: Options<'_>) -> zbus::Result<OwnedObjectPath>;
    fn activate(&self, options: Options<'_>) -> zbus::Result<OwnedObjectPath>;
    fn deactivate(&self, options: Options<'_>) -> zbus::Result<()>;
    fn delete(&self, options: Options<'_>) -> zbus::Result<()>;
}
