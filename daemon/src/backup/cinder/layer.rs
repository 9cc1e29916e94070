//! One backup of a chain, in pieces: its objects, with the hashes that their chunks are held to.
//!
//! The sha256 file is of the whole volume. So what a backup leaves out can be held to it, too: a chunk that is in no object
//! of an incremental backup has to have its parent's hash, and one of a full backup that of zeros.

use super::catalogue::{Link, metadata};
use super::files::{Files, Input};
use super::hashes::{Hash, Hashes};
use super::metadata::Object;
use crate::backup::worker::pipe::Failure;
use sha2::{Digest as _, Sha256};
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Threads that read and write; each has a MiB in hand, and what it takes to unpack an object.
const READERS: usize = 4;

/// Chunks of one object: their hashes are in memory while it is read. At Cinder's 32 KiB that is an object of 32 GiB.
const PIECE_CHUNKS_MAX: u64 = 1 << 20;
/// Hashed at once where zeros are.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// An object, and what is to come out of it.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) object: Object,
    /// `None` where the backup has no sha256 file: Cinder wrote none before it had incremental backups.
    pub(super) hashes: Option<ChunkHashes>,
}

/// The hashes of the chunks of an object, in their order.
#[derive(Debug)]
pub(super) struct ChunkHashes {
    pub(super) chunk_bytes: u64,
    pub(super) hashes: Vec<Hash>,
}

/// The pieces that are left.
pub(super) struct Layer<'a> {
    files: &'a Files,
    link: &'a Link,
    parent: Option<&'a Link>,
    objects: std::vec::IntoIter<Object>,
    own: Option<Hashes<Input>>,
    below: Below,
    /// The chunk of the next hash.
    chunk: u64,
}

/// What a chunk that the backup leaves out has to be.
enum Below {
    /// Zeros; the hash of a whole chunk of them.
    Zeros(Hash),
    /// What it was in the parent.
    Parent(Hashes<Input>),
    /// Nobody knows: the parent's hashes are gone.
    Unknown,
}

impl<'a> Layer<'a> {
    /// The backup `link`, which stands on `parent` if it is not a full one.
    pub(super) fn open(
        files: &'a Files,
        link: &'a Link,
        parent: Option<&'a Link>,
    ) -> Result<Self, Failure> {
        let objects = metadata(files, &link.found)?.objects;
        let own = hashes(files, link)?;
        let below = match (&own, parent) {
            (None, _) => Below::Unknown,
            (Some(own), None) => Below::Zeros(hash_of_zeros(own.chunk_bytes())),
            (Some(own), Some(parent)) => match hashes(files, parent)? {
                Some(theirs) if theirs.chunk_bytes() == own.chunk_bytes() => Below::Parent(theirs),
                Some(_) => return Err(link.damaged("its chunks are not as large as its parent's")),
                None => Below::Unknown,
            },
        };
        Ok(Self {
            files,
            link,
            parent,
            objects: objects.into_iter(),
            own,
            below,
            chunk: 0,
        })
    }

    /// Does something with each piece, several at a time; the first failure ends it.
    pub(super) fn each(
        self,
        act: impl Fn(&Piece) -> Result<(), Failure> + Sync,
    ) -> Result<(), Failure> {
        let left = Mutex::new(self);
        let is_over = AtomicBool::new(false);
        let next = || {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            let piece = match is_over.load(Ordering::Relaxed) {
                true => Ok(None),
                false => left.next_piece(),
            };
            // Before another thread asks: what comes after a failure is no failure of its own.
            is_over.fetch_or(piece.is_err(), Ordering::Relaxed);
            piece
        };
        let read = || -> Result<(), Failure> {
            while let Some(piece) = next()? {
                act(&piece)?;
            }
            Ok(())
        };
        let read = || {
            let ended = read();
            is_over.fetch_or(ended.is_err(), Ordering::Relaxed);
            ended
        };
        let ended: Vec<Result<(), Failure>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
            let died = |_| Err(Failure::Unavailable("a thread of the job died".to_owned()));
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|ended| ended.unwrap_or_else(died)).collect()
        });
        // Cancelled only if nothing worse happened.
        let mut failures: Vec<Failure> = ended.into_iter().filter_map(Result::err).collect();
        failures.sort_by_key(|failure| *failure == Failure::Cancelled);
        failures.into_iter().next().map_or(Ok(()), Err)
    }

    /// The next piece; `None` when there is no more and nothing was missing between.
    pub(super) fn next_piece(&mut self) -> Result<Option<Piece>, Failure> {
        let object = self.objects.next();
        let Some(chunk_bytes) = self.own.as_ref().map(Hashes::chunk_bytes) else {
            return Ok(object.map(|object| Piece {
                object,
                hashes: None,
            }));
        };
        let Some(object) = object else {
            self.left_out_before(u64::MAX)?;
            return Ok(None);
        };
        let (first, after) = (
            object.offset / chunk_bytes,
            object.end().div_ceil(chunk_bytes),
        );
        if !object.offset.is_multiple_of(chunk_bytes) {
            let why = format!("object {} begins within a chunk", object.number);
            return Err(self.link.damaged(&why));
        }
        if after - first > PIECE_CHUNKS_MAX {
            let why = format!(
                "object {} has {} chunks; more than {PIECE_CHUNKS_MAX} are not read",
                object.number,
                after - first
            );
            return Err(self.link.damaged(&why));
        }
        self.left_out_before(first)?;
        let mut hashes = Vec::new();
        while self.chunk < after {
            let Some((hash, _)) = self.next_hashes()? else {
                return Err(self.damaged_hashes("it ends before the objects do"));
            };
            hashes.push(hash);
        }
        let hashes = Some(ChunkHashes {
            chunk_bytes,
            hashes,
        });
        Ok(Some(Piece { object, hashes }))
    }

    /// Goes on to a chunk; those on the way are in no object.
    fn left_out_before(&mut self, chunk: u64) -> Result<(), Failure> {
        while self.chunk < chunk {
            let at = self.chunk;
            let Some((hash, below)) = self.next_hashes()? else {
                if chunk == u64::MAX {
                    return Ok(());
                }
                return Err(self.damaged_hashes("it ends before the objects do"));
            };
            if below.is_none_or(|below| below == hash) {
                continue;
            }
            let chunk_bytes = self.own.as_ref().map_or(0, Hashes::chunk_bytes);
            let why = format!(
                "no object has the chunk at byte {}, which its sha256 file says has changed",
                at.saturating_mul(chunk_bytes)
            );
            return Err(self.link.damaged(&why));
        }
        Ok(())
    }

    /// The hash of the next chunk, and what it is where no object has that chunk, if that is known.
    fn next_hashes(&mut self) -> Result<Option<(Hash, Option<Hash>)>, Failure> {
        let Some(own) = &mut self.own else {
            return Ok(None);
        };
        let chunk_bytes = own.chunk_bytes();
        let hash = match own.next() {
            Ok(Some(hash)) => hash,
            Ok(None) => return Ok(None),
            Err(error) => return Err(misread(self.files, self.link, &error)),
        };
        let start = self.chunk.saturating_mul(chunk_bytes);
        let room = self.link.len_bytes().saturating_sub(start);
        if room == 0 {
            return Err(self.damaged_hashes("it has more chunks than the volume"));
        }
        let below = match &mut self.below {
            Below::Zeros(_) if room < chunk_bytes => Some(hash_of_zeros(room)),
            Below::Zeros(hash) => Some(*hash),
            Below::Unknown => None,
            Below::Parent(parent) => match parent.next() {
                // One that the parent has not is no hash of anything.
                Ok(hash) => Some(hash.unwrap_or_default()),
                Err(error) => {
                    let parent = self.parent.unwrap_or(self.link);
                    return Err(misread(self.files, parent, &error));
                }
            },
        };
        self.chunk += 1;
        Ok(Some((hash, below)))
    }

    fn damaged_hashes(&self, why: &str) -> Failure {
        self.link.damaged(&format!("its sha256 file: {why}"))
    }
}

/// The sha256 file of a backup, if it has one.
pub(super) fn hashes(files: &Files, link: &Link) -> Result<Option<Hashes<Input>>, Failure> {
    match files.open(&link.found.hashes()).and_then(Hashes::open) {
        Ok(hashes) => Ok(Some(hashes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(misread(files, link, &error)),
    }
}

/// What failed reading of a sha256 file means.
pub(super) fn misread(files: &Files, link: &Link, error: &io::Error) -> Failure {
    files.misread(&link.found.hashes(), error, |why| {
        link.damaged(&format!("its sha256 file: {why}"))
    })
}

fn hash_of_zeros(len_bytes: u64) -> Hash {
    let mut hasher = Sha256::new();
    let mut left = len_bytes;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX);
        let zeros = ZEROS.get(..len).unwrap_or(&ZEROS);
        hasher.update(zeros);
        left -= zeros.len() as u64;
    }
    hasher.finalize().into()
}
