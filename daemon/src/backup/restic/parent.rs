//! What an earlier backup has where, from its trees: for each entry the hash of its content and its time.

use super::layout::{DATA, number};
use super::repository::Repository;
use rustic_core::jiff::Timestamp;
use rustic_core::repofile::{Node, SnapshotFile};
use rustic_core::{DataId, IndexedIdsStatus, RusticResult, TreeId};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// An earlier backup, its directories by number.
pub(super) struct Parent {
    repository: Arc<Repository<IndexedIdsStatus>>,
    directories: BTreeMap<u64, TreeId>,
    len_bytes: u64,
}

/// An entry of it.
#[derive(Debug, Clone)]
pub(super) struct Known {
    mtime: Timestamp,
    len_bytes: u64,
    /// The hash, where the entry is one piece.
    content: Option<DataId>,
}

impl Parent {
    /// Reads the list of its directories.
    pub(super) fn read(
        repository: Arc<Repository<IndexedIdsStatus>>,
        snapshot: &SnapshotFile,
        len_bytes: u64,
    ) -> RusticResult<Self> {
        let mut directories = BTreeMap::new();
        let rustic = repository.rustic();
        let top = rustic.get_tree(&snapshot.tree)?;
        let data = top.nodes.iter().find(|node| node.name() == Path::new(DATA));
        if let Some(subtree) = data.and_then(|node| node.subtree) {
            for node in rustic.get_tree(&subtree)?.nodes {
                if let Some((number, subtree)) = number(&node.name()).zip(node.subtree) {
                    directories.insert(number, subtree);
                }
            }
        }
        Ok(Self {
            repository,
            directories,
            len_bytes,
        })
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// The entries of a directory; none when it was all zeros. `None` when it cannot be read: then it tells nothing,
    /// and the library, which cannot read it either, takes nothing from it.
    pub(super) fn entries_of(&self, directory: u64) -> Option<BTreeMap<u64, Known>> {
        let Some(tree) = self.directories.get(&directory) else {
            return Some(BTreeMap::new());
        };
        let tree = self.repository.rustic().get_tree(tree).ok()?;
        let known = |node: Node| {
            let known = Known {
                mtime: node.meta.mtime?,
                len_bytes: node.meta.size,
                content: match node.content.as_deref() {
                    Some([one]) => Some(*one),
                    Some(_) | None => None,
                },
            };
            Some((number(&node.name())?, known))
        };
        Some(tree.nodes.into_iter().filter_map(known).collect())
    }
}

impl Known {
    pub(super) fn mtime(&self) -> Timestamp {
        self.mtime
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Whether this is the hash of its content.
    pub(super) fn is(&self, digest: &[u8]) -> bool {
        self.content
            .is_some_and(|content| is_hash(&content, digest))
    }
}

/// Whether a content is named by this hash.
pub(super) fn is_hash(content: &DataId, digest: &[u8]) -> bool {
    let hex = content.to_hex();
    let pairs = hex.as_str().as_bytes().chunks(2);
    pairs.len() == digest.len()
        && pairs.zip(digest).all(|(pair, byte)| {
            let text = std::str::from_utf8(pair).unwrap_or_default();
            u8::from_str_radix(text, 16) == Ok(*byte)
        })
}
