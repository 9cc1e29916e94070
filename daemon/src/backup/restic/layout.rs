//! How a volume lies in a repository: one snapshot a backup, whose tree is
//!
//! ```text
//! README                    how to get the image back without Ashlar
//! ashlar.json               what the backup is of
//! data/000003/000003075     1 MiB of the volume from MiB 3075 on; the directory is its GiB
//! ```
//! An entry that is all zeros is not there. Names are decimal and of one length, so that their order is the volume's.
//! A documented format: `docs/backup.md` says the same to people.

use crate::backup::{Description, Stored};
use rustic_core::repofile::{Metadata, Node, NodeType};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The unit of what is read, compared, kept and written.
pub(super) const ENTRY_BYTES: u64 = 1 << 20;
/// Entries of one directory: with more, a change would rewrite a long list; with fewer, there would be many lists.
pub(super) const ENTRIES_PER_DIRECTORY: u64 = 1024;
/// The directory of all entries.
pub(super) const DATA: &str = "data";
pub(super) const README: &str = "README";
pub(super) const ABOUT: &str = "ashlar.json";

/// On each finished backup's snapshot, beside the backup's id.
pub(super) const TAG: &str = "ashlar";
/// On a snapshot whose backup is not finished, or never will be: nobody may take it for one.
pub(super) const TAG_UNFINISHED: &str = "ashlar-unfinished";

const README_TEXT: &str = "\
This is a volume of block storage. Each file below data/ is 1 MiB of it, named by its place in MiB; what is missing is zeros.
truncate -s SIZE image; for f in data/*/*; do dd if=\"$f\" of=image bs=1M seek=\"${f##*/}\" conv=notrunc status=none; done
SIZE is len_bytes in ashlar.json, which also says what volume this was and when.
";

/// What a snapshot says of its backup: in its tree (`ashlar.json`, without what was only known at the end), and whole
/// in the snapshot's own `description`, so that a list reads no tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct About {
    /// The volume's length.
    pub(super) len_bytes: u64,
    #[serde(flatten)]
    pub(super) description: Description,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stored: Option<Stored>,
}

/// The files before the data, in the order of their names.
pub(super) fn heads(about: &About) -> Result<[(&'static str, Vec<u8>); 2], serde_json::Error> {
    let mut json = serde_json::to_vec_pretty(about)?;
    json.push(b'\n');
    Ok([(README, README_TEXT.as_bytes().to_vec()), (ABOUT, json)])
}

/// How long an entry is: 1 MiB, unless the volume ends in it.
pub(super) fn entry_len(index: u64, len_bytes: u64) -> u64 {
    len_bytes
        .saturating_sub(index * ENTRY_BYTES)
        .min(ENTRY_BYTES)
}

/// How many entries a volume has, zeros included.
pub(super) fn entry_count(len_bytes: u64) -> u64 {
    len_bytes.div_ceil(ENTRY_BYTES)
}

pub(super) fn entry_path(index: u64) -> PathBuf {
    let directory = index / ENTRIES_PER_DIRECTORY;
    Path::new(DATA)
        .join(format!("{directory:06}"))
        .join(format!("{index:09}"))
}

/// The number that an entry or a directory is named by.
pub(super) fn number(name: &OsStr) -> Option<u64> {
    let name = name.to_str()?;
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| name.parse().ok()).flatten()
}

/// A file in a tree. Entries are told apart from their earlier selves by `mtime` alone: it is the backup that changed
/// them last.
pub(super) fn file(path: &Path, len_bytes: u64, mtime: rustic_core::jiff::Timestamp) -> Node {
    let meta = Metadata {
        // Only the owner reads what a volume holds.
        mode: Some(0o600),
        mtime: Some(mtime),
        size: len_bytes,
        ..Metadata::default()
    };
    Node::new_node(path.file_name().unwrap_or_default(), NodeType::File, meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_volume() {
        let paths: Vec<PathBuf> = [0, 9, 10, 1023, 1024, 99_999_999].map(entry_path).into();
        assert!(paths.is_sorted());
        assert_eq!(paths[4], Path::new("data/000001/000001024"));
        for (index, path) in [0, 9, 10, 1023, 1024, 99_999_999].into_iter().zip(&paths) {
            assert_eq!(number(path.file_name().unwrap()), Some(index));
        }
        assert_eq!(number(OsStr::new("+1")), None);
        assert_eq!(number(OsStr::new("")), None);
    }

    #[test]
    fn the_last_entry_ends_with_the_volume() {
        assert_eq!(entry_count(0), 0);
        assert_eq!(entry_count(ENTRY_BYTES + 1), 2);
        assert_eq!(entry_len(1, ENTRY_BYTES + 1), 1);
        assert_eq!(entry_len(0, ENTRY_BYTES + 1), ENTRY_BYTES);
    }
}
