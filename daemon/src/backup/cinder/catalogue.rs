//! Which backups there are, and which stands on which.

use super::files::{Files, Found, Walk};
use super::metadata::Metadata;
use super::volume_meta::VolumeMeta;
use crate::backup::worker::pipe::Failure;
use crate::model::id::BackupId;
use crate::model::size::{GIB, Gib};
use std::collections::BTreeMap;

/// Backups that stand one on the other; a year of daily ones is no more.
const CHAIN_MAX: usize = 1024;

/// A backup without its objects, of which there may be many.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) found: Found,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) parent_id: Option<BackupId>,
    /// What it says of the volume, or why that cannot be read.
    pub(super) volume: Result<VolumeMeta, String>,
    pub(super) objects: u64,
    /// Bytes of its objects, unpacked.
    pub(super) data_bytes: u64,
    /// The first byte of the volume that no object reaches.
    end_bytes: u64,
    /// How large the volume was. A backup that does not say so is of its parent's size; a full one, of its objects'.
    pub(super) size_gib: u64,
}

impl Link {
    fn read(files: &Files, found: &Found) -> Result<Self, Failure> {
        let metadata = metadata(files, found)?;
        let volume = match &metadata.volume_meta {
            Some(text) => VolumeMeta::read(text),
            None => Ok(VolumeMeta::default()),
        };
        Ok(Self {
            found: found.clone(),
            objects: metadata.objects.len() as u64,
            data_bytes: metadata.objects.iter().map(|object| object.len_bytes).sum(),
            end_bytes: metadata.end(),
            size_gib: 0,
            volume,
            name: metadata.name,
            description: metadata.description,
            created_at: metadata.created_at,
            parent_id: metadata.parent_id,
        })
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.size_gib.saturating_mul(GIB)
    }

    /// What is wrong with it, in words that name it.
    pub(super) fn damaged(&self, why: &str) -> Failure {
        Failure::Damaged(format!("backup {}: {why}", self.found.id))
    }
}

/// All that a backup's metadata file says.
pub(super) fn metadata(files: &Files, found: &Found) -> Result<Metadata, Failure> {
    let path = found.metadata();
    let input = files
        .open(&path)
        .map_err(|error| files.failed(&path, &error))?;
    Metadata::read(input, found).map_err(|error| {
        let damaged = |why: &str| Failure::Damaged(format!("{}: {why}", path.display()));
        files.misread(&path, &error, damaged)
    })
}

/// The backups of the directory, each read when it is first asked for.
#[derive(Debug)]
pub(super) struct Catalogue<'a> {
    files: &'a Files,
    walk: Walk,
    links: BTreeMap<BackupId, Link>,
}

impl<'a> Catalogue<'a> {
    pub(super) fn open(files: &'a Files) -> Result<Self, Failure> {
        let walk = files.walk()?;
        for why in &walk.unreadable {
            tracing::warn!(why, "a part of the backup store cannot be looked into");
        }
        Ok(Self {
            files,
            walk,
            links: BTreeMap::new(),
        })
    }

    pub(super) fn ids(&self) -> Vec<BackupId> {
        self.walk.backups.keys().copied().collect()
    }

    /// The full backup first, then each that stands on the one before it, `id` last.
    pub(super) fn chain(&mut self, id: BackupId) -> Result<Vec<Link>, Failure> {
        self.must_have(id)?;
        let mut chain = vec![self.link(id)?];
        while let Some(link) = chain.last()
            && let Some(parent_id) = link.parent_id
        {
            if chain.len() == CHAIN_MAX || chain.iter().any(|one| one.found.id == parent_id) {
                let why = format!("it stands on itself, or on more than {CHAIN_MAX} others");
                return Err(link.damaged(&why));
            }
            if !self.walk.backups.contains_key(&parent_id) {
                let why = format!("it stands on backup {parent_id}, which is not in the store");
                return Err(link.damaged(&why));
            }
            let parent = self.link(parent_id)?;
            if parent.found.volume_id != link.found.volume_id {
                let why = format!("it stands on backup {parent_id}, which is of another volume");
                return Err(link.damaged(&why));
            }
            chain.push(parent);
        }
        chain.reverse();
        size(&mut chain)?;
        Ok(chain)
    }

    fn link(&mut self, id: BackupId) -> Result<Link, Failure> {
        if let Some(link) = self.links.get(&id) {
            return Ok(link.clone());
        }
        let found = self.walk.backups.get(&id).map(Vec::as_slice);
        let link = match found.unwrap_or_default() {
            [found] => Link::read(self.files, found)?,
            [one, other, ..] => {
                let (one, other) = (one.metadata(), other.metadata());
                return Err(Failure::Damaged(format!(
                    "backup {id} is there twice, as {} and as {}; move one of them away",
                    one.display(),
                    other.display()
                )));
            }
            [] => return Err(absent(id)),
        };
        self.links.insert(id, link.clone());
        Ok(link)
    }

    /// An error that says more than that it is not there, where that can be said.
    fn must_have(&self, id: BackupId) -> Result<(), Failure> {
        let root = self.files.root().display();
        if self.walk.backups.contains_key(&id) {
            Ok(())
        } else if let Some(why) = self.walk.unreadable.first() {
            Err(Failure::Unavailable(format!(
                "backup {id} is not in what can be read of {root}; what cannot is {why}"
            )))
        } else if self.walk.backups.is_empty() {
            Err(Failure::Unavailable(format!(
                "{root} has no backups at all; is the file system mounted?"
            )))
        } else {
            Err(absent(id))
        }
    }
}

fn absent(id: BackupId) -> Failure {
    Failure::Absent {
        backup: id.to_string(),
    }
}

/// Settles the sizes of a chain; no object may be beyond them.
fn size(chain: &mut [Link]) -> Result<(), Failure> {
    let mut below = None;
    for link in chain {
        let told = link.volume.as_ref().ok().and_then(|volume| volume.size_gib);
        let size_gib = told.or(below).unwrap_or(link.end_bytes.div_ceil(GIB));
        let gib = i64::try_from(size_gib).ok().and_then(Gib::new);
        let size = gib.ok_or_else(|| link.damaged(&format!("no volume has {size_gib} GiB")))?;
        if link.end_bytes > size.bytes() {
            let (end_bytes, len_bytes) = (link.end_bytes, size.bytes());
            let why = format!("its objects end at byte {end_bytes} of a volume of {len_bytes}");
            return Err(link.damaged(&why));
        }
        link.size_gib = size_gib;
        below = Some(size_gib);
    }
    Ok(())
}
