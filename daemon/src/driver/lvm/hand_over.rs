//! Taking over logical volumes that others made, and handing ours back: a rename and a tag.
//!
//! What is open, has an internal name, or depends on others is not taken over, and the list says why.

use super::LvmDriver;
use super::names::{Name, OURS, is_of_our_form, is_possible};
use super::report::{Kind, Lv};
use super::vg::{find, has_classic_snapshots};
use crate::driver::manageable::{Manageable, names_for};
use crate::driver::{Done, DriverError, ObjectRef};
use crate::model::size::{GIB, Gib};
use std::io;

impl LvmDriver {
    pub(super) async fn foreign(&self, pool: &str) -> Result<Vec<Manageable>, DriverError> {
        let is_thin = self.is_thin(pool)?;
        let lvs = self.vg.volumes().await?;
        let of_pool = |lv: &&Lv| match is_thin {
            true => lv.kind == Kind::Thin && lv.pool == pool,
            false => matches!(lv.kind, Kind::Thick | Kind::ClassicSnapshot),
        };
        let is_foreign = |lv: &&Lv| !is_of_our_form(&lv.name) && !lv.has_tag(OURS);
        let mut found: Vec<Manageable> = lvs
            .iter()
            .filter(of_pool)
            .filter(is_foreign)
            .map(|lv| Manageable {
                name: lv.name.clone(),
                len_bytes: lv.len_bytes,
                why_not: why_not(&lvs, lv, None),
            })
            .collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    pub(super) async fn size_as_ours(
        &self,
        object: &ObjectRef,
        name: &str,
    ) -> Result<Gib, DriverError> {
        let lvs = self.vg.volumes().await?;
        let lv = match find(&lvs, &Name::of(object).text) {
            Some(lv) => lv,
            None => self.adoptable(&lvs, object, name)?,
        };
        rounded_up(lv.len_bytes).ok_or_else(|| DriverError::NotManageable {
            name: name.to_owned(),
            why: format!("{} bytes are no size of a volume", lv.len_bytes),
        })
    }

    pub(super) async fn take_over(
        &self,
        object: &ObjectRef,
        from: &str,
    ) -> Result<Done, DriverError> {
        let name = Name::of(object);
        let (pool, size_gib) = match object {
            ObjectRef::Volume(volume) => (&volume.pool, volume.size_gib),
            ObjectRef::Snapshot(snapshot) => (&snapshot.pool, snapshot.size_gib),
        };
        let mut done = Done::AlreadySo;
        {
            let _turn = self.turn().await?;
            let lvs = self.vg.volumes().await?;
            if find(&lvs, &name.text).is_none() {
                let lv = self.adoptable(&lvs, object, from)?;
                let fits = match object {
                    ObjectRef::Volume(_) => lv.len_bytes <= size_gib.bytes(),
                    ObjectRef::Snapshot(_) => rounded_up(lv.len_bytes) == Some(size_gib),
                };
                if !fits {
                    return Err(DriverError::NotManageable {
                        name: from.to_owned(),
                        why: format!(
                            "its size changed: it has {} bytes now; try again",
                            lv.len_bytes
                        ),
                    });
                }
                self.vg.rename(from, &name.text).await?;
                done = Done::Changed;
            }
            let lvs = self.vg.volumes().await?;
            let lv = self.must_find(&lvs, &name.text, pool)?;
            if !lv.has_tag(OURS) {
                let marked = self.vg.tools.mark(&name.text, &[OURS], &[], false).await;
                if let Err(error) = marked {
                    self.foreign_again(&name, from).await?;
                    return Err(error);
                }
                done = Done::Changed;
            }
        }
        if let ObjectRef::Volume(_) = object
            && let Err(error) = self.grow_to(&name, pool, size_gib.bytes()).await
        {
            let _turn = self.turn().await?;
            self.foreign_again(&name, from).await?;
            return Err(error);
        }
        Ok(done)
    }

    /// Undoes a taking over, also one of which only the answer was bad.
    async fn foreign_again(&self, name: &Name, from: &str) -> Result<(), DriverError> {
        self.vg.tools.mark(&name.text, &[], &[OURS], false).await?;
        let renamed = self.vg.rename(&name.text, from).await;
        renamed.map(|_| ())
    }

    pub(super) async fn hand_back(
        &self,
        object: &ObjectRef,
        wanted: Option<&str>,
    ) -> Result<Done, DriverError> {
        let name = Name::of(object);
        let _turn = self.turn().await?;
        let lvs = self.vg.volumes().await?;
        let Some(lv) = find(&lvs, &name.text) else {
            return Ok(Done::AlreadySo);
        };
        let is_free =
            |one: &String| is_possible(one) && !is_of_our_form(one) && find(&lvs, one).is_none();
        let Some(free) = names_for(object, wanted).into_iter().find(is_free) else {
            let why = "every name that it could have is taken; name a free one".to_owned();
            return Err(self.vg.failed(
                "handing back",
                &name.text,
                io::ErrorKind::AlreadyExists,
                why,
            ));
        };
        let tags: Vec<&str> = lv.tags.iter().map(String::as_str).collect();
        let ours: Vec<&str> = tags
            .into_iter()
            .filter(|tag| tag.starts_with(OURS))
            .collect();
        if !ours.is_empty() {
            self.vg.tools.mark(&name.text, &[], &ours, false).await?;
        }
        self.vg.rename(&name.text, &free).await?;
        Ok(Done::Changed)
    }

    fn adoptable<'lvs>(
        &self,
        lvs: &'lvs [Lv],
        object: &ObjectRef,
        name: &str,
    ) -> Result<&'lvs Lv, DriverError> {
        let refused = |why: String| DriverError::NotManageable {
            name: name.to_owned(),
            why,
        };
        let pool = match object {
            ObjectRef::Volume(volume) => &volume.pool,
            ObjectRef::Snapshot(snapshot) => &snapshot.pool,
        };
        let group = &self.vg.name;
        let lv = find(lvs, name)
            .ok_or_else(|| refused(format!("there is no such logical volume in {group}")))?;
        let is_of_pool = match self.is_thin(pool)? {
            true => lv.kind == Kind::Thin && lv.pool == *pool,
            false => matches!(lv.kind, Kind::Thick | Kind::ClassicSnapshot),
        };
        if !is_of_pool {
            return Err(refused(format!("it does not lie in the pool {pool}")));
        }
        if is_of_our_form(name) || lv.has_tag(OURS) {
            return Err(refused(
                "it has a name or a tag of Ashlar's; rename it, and remove its tags".to_owned(),
            ));
        }
        match why_not(lvs, lv, Some(object)) {
            None => Ok(lv),
            Some(why) => Err(refused(why)),
        }
    }
}

/// What is against taking `lv` over as `object`, or as anything.
fn why_not(lvs: &[Lv], lv: &Lv, object: Option<&ObjectRef>) -> Option<String> {
    let say = |why: &str| Some(why.to_owned());
    if lv.is_open {
        return say("somebody has it open; unmount it, or stop what uses it");
    }
    if lv.is_merging || lv.is_invalid {
        return say("it is being merged, or its content is lost");
    }
    if has_classic_snapshots(lvs, &lv.name) {
        return say("it has snapshots, which would become Ashlar's without a record; remove them");
    }
    if rounded_up(lv.len_bytes).is_none() {
        return say("it is larger than any volume");
    }
    if lv.kind == Kind::ClassicSnapshot {
        let volume = match object {
            Some(ObjectRef::Snapshot(snapshot)) => Some(Name::of_volume(snapshot.volume_id).text),
            Some(ObjectRef::Volume(_)) => {
                return say("it is a snapshot that depends on its volume");
            }
            None => None,
        };
        let is_of_it = volume.is_none_or(|volume| volume == lv.origin);
        return (!is_of_it).then(|| format!("it is a snapshot of {}", lv.origin));
    }
    match object {
        Some(ObjectRef::Snapshot(_)) if lv.kind == Kind::Thick => {
            say("it is a volume of its own; in this pool a snapshot depends on its volume")
        }
        _ => None,
    }
}

/// The size in whole GiB that holds `len_bytes`; `None` for nothing and for more than any volume has.
fn rounded_up(len_bytes: u64) -> Option<Gib> {
    Gib::new(i64::try_from(len_bytes.div_ceil(GIB)).ok()?)
}
