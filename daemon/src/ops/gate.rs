//! Who may change the target: for one volume one at a time, and whether the target may differ from the record.
//!
//! The record is changed first, and whoever then reads it and makes the target match does both in one turn. So the
//! last to have a turn has read the last change, be it a step or `recover`, and nobody lets in whom another shut out.

use crate::model::id::VolumeId;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Mutex, MutexGuard};

/// Volumes share so many turns; two volumes that share one only wait for each other.
const TURNS: u64 = 64;

/// The turns, and the doubt.
#[derive(Debug)]
pub struct Gate {
    turns: Vec<Mutex<()>>,
    in_doubt: AtomicBool,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            turns: (0..TURNS).map(|_| Mutex::default()).collect(),
            in_doubt: AtomicBool::default(),
        }
    }
}

impl Gate {
    /// The turn to read what is to be so for a volume, and to make the target match.
    pub(super) async fn turn(&self, volume: VolumeId) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        volume.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % TURNS).unwrap_or(0);
        match self.turns.get(index) {
            Some(turn) => Some(turn.lock().await),
            None => None, // There are TURNS of them.
        }
    }

    /// Notes that the target could not be made to match; whoever keeps it compares all of it again.
    pub(crate) fn doubt(&self) {
        self.in_doubt.store(true, Ordering::Relaxed);
    }

    /// Whether there was doubt since the last call.
    pub fn take_doubt(&self) -> bool {
        self.in_doubt.swap(false, Ordering::Relaxed)
    }
}
