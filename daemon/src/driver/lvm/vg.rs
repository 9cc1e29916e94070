//! One volume group: what LVM says of it, and the acts of udisks2 in it, one at a time.
//!
//! udisks2 answers late when many volumes change: it publishes only after it has read every group anew for every event
//! of the kernel. LVM's own report tells sooner that an act is done, and as surely, since it waits for LVM's lock. So
//! an act ends with whichever comes first, and always with a report that shows what was wanted.

use super::bytes;
use super::report::{Group, Kind, Lv};
use super::tools::Tools;
use crate::driver::DriverError;
use ashlar_dbus::udisks::Changes;
use ashlar_dbus::{Udisks, UdisksError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// So long udisks2 is given to answer before LVM is asked.
const ASK_LVM_AFTER: Duration = Duration::from_secs(2);
/// A report costs LVM a look at all its disks; no more often than this while udisks2 is behind.
const ASK_LVM_EVERY_MAX: Duration = Duration::from_secs(16);

/// A group, as the driver sees it.
pub(super) struct Vg {
    pub(super) name: String,
    pub(super) tools: Tools,
    backend: String,
    udisks: Udisks,
    devices: PathBuf,
    queue: Mutex<()>,
    changes: Mutex<Changes>,
    disks: Mutex<Vec<PathBuf>>,
}

impl Vg {
    pub(super) fn new(
        name: &str,
        backend: &str,
        tools: Tools,
        udisks: Udisks,
        devices: &Path,
    ) -> Self {
        Self {
            name: name.to_owned(),
            tools,
            backend: backend.to_owned(),
            changes: Mutex::new(udisks.changes()),
            udisks,
            devices: devices.to_owned(),
            queue: Mutex::new(()),
            disks: Mutex::default(),
        }
    }

    /// The right to change the group. LVM would take turns by itself; this keeps a look and the act that follows from
    /// it together, and spares udisks2 calls that wait for each other.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.queue.lock().await
    }

    /// The same, unless somebody has it.
    pub(super) fn turn_if_free(&self) -> Option<MutexGuard<'_, ()>> {
        self.queue.try_lock().ok()
    }

    /// Until udisks2 tells that the group changed, or that more happened than it could tell.
    pub(super) async fn changed(&self) {
        let mut changes = self.changes.lock().await;
        // Its signals come over the connection, which a restart of the bus ends. Who cannot be reached tells nothing; the
        // next call tries again.
        if let Err(error) = self.udisks.ready().await {
            tracing::debug!(group = self.name, %error, "changes are not told");
        }
        while changes.next().await.is_some_and(|group| group != self.name) {}
    }

    pub(super) async fn volumes(&self) -> Result<Vec<Lv>, DriverError> {
        self.tools.volumes().await
    }

    pub(super) async fn group(&self) -> Result<Group, DriverError> {
        let group = self.tools.group().await?;
        self.disks.lock().await.clone_from(&group.disks);
        Ok(group)
    }

    /// Brings what LVM wrote of the group on its disks: LVM writes past the page cache and leaves it in the disks' own
    /// caches, out of which a power cut loses it.
    pub(super) async fn flush(&self) -> Result<(), DriverError> {
        let mut disks = self.disks.lock().await.clone();
        if disks.is_empty() {
            disks = self.group().await?.disks;
        }
        for disk in disks {
            bytes::flush(disk).await?;
        }
        Ok(())
    }

    /// The device node of a volume, which is there while it is active.
    pub(super) fn device(&self, lv: &str) -> PathBuf {
        self.devices.join(&self.name).join(lv)
    }

    pub(super) async fn create_plain(
        &self,
        lv: &str,
        size_bytes: u64,
    ) -> Result<Vec<Lv>, DriverError> {
        let act = self.udisks.create_plain_volume(&self.name, lv, size_bytes);
        self.act("making", lv, act, |lvs| find(lvs, lv).is_some())
            .await
    }

    pub(super) async fn create_pool(
        &self,
        pool: &str,
        size_bytes: u64,
    ) -> Result<Vec<Lv>, DriverError> {
        let act = self.udisks.create_thin_pool(&self.name, pool, size_bytes);
        self.act("making", pool, act, |lvs| find(lvs, pool).is_some())
            .await
    }

    pub(super) async fn create_thin(
        &self,
        lv: &str,
        size_bytes: u64,
        pool: &str,
    ) -> Result<Vec<Lv>, DriverError> {
        let act = self
            .udisks
            .create_thin_volume(&self.name, lv, size_bytes, pool);
        self.act("making", lv, act, |lvs| find(lvs, lv).is_some())
            .await
    }

    /// A thin snapshot with `size_bytes` 0, else a classic one with so much room.
    pub(super) async fn create_snapshot(
        &self,
        origin: &str,
        lv: &str,
        size_bytes: u64,
    ) -> Result<Vec<Lv>, DriverError> {
        let act = self
            .udisks
            .create_snapshot(&self.name, origin, lv, size_bytes);
        self.act("making", lv, act, |lvs| find(lvs, lv).is_some())
            .await
    }

    /// Grows a volume; never shrinks.
    pub(super) async fn grow(&self, lv: &Lv, size_bytes: u64) -> Result<(), DriverError> {
        if lv.size_bytes >= size_bytes {
            return Ok(());
        }
        let act = self.udisks.resize(&self.name, &lv.name, size_bytes);
        let has_grown =
            |lvs: &[Lv]| find(lvs, &lv.name).is_some_and(|lv| lv.size_bytes >= size_bytes);
        let grown = self.act("growing", &lv.name, act, has_grown).await;
        grown.map(|_| ())
    }

    pub(super) async fn rename(&self, lv: &str, name: &str) -> Result<Vec<Lv>, DriverError> {
        let act = self.udisks.rename(&self.name, lv, name);
        let is_renamed = |lvs: &[Lv]| find(lvs, lv).is_none() && find(lvs, name).is_some();
        self.act("renaming", lv, act, is_renamed).await
    }

    pub(super) async fn activate(&self, lv: &str) -> Result<Vec<Lv>, DriverError> {
        let act = self.udisks.activate(&self.name, lv);
        let is_active = |lvs: &[Lv]| find(lvs, lv).is_some_and(|lv| lv.is_active);
        self.act("activating", lv, act, is_active).await
    }

    pub(super) async fn deactivate(&self, lv: &str) -> Result<Vec<Lv>, DriverError> {
        let act = self.udisks.deactivate(&self.name, lv);
        let is_inactive = |lvs: &[Lv]| find(lvs, lv).is_some_and(|lv| !lv.is_active);
        self.act("deactivating", lv, act, is_inactive).await
    }

    /// Removes a volume on which nothing depends. udisks2 would take classic snapshots along.
    pub(super) async fn delete(&self, lvs: &[Lv], lv: &str) -> Result<Vec<Lv>, DriverError> {
        if let Some(other) = lvs.iter().find(|other| depends(other, lv)) {
            let why = format!(
                "{} depends on it; remove that first. Nothing was changed",
                other.name
            );
            return Err(self.failed("removing", lv, io::ErrorKind::ResourceBusy, why));
        }
        let act = self.udisks.delete(&self.name, lv);
        self.act("removing", lv, act, |lvs| find(lvs, lv).is_none())
            .await
    }

    /// Does something and returns the report that shows it done.
    async fn act(
        &self,
        doing: &'static str,
        lv: &str,
        act: impl Future<Output = Result<(), UdisksError>>,
        is_so: impl Fn(&[Lv]) -> bool,
    ) -> Result<Vec<Lv>, DriverError> {
        let mut act = std::pin::pin!(act);
        let mut patience = ASK_LVM_AFTER;
        loop {
            let answer = timeout(patience, &mut act).await;
            let lvs = self.volumes().await?;
            if is_so(&lvs) {
                return Ok(lvs);
            }
            match answer {
                Ok(Err(error)) => return Err(self.udisks_failed(doing, lv, &error)),
                Ok(Ok(())) => {
                    let why = "udisks2 says that it is done, but LVM does not show it".to_owned();
                    return Err(self.failed(doing, lv, io::ErrorKind::Other, why));
                }
                // udisks2 has a deadline of its own.
                Err(_elapsed) => patience = (patience * 2).min(ASK_LVM_EVERY_MAX),
            }
        }
    }

    pub(super) fn absent(&self, lv: &str, pool: &str) -> DriverError {
        DriverError::Absent {
            object: lv.to_owned(),
            pool: pool.to_owned(),
        }
    }

    pub(super) fn unavailable(&self, why: String) -> DriverError {
        DriverError::Unavailable {
            backend: self.backend.clone(),
            why,
        }
    }

    pub(super) fn no_space(&self, lv: &str, why: String) -> DriverError {
        DriverError::NoSpace {
            pool: self.name.clone(),
            object: lv.to_owned(),
            source: io::Error::new(io::ErrorKind::StorageFull, why),
        }
    }

    pub(super) fn failed(
        &self,
        doing: &'static str,
        lv: &str,
        kind: io::ErrorKind,
        why: String,
    ) -> DriverError {
        DriverError::Io {
            doing,
            object: format!("{}/{lv}", self.name),
            source: io::Error::new(kind, why),
        }
    }

    fn udisks_failed(&self, doing: &'static str, lv: &str, error: &UdisksError) -> DriverError {
        let text = error.to_string();
        match error {
            UdisksError::NotFound { .. } => self.absent(lv, &self.name),
            UdisksError::NoSpace { .. } => self.no_space(lv, text),
            UdisksError::NotAuthorized { .. }
            | UdisksError::Unavailable { .. }
            | UdisksError::TimedOut { .. } => self.unavailable(text),
            UdisksError::Busy { .. } => self.failed(doing, lv, io::ErrorKind::ResourceBusy, text),
            UdisksError::Exists { .. } => {
                self.failed(doing, lv, io::ErrorKind::AlreadyExists, text)
            }
            UdisksError::Other { .. } => self.failed(doing, lv, io::ErrorKind::Other, text),
        }
    }
}

pub(super) fn find<'lvs>(lvs: &'lvs [Lv], name: &str) -> Option<&'lvs Lv> {
    lvs.iter().find(|lv| lv.name == name)
}

/// Whether classic snapshots keep what `lv` was overwritten with.
pub(super) fn has_classic_snapshots(lvs: &[Lv], lv: &str) -> bool {
    let is_of = |other: &Lv| other.kind == Kind::ClassicSnapshot && other.origin == lv;
    lvs.iter().any(is_of)
}

/// Whether `other` would be lost with `lv`: a classic snapshot of it, or a volume in it when it is a pool. A thin
/// snapshot has all its blocks itself.
fn depends(other: &Lv, lv: &str) -> bool {
    (other.kind == Kind::ClassicSnapshot && other.origin == lv) || other.pool == lv
}
