//! EDGE: where the bytes live. The contract that every driver keeps; `contract.rs` is the suite that checks it.
//!
//! A driver knows ids, sizes and pools. It knows no status, no quota, no row, no HTTP and no target: whatever it is
//! asked has been recorded before, and whatever it answers is recorded after, by `ops`.
//!
//! The rules of every method:
//! - It may be repeated at any time, after success, after failure, or after a crash in the middle, and then does what
//!   is still missing. What is already so is [`Done::AlreadySo`], never an error; removing the absent is already so.
//! - Half-made objects are not visible under their final name: make beside, then rename, or be able to tell.
//! - On `Err` the pool is as before the call, except for remains that a repeat or [`Driver::remove`] clears away.
//! - Only objects that carry one of our ids in the recorded form of name are touched. Foreign ones are never looked into;
//!   [`Driver::adopt`] alone makes one ours, named by the administrator and found where a driver offers such a place.
//! - An object is its id and its pool. While a volume moves between two pools of a backend it is in both, and what is
//!   asked of it in one is never done to it in the other.
//! - It may be called for different objects at once; `ops` never calls it twice at once for one object.
//! - Long work reports to [`Work`] at least once a slice, and returns [`DriverError::Cancelled`] soon after
//!   [`Work::is_cancelled`] turns true.

#[cfg(test)]
pub(crate) mod contract;
pub mod fake;
pub mod file;
pub mod lvm;
pub mod manageable;

use crate::model::id::{SnapshotId, VolumeId};
use crate::model::pool::PoolReport;
use crate::model::size::Gib;
use async_trait::async_trait;
use manageable::Manageable;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a repeatable act changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was not so before.
    Changed,
    /// It was so already.
    AlreadySo,
}

/// A volume as its driver knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRef {
    /// The volume's id; the object's name is derived from it.
    pub id: VolumeId,
    /// The pool within the backend.
    pub pool: String,
    /// The size that the record says it has or is to have.
    pub size_gib: Gib,
    /// Whether all space is taken at once (type spec `provisioning:type` = `thick`).
    pub thick: bool,
}

/// A snapshot as its driver knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRef {
    /// The snapshot's id.
    pub id: SnapshotId,
    /// The volume it is of.
    pub volume_id: VolumeId,
    /// The pool within the backend.
    pub pool: String,
    /// The volume's size when it was taken.
    pub size_gib: Gib,
}

/// What a new volume holds at first.
#[derive(Clone)]
pub enum Source {
    /// Zeros, from the first byte to the last, whatever lay there before.
    Empty,
    /// A snapshot's content, then zeros.
    Snapshot(SnapshotRef),
    /// A volume's content as of one instant, then zeros. When hosts may be writing, the handle lets the driver see
    /// and hold their writes.
    Volume(VolumeRef, Option<Arc<dyn LiveWrites>>),
    /// What any driver's volume holds, then zeros: nobody writes to this device meanwhile. It may be the same volume in
    /// another pool, also of this backend.
    Device(Device),
}

/// A volume or a snapshot, where both are treated alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectRef {
    /// A volume.
    Volume(VolumeRef),
    /// A snapshot.
    Snapshot(SnapshotRef),
}

/// What a target opens to serve a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// A regular file or a block device.
    pub path: PathBuf,
    /// Its present length.
    pub len_bytes: u64,
}

/// The most parts of [`Driver::parts`].
pub const PARTS_MAX: usize = 10_000;

/// A driver's methods; the module's text states the rules that hold for all of them.
#[async_trait]
pub trait Driver: Send + Sync {
    /// What each pool holds and can do, now. Called on a timer and before placement; answers within seconds.
    async fn stats(&self) -> Result<Vec<PoolReport>, DriverError>;

    /// Returns when something changed in the backend since the last call returned, whoever did it: then it is worth a
    /// report before the timer. Never returns where nobody tells.
    async fn changed(&self) {
        std::future::pending().await
    }

    /// Makes `volume` with the content of `source`; afterwards it reads as the source did at one instant of the call,
    /// and as zeros beyond the source's size. Survives a power cut once it returned.
    async fn create(
        &self,
        volume: &VolumeRef,
        source: &Source,
        work: &Work,
    ) -> Result<Done, DriverError>;

    /// Makes `volume` as large as its `size_gib`; the new part reads as zeros. Never shrinks: a volume that is
    /// larger already is already so. Allowed while hosts use it.
    async fn extend(&self, volume: &VolumeRef) -> Result<Done, DriverError>;

    /// Keeps what `volume` holds at one instant of the call as `snapshot`. With `live`, hosts may be writing.
    async fn snapshot(
        &self,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
        live: Option<Arc<dyn LiveWrites>>,
        work: &Work,
    ) -> Result<Done, DriverError>;

    /// Puts `volume` back to what `snapshot` holds. No host uses it. Either the old or the new content is there at
    /// any instant, never a mixture.
    async fn revert(
        &self,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
        work: &Work,
    ) -> Result<Done, DriverError>;

    /// Overwrites what `object` had allocated, as the backend's configuration asks (secure delete), and first takes
    /// it out of sight so that nobody opens it again. Starts at [`Work::resume_at`], so that a crash costs no more
    /// than one slice. Already so when the object is absent or nothing is to be overwritten.
    async fn wipe(&self, object: &ObjectRef, work: &Work) -> Result<Done, DriverError>;

    /// Removes `object` and every remain of it, finished or half made, wiped or not.
    async fn remove(&self, object: &ObjectRef) -> Result<Done, DriverError>;

    /// What a target is to open for `volume`.
    async fn device(&self, volume: &VolumeRef) -> Result<Device, DriverError>;

    /// What is to be read for `snapshot`, by whom it may concern; nobody writes to it. It stays readable until
    /// [`Driver::close_snapshot`] or the snapshot's removal.
    async fn open_snapshot(&self, snapshot: &SnapshotRef) -> Result<Device, DriverError>;

    /// The end of [`Driver::open_snapshot`]. Already so when it is not open, or not there.
    async fn close_snapshot(&self, snapshot: &SnapshotRef) -> Result<Done, DriverError>;

    /// The parts of `object` outside of which it reads as zeros; with `since`, an earlier snapshot of the same volume,
    /// those outside of which it reads as that does. In bytes, sorted, apart, [`PARTS_MAX`] at most; they may end beyond
    /// the object. Nobody writes to it meanwhile, and it is open. `None` where that cannot be told, or is seen in the
    /// holes of a file.
    async fn parts(
        &self,
        object: &ObjectRef,
        since: Option<&SnapshotRef>,
    ) -> Result<Option<Vec<Range<u64>>>, DriverError> {
        let _ = (object, since);
        Ok(None)
    }

    /// What lies in `pool` that is not ours and might be taken over, sorted by name; changes nothing.
    async fn manageable(&self, pool: &str) -> Result<Vec<Manageable>, DriverError>;

    /// The size that the foreign object `name` would have as ours: its own, rounded up. When `object` is there already
    /// (an earlier [`Driver::adopt`] whose answer was lost), that one's. [`DriverError::NotManageable`] says why not.
    async fn measure(&self, object: &ObjectRef, name: &str) -> Result<Gib, DriverError>;

    /// Makes the foreign object `name` ours, as `object` and of exactly its size: what lies beyond its own end reads as
    /// zeros, and of its content nothing changes. At any instant it has the one name or the other, never none. On `Err`
    /// it is foreign as before. Already so when `object` is there.
    async fn adopt(&self, object: &ObjectRef, name: &str) -> Result<Done, DriverError>;

    /// The reverse: what `object` was is foreign afterwards, with all its content; under `name` when that is given and
    /// free, else under a name made of its id. Never overwrites and never removes. Already so when `object` is absent.
    async fn release(&self, object: &ObjectRef, name: Option<&str>) -> Result<Done, DriverError>;

    /// Every object of ours that lies in the pools, by the names found; for drift reports and leak checks.
    async fn objects(&self) -> Result<Vec<String>, DriverError>;
}

/// Why a driver could not; each variant is a different thing for `ops` or the owner to do.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The object that was to be read, grown or served is not there.
    #[error("{object} is not in pool {pool}")]
    Absent {
        /// Its name in the pool.
        object: String,
        /// The pool.
        pool: String,
    },
    /// A foreign object cannot be made ours; it was left as it is.
    #[error("{name} cannot be taken over: {why}")]
    NotManageable {
        /// The name that was asked for.
        name: String,
        /// What is against it, and what to do.
        why: String,
    },
    /// The pool has not enough room.
    #[error("pool {pool} has no room for {object}")]
    NoSpace {
        /// The pool.
        pool: String,
        /// What was being written.
        object: String,
        #[source]
        source: std::io::Error,
    },
    /// Reading or writing failed.
    #[error("{doing} failed on {object}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or device.
        object: String,
        #[source]
        source: std::io::Error,
    },
    /// Somebody asked to stop, and nothing was left half done.
    #[error("the work was cancelled")]
    Cancelled,
    /// Writes came faster than they could be copied, or the pause was broken; the copy would not be of one instant.
    #[error("{object} changed while it was being copied: {why}")]
    NotConsistent {
        /// The source.
        object: String,
        /// What broke the copy.
        why: &'static str,
    },
    /// This driver cannot do that.
    #[error("the driver cannot {what}")]
    Unsupported {
        /// The capability that is missing.
        what: &'static str,
    },
    /// The backend as a whole does not answer.
    #[error("backend {backend} is not available: {why}")]
    Unavailable {
        /// The backend's name.
        backend: String,
        /// What was noticed.
        why: String,
    },
}

/// Hosts' writes to one exported volume, seen and held by its target; how a driver without atomic snapshots copies a
/// volume that is in use: track, copy everything, copy what became dirty, pause, copy the rest, resume.
#[async_trait]
pub trait LiveWrites: Send + Sync {
    /// Starts to note which parts are written. Noted before the write reaches the device.
    async fn track(&self) -> Result<(), LiveWritesLost>;
    /// The byte ranges (offset, length) written since `track` or the last call, sorted; and forgets them.
    async fn dirty(&self) -> Result<Vec<(u64, u64)>, LiveWritesLost>;
    /// Holds new writes and returns once none is under way. Ends by itself after `max_ms`, or when we die.
    async fn pause(&self, max_ms: u64) -> Result<(), LiveWritesLost>;
    /// Lets writes go on and stops tracking. An error means that the pause had ended before: the copy is no instant's.
    async fn resume(&self) -> Result<(), LiveWritesLost>;
}

/// The target lost the volume's tracking or pause (it was restarted, or time ran out).
#[derive(Debug, thiserror::Error)]
#[error("the target no longer holds the writes of the volume: {why}")]
pub struct LiveWritesLost {
    /// What was noticed.
    pub why: String,
}

/// A piece of long work under way: how far it is, where to resume, and whether to stop. Cheap to clone; shared with
/// the engine, which writes progress to the journal about once a second.
#[derive(Debug, Clone, Default)]
pub struct Work {
    state: Arc<WorkState>,
}

#[derive(Debug, Default)]
struct WorkState {
    done_bytes: AtomicU64,
    total_bytes: AtomicU64,
    resume_at: AtomicU64,
    cancelled: AtomicBool,
}

impl Work {
    /// Work that goes on at a recorded cursor (0 for new work).
    pub fn resuming(cursor_bytes: u64) -> Self {
        let work = Self::default();
        work.state.resume_at.store(cursor_bytes, Ordering::Relaxed);
        work.state.done_bytes.store(cursor_bytes, Ordering::Relaxed);
        work
    }

    /// Where an earlier run of the same work had got to; everything before it is durable.
    pub fn resume_at(&self) -> u64 {
        self.state.resume_at.load(Ordering::Relaxed)
    }

    /// Tells how far the work is. `done_bytes` must be durable, since a later run resumes there.
    pub fn report(&self, done_bytes: u64, total_bytes: u64) {
        self.state.total_bytes.store(total_bytes, Ordering::Relaxed);
        self.state.done_bytes.store(done_bytes, Ordering::Relaxed);
    }

    /// Bytes done and bytes in all (0 while unknown).
    pub fn progress(&self) -> (u64, u64) {
        (
            self.state.done_bytes.load(Ordering::Relaxed),
            self.state.total_bytes.load(Ordering::Relaxed),
        )
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.state.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it should stop.
    pub fn is_cancelled(&self) -> bool {
        self.state.cancelled.load(Ordering::Relaxed)
    }
}
