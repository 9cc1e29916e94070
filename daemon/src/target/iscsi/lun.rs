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

/// One session's view of the volume (SAM's I_T nexus).
#[derive(Debug)]
pub struct Nexus {
    /// The initiator port: name and ISID.
    pub port: String,
    /// Whether its writes are refused.
    pub read_only: bool,
    /// Bytes it has read.
    pub read_bytes: AtomicU64,
    /// Bytes it has written.
    pub written_bytes: AtomicU64,
    attentions: Mutex<VecDeque<Sense>>,
    attentive: AtomicBool,
}

impl Nexus {
    /// A new session's, which owes the unit attention that every new session does.
    pub fn new(port: String, read_only: bool) -> Self {
        Self {
            port,
            read_only,
            read_bytes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
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
