//! In which pool of the group a volume lies, and which of its names it has there.
//!
//! While it moves between the group's two pools a volume is in both, and only one of the two logical volumes can be
//! called `volume-<id>`:
//!
//! ```text
//!                          the pool it leaves     the pool it goes to
//! before                   volume-<id>
//! being copied             volume-<id>            ashlar-new-<id>
//! whole                    volume-<id>            ashlar-moved-<id>
//! the old one is removed   (ashlar-gone-<id>)     ashlar-moved-<id>
//! after                                           volume-<id>
//! ```
//!
//! Whoever acts names the pool, and is given only what LVM says lies there: so a crash between any two of these lines
//! changes nothing of what wiping or removing can reach. The last line is written by whoever removes the old one, and
//! by whoever repeats that.

use super::LvmDriver;
use super::names::Name;
use super::report::{Kind, Lv};
use super::vg::find;
use crate::driver::{DriverError, ObjectRef};

/// Which of the group's pools is meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// All that is not in a thin pool.
    Thick,
    /// This thin pool.
    Thin(&'a str),
}

impl Place<'_> {
    pub(super) fn has(self, lv: &Lv) -> bool {
        match self {
            Place::Thick => lv.kind != Kind::Thin,
            Place::Thin(pool) => lv.kind == Kind::Thin && lv.pool == pool,
        }
    }

    /// The whole volume or snapshot of this name.
    pub(super) fn whole<'lvs>(self, lvs: &'lvs [Lv], name: &Name) -> Option<&'lvs Lv> {
        [name.text.clone(), name.moved()]
            .iter()
            .filter_map(|one| find(lvs, one))
            .find(|lv| self.has(lv))
    }

    /// Everything of this name, whole, half made or on its way out; what is most likely to depend on others first.
    pub(super) fn all<'lvs>(self, lvs: &'lvs [Lv], name: &Name) -> Vec<&'lvs Lv> {
        // The snapshot that is held while its source is copied lies where the source does, and is nobody's content.
        let is_scrap = |lv: &&Lv| lv.name == name.copied();
        let found = name.all().into_iter().rev();
        let found = found.filter_map(|one| find(lvs, &one));
        found.filter(|lv| self.has(lv) || is_scrap(lv)).collect()
    }
}

/// What a volume that is made whole now is called: its own name, unless it still lies in the other pool under that.
pub(super) fn name_when_whole(lvs: &[Lv], name: &Name) -> String {
    match find(lvs, &name.text) {
        None => name.text.clone(),
        Some(_) => name.moved(),
    }
}

/// Whether a volume that moved can have its own name now.
pub(super) fn can_be_renamed(lvs: &[Lv], name: &Name) -> bool {
    find(lvs, &name.text).is_none() && find(lvs, &name.moved()).is_some()
}

impl LvmDriver {
    pub(super) fn place<'a>(&self, pool: &'a str) -> Result<Place<'a>, DriverError> {
        Ok(match self.is_thin(pool)? {
            true => Place::Thin(pool),
            false => Place::Thick,
        })
    }

    /// Where an object lies. A pool that the configuration does not name any more is taken for a thin pool of old.
    pub(super) fn place_of<'a>(&self, object: &'a ObjectRef) -> Place<'a> {
        let pool = match object {
            ObjectRef::Volume(volume) => &volume.pool,
            ObjectRef::Snapshot(snapshot) => &snapshot.pool,
        };
        match *pool == self.config.volume_group {
            true => Place::Thick,
            false => Place::Thin(pool),
        }
    }

    /// The volume of this name in `pool`.
    pub(super) fn volume_in<'lvs>(
        &self,
        lvs: &'lvs [Lv],
        name: &Name,
        pool: &str,
    ) -> Result<&'lvs Lv, DriverError> {
        let found = self.place(pool)?.whole(lvs, name);
        found.ok_or_else(|| self.vg.absent(&name.text, pool))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::VolumeId;

    const POOL: &str = "vg0-pool";
    const THIN: Place<'_> = Place::Thin(POOL);

    fn lv(name: &str, is_thin: bool) -> Lv {
        Lv {
            name: name.to_owned(),
            size_bytes: 1 << 30,
            len_bytes: 1 << 30,
            kind: if is_thin { Kind::Thin } else { Kind::Thick },
            pool: if is_thin { POOL } else { "" }.to_owned(),
            origin: String::new(),
            tags: Vec::new(),
            data_percent: None,
            metadata_percent: None,
            is_active: true,
            is_open: false,
            is_skipped: false,
            is_merging: false,
            is_invalid: false,
            zeroes: false,
        }
    }

    /// Every state that a crash can leave of a move, as (names in the pool it leaves, names in the one it goes to).
    fn states(name: &Name) -> Vec<(Vec<String>, Vec<String>)> {
        let (text, moved) = (name.text.clone(), name.moved());
        vec![
            (vec![text.clone()], vec![]),
            (vec![text.clone()], vec![name.partial()]),
            (vec![text.clone()], vec![moved.clone()]),
            (vec![name.gone()], vec![moved.clone()]),
            (vec![], vec![moved]),
            (vec![], vec![text]),
        ]
    }

    #[test]
    fn what_is_done_in_one_pool_never_reaches_the_other() {
        let name = Name::of_volume(VolumeId::random());
        for leaves_thin in [false, true] {
            for (left, gone_to) in states(&name) {
                let lvs: Vec<Lv> = [(&left, leaves_thin), (&gone_to, !leaves_thin)]
                    .iter()
                    .flat_map(|(names, is_thin)| names.iter().map(|one| lv(one, *is_thin)))
                    .collect();
                let (from, to) = match leaves_thin {
                    true => (THIN, Place::Thick),
                    false => (Place::Thick, THIN),
                };
                let names = |place: Place<'_>| -> Vec<String> {
                    let found = place.all(&lvs, &name);
                    found.into_iter().map(|lv| lv.name.clone()).collect()
                };
                assert_eq!(names(from), left);
                assert_eq!(names(to), gone_to);
                // Whole in the one or in the other, at every instant.
                let whole = [from.whole(&lvs, &name), to.whole(&lvs, &name)];
                assert!(whole.iter().any(Option::is_some), "{lvs:?}");
            }
        }
    }

    #[test]
    fn the_name_goes_to_what_is_left() {
        let name = Name::of_volume(VolumeId::random());
        let both = [lv(&name.text, false), lv(&name.moved(), true)];
        assert_eq!(name_when_whole(&both[..1], &name), name.moved());
        assert_eq!(name_when_whole(&[], &name), name.text);
        assert!(!can_be_renamed(&both, &name));
        assert!(can_be_renamed(&both[1..], &name));
        assert!(!can_be_renamed(&both[..1], &name));
    }

    #[test]
    fn what_held_a_copy_still_goes_with_what_was_made_of_it() {
        let name = Name::of_volume(VolumeId::random());
        let held = [lv(&name.copied(), false)];
        assert_eq!(THIN.all(&held, &name).len(), 1);
        assert!(THIN.whole(&held, &name).is_none());
    }
}
