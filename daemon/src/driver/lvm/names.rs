//! What logical volumes of ours are called, and the tags they carry.
//!
//! Cinder's names, so that `lvs` reads the same: `volume-<id>`, `_snapshot-<id>` (LVM reserves names that begin with
//! `snapshot`). What is half made or on its way out has another name until it is whole or gone. The id makes a name
//! ours: ops asks only for ids that it has recorded. The tag tells people, and [`Driver::objects`](crate::driver::Driver::objects), which
//! volumes of a group that is shared with others are Ashlar's.

use crate::driver::ObjectRef;
use crate::model::id::{SnapshotId, VolumeId};

/// On every volume and snapshot of ours.
pub(super) const OURS: &str = "ashlar";
/// On a deleted volume that has been overwritten whole.
pub(super) const WIPED: &str = "ashlar-wiped";
/// Before the offset from which a grown volume is still to be zeroed.
const ZERO_FROM: &str = "ashlar-zero-from.";
/// Before the id of the snapshot that a volume is being reverted to.
const REVERTING_TO: &str = "ashlar-reverting-to.";
const TEMPORARY: [&str; 5] = [NEW, OLD, GONE, COPIED, MOVED];
const NEW: &str = "ashlar-new-";
const OLD: &str = "ashlar-old-";
const GONE: &str = "ashlar-gone-";
const COPIED: &str = "ashlar-copied-";
const MOVED: &str = "ashlar-moved-";

/// An object's names through its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// When it is whole.
    pub(super) text: String,
    id: String,
}

impl Name {
    pub(super) fn of(object: &ObjectRef) -> Self {
        match object {
            ObjectRef::Volume(volume) => Self::of_volume(volume.id),
            ObjectRef::Snapshot(snapshot) => Self::of_snapshot(snapshot.id),
        }
    }

    pub(super) fn of_volume(id: VolumeId) -> Self {
        Self {
            text: format!("volume-{id}"),
            id: id.to_string(),
        }
    }

    pub(super) fn of_snapshot(id: SnapshotId) -> Self {
        Self {
            text: format!("_snapshot-{id}"),
            id: id.to_string(),
        }
    }

    /// While it is made.
    pub(super) fn partial(&self) -> String {
        format!("{NEW}{}", self.id)
    }

    /// What it was before a revert, until that is removed.
    pub(super) fn old(&self) -> String {
        format!("{OLD}{}", self.id)
    }

    /// Once it is deleted, while it is overwritten.
    pub(super) fn gone(&self) -> String {
        format!("{GONE}{}", self.id)
    }

    /// The snapshot of its source, held while it is copied.
    pub(super) fn copied(&self) -> String {
        format!("{COPIED}{}", self.id)
    }

    /// When it is whole in a pool, while it also lies in another one of the group and has its name there.
    pub(super) fn moved(&self) -> String {
        format!("{MOVED}{}", self.id)
    }

    /// Every name it may have.
    pub(super) fn all(&self) -> [String; 6] {
        [
            self.text.clone(),
            self.moved(),
            self.partial(),
            self.old(),
            self.gone(),
            self.copied(),
        ]
    }
}

/// Whether a name is of the form that ours have, finished or not: never one of an object that might be taken over.
pub(super) fn is_of_our_form(name: &str) -> bool {
    let id = std::iter::once("volume-")
        .chain(["_snapshot-"])
        .chain(TEMPORARY)
        .find_map(|prefix| name.strip_prefix(prefix));
    id.is_some_and(|id| id.parse::<VolumeId>().is_ok())
}

/// Parts that only LVM's own internal volumes have in their names (lvm(8), "VALID NAMES").
const RESERVED: [&str; 14] = [
    "_cdata", "_cmeta", "_corig", "_cvol", "_iorig", "_mimage", "_mlog", "_pmspare", "_rimage",
    "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin",
];

/// LVM's rules for a name that the administrator wants for what is handed back.
pub(super) fn is_possible(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+_.-".contains(&byte);
    (1..=100).contains(&name.len())
        && name.bytes().all(is_allowed)
        && !name.starts_with('-')
        && name != "."
        && name != ".."
        && !["snapshot", "pvmove"]
            .iter()
            .any(|one| name.starts_with(one))
        && !RESERVED.iter().any(|part| name.contains(part))
}

/// The tag that says from where a volume is still to be zeroed.
pub(super) fn zero_from(at_bytes: u64) -> String {
    format!("{ZERO_FROM}{at_bytes}")
}

/// What such a tag says.
pub(super) fn zero_from_of(tags: &[String]) -> Option<u64> {
    tags.iter()
        .find_map(|tag| tag.strip_prefix(ZERO_FROM)?.parse().ok())
}

/// The tag that says to what a volume is being reverted.
pub(super) fn reverting_to(snapshot: SnapshotId) -> String {
    format!("{REVERTING_TO}{snapshot}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        let id = VolumeId::random();
        let name = Name::of_volume(id);
        for ours in name.all() {
            assert!(is_of_our_form(&ours), "{ours}");
        }
        assert!(is_of_our_form(
            &Name::of_snapshot(SnapshotId::random()).text
        ));
        for foreign in ["root", "volume-1", "vg0-pool", "volume-", "ashlar-new-x"] {
            assert!(!is_of_our_form(foreign), "{foreign}");
        }
    }

    #[test]
    fn tags_are_read_back() {
        let tags = vec![OURS.to_owned(), zero_from(4096)];
        assert_eq!(zero_from_of(&tags), Some(4096));
        assert_eq!(zero_from_of(&[OURS.to_owned()]), None);
    }

    #[test]
    fn lvms_own_names_are_not_given_to_anything() {
        for good in ["data", "a.b+c", "volume-1"] {
            assert!(is_possible(good), "{good}");
        }
        for bad in [
            "",
            "-x",
            "snapshot1",
            "a/b",
            "x_tdata",
            "x_rimage_0",
            "a b",
            "..",
        ] {
            assert!(!is_possible(bad), "{bad}");
        }
    }
}
