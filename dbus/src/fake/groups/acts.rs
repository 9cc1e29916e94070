//! What LVM does with volumes, whoever asks for it: udisks2 or LVM's own programs.

use super::{EXTENT_BYTES, Group, Groups, Holds, Kind, Refused, Volume};

impl Groups {
    /// `lvcreate -L`: it holds what the disks held.
    pub fn create_plain(&mut self, vg: &str, lv: &str, size_bytes: u64) -> Result<(), Refused> {
        self.add(vg, lv, size_bytes, Kind::Thick, Holds::Leftovers)
    }

    /// `lvcreate -T -L`.
    pub fn create_thin_pool(&mut self, vg: &str, lv: &str, size_bytes: u64) -> Result<(), Refused> {
        self.add(vg, lv, size_bytes, Kind::ThinPool, Holds::Zeros)
    }

    /// `lvcreate -T -V`.
    pub fn create_thin(
        &mut self,
        vg: &str,
        lv: &str,
        size_bytes: u64,
        pool: &str,
    ) -> Result<(), Refused> {
        self.volume(vg, pool)?;
        let pool = pool.to_owned();
        self.add(vg, lv, size_bytes, Kind::Thin { pool }, Holds::Zeros)
    }

    /// `lvcreate -s`: of a thin volume without a size a thin one, which is inactive and skipped; with a size a classic
    /// one.
    pub fn create_snapshot(
        &mut self,
        vg: &str,
        origin: &str,
        lv: &str,
        size_bytes: u64,
    ) -> Result<(), Refused> {
        let from = self.volume(vg, origin)?.clone();
        let (size_bytes, kind) = match (&from.kind, size_bytes) {
            (Kind::Thin { .. }, 0) => (from.size_bytes, from.kind.clone()),
            (Kind::Thick | Kind::Thin { .. }, 1..) => {
                let len_bytes = from.size_bytes;
                (size_bytes, Kind::Snapshot { len_bytes })
            }
            (Kind::Thick, 0) => return refused("Please specify either size or extents."),
            (Kind::ThinPool | Kind::Snapshot { .. }, _) => {
                return refused("Snapshots of this type of volume are not supported.");
            }
        };
        let is_thin = matches!(kind, Kind::Thin { .. });
        self.room_for(vg, lv, size_bytes, &kind)?;
        let mut made = Volume::new(self.next_key(), whole(size_bytes), kind);
        made.origin = Some(origin.to_owned());
        made.is_active = !is_thin;
        made.is_skipped = is_thin;
        self.content.copy(from.key, made.key);
        self.place(vg, lv, made)
    }

    /// `lvresize`: as large as it is told, also when that is smaller.
    pub fn resize(&mut self, vg: &str, lv: &str, size_bytes: u64) -> Result<(), Refused> {
        let group = self.group(vg)?;
        let volume = self.volume(vg, lv)?;
        if has_classic_snapshots(group, lv) && volume.is_active {
            return refused(
                "Snapshot origin volumes can be resized only while inactive: try lvchange -an.",
            );
        }
        let (free_bytes, is_thin) = (group.free_bytes(), volume.pool().is_some());
        let size_bytes = whole(size_bytes);
        let more = size_bytes.saturating_sub(volume.size_bytes);
        if more > free_bytes && !is_thin {
            return refused(&format!(
                "Insufficient free space: {} extents needed, but only {} available",
                more / EXTENT_BYTES,
                free_bytes / EXTENT_BYTES
            ));
        }
        let holds = match volume.kind {
            Kind::Thick => Some(Holds::Leftovers),
            Kind::Thin { .. } => Some(Holds::Zeros),
            Kind::ThinPool | Kind::Snapshot { .. } => None,
        };
        let key = volume.key;
        if let Some(holds) = holds {
            self.content.resize(key, size_bytes, holds);
        }
        self.volume_mut(vg, lv)?.size_bytes = size_bytes;
        self.tell();
        Ok(())
    }

    /// `lvrename`: what refers to it follows.
    pub fn rename(&mut self, vg: &str, lv: &str, name: &str) -> Result<(), Refused> {
        self.volume(vg, lv)?;
        self.must_be_free(vg, name)?;
        let group = self.group_mut(vg)?;
        let Some(volume) = group.volumes.remove(lv) else {
            return Ok(());
        };
        for other in group.volumes.values_mut() {
            if other.origin.as_deref() == Some(lv) {
                other.origin = Some(name.to_owned());
            }
            if let Kind::Thin { pool } = &mut other.kind
                && pool == lv
            {
                *pool = name.to_owned();
            }
        }
        self.content.hide(vg, lv);
        self.place(vg, name, volume)
    }

    /// `lvchange -ay`, with `-K` when `ignores_skip`; whether it is active afterwards. An origin and its classic
    /// snapshots are active together.
    pub fn activate(&mut self, vg: &str, lv: &str, ignores_skip: bool) -> Result<bool, Refused> {
        let volume = self.volume(vg, lv)?;
        if volume.is_skipped && !ignores_skip {
            return Ok(volume.is_active);
        }
        self.set_active(vg, lv, true)?;
        Ok(true)
    }

    /// `lvchange -an`.
    pub fn deactivate(&mut self, vg: &str, lv: &str) -> Result<(), Refused> {
        self.must_be_closed(vg, lv)?;
        self.set_active(vg, lv, false)
    }

    /// `lvremove -f`: classic snapshots and the volumes of a pool go along.
    pub fn delete(&mut self, vg: &str, lv: &str) -> Result<(), Refused> {
        self.volume(vg, lv)?;
        let lost: Vec<String> = self.dependants(vg, lv)?;
        for one in lost.iter().map(String::as_str).chain([lv]) {
            self.must_be_closed(vg, one)?;
        }
        for one in lost.iter().map(String::as_str).chain([lv]) {
            let group = self.group_mut(vg)?;
            let gone = group.volumes.remove(one);
            for other in group.volumes.values_mut() {
                if other.origin.as_deref() == Some(one) {
                    other.origin = None;
                }
            }
            if let Some(gone) = gone {
                self.content.hide(vg, one);
                self.content.remove(gone.key);
            }
        }
        self.tell();
        Ok(())
    }

    /// `lvconvert --merge`, waited for: the snapshot is no more.
    pub fn merge(&mut self, vg: &str, lv: &str) -> Result<(), Refused> {
        let origin = self.begin_merge(vg, lv)?;
        self.finish_merges(vg, &origin)
    }

    /// What merging begins with: the origin reads as the snapshot did from now on; its name.
    pub fn begin_merge(&mut self, vg: &str, lv: &str) -> Result<String, Refused> {
        let snapshot = self.volume(vg, lv)?.clone();
        let (Kind::Snapshot { .. }, Some(name)) = (&snapshot.kind, &snapshot.origin) else {
            return refused(&format!("{vg}/{lv} is not a mergeable logical volume."));
        };
        if snapshot.is_invalid {
            return refused(&format!("Unable to merge invalidated snapshot LV {lv}."));
        }
        self.must_be_closed(vg, lv)?;
        self.must_be_closed(vg, name)?;
        let origin = self.volume(vg, name)?.clone();
        self.content.copy(snapshot.key, origin.key);
        self.content
            .resize(origin.key, origin.size_bytes, Holds::Leftovers);
        let name = name.clone();
        self.volume_mut(vg, lv)?.is_merging = true;
        self.tell();
        Ok(name)
    }

    /// `lvchange --poll y`, waited for: what is merged is gone.
    pub fn finish_merges(&mut self, vg: &str, origin: &str) -> Result<(), Refused> {
        let volumes = self.group(vg)?.volumes.iter();
        let merged = volumes.filter(|(_, lv)| lv.is_merging && lv.is_classic_snapshot_of(origin));
        let merged: Vec<String> = merged.map(|(name, _)| name.clone()).collect();
        merged.iter().try_for_each(|lv| self.delete(vg, lv))
    }

    /// `lvconvert --splitsnapshot`: a plain volume of the snapshot's own room.
    pub fn split(&mut self, vg: &str, lv: &str) -> Result<(), Refused> {
        let snapshot = self.volume(vg, lv)?.clone();
        let Kind::Snapshot { .. } = snapshot.kind else {
            return refused(&format!("{vg}/{lv} is not a snapshot."));
        };
        self.must_be_closed(vg, lv)?;
        self.content.remove(snapshot.key);
        let (key, size_bytes) = (snapshot.key, snapshot.size_bytes);
        self.content.make(key, size_bytes, Holds::Leftovers);
        let split = Volume {
            tags: snapshot.tags,
            is_active: snapshot.is_active,
            ..Volume::new(key, size_bytes, Kind::Thick)
        };
        self.place(vg, lv, split)
    }

    /// `lvchange --addtag`, `--deltag`, `--setactivationskip n`.
    pub fn mark(
        &mut self,
        vg: &str,
        lv: &str,
        add: &[&str],
        remove: &[&str],
        unskip: bool,
    ) -> Result<(), Refused> {
        let volume = self.volume_mut(vg, lv)?;
        volume.tags.extend(add.iter().map(|tag| (*tag).to_owned()));
        volume.tags.retain(|tag| !remove.contains(&tag.as_str()));
        volume.is_skipped &= !unskip;
        self.tell();
        Ok(())
    }

    /// `vgchange --addtag`.
    pub fn mark_group(&mut self, vg: &str, tag: &str) -> Result<(), Refused> {
        self.group_mut(vg)?.tags.insert(tag.to_owned());
        self.tell();
        Ok(())
    }

    fn add(
        &mut self,
        vg: &str,
        lv: &str,
        size_bytes: u64,
        kind: Kind,
        holds: Holds,
    ) -> Result<(), Refused> {
        self.room_for(vg, lv, size_bytes, &kind)?;
        let made = Volume::new(self.next_key(), whole(size_bytes), kind);
        self.content.make(made.key, made.size_bytes, holds);
        self.place(vg, lv, made)
    }

    /// Puts a volume under a name, with its device node when it is active.
    fn place(&mut self, vg: &str, lv: &str, volume: Volume) -> Result<(), Refused> {
        if volume.is_active && volume.kind != Kind::ThinPool {
            self.content.show(vg, lv, volume.key);
        }
        self.group_mut(vg)?.volumes.insert(lv.to_owned(), volume);
        self.tell();
        Ok(())
    }

    fn room_for(&self, vg: &str, lv: &str, size_bytes: u64, kind: &Kind) -> Result<(), Refused> {
        self.must_be_free(vg, lv)?;
        let free_bytes = self.group(vg)?.free_bytes();
        let wanted = Volume::new(0, whole(size_bytes), kind.clone()).bytes_of_group();
        if wanted > free_bytes {
            return refused(&format!(
                "Volume group \"{vg}\" has insufficient free space ({} extents): {} required.",
                free_bytes / EXTENT_BYTES,
                wanted / EXTENT_BYTES
            ));
        }
        Ok(())
    }

    fn must_be_free(&self, vg: &str, lv: &str) -> Result<(), Refused> {
        if self.group(vg)?.volumes.contains_key(lv) {
            return refused(&format!(
                "Logical Volume \"{lv}\" already exists in volume group \"{vg}\""
            ));
        }
        Ok(())
    }

    fn must_be_closed(&self, vg: &str, lv: &str) -> Result<(), Refused> {
        if self.volume(vg, lv)?.is_open {
            return refused(&format!("Logical volume {vg}/{lv} in use."));
        }
        Ok(())
    }

    fn dependants(&self, vg: &str, lv: &str) -> Result<Vec<String>, Refused> {
        let volumes = self.group(vg)?.volumes.iter();
        let lost = volumes.filter(|(_, other)| {
            other.is_classic_snapshot_of(lv) || other.pool().is_some_and(|pool| pool == lv)
        });
        Ok(lost.map(|(name, _)| name.clone()).collect())
    }

    /// A volume and its classic snapshots.
    fn set_active(&mut self, vg: &str, lv: &str, is_active: bool) -> Result<(), Refused> {
        let group = self.group(vg)?;
        // A classic snapshot is activated through its origin.
        let volume = self.volume(vg, lv)?;
        let top = match (&volume.kind, &volume.origin) {
            (Kind::Snapshot { .. }, Some(origin)) => origin.clone(),
            _ => lv.to_owned(),
        };
        let together = group.volumes.iter().filter(|(name, other)| {
            **name == top || (other.is_classic_snapshot_of(&top) && !other.is_invalid)
        });
        let together: Vec<(String, u64)> = together
            .map(|(name, other)| (name.clone(), other.key))
            .collect();
        for (name, key) in together {
            self.volume_mut(vg, &name)?.is_active = is_active;
            match is_active {
                true => self.content.show(vg, &name, key),
                false => self.content.hide(vg, &name),
            }
        }
        self.tell();
        Ok(())
    }

    fn next_key(&mut self) -> u64 {
        self.last_key += 1;
        self.last_key
    }
}

fn has_classic_snapshots(group: &Group, lv: &str) -> bool {
    let mut volumes = group.volumes.values();
    volumes.any(|other| other.is_classic_snapshot_of(lv))
}

fn whole(size_bytes: u64) -> u64 {
    size_bytes.div_ceil(EXTENT_BYTES) * EXTENT_BYTES
}

fn refused<T>(why: &str) -> Result<T, Refused> {
    Err(Refused(why.to_owned()))
}
