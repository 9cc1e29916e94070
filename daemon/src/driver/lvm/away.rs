//! Secure delete and removal.
//!
//! A thin volume's blocks go back to its pool, which gives none out again without zeroing it; there is nothing to
//! overwrite. A thick volume is taken out of sight by a rename, zeroed and tagged as wiped, then removed. A classic
//! snapshot holds what its volume was overwritten with: its own space is split off as a plain volume, and zeroed.
//!
//! Both reach only what lies in the pool that is named. Of a volume that moved between the two pools, the one that is
//! left then gets its own name.

use super::LvmDriver;
use super::bytes::Bytes;
use super::names::{Name, WIPED};
use super::places::{Place, can_be_renamed};
use super::report::{Kind, Lv};
use super::vg::has_classic_snapshots;
use crate::driver::{Done, DriverError, ObjectRef, Work};
use std::io;

impl LvmDriver {
    pub(super) async fn overwrite(
        &self,
        object: &ObjectRef,
        work: &Work,
    ) -> Result<Done, DriverError> {
        if !self.config.secure_delete {
            return Ok(Done::AlreadySo);
        }
        let name = Name::of(object);
        let found = {
            let place = self.place_of(object);
            let is_closed = |lvs: &[Lv]| place.whole(lvs, &name).is_none_or(|lv| !lv.is_open);
            let (_turn, lvs) = self.turn_once(is_closed).await?;
            self.out_of_sight(lvs, &name, place).await?
        };
        let mut done = Done::AlreadySo;
        for lv in found {
            let bytes = Bytes::open(&self.vg.device(&lv.name), true).await?;
            let len = bytes.len_bytes();
            // The cursor is that of the deleted volume; what is half made is small beside it, or zeros.
            let from = if lv.name == name.gone() {
                work.resume_at().min(len)
            } else {
                0
            };
            let tell = |at| work.report(at, len);
            bytes.zero(from, len, &self.pace, work, tell).await?;
            drop(bytes);
            let _turn = self.turn().await?;
            self.vg.tools.mark(&lv.name, &[WIPED], &[], false).await?;
            done = Done::Changed;
        }
        Ok(done)
    }

    /// What is to be overwritten of an object, after it was taken out of sight.
    async fn out_of_sight(
        &self,
        mut lvs: Vec<Lv>,
        name: &Name,
        place: Place<'_>,
    ) -> Result<Vec<Lv>, DriverError> {
        if let Some(lv) = place.whole(&lvs, name) {
            let has_snapshots = has_classic_snapshots(&lvs, &lv.name);
            if lv.is_open || has_snapshots {
                let why = match has_snapshots {
                    true => "it has snapshots; delete those first. Nothing was changed",
                    false => "somebody has it open. Nothing was changed",
                };
                return Err(self.vg.failed(
                    "overwriting",
                    &lv.name,
                    io::ErrorKind::ResourceBusy,
                    why.to_owned(),
                ));
            }
            if lv.kind == Kind::ClassicSnapshot {
                self.vg.tools.split(&lv.name).await?;
            }
            if matches!(lv.kind, Kind::ClassicSnapshot | Kind::Thick) {
                lvs = self.vg.rename(&lv.name, &name.gone()).await?;
            }
        }
        let remains = [name.gone(), name.partial(), name.old()];
        let mut found = Vec::new();
        for lv in lvs {
            let is_remains = remains.contains(&lv.name) && place.has(&lv);
            if is_remains && lv.kind == Kind::Thick && !lv.has_tag(WIPED) {
                if !lv.is_active {
                    self.vg.activate(&lv.name).await?;
                }
                found.push(lv);
            }
        }
        Ok(found)
    }

    pub(super) async fn take_away(&self, object: &ObjectRef) -> Result<Done, DriverError> {
        let name = Name::of(object);
        let place = self.place_of(object);
        let are_closed = |lvs: &[Lv]| place.all(lvs, &name).iter().all(|lv| !lv.is_open);
        let (_turn, mut lvs) = self.turn_once(are_closed).await?;
        let mut done = Done::AlreadySo;
        while let Some(lv) = place.all(&lvs, &name).first().copied() {
            lvs = self.vg.delete(&lvs, &lv.name).await?;
            done = Done::Changed;
        }
        if can_be_renamed(&lvs, &name) {
            self.vg.rename(&name.moved(), &name.text).await?;
        }
        Ok(done)
    }
}
