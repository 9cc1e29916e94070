//! What the directory has, in Ashlar's words.

use super::catalogue::{Catalogue, Link, metadata};
use super::files::Files;
use super::volume_meta::cut;
use crate::backup::worker::pipe::Failure;
use crate::backup::{DescribedVolume, Description, StoreReport, Stored};
use crate::model::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// A store that is large and slow is open all the same: what was not counted by then is not told.
const COUNT_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn report(files: &Files) -> Result<StoreReport, Failure> {
    let count = files.count(COUNT_WITHIN)?;
    if !count.is_whole {
        let within_s = COUNT_WITHIN.as_secs();
        tracing::warn!(
            within_s,
            "the backup store was counted in part: it is large, or slow"
        );
    }
    let location = files.root().display().to_string();
    let room = rustix::fs::statvfs(files.root());
    Ok(StoreReport {
        // Cinder gives its directories no name.
        repository_id: location.clone(),
        location,
        used_bytes: count.used_bytes,
        free_bytes: room.ok().map(|room| room.f_bavail * room.f_frsize),
        backups: count.backups,
    })
}

/// Oldest first. One that cannot be restored, as far as its metadata says, is left out.
pub(super) fn list(files: &Files) -> Result<Vec<(Description, Stored)>, Failure> {
    let mut catalogue = Catalogue::open(files)?;
    let mut backups = Vec::new();
    for id in catalogue.ids() {
        match catalogue.chain(id) {
            Ok(mut chain) => {
                if let Some(link) = chain.pop() {
                    backups.push((describe(&link), stored(files, &link)?));
                }
            }
            Err(Failure::Damaged(why)) => tracing::warn!(why, "a backup is left out of the list"),
            Err(other) => return Err(other),
        }
    }
    backups.sort_by(|(one, _), (other, _)| one.created_at.cmp(&other.created_at));
    Ok(backups)
}

/// What Cinder's files do not tell is left empty: the backup's own metadata and snapshot, the volume's type; and where
/// Cinder kept nothing of the volume, also whose it was.
fn describe(link: &Link) -> Description {
    let volume = link.volume.clone().unwrap_or_default();
    let created_at = created_at(link);
    Description {
        id: link.found.id,
        project_id: volume.project_id.unwrap_or_default(),
        user_id: volume.user_id.unwrap_or_default(),
        name: link.name.clone().map(cut),
        description: link.description.clone().map(cut),
        metadata: BTreeMap::new(),
        data_timestamp: created_at.clone(),
        created_at,
        parent_id: link.parent_id,
        snapshot_id: None,
        volume: DescribedVolume {
            id: link.found.volume_id.to_string(),
            name: volume.name,
            description: volume.description,
            size_gib: link.size_gib,
            volume_type: String::new(),
            availability_zone: volume.availability_zone.unwrap_or_default(),
            bootable: volume.bootable,
            metadata: volume.metadata,
            image_metadata: volume.image_metadata,
        },
    }
}

/// When it was asked for, or else when it was begun.
fn created_at(link: &Link) -> String {
    let told = link.created_at.as_deref().and_then(Time::read);
    let part = |from: usize, to: usize| link.found.begun_at.get(from..to).unwrap_or_default();
    let begun_at = || {
        let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
        let (hour, minute, second) = (part(8, 10), part(10, 12), part(12, 14));
        Time::read(&format!("{year}-{month}-{day} {hour}:{minute}:{second}"))
    };
    let time = told.or_else(begun_at);
    time.map(|time| time.as_str().to_owned())
        .unwrap_or_default()
}

fn stored(files: &Files, link: &Link) -> Result<Stored, Failure> {
    let objects = metadata(files, &link.found)?.objects;
    let len = |number| files.len_of(&link.found.object(number)).unwrap_or(0);
    Ok(Stored {
        objects: link.objects,
        data_bytes: link.data_bytes,
        read_bytes: link.data_bytes,
        added_bytes: objects.iter().map(|object| len(object.number)).sum(),
    })
}
