//! One volume as SCSI sees it: its backing, size, names, reservations, and who is logged in to it.
//! Shared by all sessions of a target. Knows no PDU.

use super::backing::Backing;
use super::live::Live;
use super::scsi::reserve::Reservations;
use super::scsi::sense::Sense;
use crate::model::id::VolumeId;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

/// Bytes in a logical block.
pub const BLOCK_LEN: u64 = 512;
/// Unit attentions one session may owe; beyond, the oldest says enough.
const ATTENTIONS_MAX: usize = 8;

/// A volume that is served.
#[derive(Debug)]
pub struct Lun {
    /// Whose it is.
    pub volume_id: VolumeId,
    /// Its bytes.
    pub backing: Backing,
    /// Its writes, counted and held.
    pub live: Arc<Live>,
    /// Writers share it; COMPARE AND WRITE has it alone, which makes it atomic.
    pub atomic: RwLock<()>,
    blocks: AtomicU64,
    reservations: Mutex<Reservations>,
    nexuses: Mutex<Vec<Weak<Nexus>>>,
}

/// What one session has read and written. Counted on every command, so without order and without a lock: a reader sees
/// numbers of about the same instant, and every one of them in the end.
#[derive(Debug)]
pub struct Traffic {
    begun: Instant,
    reads: AtomicU64,
    writes: AtomicU64,
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
    /// Milliseconds from `begun`.
    last_ms: AtomicU64,
}

/// What a [`Traffic`] has counted up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Reads answered.
    pub reads: u64,
    /// Writes answered.
    pub writes: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// The last of them, from the session's beginning on; `None` before the first.
    pub last: Option<Duration>,
    /// How long ago that was, or the session's beginning.
    pub quiet: Duration,
}

impl Traffic {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
        }
    }

    /// Counts a read.
    pub fn read(&self, len_bytes: u64) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.read_bytes.fetch_add(len_bytes, Ordering::Relaxed);
        self.moved();
    }

    /// Counts a write; of one that moves no data, `len_bytes` is 0.
    pub fn wrote(&self, len_bytes: u64) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.written_bytes.fetch_add(len_bytes, Ordering::Relaxed);
        self.moved();
    }

    fn moved(&self) {
        let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        // A command that was overtaken sets it back by as long as it was overtaken; nobody needs to know better.
        self.last_ms.store(now_ms, Ordering::Relaxed);
    }

    /// The numbers now.
    pub fn counted(&self) -> Counted {
        let (reads, writes) = (
            self.reads.load(Ordering::Relaxed),
            self.writes.load(Ordering::Relaxed),
        );
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        Counted {
            reads,
            writes,
            read_bytes: self.read_bytes.load(Ordering::Relaxed),
            written_bytes: self.written_bytes.load(Ordering::Relaxed),
            last: (reads + writes > 0).then_some(last),
            quiet: self.begun.elapsed().saturating_sub(last),
        }
    }
}

/// One session's view of the volume (SAM's I_T nexus).
#[derive(Debug)]
pub struct Nexus {
    /// The initiator port: name and ISID.
    pub port: String,
    /// Whether its writes are refused.
    pub read_only: bool,
    /// What it has read and written.
    pub traffic: Traffic,
    attentions: Mutex<VecDeque<Sense>>,
    attentive: AtomicBool,
}

impl Nexus {
    /// A new session's, which owes the unit attention that every new session does.
    pub fn new(port: String, read_only: bool) -> Self {
        Self {
            port,
            read_only,
            traffic: Traffic::new(),
            attentions: Mutex::new(VecDeque::from([Sense::POWER_ON])),
            attentive: AtomicBool::new(true),
        }
    }

    /// Owes a unit attention; the same twice is owed once.
    pub fn attend(&self, sense: Sense) {
        let mut attentions = self
            .attentions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !attentions.contains(&sense) && attentions.len() < ATTENTIONS_MAX {
            attentions.push_back(sense);
        }
        self.attentive.store(true, Ordering::Release);
    }

    /// Whether a unit attention is owed.
    pub fn is_attentive(&self) -> bool {
        self.attentive.load(Ordering::Acquire)
    }

    /// The oldest unit attention owed, which is then no longer owed.
    pub fn take_attention(&self) -> Option<Sense> {
        if !self.is_attentive() {
            return None;
        }
        let mut attentions = self
            .attentions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let sense = attentions.pop_front();
        self.attentive
            .store(!attentions.is_empty(), Ordering::Release);
        sense
    }
}

impl Lun {
    /// A volume of `len_bytes`; a part of a block at its end is not served.
    pub fn new(volume_id: VolumeId, backing: Backing, len_bytes: u64) -> Self {
        Self {
            volume_id,
            backing,
            live: Arc::default(),
            atomic: RwLock::new(()),
            blocks: AtomicU64::new(len_bytes / BLOCK_LEN),
            reservations: Mutex::default(),
            nexuses: Mutex::default(),
        }
    }

    /// Its size in blocks.
    pub fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::Acquire)
    }

    /// Serves another size from now on, and tells every session.
    pub fn resize(&self, len_bytes: u64) {
        let blocks = len_bytes / BLOCK_LEN;
        if self.blocks.swap(blocks, Ordering::AcqRel) != blocks {
            self.attend_all(Sense::CAPACITY_CHANGED, |_| true);
        }
    }

    /// Adds a session.
    pub fn join(&self, nexus: &Arc<Nexus>) {
        let mut nexuses = self.nexuses.lock().unwrap_or_else(PoisonError::into_inner);
        nexuses.retain(|nexus| nexus.strong_count() > 0);
        nexuses.push(Arc::downgrade(nexus));
    }

    /// Ends a session's view: its RESERVE (6) is released, its registration stays.
    pub fn leave(&self, nexus: &Nexus) {
        self.reservations().forget(&nexus.port);
    }

    /// Has every session that `whom` picks owe a unit attention.
    pub fn attend_all(&self, sense: Sense, whom: impl Fn(&Nexus) -> bool) {
        let nexuses = self.nexuses.lock().unwrap_or_else(PoisonError::into_inner);
        nexuses
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|nexus| whom(nexus))
            .for_each(|nexus| nexus.attend(sense));
    }

    /// A logical unit reset: RESERVE (6) ends, everybody hears of it.
    pub fn reset(&self) {
        self.reservations().reset();
        self.attend_all(Sense::BUS_RESET, |_| true);
    }

    /// Who may do what now.
    pub fn reservations(&self) -> MutexGuard<'_, Reservations> {
        self.reservations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
