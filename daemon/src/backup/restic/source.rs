//! A volume as the library reads a directory: entry after entry, in order, what is zero left out.
//!
//! Several readers fetch entries ahead of the library, which hashes, compresses, encrypts and writes on threads of its
//! own. With a parent, an entry whose hash is the one that the parent's tree names is handed on as unchanged, with the
//! parent's mtime: then the library takes the parent's content and looks no further. So the parent's tree is the map of
//! what was there, and nothing else need be kept of an earlier copy.
//!
//! The library only logs what goes wrong while it reads, and finishes a snapshot without it. Hence the [`Tally`]: it
//! keeps the first failure, and counts what the snapshot must have to be whole.

use super::directory::Directory;
use super::layout::{ENTRIES_PER_DIRECTORY, ENTRY_BYTES, entry_count, entry_len, entry_path, file};
use super::parent::{Known, Parent};
use super::repository::explain_fault;
use crate::backup::worker::device::{Opened, is_zero};
use crate::backup::worker::pipe::Failure;
use crate::driver::Work;
use rustic_core::jiff::{Timestamp, ToSpan as _};
use rustic_core::{
    ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult,
};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::io::Cursor;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Threads that read: enough to keep a disk busy while others hash.
const READERS: usize = 4;
/// Entries on their way, 1 MiB each: what the library may be behind by.
const AHEAD: usize = 12;

/// What was handed to the library, and the first thing that went wrong.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Counts {
    pub(super) entries: u64,
    pub(super) entry_bytes: u64,
    pub(super) read_bytes: u64,
    pub(super) failure: Option<Failure>,
}

impl Tally {
    fn change(&self, act: impl FnOnce(&mut Counts)) {
        act(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn fail(&self, failure: Failure) {
        self.change(|counts| {
            counts.failure.get_or_insert(failure);
        });
    }

    pub(super) fn counts(&self) -> Counts {
        let counts = &self.counts;
        counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The volume.
pub(super) struct Volume {
    pub(super) heads: Vec<(&'static str, Vec<u8>)>,
    pub(super) device: Arc<Opened>,
    pub(super) parent: Option<Arc<Parent>>,
    /// Byte ranges outside of which it is as the parent; sorted or not.
    pub(super) changed: Option<Vec<(u64, u64)>>,
    /// The mtime of what differs from the parent.
    pub(super) generation: Timestamp,
    pub(super) tally: Arc<Tally>,
    /// Where it goes.
    pub(super) store: Directory,
    pub(super) work: Work,
}

impl ReadSource for Volume {
    type Open = Content;
    type Iter = Entries;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Entries {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..READERS {
            let (queue, device) = (Arc::clone(&queue), Arc::clone(&self.device));
            let tally = Arc::clone(&self.tally);
            thread::spawn(move || read_all(&queue, &device, &tally));
        }
        let count = entry_count(self.device.len_bytes());
        Entries {
            heads: self.heads.clone().into(),
            device: Arc::clone(&self.device),
            parent: self.parent.clone(),
            changed: self.changed.as_deref().map(ranges_of_entries),
            generation: self.generation,
            tally: Arc::clone(&self.tally),
            store: self.store.clone(),
            work: self.work.clone(),
            jobs,
            next: 0,
            count,
            data: 0..0,
            known: KnownDirectory::default(),
            ahead: VecDeque::new(),
        }
    }
}

/// What is known of a directory's entries from the parent; `None` when nothing is.
#[derive(Default)]
struct KnownDirectory {
    number: Option<u64>,
    entries: Option<BTreeMap<u64, Known>>,
}

/// The entries, in order.
pub(super) struct Entries {
    heads: VecDeque<(&'static str, Vec<u8>)>,
    device: Arc<Opened>,
    parent: Option<Arc<Parent>>,
    /// First and last entry, by the first.
    changed: Option<BTreeMap<u64, u64>>,
    generation: Timestamp,
    tally: Arc<Tally>,
    store: Directory,
    work: Work,
    jobs: Sender<Reading>,
    /// The entry to be looked at next.
    next: u64,
    count: u64,
    /// The last known part of the file that is no hole, in bytes.
    data: std::ops::Range<u64>,
    known: KnownDirectory,
    ahead: VecDeque<Ahead>,
}

/// An entry on its way.
enum Ahead {
    /// As the parent has it, unread.
    Same(u64, Known),
    /// Being read.
    Reading(u64, Receiver<Found>),
}

/// What a reader is asked for.
struct Reading {
    at: u64,
    len_bytes: u64,
    known: Option<Known>,
    answer: SyncSender<Found>,
}

enum Found {
    Zero,
    Same(Known),
    Data(Vec<u8>, Option<Known>),
    /// The tally has the reason.
    Failed,
}

fn read_all(queue: &Mutex<Receiver<Reading>>, device: &Opened, tally: &Tally) {
    loop {
        let reading = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(reading) = reading else { return };
        let found = match device.read(reading.at, reading.len_bytes) {
            Ok(bytes) => {
                tally.change(|counts| counts.read_bytes += reading.len_bytes);
                look(bytes, reading.known)
            }
            Err(failure) => {
                tally.fail(failure);
                Found::Failed
            }
        };
        // Nobody waits any more when the copy was given up.
        let _ = reading.answer.send(found);
    }
}

fn look(bytes: Vec<u8>, known: Option<Known>) -> Found {
    if is_zero(&bytes) {
        return Found::Zero;
    }
    match known {
        Some(known) if known.is(&Sha256::digest(&bytes)) => Found::Same(known),
        known => Found::Data(bytes, known),
    }
}

impl Entries {
    /// Looks at entries until enough are on their way, or there are no more.
    fn look_ahead(&mut self) -> Result<(), Failure> {
        while self.ahead.len() < AHEAD && self.next < self.count {
            let index = self.next;
            self.next += 1;
            if self.is_unchanged(index) {
                let known = self.known.entries.as_mut();
                if let Some(known) = known.and_then(|entries| entries.remove(&index)) {
                    self.ahead.push_back(Ahead::Same(index, known));
                }
                continue;
            }
            if self.is_hole(index)? {
                continue;
            }
            let known = self.known.entries.as_mut();
            let known = known.and_then(|entries| entries.remove(&index));
            let (answer, found) = sync_channel(1);
            let reading = Reading {
                at: index * ENTRY_BYTES,
                len_bytes: entry_len(index, self.device.len_bytes()),
                known,
                answer,
            };
            let gone = |_| Failure::Unavailable("the readers of the volume ended".to_owned());
            self.jobs.send(reading).map_err(gone)?;
            self.ahead.push_back(Ahead::Reading(index, found));
        }
        Ok(())
    }

    /// Whether the parent is known to have the same there, be it data or zeros.
    fn is_unchanged(&mut self, index: u64) -> bool {
        let Some(parent) = &self.parent else {
            return false;
        };
        let directory = index / ENTRIES_PER_DIRECTORY;
        if self.known.number != Some(directory) {
            self.known = KnownDirectory {
                number: Some(directory),
                entries: parent.entries_of(directory),
            };
        }
        let Some((entries, changed)) = self.known.entries.as_ref().zip(self.changed.as_ref())
        else {
            return false;
        };
        // Also where the parent ended, there may be data since.
        let len_bytes = entry_len(index, self.device.len_bytes());
        let is_within = entry_len(index, parent.len_bytes()) == len_bytes;
        let is_alike = entries
            .get(&index)
            .is_none_or(|known| known.len_bytes() == len_bytes);
        let before = changed.range(..=index).next_back();
        is_within && is_alike && before.is_none_or(|(_, last)| *last < index)
    }

    fn is_hole(&mut self, index: u64) -> Result<bool, Failure> {
        let at = index * ENTRY_BYTES;
        let end = at + entry_len(index, self.device.len_bytes());
        if self.data.end <= at {
            let rest = at..self.device.len_bytes();
            // No more data: a part that begins where the volume ends.
            let none = self.device.len_bytes()..u64::MAX;
            self.data = self.device.data_in(rest)?.unwrap_or(none);
        }
        Ok(self.data.start >= end)
    }

    /// The next entry that has content.
    fn next_entry(&mut self) -> Result<Option<ReadSourceEntry<Content>>, Failure> {
        loop {
            if self.work.is_cancelled() {
                return Err(Failure::Cancelled);
            }
            if let Some(fault) = self.store.failed_write() {
                return Err(explain_fault(self.store.root(), &fault));
            }
            self.look_ahead()?;
            let Some(ahead) = self.ahead.pop_front() else {
                self.report(self.count);
                return Ok(None);
            };
            let (index, found) = match ahead {
                Ahead::Same(index, known) => (index, Found::Same(known)),
                Ahead::Reading(index, found) => {
                    let gone = |_| Failure::Unavailable("a reader of the volume died".to_owned());
                    (index, found.recv().map_err(gone)?)
                }
            };
            self.report(index);
            let len_bytes = entry_len(index, self.device.len_bytes());
            let (mtime, content) = match found {
                Found::Zero => continue,
                Found::Failed => return Ok(None),
                Found::Same(known) => (known.mtime(), self.unread(index, len_bytes)),
                Found::Data(bytes, known) => {
                    let mtime = newer(self.generation, known.as_ref());
                    (mtime, Content(Kind::Bytes(bytes)))
                }
            };
            self.tally.change(|counts| {
                counts.entries += 1;
                counts.entry_bytes += len_bytes;
            });
            return Ok(Some(entry(&entry_path(index), len_bytes, mtime, content)));
        }
    }

    /// What the library takes from the parent; it asks for it only when the parent's is not there any more.
    fn unread(&self, index: u64, len_bytes: u64) -> Content {
        Content(Kind::Unread {
            device: Arc::clone(&self.device),
            tally: Arc::clone(&self.tally),
            at: index * ENTRY_BYTES,
            len_bytes,
        })
    }

    fn report(&self, index: u64) {
        let len_bytes = self.device.len_bytes();
        self.work
            .report((index * ENTRY_BYTES).min(len_bytes), len_bytes);
    }
}

impl Iterator for Entries {
    type Item = RusticResult<ReadSourceEntry<Content>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((name, bytes)) = self.heads.pop_front() {
            let len_bytes = bytes.len() as u64;
            let content = Content(Kind::Bytes(bytes));
            return Some(Ok(entry(
                Path::new(name),
                len_bytes,
                self.generation,
                content,
            )));
        }
        match self.next_entry() {
            Ok(entry) => entry.map(Ok),
            Err(failure) => {
                self.tally.fail(failure);
                None
            }
        }
    }
}

fn entry(
    path: &Path,
    len_bytes: u64,
    mtime: Timestamp,
    content: Content,
) -> ReadSourceEntry<Content> {
    ReadSourceEntry {
        path: path.to_owned(),
        node: file(path, len_bytes, mtime),
        open: Some(content),
    }
}

/// A time that is not the parent's, whatever the clock says: of two entries with one time the library takes the old.
fn newer(generation: Timestamp, known: Option<&Known>) -> Timestamp {
    match known.map(Known::mtime).filter(|old| *old >= generation) {
        Some(old) => old.saturating_add(1.nanosecond()).unwrap_or(generation),
        None => generation,
    }
}

/// The entries that byte ranges touch: first and last, none within another.
fn ranges_of_entries(ranges: &[(u64, u64)]) -> BTreeMap<u64, u64> {
    let mut sorted: Vec<(u64, u64)> = ranges
        .iter()
        .filter(|(_, len_bytes)| *len_bytes > 0)
        .map(|(at, len_bytes)| {
            let last_byte = at.saturating_add(len_bytes - 1);
            (at / ENTRY_BYTES, last_byte / ENTRY_BYTES)
        })
        .collect();
    sorted.sort_unstable();
    let mut apart: BTreeMap<u64, u64> = BTreeMap::new();
    for (first, last) in sorted {
        match apart.last_entry().filter(|before| *before.get() >= first) {
            Some(mut before) => {
                let end = last.max(*before.get());
                before.insert(end);
            }
            None => {
                apart.insert(first, last);
            }
        }
    }
    apart
}

/// What an entry holds.
pub(super) struct Content(Kind);

enum Kind {
    Bytes(Vec<u8>),
    Unread {
        device: Arc<Opened>,
        tally: Arc<Tally>,
        at: u64,
        len_bytes: u64,
    },
}

impl ReadSourceOpen for Content {
    type Reader = Cursor<Vec<u8>>;

    fn open(self) -> RusticResult<Self::Reader> {
        match self.0 {
            Kind::Bytes(bytes) => Ok(Cursor::new(bytes)),
            Kind::Unread {
                device,
                tally,
                at,
                len_bytes,
            } => match device.read(at, len_bytes) {
                Ok(bytes) => {
                    tally.change(|counts| counts.read_bytes += len_bytes);
                    Ok(Cursor::new(bytes))
                }
                Err(failure) => {
                    tally.fail(failure);
                    let words = "the volume could not be read";
                    Err(RusticError::new(ErrorKind::InputOutput, words))
                }
            },
        }
    }
}
