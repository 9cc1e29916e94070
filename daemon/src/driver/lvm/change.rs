//! Growing and reverting.
//!
//! Both leave a trace before they begin where a crash in the middle could not be told from the end: a tag says from
//! where a grown volume is still to be zeroed, and to which snapshot a thick one is being reverted.

use super::LvmDriver;
use super::bytes::Bytes;
use super::names::{Name, OURS, reverting_to, zero_from, zero_from_of};
use super::report::{Kind, Lv};
use super::vg::{find, has_classic_snapshots};
use crate::driver::{Done, DriverError, SnapshotRef, VolumeRef, Work};
use std::io;
use tokio::sync::MutexGuard;

impl LvmDriver {
    pub(super) async fn grow(&self, volume: &VolumeRef) -> Result<Done, DriverError> {
        self.is_thin(&volume.pool)?;
        let name = Name::of_volume(volume.id);
        self.grow_to(&name, &volume.pool, volume.size_gib.bytes())
            .await
    }

    /// Makes the volume of this name in `pool` as large as `size_bytes`; the new part reads as zeros.
    pub(super) async fn grow_to(
        &self,
        name: &Name,
        pool: &str,
        size_bytes: u64,
    ) -> Result<Done, DriverError> {
        let place = self.place(pool)?;
        let is_ready = |lvs: &[Lv]| {
            let lv = place.whole(lvs, name);
            lv.is_none_or(|lv| !lv.is_open || !has_classic_snapshots(lvs, &lv.name))
        };
        let (turn, lvs) = self.turn_once(is_ready).await?;
        let lv = self.volume_in(&lvs, name, pool)?;
        let name = lv.name.as_str();
        let marked = zero_from_of(&lv.tags);
        if lv.size_bytes >= size_bytes && marked.is_none() {
            return Ok(Done::AlreadySo);
        }
        if lv.kind == Kind::Thin {
            self.must_have_room(&lvs, pool, name)?;
            self.vg.grow(lv, size_bytes).await?;
            return Ok(Done::Changed);
        }
        let from = marked.unwrap_or(lv.size_bytes);
        let tag = zero_from(from);
        if marked.is_none() {
            self.vg.tools.mark(name, &[&tag], &[], false).await?;
        }
        if let Err(error) = self.grow_thick(&lvs, lv, size_bytes).await {
            if marked.is_none() && self.is_refused(&error, lv).await {
                self.vg.tools.mark(name, &[], &[&tag], false).await?;
            }
            return Err(error);
        }
        drop(turn);
        let bytes = Bytes::open(&self.vg.device(name), true).await?;
        let work = Work::default();
        bytes
            .zero(from, bytes.len_bytes(), &self.unpaced, &work, |_| {})
            .await?;
        let _turn = self.turn().await?;
        self.vg.tools.mark(name, &[], &[&tag], false).await?;
        Ok(Done::Changed)
    }

    /// Whether `lv` certainly has not grown and will not: who does not answer may still do it.
    async fn is_refused(&self, error: &DriverError, lv: &Lv) -> bool {
        if let DriverError::Unavailable { .. } = error {
            return false;
        }
        let now = self.vg.volumes().await.unwrap_or_default();
        find(&now, &lv.name).is_some_and(|now| now.size_bytes == lv.size_bytes)
    }

    /// LVM grows the origin of classic snapshots only while nobody has it open.
    async fn grow_thick(&self, lvs: &[Lv], lv: &Lv, size_bytes: u64) -> Result<(), DriverError> {
        if !has_classic_snapshots(lvs, &lv.name) || lv.size_bytes >= size_bytes {
            self.vg.grow(lv, size_bytes).await?;
            // An earlier try may have ended before it was activated again.
            if !lv.is_active {
                self.vg.activate(&lv.name).await?;
            }
            return Ok(());
        }
        if lv.is_open {
            return Err(DriverError::Unsupported {
                what: "grow a thick volume that has snapshots while a host uses it; detach it, or delete its snapshots",
            });
        }
        self.vg.deactivate(&lv.name).await?;
        let grown = self.vg.grow(lv, size_bytes).await;
        self.vg.activate(&lv.name).await?;
        grown
    }

    pub(super) async fn put_back(
        &self,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
    ) -> Result<Done, DriverError> {
        let is_thin = self.is_thin(&volume.pool)?;
        let name = Name::of_volume(volume.id);
        let is_closed = |lvs: &[Lv]| find(lvs, &name.text).is_none_or(|lv| !lv.is_open);
        let (turn, _) = self.turn_once(is_closed).await?;
        let lvs = self.settled(&name).await?;
        let lv = self.volume_in(&lvs, &name, &volume.pool)?;
        if lv.name != name.text {
            return Err(DriverError::Unsupported {
                what: "revert a volume whose old bytes in the other pool are still there; retype it once more, which clears them away",
            });
        }
        if lv.is_open {
            let why = "somebody has it open; detach it first. Nothing was changed".to_owned();
            return Err(self
                .vg
                .failed("reverting", &name.text, io::ErrorKind::ResourceBusy, why));
        }
        match is_thin {
            true => self.swap_in(&lvs, &name, volume, snapshot).await,
            false => self.merge_back(turn, &lvs, lv, volume, snapshot).await,
        }
    }

    /// A thin snapshot of the snapshot takes the volume's place by two renames; `settled` finishes what a crash leaves.
    async fn swap_in(
        &self,
        lvs: &[Lv],
        name: &Name,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
    ) -> Result<Done, DriverError> {
        let from = Name::of_snapshot(snapshot.id).text;
        self.must_find(lvs, &from, &snapshot.pool)?;
        self.must_have_room(lvs, &volume.pool, &name.text)?;
        let partial = name.partial();
        self.vg.create_snapshot(&from, &partial, 0).await?;
        let now = self.vg.volumes().await?;
        let made = self.must_find(&now, &partial, &volume.pool)?;
        self.complete(made, volume.size_gib.bytes()).await?;
        self.vg.rename(&name.text, &name.old()).await?;
        let now = match self.vg.rename(&partial, &name.text).await {
            Ok(now) => now,
            Err(error) => {
                if let Err(error) = self.vg.rename(&name.old(), &name.text).await {
                    tracing::warn!(volume = name.text, %error, "it has another name until its revert is repeated");
                }
                return Err(error);
            }
        };
        self.vg.delete(&now, &name.old()).await?;
        Ok(Done::Changed)
    }

    /// The group's volumes after a revert that a crash cut short was finished, or what it had made was removed.
    pub(super) async fn settled(&self, name: &Name) -> Result<Vec<Lv>, DriverError> {
        let lvs = self.vg.volumes().await?;
        let has = |one: &str| find(&lvs, one).is_some();
        let (partial, old) = (name.partial(), name.old());
        if !has(&partial) && !has(&old) {
            return Ok(lvs);
        }
        if !has(&name.text) && has(&old) {
            // Between the two renames; the new one is whole.
            let whole = if has(&partial) { &partial } else { &old };
            self.vg.rename(whole, &name.text).await?;
        } else if has(&name.text) && has(&partial) {
            self.vg.delete(&lvs, &partial).await?;
        }
        let lvs = self.vg.volumes().await?;
        if find(&lvs, &name.text).is_some() && find(&lvs, &old).is_some() {
            self.vg.delete(&lvs, &old).await?;
            return self.vg.volumes().await;
        }
        Ok(lvs)
    }

    /// LVM merges the snapshot back and so uses it up; it is then taken anew. While it is merged the volume reads as
    /// the snapshot did, also after a crash.
    async fn merge_back(
        &self,
        turn: MutexGuard<'_, ()>,
        lvs: &[Lv],
        lv: &Lv,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
    ) -> Result<Done, DriverError> {
        let from = Name::of_snapshot(snapshot.id).text;
        let tag = reverting_to(snapshot.id);
        let is_begun = lv.has_tag(&tag);
        let found = find(lvs, &from);
        let merges = match found {
            None if is_begun && lv.is_merging => true,
            None if !is_begun => return Err(self.vg.absent(&from, &snapshot.pool)),
            Some(found) if found.is_invalid => {
                return Err(DriverError::NotConsistent {
                    object: from,
                    why: "more was written to its volume than it could keep; it is lost, the volume is unchanged",
                });
            }
            Some(found) if found.origin == lv.name || lv.is_merging => {
                if !is_begun {
                    self.vg.tools.mark(&lv.name, &[&tag], &[], false).await?;
                }
                true
            }
            Some(_) if !is_begun => {
                let why = format!("{from} is not a snapshot of it");
                return Err(self.vg.failed(
                    "reverting",
                    &lv.name,
                    io::ErrorKind::InvalidInput,
                    why,
                ));
            }
            // Merged, or merged and taken anew.
            None | Some(_) => false,
        };
        // As much as was written since is copied back; nobody else in the group waits for that.
        drop(turn);
        match found {
            Some(_) if merges => self.vg.tools.merge(&from).await?,
            // LVM hides what it merges. Whoever began it may be dead; this finds out how far it is, and finishes it.
            None if merges => self.vg.tools.finish_merge(&lv.name).await?,
            Some(_) | None => {}
        }
        let _turn = self.turn().await?;
        let now = self.vg.volumes().await?;
        if find(&now, &from).is_none() {
            let origin = self.must_find(&now, &lv.name, &volume.pool)?;
            let room = self.room_of_snapshot(origin).await?;
            self.vg.create_snapshot(&lv.name, &from, room).await?;
        }
        self.vg.tools.mark(&from, &[OURS], &[], false).await?;
        self.vg.tools.mark(&lv.name, &[], &[&tag], false).await?;
        Ok(Done::Changed)
    }
}
