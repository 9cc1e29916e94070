//! A driver with next to no bytes: it keeps the contract, remembers names, lengths and stamps, and fails as it is told.
//!
//! For tests of everything above the drivers, and for `driver = "fake"` in a configuration. With a directory its
//! objects outlive the process, also one that was killed.

mod faults;
mod pool;
#[cfg(test)]
mod tests;

pub use faults::{BadFault, Fault, Faults, Method};

use super::manageable::{Manageable, is_plain, names_for};
use super::{
    Device, Done, Driver, DriverError, LiveWrites, LiveWritesLost, ObjectRef, SnapshotRef, Source,
    VolumeRef, Work,
};
use crate::model::pool::PoolReport;
use crate::model::size::{GIB, Gib};
use async_trait::async_trait;
use pool::{Content, FakePool, Objects};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What the fake says it holds when nobody says otherwise.
const TOTAL_BYTES: u64 = 1024 * GIB;
/// A hanging call looks this often whether it may go on.
const HANG_POLL: Duration = Duration::from_millis(10);
/// A call hangs no longer, whatever happens.
const HANG_MAX: Duration = Duration::from_secs(600);
const PAUSE_MAX_MS: u64 = 5_000;
/// Where what is not ours lies, as in the file driver.
const FOREIGN: &str = "import/";

/// The fake.
#[derive(Debug)]
pub struct FakeDriver {
    backend: String,
    report: Mutex<PoolReport>,
    pool: Mutex<FakePool>,
    faults: Faults,
}

impl FakeDriver {
    /// One that forgets everything with the process.
    pub fn in_memory(backend: &str, pool: &str, faults: Faults) -> Self {
        Self::over(FakePool::default(), backend, pool, faults)
    }

    /// One that remembers its objects in `directory`.
    pub fn in_directory(
        directory: &Path,
        backend: &str,
        pool: &str,
        faults: Faults,
    ) -> io::Result<Self> {
        let kept = FakePool::open(directory)?;
        Ok(Self::over(kept, backend, pool, faults))
    }

    fn over(kept: FakePool, backend: &str, pool: &str, faults: Faults) -> Self {
        let backend_name = ("volume_backend_name".to_owned(), backend.to_owned());
        let vendor = ("vendor_name".to_owned(), "Ashlar".to_owned());
        let report = PoolReport {
            pool: pool.to_owned(),
            total_bytes: TOTAL_BYTES,
            free_bytes: TOTAL_BYTES,
            reserved_percentage: 0,
            max_over_subscription_ratio: 20.0,
            thin_provisioning_support: true,
            thick_provisioning_support: true,
            online_extend_support: true,
            multiattach: true,
            capabilities: BTreeMap::from([backend_name, vendor]),
        };
        Self {
            backend: backend.to_owned(),
            report: Mutex::new(report),
            pool: Mutex::new(kept),
            faults,
        }
    }

    /// The faults in force; they can be changed while calls are under way.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What `stats` answers from now on.
    pub fn set_report(&self, report: PoolReport) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    fn pool(&self) -> MutexGuard<'_, FakePool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool_name(&self) -> String {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.pool.clone()
    }

    /// What lies under a name, as a device.
    async fn opened(&self, name: &str, file_name: &str) -> Result<Device, DriverError> {
        self.fault(Method::Device, name, &Work::default()).await?;
        let content = self.read(name)?;
        let len_bytes = content.len_bytes;
        let path = self.pool().device(file_name, &content);
        let path = path.map_err(|error| self.io("making the device of", name, error))?;
        Ok(Device { path, len_bytes })
    }

    /// Does what is armed for `method`.
    async fn fault(&self, method: Method, object: &str, work: &Work) -> Result<(), DriverError> {
        let Some(fault) = self.faults.take(method) else {
            return cancelled(work);
        };
        match fault {
            Fault::NoSpace => Err(DriverError::NoSpace {
                pool: self.pool_name(),
                object: object.to_owned(),
                source: rustix::io::Errno::NOSPC.into(),
            }),
            Fault::Io => Err(self.io(method.as_str(), object, rustix::io::Errno::IO.into())),
            Fault::Delay(span) => {
                let until = Instant::now() + span;
                while Instant::now() < until {
                    cancelled(work)?;
                    let rest = until.saturating_duration_since(Instant::now());
                    tokio::time::sleep(rest.min(HANG_POLL)).await;
                }
                cancelled(work)
            }
            Fault::Hang => {
                let until = Instant::now() + HANG_MAX;
                while Instant::now() < until {
                    cancelled(work)?;
                    if self.faults.get(method) != Some(Fault::Hang) {
                        return Ok(());
                    }
                    tokio::time::sleep(HANG_POLL).await;
                }
                let backend = self.backend.clone();
                let why = "the fake was told to hang, and did".to_owned();
                Err(DriverError::Unavailable { backend, why })
            }
        }
    }

    fn io(&self, doing: &'static str, object: &str, source: io::Error) -> DriverError {
        let object = object.to_owned();
        DriverError::Io {
            doing,
            object,
            source,
        }
    }

    fn change<T>(
        &self,
        object: &str,
        act: impl FnOnce(&mut Objects) -> T,
    ) -> Result<T, DriverError> {
        let changed = self.pool().change(act);
        changed.map_err(|error| self.io("keeping the fake's state", object, error))
    }

    /// The content of `name` at one instant, held still by `live` when hosts write.
    async fn content(
        &self,
        name: &str,
        live: Option<&Arc<dyn LiveWrites>>,
    ) -> Result<Content, DriverError> {
        let lost = |_: LiveWritesLost| DriverError::NotConsistent {
            object: name.to_owned(),
            why: "its target lost the pause",
        };
        let Some(live) = live else {
            return self.read(name);
        };
        live.track().await.map_err(lost)?;
        let paused = live.pause(PAUSE_MAX_MS).await.map_err(lost);
        let content = paused.and_then(|()| self.read(name));
        let resumed = live.resume().await.map_err(lost);
        let content = content?;
        resumed?;
        Ok(content)
    }

    fn read(&self, name: &str) -> Result<Content, DriverError> {
        let content = self.pool().objects().get(name).cloned();
        content.ok_or_else(|| DriverError::Absent {
            object: name.to_owned(),
            pool: self.pool_name(),
        })
    }

    /// Puts `content` of the wanted length under `name`.
    fn put(&self, name: &str, mut content: Content, len_bytes: u64) -> Result<(), DriverError> {
        content.len_bytes = len_bytes;
        content
            .blocks
            .retain(|block, _| block.saturating_mul(4096) < len_bytes);
        self.change(name, |objects| {
            objects.remove(&moved(name, "partial"));
            objects.insert(name.to_owned(), content);
        })
    }

    fn foreign(&self, name: &str) -> Result<Content, DriverError> {
        let found = is_plain(name).then(|| self.read(&format!("{FOREIGN}{name}")));
        found
            .and_then(Result::ok)
            .ok_or_else(|| not_manageable(name, "it is not in the pool"))
    }

    fn is_there(&self, name: &str) -> bool {
        self.pool().objects().contains_key(name)
    }
}

fn not_manageable(name: &str, why: &str) -> DriverError {
    DriverError::NotManageable {
        name: name.to_owned(),
        why: why.to_owned(),
    }
}

fn cancelled(work: &Work) -> Result<(), DriverError> {
    if work.is_cancelled() {
        return Err(DriverError::Cancelled);
    }
    Ok(())
}

fn name_of(object: &ObjectRef) -> String {
    match object {
        ObjectRef::Volume(volume) => volume_name(volume),
        ObjectRef::Snapshot(snapshot) => snapshot_name(snapshot),
    }
}

fn volume_name(volume: &VolumeRef) -> String {
    format!("volumes/volume-{}", volume.id)
}

fn snapshot_name(snapshot: &SnapshotRef) -> String {
    format!("snapshots/snapshot-{}", snapshot.id)
}

/// The same file name in another place.
fn moved(name: &str, place: &str) -> String {
    let file_name = name
        .split_once('/')
        .map_or(name, |(_, file_name)| file_name);
    format!("{place}/{file_name}")
}

#[async_trait]
impl Driver for FakeDriver {
    async fn stats(&self) -> Result<Vec<PoolReport>, DriverError> {
        self.fault(Method::Stats, "the pool", &Work::default())
            .await?;
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(vec![report.clone()])
    }

    async fn create(
        &self,
        volume: &VolumeRef,
        source: &Source,
        work: &Work,
    ) -> Result<Done, DriverError> {
        let name = volume_name(volume);
        self.fault(Method::Create, &name, work).await?;
        if self.is_there(&name) {
            return Ok(Done::AlreadySo);
        }
        let content = match source {
            Source::Empty => Content::default(),
            Source::Snapshot(snapshot) => self.read(&snapshot_name(snapshot))?,
            Source::Volume(volume, live) => {
                self.content(&volume_name(volume), live.as_ref()).await?
            }
            Source::Device(device) => {
                work.report(0, device.len_bytes);
                let path = device.path.display().to_string();
                let content = Content::of_device(&device.path);
                content.map_err(|error| self.io("reading", &path, error))?
            }
        };
        cancelled(work)?;
        self.put(&name, content, volume.size_gib.bytes())?;
        Ok(Done::Changed)
    }

    async fn extend(&self, volume: &VolumeRef) -> Result<Done, DriverError> {
        let name = volume_name(volume);
        self.fault(Method::Extend, &name, &Work::default()).await?;
        let content = self.read(&name)?;
        if content.len_bytes >= volume.size_gib.bytes() {
            return Ok(Done::AlreadySo);
        }
        self.put(&name, content, volume.size_gib.bytes())?;
        Ok(Done::Changed)
    }

    async fn snapshot(
        &self,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
        live: Option<Arc<dyn LiveWrites>>,
        work: &Work,
    ) -> Result<Done, DriverError> {
        let name = snapshot_name(snapshot);
        self.fault(Method::Snapshot, &name, work).await?;
        if self.is_there(&name) {
            return Ok(Done::AlreadySo);
        }
        let content = self.content(&volume_name(volume), live.as_ref()).await?;
        cancelled(work)?;
        self.put(&name, content, snapshot.size_gib.bytes())?;
        Ok(Done::Changed)
    }

    async fn revert(
        &self,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
        work: &Work,
    ) -> Result<Done, DriverError> {
        let name = volume_name(volume);
        self.fault(Method::Revert, &name, work).await?;
        self.read(&name)?;
        let content = self.read(&snapshot_name(snapshot))?;
        self.put(&name, content, volume.size_gib.bytes())?;
        Ok(Done::Changed)
    }

    async fn wipe(&self, object: &ObjectRef, work: &Work) -> Result<Done, DriverError> {
        let name = name_of(object);
        self.fault(Method::Wipe, &name, work).await?;
        let trash = moved(&name, "trash");
        self.change(&name, |objects| {
            let Some(content) = objects.remove(&name) else {
                return Done::AlreadySo;
            };
            work.report(content.len_bytes, content.len_bytes);
            objects.insert(trash, Content::default());
            Done::Changed
        })
    }

    async fn remove(&self, object: &ObjectRef) -> Result<Done, DriverError> {
        let name = name_of(object);
        self.fault(Method::Remove, &name, &Work::default()).await?;
        self.change(&name, |objects| {
            let places = [name.clone(), moved(&name, "partial"), moved(&name, "trash")];
            let mut done = Done::AlreadySo;
            for place in places {
                if objects.remove(&place).is_some() {
                    done = Done::Changed;
                }
            }
            done
        })
    }

    async fn device(&self, volume: &VolumeRef) -> Result<Device, DriverError> {
        self.opened(&volume_name(volume), &format!("volume-{}", volume.id))
            .await
    }

    async fn open_snapshot(&self, snapshot: &SnapshotRef) -> Result<Device, DriverError> {
        let object = ObjectRef::Snapshot(snapshot.clone());
        self.opened(&name_of(&object), &format!("snapshot-{}", snapshot.id))
            .await
    }

    async fn close_snapshot(&self, snapshot: &SnapshotRef) -> Result<Done, DriverError> {
        let file_name = format!("snapshot-{}", snapshot.id);
        let closed = self.pool().close(&file_name);
        let was_open =
            closed.map_err(|error| self.io("closing the device of", &file_name, error))?;
        Ok(if was_open {
            Done::Changed
        } else {
            Done::AlreadySo
        })
    }

    async fn manageable(&self, _: &str) -> Result<Vec<Manageable>, DriverError> {
        self.fault(Method::Manageable, "the pool", &Work::default())
            .await?;
        let pool = self.pool();
        let told = |name: &String| {
            let len_bytes = pool.objects().get(name)?.len_bytes;
            Some(Manageable {
                name: name.strip_prefix(FOREIGN)?.to_owned(),
                len_bytes,
                why_not: (len_bytes == 0).then(|| "it is empty".to_owned()),
            })
        };
        Ok(pool.objects().keys().filter_map(told).collect())
    }

    async fn measure(&self, object: &ObjectRef, name: &str) -> Result<Gib, DriverError> {
        let ours = name_of(object);
        self.fault(Method::Measure, &ours, &Work::default()).await?;
        let content = match self.read(&ours) {
            Ok(content) => content,
            Err(_) => self.foreign(name)?,
        };
        let size_gib = i64::try_from(content.len_bytes.div_ceil(GIB)).ok();
        let size_gib = size_gib.and_then(Gib::new);
        size_gib.ok_or_else(|| not_manageable(name, "it is empty"))
    }

    async fn adopt(&self, object: &ObjectRef, name: &str) -> Result<Done, DriverError> {
        let ours = name_of(object);
        self.fault(Method::Adopt, &ours, &Work::default()).await?;
        if self.is_there(&ours) {
            return Ok(Done::AlreadySo);
        }
        let mut content = self.foreign(name)?;
        let size_gib = match object {
            ObjectRef::Volume(volume) => volume.size_gib,
            ObjectRef::Snapshot(snapshot) => snapshot.size_gib,
        };
        if content.len_bytes > size_gib.bytes() {
            return Err(not_manageable(name, "it has grown since it was measured"));
        }
        content.len_bytes = size_gib.bytes();
        self.change(&ours, |objects| {
            objects.remove(&format!("{FOREIGN}{name}"));
            objects.insert(ours.clone(), content);
        })?;
        Ok(Done::Changed)
    }

    async fn release(&self, object: &ObjectRef, name: Option<&str>) -> Result<Done, DriverError> {
        let ours = name_of(object);
        self.fault(Method::Release, &ours, &Work::default()).await?;
        let names = names_for(object, name);
        self.change(&ours, |objects| {
            let Some(content) = objects.remove(&ours) else {
                return Ok(Done::AlreadySo);
            };
            let free = names
                .iter()
                .map(|name| format!("{FOREIGN}{name}"))
                .find(|name| !objects.contains_key(name));
            let Some(free) = free else {
                objects.insert(ours.clone(), content);
                return Err(not_manageable(&ours, "every name for it is taken"));
            };
            objects.insert(free, content);
            Ok(Done::Changed)
        })?
    }

    async fn objects(&self) -> Result<Vec<String>, DriverError> {
        self.fault(Method::Objects, "the pool", &Work::default())
            .await?;
        let pool = self.pool();
        let ours = pool
            .objects()
            .keys()
            .filter(|name| !name.starts_with(FOREIGN));
        Ok(ours.cloned().collect())
    }
}
