//! Volumes as sparse files in a directory: the embedded default, which needs nothing beside the binary.
//!
//! One directory is one pool (`file/layout.rs` draws it), owned by one daemon at a time (`file/mark.rs`). Everything
//! is made under `partial/`, brought to the disk and only then renamed into place, so that after a crash or a power
//! cut an object is either whole or absent. Copies share blocks where the file system can (XFS, Btrfs) and skip
//! holes elsewhere; a volume that hosts write to is held still for an instant (`file/live.rs`).
//!
//! Failures: a full disk is [`DriverError::NoSpace`], and what was being made is removed; other errors of the disk
//! name the file and the act. A directory that vanished or was replaced makes the pool unavailable.

mod copy;
mod import;
mod jobs;
mod layout;
mod live;
mod make;
mod mark;
mod pool_file;
mod probe;
#[cfg(test)]
mod tests;
mod trash;
mod wipe;

pub use mark::OpenError;

use super::manageable::{Manageable, names_for};
use super::{
    Device, Done, Driver, DriverError, LiveWrites, ObjectRef, SnapshotRef, Source, VolumeRef, Work,
};
use crate::model::pool::PoolReport;
use crate::model::size::Gib;
use async_trait::async_trait;
use import::Imports;
use jobs::{Job, Jobs, Stop, Weight};
use layout::{Layout, Name, Place};
use make::Origin;
use mark::Mark;
use pool_file::PoolFile;
use probe::{Abilities, probe};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wipe::Wiper;

/// A healthy file system answers statvfs at once; the scheduler does not wait longer for a sick one.
const STATS_MAX: Duration = Duration::from_secs(5);
/// What is done to the bytes of deleted volumes and snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecureDelete {
    /// They are overwritten with zeros; `file/wipe.rs` says how far that reaches.
    Zero,
    /// Their blocks go back to the file system as they are.
    None,
}

/// Whether copies may share blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reflink {
    /// Where the file system can.
    WhenPossible,
    /// Every copy has blocks of its own.
    Never,
}

/// A file pool's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct FileConfig {
    /// The backend's name, `volume_backend_name` among its capabilities.
    pub backend: String,
    /// The pool's name within the backend.
    pub pool: String,
    /// Where the files lie; made when missing.
    pub directory: PathBuf,
    /// The file, on another file system if need be, that remembers which pool lies there.
    pub memory: PathBuf,
    /// What deletion does to the bytes.
    pub secure_delete: SecureDelete,
    /// How fast wiping may write, all wipes of the pool together; 0 means no limit.
    pub wipe_bytes_per_s: u64,
    /// Percent of the file system that the scheduler keeps free.
    pub reserved_percentage: u8,
    /// How far virtual sizes may exceed the file system.
    pub max_over_subscription_ratio: f64,
    /// Whether copies may share blocks.
    pub reflink: Reflink,
}

/// The driver of one file pool.
#[derive(Debug)]
pub struct FileDriver {
    config: FileConfig,
    layout: Layout,
    mark: Arc<Mark>,
    abilities: Abilities,
    jobs: Jobs,
    wiper: Wiper,
}

impl FileDriver {
    /// Takes the directory for this process, making what is missing. Blocks; called once at start.
    pub fn open(config: FileConfig) -> Result<Self, OpenError> {
        let mark = Mark::take(&config.directory, &config.memory)?;
        let pool: Arc<str> = Arc::from(config.pool.as_str());
        let unusable = |doing, source| OpenError::Io {
            doing,
            path: config.directory.clone(),
            source,
        };
        let layout = Layout::prepare(&config.directory, &pool)
            .map_err(|error| unusable("making the directories", error))?;
        let abilities =
            probe(&layout).map_err(|error| unusable("trying out", std::io::Error::other(error)))?;
        let reflink = abilities.reflink && config.reflink == Reflink::WhenPossible;
        let driver = Self {
            layout,
            mark: Arc::new(mark),
            abilities: Abilities {
                reflink,
                ..abilities
            },
            jobs: Jobs::new(&config.backend),
            // Blocks may have been shared before the configuration forbade it.
            wiper: Wiper::new(config.wipe_bytes_per_s, abilities.reflink),
            config,
        };
        tracing::info!(
            backend = driver.config.backend,
            directory = %driver.config.directory.display(),
            pool_id = %driver.mark.pool_id(),
            reflink,
            thick = abilities.thick,
            "file pool opened"
        );
        Ok(driver)
    }

    fn must_be_here(&self, pool: &str) -> Result<(), DriverError> {
        if pool == self.config.pool {
            return Ok(());
        }
        let why = format!("it has the pool {}, but not {pool}", self.config.pool);
        Err(self.unavailable(why))
    }

    /// Claims `object` for one call. Not when another directory lies at the pool's path by now: there nothing of ours
    /// would be found, and a deletion would be taken for done.
    async fn begin(&self, object: &str, weight: Weight, work: &Work) -> Result<Job, DriverError> {
        let job = self.jobs.begin(object, weight, work).await?;
        let mark = self.mark.clone();
        if job.run(move |_| Ok(mark.is_in_place())).await? {
            return Ok(job);
        }
        Err(self.replaced_directory())
    }

    /// What lies under a name, to be opened by others.
    async fn opened(&self, pool: &str, name: Name) -> Result<Device, DriverError> {
        self.must_be_here(pool)?;
        let job = self
            .begin(&name.text, Weight::Light, &Work::default())
            .await?;
        let layout = self.layout.clone();
        job.run(move |_| {
            let path = layout.home(&name);
            let len_bytes = PoolFile::open(&path, &name.text, layout.pool(), false)?.len_bytes()?;
            Ok(Device { path, len_bytes })
        })
        .await
    }

    /// Claims an object that comes from or goes to `import/`.
    async fn begin_adopting(&self, object: &ObjectRef) -> Result<Job, DriverError> {
        let pool = match object {
            ObjectRef::Volume(volume) => &volume.pool,
            ObjectRef::Snapshot(snapshot) => &snapshot.pool,
        };
        self.must_be_here(pool)?;
        let name = Name::of(object);
        self.begin(&name.text, Weight::Light, &Work::default())
            .await
    }

    fn replaced_directory(&self) -> DriverError {
        let directory = self.config.directory.display();
        self.unavailable(format!(
            "{directory} is not the directory that was opened; is its file system mounted?"
        ))
    }

    fn unavailable(&self, why: String) -> DriverError {
        let backend = self.config.backend.clone();
        DriverError::Unavailable { backend, why }
    }

    fn report(&self, total_bytes: u64, free_bytes: u64) -> PoolReport {
        let capabilities = BTreeMap::from([
            (
                "volume_backend_name".to_owned(),
                self.config.backend.clone(),
            ),
            ("vendor_name".to_owned(), "Ashlar".to_owned()),
            ("driver".to_owned(), "file".to_owned()),
            (
                "driver_version".to_owned(),
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
            ("sparse_copy_volume".to_owned(), "True".to_owned()),
            (
                "reflink".to_owned(),
                spelled(self.abilities.reflink).to_owned(),
            ),
        ]);
        PoolReport {
            pool: self.config.pool.clone(),
            total_bytes,
            free_bytes,
            reserved_percentage: self.config.reserved_percentage,
            max_over_subscription_ratio: self.config.max_over_subscription_ratio,
            thin_provisioning_support: true,
            thick_provisioning_support: self.abilities.thick,
            online_extend_support: true,
            multiattach: true,
            capabilities,
        }
    }
}

/// As Cinder's drivers spell it.
fn spelled(is_so: bool) -> &'static str {
    if is_so { "True" } else { "False" }
}

#[async_trait]
impl Driver for FileDriver {
    async fn stats(&self) -> Result<Vec<PoolReport>, DriverError> {
        let mark = self.mark.clone();
        let asked = tokio::task::spawn_blocking(move || {
            mark.is_in_place()
                .then(|| rustix::fs::fstatvfs(mark.file()))
        });
        let directory = self.config.directory.display();
        match tokio::time::timeout(STATS_MAX, asked).await {
            Ok(Ok(Some(Ok(stat)))) => {
                let total_bytes = stat.f_blocks.saturating_mul(stat.f_frsize);
                let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
                Ok(vec![self.report(total_bytes, free_bytes)])
            }
            Ok(Ok(Some(Err(error)))) => {
                Err(self.unavailable(format!("statvfs of {directory} failed: {error}")))
            }
            Ok(Ok(None)) => Err(self.replaced_directory()),
            Ok(Err(error)) => Err(self.unavailable(format!("its thread ended early: {error}"))),
            Err(_) => {
                let waited_s = STATS_MAX.as_secs();
                Err(self.unavailable(format!("{directory} did not answer within {waited_s} s")))
            }
        }
    }

    async fn create(
        &self,
        volume: &VolumeRef,
        source: &Source,
        work: &Work,
    ) -> Result<Done, DriverError> {
        self.must_be_here(&volume.pool)?;
        let name = Name::of_volume(volume.id);
        let origin = match source {
            Source::Empty => None,
            Source::Snapshot(snapshot) => {
                Some(Origin::Object(Name::of_snapshot(snapshot.id), None))
            }
            Source::Volume(volume, live) => {
                Some(Origin::Object(Name::of_volume(volume.id), live.clone()))
            }
            Source::Device(device) => Some(Origin::Device(device.path.clone())),
        };
        let weight = match origin {
            Some(_) => Weight::Bulk,
            None => Weight::Light,
        };
        let job = self.begin(&name.text, weight, work).await?;
        if self.is_in_place(&job, &name).await? {
            return Ok(Done::AlreadySo);
        }
        let shape = (volume.size_gib.bytes(), volume.thick);
        let making = self.make(&job, &name, shape, origin).await?;
        self.place(&job, making, name).await?;
        Ok(Done::Changed)
    }

    async fn extend(&self, volume: &VolumeRef) -> Result<Done, DriverError> {
        self.must_be_here(&volume.pool)?;
        let name = Name::of_volume(volume.id);
        let job = self
            .begin(&name.text, Weight::Light, &Work::default())
            .await?;
        let layout = self.layout.clone();
        let (wanted_bytes, thick) = (volume.size_gib.bytes(), volume.thick);
        job.run(move |stop| {
            let file = PoolFile::open(&layout.home(&name), &name.text, layout.pool(), true)?;
            grow(&file, wanted_bytes, thick, stop)
        })
        .await
    }

    async fn snapshot(
        &self,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
        live: Option<Arc<dyn LiveWrites>>,
        work: &Work,
    ) -> Result<Done, DriverError> {
        self.must_be_here(&volume.pool)?;
        let name = Name::of_snapshot(snapshot.id);
        let job = self.begin(&name.text, Weight::Bulk, work).await?;
        if self.is_in_place(&job, &name).await? {
            return Ok(Done::AlreadySo);
        }
        let origin = Origin::Object(Name::of_volume(volume.id), live);
        let shape = (snapshot.size_gib.bytes(), false);
        let making = self.make(&job, &name, shape, Some(origin)).await?;
        self.place(&job, making, name).await?;
        Ok(Done::Changed)
    }

    async fn revert(
        &self,
        volume: &VolumeRef,
        snapshot: &SnapshotRef,
        work: &Work,
    ) -> Result<Done, DriverError> {
        self.must_be_here(&volume.pool)?;
        let name = Name::of_volume(volume.id);
        let job = self.begin(&name.text, Weight::Bulk, work).await?;
        if !self.is_in_place(&job, &name).await? {
            let pool = self.config.pool.clone();
            return Err(DriverError::Absent {
                object: name.text,
                pool,
            });
        }
        let wipes = self.config.secure_delete == SecureDelete::Zero;
        if wipes {
            self.wipe_remains(&job.quiet(), &name).await?;
        }
        let origin = Origin::Object(Name::of_snapshot(snapshot.id), None);
        let shape = (volume.size_gib.bytes(), volume.thick);
        let making = self.make(&job, &name, shape, Some(origin)).await?;
        if wipes {
            self.place_over(&job, making, name.clone()).await?;
            // The volume is reverted; a cancel comes too late.
            self.wipe_remains(&job.deaf(), &name).await?;
        } else {
            self.place(&job, making, name).await?;
        }
        Ok(Done::Changed)
    }

    async fn wipe(&self, object: &ObjectRef, work: &Work) -> Result<Done, DriverError> {
        if self.config.secure_delete == SecureDelete::None {
            return Ok(Done::AlreadySo);
        }
        let name = Name::of(object);
        let job = self.begin(&name.text, Weight::Bulk, work).await?;
        let (layout, moved) = (self.layout.clone(), name.clone());
        job.run(move |_| {
            if layout.rename(&layout.home(&moved), &layout.trash(&moved))? {
                layout.sync(moved.home)?;
                layout.sync(Place::Trash)?;
            }
            Ok(())
        })
        .await?;
        let had_remains = self.wipe_remains(&job.quiet(), &name).await?;
        let was_wiped = match self
            .open_in_trash(&job, self.layout.trash(&name), &name)
            .await?
        {
            Some(file) => self.wiper.wipe(&job, file, work.resume_at()).await?,
            None => false,
        };
        Ok(changed(had_remains || was_wiped))
    }

    async fn remove(&self, object: &ObjectRef) -> Result<Done, DriverError> {
        let name = Name::of(object);
        let job = self
            .begin(&name.text, Weight::Light, &Work::default())
            .await?;
        let layout = self.layout.clone();
        job.run(move |_| {
            let paths = [
                layout.home(&name),
                layout.partial(&name),
                layout.trash(&name),
                layout.replaced(&name),
            ];
            let mut was_there = false;
            for path in paths.iter().map(PathBuf::as_path) {
                was_there |= layout.unlink(path)?;
            }
            // Even when nothing was there: the call that removed it may have been killed before it saw to the disk.
            layout.sync(name.home)?;
            layout.sync(Place::Partial)?;
            layout.sync(Place::Trash)?;
            Ok(changed(was_there))
        })
        .await
    }

    async fn device(&self, volume: &VolumeRef) -> Result<Device, DriverError> {
        self.opened(&volume.pool, Name::of_volume(volume.id)).await
    }

    async fn open_snapshot(&self, snapshot: &SnapshotRef) -> Result<Device, DriverError> {
        self.opened(&snapshot.pool, Name::of_snapshot(snapshot.id))
            .await
    }

    async fn close_snapshot(&self, _: &SnapshotRef) -> Result<Done, DriverError> {
        Ok(Done::AlreadySo) // A file is as readable closed as open.
    }

    async fn manageable(&self, pool: &str) -> Result<Vec<Manageable>, DriverError> {
        self.must_be_here(pool)?;
        let (layout, mark) = (self.layout.clone(), self.mark.clone());
        let listed = tokio::task::spawn_blocking(move || {
            let list = || Imports::open(&layout)?.list();
            mark.is_in_place().then(list).transpose()
        });
        match listed.await {
            Ok(Ok(found)) => found.ok_or_else(|| self.replaced_directory()),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(self.unavailable(format!("its thread ended early: {error}"))),
        }
    }

    async fn measure(&self, object: &ObjectRef, name: &str) -> Result<Gib, DriverError> {
        let job = self.begin_adopting(object).await?;
        let (layout, ours, foreign) = (self.layout.clone(), Name::of(object), name.to_owned());
        job.run(move |_| import::measure(&layout, &ours, &foreign))
            .await
    }

    async fn adopt(&self, object: &ObjectRef, name: &str) -> Result<Done, DriverError> {
        let job = self.begin_adopting(object).await?;
        let (layout, ours, foreign) = (self.layout.clone(), Name::of(object), name.to_owned());
        let shape = match object {
            ObjectRef::Volume(volume) => (volume.size_gib, volume.thick),
            ObjectRef::Snapshot(snapshot) => (snapshot.size_gib, false),
        };
        let shape = import::Shape {
            len_bytes: shape.0.bytes(),
            thick: shape.1,
        };
        job.run(move |stop| import::adopt(&layout, &ours, &foreign, shape, stop))
            .await
    }

    async fn release(&self, object: &ObjectRef, name: Option<&str>) -> Result<Done, DriverError> {
        let job = self.begin_adopting(object).await?;
        let (layout, ours) = (self.layout.clone(), Name::of(object));
        let names = names_for(object, name);
        job.run(move |_| import::release(&layout, &ours, &names))
            .await
    }

    async fn objects(&self) -> Result<Vec<String>, DriverError> {
        let (layout, mark) = (self.layout.clone(), self.mark.clone());
        let listed = tokio::task::spawn_blocking(move || {
            mark.is_in_place().then(|| layout.objects()).transpose()
        });
        match listed.await {
            Ok(Ok(names)) => names.ok_or_else(|| self.replaced_directory()),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(self.unavailable(format!("its thread ended early: {error}"))),
        }
    }
}

/// Makes a file as long as wanted, on the disk; never shorter.
fn grow(file: &PoolFile, wanted_bytes: u64, thick: bool, stop: &Stop) -> Result<Done, DriverError> {
    let len_bytes = file.len_bytes()?;
    if len_bytes >= wanted_bytes {
        file.sync_whole()?;
        return Ok(Done::AlreadySo);
    }
    if thick && let Err(error) = file.allocate(len_bytes..wanted_bytes, || stop.check()) {
        // Gives back the blocks beyond the end.
        file.set_len_bytes(len_bytes)?;
        return Err(error);
    }
    file.set_len_bytes(wanted_bytes)?;
    file.sync_whole()?;
    Ok(Done::Changed)
}

fn changed(is_changed: bool) -> Done {
    if is_changed {
        Done::Changed
    } else {
        Done::AlreadySo
    }
}
