//! New volumes and snapshots.
//!
//! What LVM makes whole in one act (a thin volume, a snapshot) gets its name at once; what remains to be set of it (tag,
//! size, activation) is set by whoever finds it not set. What has to be filled first has the name of a half-made one
//! until it is full: a thick volume is zeroed before anybody may read what the disk held before.

use super::LvmDriver;
use super::bytes::{Bytes, cancelled};
use super::names::{Name, OURS};
use super::places::name_when_whole;
use super::report::{Kind, Lv};
use super::vg::find;
use crate::driver::{Done, DriverError, SnapshotRef, Source, VolumeRef, Work};
use std::io;
use std::path::Path;

/// Room of a classic snapshot beside the copied data: where each chunk lies, 16 bytes for 4 KiB, rounded up.
const EXCEPTIONS_PERCENT: u64 = 1;

/// What is copied.
#[derive(Clone, Copy)]
enum Origin<'a> {
    /// Nothing: zeros.
    Zeros,
    /// A snapshot of ours in this group.
    Snapshot(&'a Lv),
    /// A volume of ours in this group, which hosts may be writing to.
    Volume(&'a Lv),
    /// A device that nobody writes to; the same volume in the group's other pool, or a volume of another backend.
    Device(&'a Path),
}

impl LvmDriver {
    pub(super) async fn make(
        &self,
        volume: &VolumeRef,
        source: &Source,
        work: &Work,
    ) -> Result<Done, DriverError> {
        let is_thin = self.is_thin(&volume.pool)?;
        let name = Name::of_volume(volume.id);
        let size_bytes = volume.size_gib.bytes();
        cancelled(work)?;
        let turn = self.turn().await?;
        let lvs = self.vg.volumes().await?;
        if let Some(lv) = self.place(&volume.pool)?.whole(&lvs, &name) {
            return self.complete(lv, size_bytes).await;
        }
        let text = name_when_whole(&lvs, &name);
        let origin = match source {
            Source::Empty => Origin::Zeros,
            Source::Snapshot(snapshot) => {
                let from = Name::of_snapshot(snapshot.id).text;
                Origin::Snapshot(self.must_find(&lvs, &from, &snapshot.pool)?)
            }
            Source::Volume(origin, _) => {
                let from = Name::of_volume(origin.id);
                Origin::Volume(self.volume_in(&lvs, &from, &origin.pool)?)
            }
            Source::Device(device) => Origin::Device(&device.path),
        };
        self.must_have_room(&lvs, &volume.pool, &text)?;
        let now = match origin {
            Origin::Zeros if is_thin => {
                self.vg.create_thin(&text, size_bytes, &volume.pool).await?
            }
            Origin::Snapshot(lv) | Origin::Volume(lv) if is_thin && lv.pool == volume.pool => {
                self.vg.create_snapshot(&lv.name, &text, 0).await?
            }
            Origin::Zeros | Origin::Snapshot(_) | Origin::Volume(_) | Origin::Device(_) => {
                let partial = self.fresh_partial(&lvs, &name, volume).await?;
                drop(turn);
                self.fill(&partial, &name, origin, size_bytes, work).await?;
                let _turn = self.turn().await?;
                self.vg.tools.mark(&partial, &[OURS], &[], false).await?;
                self.vg.rename(&partial, &text).await?;
                return Ok(Done::Changed);
            }
        };
        self.complete(self.must_find(&now, &text, &volume.pool)?, size_bytes)
            .await?;
        Ok(Done::Changed)
    }

    /// Sets what is not as it should be of a volume that has its content.
    pub(super) async fn complete(&self, lv: &Lv, size_bytes: u64) -> Result<Done, DriverError> {
        let mut done = Done::AlreadySo;
        if !lv.has_tag(OURS) || lv.is_skipped {
            self.vg
                .tools
                .mark(&lv.name, &[OURS], &[], lv.is_skipped)
                .await?;
            done = Done::Changed;
        }
        if lv.size_bytes < size_bytes && lv.kind == Kind::Thin {
            self.vg.grow(lv, size_bytes).await?;
            done = Done::Changed;
        }
        if !lv.is_active {
            self.vg.activate(&lv.name).await?;
            done = Done::Changed;
        }
        Ok(done)
    }

    /// An empty volume under the name of a half-made one; what an earlier try left is removed.
    async fn fresh_partial(
        &self,
        lvs: &[Lv],
        name: &Name,
        volume: &VolumeRef,
    ) -> Result<String, DriverError> {
        for left in [name.copied(), name.partial()] {
            if find(lvs, &left).is_some() {
                self.vg.delete(lvs, &left).await?;
            }
        }
        let partial = name.partial();
        let size_bytes = volume.size_gib.bytes();
        match self.is_thin(&volume.pool)? {
            true => {
                let pool = &volume.pool;
                self.vg.create_thin(&partial, size_bytes, pool).await?
            }
            false => self.vg.create_plain(&partial, size_bytes).await?,
        };
        Ok(partial)
    }

    async fn fill(
        &self,
        partial: &str,
        name: &Name,
        from: Origin<'_>,
        size_bytes: u64,
        work: &Work,
    ) -> Result<(), DriverError> {
        let filled = self.fill_with(partial, name, from, size_bytes, work).await;
        if filled.is_err() {
            // The next try would clear it away; but there may be none.
            let _turn = self.turn().await?;
            let lvs = self.vg.volumes().await?;
            for left in [name.copied(), name.partial()] {
                if find(&lvs, &left).is_some()
                    && let Err(error) = self.vg.delete(&lvs, &left).await
                {
                    tracing::warn!(volume = left, %error, "half-made remains; a repeat or a removal clears it away");
                }
            }
        }
        filled
    }

    async fn fill_with(
        &self,
        partial: &str,
        name: &Name,
        from: Origin<'_>,
        size_bytes: u64,
        work: &Work,
    ) -> Result<(), DriverError> {
        let lvs = self.vg.volumes().await?;
        let target = self.must_find(&lvs, partial, &self.vg.name)?;
        let is_thick = target.kind == Kind::Thick;
        let bytes = Bytes::open(&self.vg.device(partial), true).await?;
        if bytes.len_bytes() < size_bytes {
            let why = format!("it has {} bytes instead of {size_bytes}", bytes.len_bytes());
            return Err(self
                .vg
                .failed("making", partial, io::ErrorKind::UnexpectedEof, why));
        }
        if is_thick {
            // Nobody waits for a pace here: until it is done, nothing can be written to it.
            let tell = |at| {
                if let Origin::Zeros = from {
                    work.report(at, size_bytes)
                }
            };
            bytes
                .zero(0, bytes.len_bytes(), &self.unpaced, work, tell)
                .await?;
        }
        let (held, is_still, object) = match from {
            Origin::Zeros => return Ok(()),
            Origin::Device(path) => {
                return bytes
                    .copy_from(&Bytes::open(path, false).await?, work)
                    .await;
            }
            Origin::Snapshot(lv) => (lv.name.clone(), true, &lv.name),
            Origin::Volume(lv) => {
                let _turn = self.turn().await?;
                let room = self.room_of_snapshot(lv).await?;
                self.vg
                    .create_snapshot(&lv.name, &name.copied(), room)
                    .await?;
                (name.copied(), false, &lv.name)
            }
        };
        self.vg.tools.activate(&held).await?;
        let source = Bytes::open(&self.vg.device(&held), false).await?;
        bytes.copy_from(&source, work).await?;
        drop(source);
        let _turn = self.turn().await?;
        let lvs = self.vg.volumes().await?;
        let kept = self.must_find(&lvs, &held, &self.vg.name)?;
        if kept.is_invalid {
            return Err(DriverError::NotConsistent {
                object: object.clone(),
                why: "more was written to it than its snapshot could keep",
            });
        }
        if !is_still {
            self.vg.delete(&lvs, &held).await?;
        } else if kept.kind == Kind::Thin {
            self.vg.deactivate(&held).await?;
        }
        Ok(())
    }

    pub(super) async fn capture(
        &self,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
        work: &Work,
    ) -> Result<Done, DriverError> {
        self.is_thin(&volume.pool)?;
        let name = Name::of_snapshot(snapshot.id);
        cancelled(work)?;
        let _turn = self.turn().await?;
        let lvs = self.vg.volumes().await?;
        if let Some(lv) = find(&lvs, &name.text) {
            if lv.has_tag(OURS) {
                return Ok(Done::AlreadySo);
            }
            self.vg.tools.mark(&name.text, &[OURS], &[], false).await?;
            return Ok(Done::Changed);
        }
        let origin = self.volume_in(&lvs, &Name::of_volume(volume.id), &volume.pool)?;
        self.must_have_room(&lvs, &volume.pool, &name.text)?;
        let room = self.room_of_snapshot(origin).await?;
        self.vg
            .create_snapshot(&origin.name, &name.text, room)
            .await?;
        self.vg.tools.mark(&name.text, &[OURS], &[], false).await?;
        Ok(Done::Changed)
    }

    /// How much a snapshot of `origin` may keep of what is overwritten: 0 for a thin one, which needs no room of its own.
    pub(super) async fn room_of_snapshot(&self, origin: &Lv) -> Result<u64, DriverError> {
        if origin.kind == Kind::Thin {
            return Ok(0);
        }
        let extent_bytes = self.vg.group().await?.extent_bytes.max(1);
        let percent = u64::from(self.config.snapshot_percent) + EXCEPTIONS_PERCENT;
        let wanted = origin.size_bytes / 100 * percent;
        Ok(wanted.div_ceil(extent_bytes) * extent_bytes)
    }

    pub(super) fn must_find<'lvs>(
        &self,
        lvs: &'lvs [Lv],
        name: &str,
        pool: &str,
    ) -> Result<&'lvs Lv, DriverError> {
        find(lvs, name).ok_or_else(|| self.vg.absent(name, pool))
    }
}
