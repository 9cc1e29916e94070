//! What lies in a pool and is not ours: what it is called there, and what is told of it. Knows no file system; the rules
//! of names are the same for every driver, so that what one handed back another version finds again.

use super::ObjectRef;
use crate::model::id::{SnapshotId, VolumeId};

/// A name is at most so long: what file systems allow.
const NAME_LEN_MAX: usize = 255;
/// How many names are tried for what is handed back when an administrator's object already has the first.
const SPARE_NAMES: usize = 9;
/// Between the two ids in the name of a snapshot that was handed back.
const OF_VOLUME: &str = ".snapshot-";

/// A foreign object that might be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manageable {
    /// What it is called in its pool.
    pub name: String,
    /// Its length.
    pub len_bytes: u64,
    /// Why it cannot be taken over as it is; `None` when it can.
    pub why_not: Option<String>,
}

/// Whether a name may be one of a foreign object: a plain one, which leads nowhere else and hides nowhere.
pub fn is_plain(name: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&name.len())
        && !name.starts_with('.')
        && !name.contains('/')
        && !name.chars().any(char::is_control)
}

/// The name of the volume that a snapshot's name says it is of; `None` for every other name.
pub fn snapshot_of(name: &str) -> Option<&str> {
    let (volume, snapshot) = name.split_once(OF_VOLUME)?;
    let is_volume = volume.strip_prefix("volume-")?.parse::<VolumeId>().is_ok();
    let is_snapshot = snapshot
        .split_once('.')
        .map_or(snapshot, |(id, _)| id)
        .parse::<SnapshotId>()
        .is_ok();
    (is_volume && is_snapshot).then_some(volume)
}

/// The names that `object` may get when it is handed back, in the order in which they are tried.
pub(super) fn names_for(object: &ObjectRef, wanted: Option<&str>) -> Vec<String> {
    let own = match object {
        ObjectRef::Volume(volume) => format!("volume-{}", volume.id),
        ObjectRef::Snapshot(snapshot) => {
            format!("volume-{}{OF_VOLUME}{}", snapshot.volume_id, snapshot.id)
        }
    };
    let wanted = wanted.filter(|name| is_plain(name)).map(str::to_owned);
    let spare = (1..=SPARE_NAMES).map(|number| format!("{own}.{number}"));
    wanted
        .into_iter()
        .chain([own.clone()])
        .chain(spare)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::SnapshotRef;
    use crate::model::size::Gib;

    #[test]
    fn names_lead_nowhere_else() {
        for good in ["disk.raw", "a b", "volume-1", "ä"] {
            assert!(is_plain(good), "{good}");
        }
        let long = "x".repeat(256);
        for bad in [
            "",
            ".",
            "..",
            "...",
            ".hidden",
            "a/b",
            "/etc/passwd",
            "../x",
            "a\0",
            "a\n",
            &long,
        ] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_is_handed_back_tells_what_it_was() {
        let snapshot = SnapshotRef {
            id: SnapshotId::random(),
            volume_id: VolumeId::random(),
            pool: "pool".to_owned(),
            size_gib: Gib::new(1).unwrap(),
        };
        let volume = format!("volume-{}", snapshot.volume_id);
        let names = names_for(&ObjectRef::Snapshot(snapshot), Some("../x"));
        assert_eq!(names.len(), 1 + SPARE_NAMES);
        for name in &names {
            assert_eq!(snapshot_of(name), Some(volume.as_str()), "{name}");
        }
        for other in [volume.as_str(), "volume-1.snapshot-2", "x", ".snapshot-"] {
            assert_eq!(snapshot_of(other), None, "{other}");
        }
    }
}
