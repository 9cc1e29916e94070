//! What the pools of a group hold, and what is done about those that become full.
//!
//! A thin pool whose data or metadata are past the guard takes nothing new: a full one makes every volume in it fail, and
//! full metadata may take the pool with it. A classic snapshot that overflows is lost; one that becomes full is given
//! more room in time.

use super::LvmDriver;
use super::names::{OURS, is_of_our_form};
use super::report::{Group, Kind, Lv};
use super::vg::find;
use crate::driver::DriverError;
use crate::model::pool::PoolReport;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// From here on a classic snapshot is given more room.
const SNAPSHOT_FULL_PERCENT: f64 = 80.0;
/// So much of its volume's size at once.
const SNAPSHOT_GROWTH_PERCENT: u64 = 10;
/// Warned of so much before the guard closes a pool, and again only after it was below.
const WARN_BEFORE_PERCENT: f64 = 10.0;

impl LvmDriver {
    pub(super) async fn reports(&self) -> Result<Vec<PoolReport>, DriverError> {
        let mut group = self.vg.group().await?;
        let mut lvs = self.vg.volumes().await?;
        if group.missing_disks > 0 {
            let why = format!(
                "{} disks of the volume group {} are missing; bring them back (vgs -o+vg_missing_pv_count). Nothing is changed there meanwhile",
                group.missing_disks, self.vg.name
            );
            return Err(self.vg.unavailable(why));
        }
        // A report waits for no operation. What else is to be done with the group has time until its turn is free.
        if let Some(_turn) = self.vg.turn_if_free() {
            self.must_own(&group).await?;
            if self.make_pool(&group, &lvs).await? {
                group = self.vg.group().await?;
                lvs = self.vg.volumes().await?;
            }
            self.feed_snapshots(&group, &lvs).await;
        }
        let mut reports =
            vec![self.report(&self.vg.name, false, group.size_bytes, group.free_bytes)];
        if let Some(pool) = self.thin_pool_in(&lvs) {
            let why_not = self.why_closed(pool);
            self.warn(pool);
            let used = (pool.data_percent.unwrap_or(0.0) / 100.0).clamp(0.0, 1.0);
            let free_bytes = match why_not {
                Some(_) => 0,
                None => part(pool.size_bytes, 1.0 - used),
            };
            let mut report = self.report(&pool.name, true, pool.size_bytes, free_bytes);
            let mut tell =
                |name: &str, value: String| report.capabilities.insert(name.to_owned(), value);
            tell("data_percent", percent(pool.data_percent));
            tell("metadata_percent", percent(pool.metadata_percent));
            if let Some(why) = why_not {
                tell("closed_because", why);
            }
            reports.insert(0, report);
        }
        Ok(reports)
    }

    fn report(&self, pool: &str, is_thin: bool, total_bytes: u64, free_bytes: u64) -> PoolReport {
        let spelled = |is_so: bool| if is_so { "True" } else { "False" }.to_owned();
        let capabilities = [
            ("volume_backend_name", self.config.backend.clone()),
            ("vendor_name", "Ashlar".to_owned()),
            ("driver", "lvm".to_owned()),
            ("driver_version", env!("CARGO_PKG_VERSION").to_owned()),
            ("storage_protocol", "iSCSI".to_owned()),
            ("volume_group", self.vg.name.clone()),
            ("sparse_copy_volume", spelled(is_thin)),
        ];
        PoolReport {
            pool: pool.to_owned(),
            total_bytes,
            free_bytes,
            reserved_percentage: self.config.reserved_percentage,
            max_over_subscription_ratio: if is_thin {
                self.config.max_over_subscription_ratio
            } else {
                1.0
            },
            thin_provisioning_support: is_thin,
            thick_provisioning_support: !is_thin,
            online_extend_support: true,
            multiattach: true,
            capabilities: BTreeMap::from(
                capabilities.map(|(name, value)| (name.to_owned(), value)),
            ),
        }
    }

    /// The group is this daemon's: its tag says so, or it is put there now.
    pub(super) async fn must_own(&self, group: &Group) -> Result<(), DriverError> {
        if self.owns.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mine = format!("{OWNER}{}", self.config.owner);
        match group.tags.iter().find(|tag| tag.starts_with(OWNER)) {
            Some(tag) if *tag == mine => {}
            Some(tag) => {
                let name = &self.vg.name;
                let why = format!(
                    "the volume group {name} belongs to another ashlard; if that one is gone for good: vgchange --deltag {tag} {name}"
                );
                return Err(self.vg.unavailable(why));
            }
            None => self.vg.tools.mark_group(&mine).await?,
        }
        self.owns.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Makes the thin pool if there is to be one and the group is empty, as Cinder does with `auto`; whether it did.
    async fn make_pool(&self, group: &Group, lvs: &[Lv]) -> Result<bool, DriverError> {
        let Some(pool) = &self.config.thin_pool else {
            return Ok(false);
        };
        if !lvs.is_empty() {
            return Ok(false);
        }
        let wanted = group.free_bytes / 100 * u64::from(self.config.thin_pool_percent);
        let extent_bytes = group.extent_bytes.max(1);
        self.vg
            .create_pool(pool, wanted / extent_bytes * extent_bytes)
            .await?;
        Ok(true)
    }

    async fn feed_snapshots(&self, group: &Group, lvs: &[Lv]) {
        let is_hungry = |lv: &&Lv| {
            lv.kind == Kind::ClassicSnapshot
                && lv.has_tag(OURS)
                && is_of_our_form(&lv.name)
                && !lv.is_invalid
                && lv
                    .data_percent
                    .is_some_and(|percent| percent >= SNAPSHOT_FULL_PERCENT)
        };
        for lv in lvs.iter().filter(is_hungry) {
            let extent_bytes = group.extent_bytes.max(1);
            let origin_bytes =
                find(lvs, &lv.origin).map_or(lv.size_bytes, |origin| origin.size_bytes);
            let more = origin_bytes / 100 * SNAPSHOT_GROWTH_PERCENT;
            let more = more.div_ceil(extent_bytes).max(1) * extent_bytes;
            let grown = self.vg.grow(lv, lv.size_bytes + more).await;
            let kept = match grown {
                Ok(()) => self.vg.flush().await,
                Err(error) => Err(error),
            };
            match kept {
                Ok(()) => tracing::info!(
                    snapshot = lv.name,
                    more,
                    "a snapshot became full and was given more room"
                ),
                Err(error) => tracing::warn!(
                    snapshot = lv.name, full_percent = lv.data_percent, %error,
                    "a snapshot becomes full and cannot be given more room; it is lost when it overflows"
                ),
            }
        }
    }

    fn thin_pool_in<'lvs>(&self, lvs: &'lvs [Lv]) -> Option<&'lvs Lv> {
        let pool = find(lvs, self.config.thin_pool.as_deref()?)?;
        (pool.kind == Kind::ThinPool).then_some(pool)
    }

    /// Refuses what would make a pool past its guard fuller.
    pub(super) fn must_have_room(
        &self,
        lvs: &[Lv],
        pool: &str,
        lv: &str,
    ) -> Result<(), DriverError> {
        if pool == self.vg.name {
            return Ok(());
        }
        let Some(found) = self.thin_pool_in(lvs) else {
            let why = format!(
                "there is no thin pool {pool} in the volume group {}",
                self.vg.name
            );
            return Err(self.vg.unavailable(why));
        };
        match self.why_closed(found) {
            Some(why) => Err(self.vg.no_space(lv, why)),
            None => Ok(()),
        }
    }

    fn why_closed(&self, pool: &Lv) -> Option<String> {
        let is_past = |now: Option<f64>, guard: u8| now.is_some_and(|now| now >= f64::from(guard));
        let (data, metadata) = (
            self.config.data_full_percent,
            self.config.metadata_full_percent,
        );
        let say = |what: &str, now: Option<f64>, guard: u8, how: &str| {
            let now = percent(now);
            Some(format!(
                "the {what} of thin pool {} are {now} % full, its guard is at {guard} %; extend it ({how}) or delete something",
                pool.name
            ))
        };
        if is_past(pool.data_percent, data) {
            return say("data", pool.data_percent, data, "lvextend -L");
        }
        if is_past(pool.metadata_percent, metadata) {
            return say(
                "metadata",
                pool.metadata_percent,
                metadata,
                "lvextend --poolmetadatasize",
            );
        }
        if !pool.zeroes {
            return Some(format!(
                "thin pool {} does not zero its blocks, so a volume could read what another wrote; lvchange -Z y {}/{}",
                pool.name, self.vg.name, pool.name
            ));
        }
        None
    }

    /// Once when a pool comes near its guard, not at every report.
    fn warn(&self, pool: &Lv) {
        let is_near = |now: Option<f64>, guard: u8| {
            now.is_some_and(|now| now >= f64::from(guard) - WARN_BEFORE_PERCENT)
        };
        let near = is_near(pool.data_percent, self.config.data_full_percent)
            || is_near(pool.metadata_percent, self.config.metadata_full_percent);
        if near && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                pool = pool.name,
                data_percent = pool.data_percent,
                metadata_percent = pool.metadata_percent,
                "a thin pool becomes full; past its guard it takes nothing new"
            );
        } else if !near {
            self.warned.store(false, Ordering::Relaxed);
        }
    }
}

/// On a group: whose it is.
const OWNER: &str = "ashlar-owner.";

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.2}"))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "LVM tells percents with two digits; `as` saturates"
)]
fn part(bytes: u64, of_one: f64) -> u64 {
    (bytes as f64 * of_one) as u64
}
