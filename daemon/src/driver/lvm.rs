//! Volumes as logical volumes of one volume group, thick and thin side by side, through udisks2.
//!
//! A group is up to two pools: `<vg>`, whose volumes have all their space from the start, and the thin pool (Cinder's
//! `<vg>-pool` unless configured). udisks2 makes, grows, renames and removes (`lvm/vg.rs`); LVM itself reports, tags,
//! merges and splits (`lvm/tools.rs`), which udisks2 cannot. Nothing is remembered between calls: each begins with
//! LVM's report, so that what a crash, an administrator or another program left is what counts.
//!
//! A volume that moves between the two pools is in both for a while, and only one of the two can have its name. So a
//! volume is looked for by name *and* pool, which LVM itself reports: what is done to it in one pool cannot reach the
//! other (`lvm/places.rs`).
//!
//! Failures: a group that vanished or misses a disk is [`DriverError::Unavailable`], and the daemon carries on; a full
//! one is [`DriverError::NoSpace`]. A volume that is open is not touched.

mod away;
mod blocks;
mod bytes;
mod change;
mod hand_over;
mod make;
mod names;
mod open;
mod places;
mod report;
mod stats;
#[cfg(test)]
mod tests;
mod tools;
mod vg;

use super::manageable::Manageable;
use super::{
    Device, Done, Driver, DriverError, LiveWrites, ObjectRef, SnapshotRef, Source, VolumeRef, Work,
};
use crate::cmd::Programs;
use crate::model::pool::PoolReport;
use crate::model::size::Gib;
use crate::pace::Pace;
use ashlar_dbus::Udisks;
use async_trait::async_trait;
use names::{Name, OURS};
use report::Lv;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::MutexGuard;
use tokio::time::Instant;
use tools::Tools;
use vg::Vg;

/// Who only looks at a volume that is new to him, as udev and udisks2 do, maybe long after it was made, has closed it by
/// then.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);
/// How often is looked whether it is closed.
const CLOSED_POLL: Duration = Duration::from_millis(500);

/// A volume group's configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LvmConfig {
    /// The backend's name, `volume_backend_name` among its capabilities.
    pub backend: String,
    /// The volume group, and the name of the pool of thick volumes.
    pub volume_group: String,
    /// The thin pool, if thin volumes are wanted; made in a group that is empty.
    pub thin_pool: Option<String>,
    /// How much of an empty group the thin pool gets.
    pub thin_pool_percent: u8,
    /// Whether deleted thick volumes are overwritten with zeros.
    pub secure_delete: bool,
    /// How fast overwriting may write where the device does not zero by itself; 0 means no limit.
    pub wipe_bytes_per_s: u64,
    /// From here on a thin pool takes nothing new.
    pub data_full_percent: u8,
    /// The same of its metadata.
    pub metadata_full_percent: u8,
    /// Room of a classic snapshot, percent of its volume.
    pub snapshot_percent: u8,
    /// Percent of a pool that the scheduler keeps free.
    pub reserved_percentage: u8,
    /// How far virtual sizes may exceed the thin pool.
    pub max_over_subscription_ratio: f64,
    /// Who owns the group: tells two daemons apart. Letters, digits and dashes.
    pub owner: String,
    /// Where device nodes are, `/dev`.
    pub devices: PathBuf,
}

/// The driver of one volume group.
pub struct LvmDriver {
    config: LvmConfig,
    vg: Vg,
    pace: Pace,
    unpaced: Pace,
    owns: AtomicBool,
    warned: AtomicBool,
    /// How long somebody may have a volume open before that is taken for use.
    closed_within: Duration,
}

impl LvmDriver {
    /// A driver; nothing is looked at before its first call, so that a daemon starts without its disks.
    pub fn new(config: LvmConfig, udisks: Udisks, programs: Arc<dyn Programs>) -> Self {
        let tools = Tools::new(programs, &config.backend, &config.volume_group);
        let devices: &Path = &config.devices;
        Self {
            vg: Vg::new(
                &config.volume_group,
                &config.backend,
                tools,
                udisks,
                devices,
            ),
            pace: Pace::new(config.wipe_bytes_per_s),
            unpaced: Pace::new(0),
            owns: AtomicBool::new(false),
            warned: AtomicBool::new(false),
            closed_within: CLOSED_WITHIN,
            config,
        }
    }

    /// The right to change the group, which is this daemon's: two on one group would each place, grow and clear away
    /// without knowing of the other.
    async fn turn(&self) -> Result<MutexGuard<'_, ()>, DriverError> {
        let turn = self.vg.turn().await;
        if !self.owns.load(Ordering::Relaxed) {
            self.must_own(&self.vg.group().await?).await?;
        }
        Ok(turn)
    }

    /// The same with what LVM tells then, once it shows `is_free`, or what is in the way has been there for so long that it
    /// stays. Others have their turns meanwhile.
    async fn turn_once(
        &self,
        is_free: impl Fn(&[Lv]) -> bool,
    ) -> Result<(MutexGuard<'_, ()>, Vec<Lv>), DriverError> {
        let deadline = Instant::now() + self.closed_within;
        loop {
            let turn = self.turn().await?;
            let lvs = self.vg.volumes().await?;
            if is_free(&lvs) || Instant::now() >= deadline {
                return Ok((turn, lvs));
            }
            drop(turn);
            tokio::time::sleep(CLOSED_POLL).await;
        }
    }

    /// The end of each verb: what LVM did of it outlives a power cut from here on, also what an earlier try did.
    async fn lasting(&self, done: Result<Done, DriverError>) -> Result<Done, DriverError> {
        let done = done?;
        self.vg.flush().await?;
        Ok(done)
    }

    /// Whether the volumes of `pool` are thin.
    fn is_thin(&self, pool: &str) -> Result<bool, DriverError> {
        if pool == self.config.volume_group {
            return Ok(false);
        }
        if Some(pool) == self.config.thin_pool.as_deref() {
            return Ok(true);
        }
        Err(self.vg.unavailable(format!("it has no pool {pool}")))
    }
}

#[async_trait]
impl Driver for LvmDriver {
    async fn stats(&self) -> Result<Vec<PoolReport>, DriverError> {
        self.reports().await
    }

    async fn changed(&self) {
        self.vg.changed().await;
    }

    async fn create(
        &self,
        volume: &VolumeRef,
        source: &Source,
        work: &Work,
    ) -> Result<Done, DriverError> {
        self.lasting(self.make(volume, source, work).await).await
    }

    async fn extend(&self, volume: &VolumeRef) -> Result<Done, DriverError> {
        self.lasting(self.grow(volume).await).await
    }

    /// LVM holds writes for the instant of a snapshot by itself.
    async fn snapshot(
        &self,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
        _live: Option<Arc<dyn LiveWrites>>,
        work: &Work,
    ) -> Result<Done, DriverError> {
        self.lasting(self.capture(volume, snapshot, work).await)
            .await
    }

    async fn revert(
        &self,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
        _: &Work,
    ) -> Result<Done, DriverError> {
        self.lasting(self.put_back(volume, snapshot).await).await
    }

    async fn wipe(&self, object: &ObjectRef, work: &Work) -> Result<Done, DriverError> {
        self.lasting(self.overwrite(object, work).await).await
    }

    async fn remove(&self, object: &ObjectRef) -> Result<Done, DriverError> {
        self.lasting(self.take_away(object).await).await
    }

    async fn device(&self, volume: &VolumeRef) -> Result<Device, DriverError> {
        self.is_thin(&volume.pool)?;
        let name = Name::of_volume(volume.id);
        let _turn = self.turn().await?;
        let lvs = self.vg.volumes().await?;
        let lv = self.volume_in(&lvs, &name, &volume.pool)?;
        if !lv.is_active {
            self.vg.activate(&lv.name).await?;
        }
        Ok(Device {
            path: self.vg.device(&lv.name),
            len_bytes: lv.size_bytes,
        })
    }

    async fn open_snapshot(&self, snapshot: &SnapshotRef) -> Result<Device, DriverError> {
        self.open_to_read(snapshot).await
    }

    async fn close_snapshot(&self, snapshot: &SnapshotRef) -> Result<Done, DriverError> {
        self.close_again(snapshot).await
    }

    async fn parts(
        &self,
        object: &ObjectRef,
        since: Option<&SnapshotRef>,
    ) -> Result<Option<Vec<Range<u64>>>, DriverError> {
        self.parts_of(object, since).await
    }

    async fn manageable(&self, pool: &str) -> Result<Vec<Manageable>, DriverError> {
        self.foreign(pool).await
    }

    async fn measure(&self, object: &ObjectRef, name: &str) -> Result<Gib, DriverError> {
        self.size_as_ours(object, name).await
    }

    async fn adopt(&self, object: &ObjectRef, name: &str) -> Result<Done, DriverError> {
        self.lasting(self.take_over(object, name).await).await
    }

    async fn release(&self, object: &ObjectRef, name: Option<&str>) -> Result<Done, DriverError> {
        self.lasting(self.hand_back(object, name).await).await
    }

    async fn objects(&self) -> Result<Vec<String>, DriverError> {
        let ours = self
            .vg
            .volumes()
            .await?
            .into_iter()
            .filter(|lv| lv.has_tag(OURS));
        Ok(ours.map(|lv| lv.name).collect())
    }
}
