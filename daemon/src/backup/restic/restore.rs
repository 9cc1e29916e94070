//! Writing a backup to a file or device, and looking through one without writing: the same walk.
//!
//! Several threads fetch entries, compare each with the hash that names it, and write it in its place. The library's
//! own restore is not used: it writes no block devices, and ends the process on bad data.

use super::layout::{DATA, ENTRY_BYTES, number};
use super::parent::is_hash;
use crate::backup::worker::device::Opened;
use crate::backup::worker::pipe::Failure;
use crate::driver::Work;
use rustic_core::repofile::{BlobType, Node, SnapshotFile};
use rustic_core::{BlobId, IndexedFullStatus, Repository, RusticResult, TreeId};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Threads that fetch and write; each has a few MiB in hand.
pub(super) const WRITERS: usize = 4;
/// Made zero at once: where that means writing zeros, a cancel waits for no more.
const GAP_BYTES: u64 = 64 << 20;

/// An entry of a backup: where it goes, and its pieces.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) index: u64,
    pub(super) node: Node,
}

/// The entries of a backup in the volume's order, a directory at a time.
pub(super) struct Entries<'a> {
    rustic: &'a Repository<IndexedFullStatus>,
    directories: std::vec::IntoIter<TreeId>,
    entries: std::vec::IntoIter<Entry>,
}

impl<'a> Entries<'a> {
    pub(super) fn of(
        rustic: &'a Repository<IndexedFullStatus>,
        snapshot: &SnapshotFile,
    ) -> RusticResult<Self> {
        let top = rustic.get_tree(&snapshot.tree)?;
        let data = top.nodes.iter().find(|node| node.name() == Path::new(DATA));
        let mut directories = Vec::new();
        if let Some(subtree) = data.and_then(|node| node.subtree) {
            let nodes = rustic.get_tree(&subtree)?.nodes;
            directories.extend(nodes.into_iter().filter_map(|node| node.subtree));
        }
        Ok(Self {
            rustic,
            directories: directories.into_iter(),
            entries: Vec::new().into_iter(),
        })
    }
}

impl Iterator for Entries<'_> {
    type Item = RusticResult<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.entries.next() {
                return Some(Ok(entry));
            }
            let directory = self.directories.next()?;
            match self.rustic.get_tree(&directory) {
                Ok(tree) => {
                    let entry = |node: Node| {
                        let index = number(&node.name())?;
                        Some(Entry { index, node })
                    };
                    let entries: Vec<Entry> = tree.nodes.into_iter().filter_map(entry).collect();
                    self.entries = entries.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The bytes of an entry, each piece compared with its hash; the error says what is wrong with it.
pub(super) fn fetch(
    rustic: &Repository<IndexedFullStatus>,
    entry: &Entry,
) -> RusticResult<Result<Vec<u8>, String>> {
    let mut bytes = Vec::with_capacity(usize::try_from(ENTRY_BYTES).unwrap_or_default());
    for id in entry.node.content.iter().flatten() {
        let piece = rustic.get_blob_cached(&BlobId::from(**id), BlobType::Data)?;
        // The library knows that this is what somebody with the key wrote, not that it is what is named so.
        if !is_hash(id, &Sha256::digest(&piece)) {
            return Ok(Err(format!("piece {id} is another than its name says")));
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.len() as u64 != entry.node.meta.size {
        let (is, want) = (bytes.len(), entry.node.meta.size);
        return Ok(Err(format!("it has {is} bytes instead of {want}")));
    }
    Ok(Ok(bytes))
}

/// Writes `snapshot` to `target`, and zeros wherever it has none.
pub(super) fn restore(
    rustic: &Repository<IndexedFullStatus>,
    snapshot: &SnapshotFile,
    target: &Opened,
    is_blank: bool,
    work: &Work,
    explain: &(dyn Fn(&rustic_core::RusticError) -> Failure + Sync),
) -> Result<(), Failure> {
    let entries = Entries::of(rustic, snapshot).map_err(|error| explain(&error))?;
    let writing = Writing {
        rustic,
        target,
        is_blank,
        work,
        explain,
        rest: Mutex::new(Rest {
            entries,
            pending: None,
            at: 0,
        }),
        done_bytes: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    };
    let ended: Vec<Result<(), Failure>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS)
            .map(|_| scope.spawn(|| writing.write_all()))
            .collect();
        let died = |_| {
            Err(Failure::Unavailable(
                "a thread of the restore died".to_owned(),
            ))
        };
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|ended| ended.unwrap_or_else(died)).collect()
    });
    // Cancelled only if nothing worse happened.
    let failures = ended.into_iter().filter_map(Result::err);
    let mut failures: Vec<Failure> = failures.collect();
    failures.sort_by_key(|failure| *failure == Failure::Cancelled);
    if let Some(failure) = failures.into_iter().next() {
        return Err(failure);
    }
    target.sync()?;
    work.report(target.len_bytes(), target.len_bytes());
    Ok(())
}

struct Writing<'a> {
    rustic: &'a Repository<IndexedFullStatus>,
    target: &'a Opened,
    is_blank: bool,
    work: &'a Work,
    explain: &'a (dyn Fn(&rustic_core::RusticError) -> Failure + Sync),
    rest: Mutex<Rest<'a>>,
    done_bytes: AtomicU64,
    is_over: AtomicBool,
}

/// What is left to do.
struct Rest<'a> {
    entries: Entries<'a>,
    /// The entry that comes after the zeros that are being handed out.
    pending: Option<Entry>,
    /// Up to which byte everything was handed out.
    at: u64,
}

/// What one thread does next.
struct Part {
    /// What is zero before the entry, or at the end.
    gap: std::ops::Range<u64>,
    entry: Option<Entry>,
}

impl Writing<'_> {
    fn write_all(&self) -> Result<(), Failure> {
        let ended = self.write_parts();
        if ended.is_err() {
            self.is_over.store(true, Ordering::Relaxed);
        }
        ended
    }

    fn write_parts(&self) -> Result<(), Failure> {
        while let Some(part) = self.next_part()? {
            if self.work.is_cancelled() {
                return Err(Failure::Cancelled);
            }
            if self.is_over.load(Ordering::Relaxed) {
                return Ok(());
            }
            let mut part_bytes = part.gap.end - part.gap.start;
            if !self.is_blank && !part.gap.is_empty() {
                self.target.erase(part.gap)?;
            }
            if let Some(entry) = part.entry {
                part_bytes += entry.node.meta.size;
                self.write_entry(&entry)?;
            }
            let before = self.done_bytes.fetch_add(part_bytes, Ordering::Relaxed);
            self.work
                .report(before + part_bytes, self.target.len_bytes());
        }
        Ok(())
    }

    fn next_part(&self) -> Result<Option<Part>, Failure> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match rest.pending.take() {
            Some(entry) => Some(entry),
            None => {
                let next = rest.entries.next().transpose();
                next.map_err(|error| (self.explain)(&error))?
            }
        };
        let start = rest.at;
        let (end, entry_bytes) = match &entry {
            Some(entry) => (entry.index * ENTRY_BYTES, entry.node.meta.size),
            None => (self.target.len_bytes(), 0),
        };
        if end < start || end.saturating_add(entry_bytes) > self.target.len_bytes() {
            let index = end / ENTRY_BYTES;
            return Err(Failure::Damaged(format!(
                "entry {index} does not belong there"
            )));
        }
        if !self.is_blank && end - start > GAP_BYTES {
            rest.pending = entry;
            rest.at = start + GAP_BYTES;
            return Ok(Some(Part {
                gap: start..rest.at,
                entry: None,
            }));
        }
        rest.at = end + entry_bytes;
        let is_end = entry.is_none() && start == end;
        let part = Part {
            gap: start..end,
            entry,
        };
        Ok(Some(part).filter(|_| !is_end))
    }

    fn write_entry(&self, entry: &Entry) -> Result<(), Failure> {
        let at = entry.index * ENTRY_BYTES;
        let fetched = fetch(self.rustic, entry).map_err(|error| (self.explain)(&error))?;
        let bytes = fetched.map_err(|why| {
            Failure::Damaged(format!("what begins at MiB {}: {why}", entry.index))
        })?;
        match self.is_blank {
            true => self.target.write_nonzero(&bytes, at),
            false => self.target.write(&bytes, at),
        }
    }
}
