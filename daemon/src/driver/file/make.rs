//! Making a file beside and putting it in its place, whole and on the disk.
//!
//! Failures: until it is placed an error or a dropped call leaves nothing but what [`Partial`] removes; a crash leaves
//! a file in `partial/`, which the next try for the same name, or its removal, clears away.

use super::FileDriver;
use super::copy::Making;
use super::jobs::Job;
use super::layout::{Name, Partial, Place};
use super::live::LiveCopy;
use super::pool_file::PoolFile;
use crate::driver::{DriverError, LiveWrites};
use std::path::PathBuf;
use std::sync::Arc;

/// What a new file is copied from.
pub(super) enum Origin {
    /// An object of the pool, held still by the handle when hosts may be writing.
    Object(Name, Option<Arc<dyn LiveWrites>>),
    /// A device that nobody writes to.
    Device(PathBuf),
}

impl FileDriver {
    /// Whether the object is whole and in place; then its name is on the disk too, even if the call that placed it
    /// was killed before it saw to that.
    pub(super) async fn is_in_place(&self, job: &Job, name: &Name) -> Result<bool, DriverError> {
        let (layout, name) = (self.layout.clone(), name.clone());
        job.run(move |_| {
            let is_there = layout.is_at(&layout.home(&name))?;
            if is_there {
                layout.sync(name.home)?;
            }
            Ok(is_there)
        })
        .await
    }

    /// Makes a whole file beside; it is not in its place yet. On an error nothing of it is left.
    pub(super) async fn make(
        &self,
        job: &Job,
        name: &Name,
        (len_bytes, thick): (u64, bool),
        origin: Option<Origin>,
    ) -> Result<Arc<Making>, DriverError> {
        let (layout, name) = (self.layout.clone(), name.clone());
        let live = match &origin {
            Some(Origin::Object(_, live)) => live.clone(),
            Some(Origin::Device(_)) | None => None,
        };
        let (making, source) = job
            .run(move |stop| {
                let source = origin.map(|origin| match origin {
                    Origin::Object(source, _) => {
                        PoolFile::open(&layout.home(&source), &source.text, layout.pool(), false)
                    }
                    Origin::Device(path) => PoolFile::open_device(&path, layout.pool()),
                });
                let source = source.transpose()?;
                layout.unlink(&layout.partial(&name))?;
                let partial = Partial::at(&layout, &name);
                let target = PoolFile::create(partial.path(), &name.text, layout.pool())?;
                if thick {
                    target.allocate(0..len_bytes, || stop.check())?;
                }
                target.set_len_bytes(len_bytes)?;
                let making = Making {
                    partial,
                    target,
                    len_bytes,
                    thick,
                };
                Ok((Arc::new(making), source.map(Arc::new)))
            })
            .await?;
        let filled = match source {
            Some(source) => self.fill(job, &making, source, live).await,
            None => Ok(()),
        };
        let to_sync = making.clone();
        let synced = match filled {
            Ok(()) => job.run(move |_| to_sync.target.sync_whole()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = synced {
            // The last holder unlinks the file, which may take a while: not on an async thread.
            job.run(move |_| {
                drop(making);
                Ok(())
            })
            .await?;
            return Err(error);
        }
        Ok(making)
    }

    async fn fill(
        &self,
        job: &Job,
        making: &Arc<Making>,
        source: Arc<PoolFile>,
        live: Option<Arc<dyn LiveWrites>>,
    ) -> Result<(), DriverError> {
        // Shared blocks would have to be taken anew when written: no thick volume is made of them.
        let may_share = self.abilities.reflink && !making.thick;
        let Some(live) = live else {
            let making = making.clone();
            return job
                .run(move |stop| {
                    if may_share && making.target.reflink_from(&source)? {
                        return making.target.set_len_bytes(making.len_bytes);
                    }
                    making.copy_all(&source, stop)
                })
                .await;
        };
        let copy = LiveCopy {
            making: making.clone(),
            source,
            live,
        };
        if may_share && copy.reflink(job).await? {
            let making = making.clone();
            return job
                .run(move |_| making.target.set_len_bytes(making.len_bytes))
                .await;
        }
        copy.copy(job).await
    }

    /// Gives what was made its final name, on the disk. Past this point it is there.
    pub(super) async fn place(
        &self,
        job: &Job,
        making: Arc<Making>,
        name: Name,
    ) -> Result<(), DriverError> {
        let layout = self.layout.clone();
        job.run(move |stop| {
            stop.check()?;
            if !layout.rename(making.partial.path(), &layout.home(&name))? {
                // Somebody cleared it away; the name must not be taken for made.
                return Err(DriverError::Absent {
                    object: name.text,
                    pool: layout.pool().to_string(),
                });
            }
            making.partial.placed();
            layout.sync(name.home)?;
            layout.sync(Place::Partial)
        })
        .await
    }

    /// Like [`FileDriver::place`] over a volume that is there; its old content goes to the trash in the same instant.
    pub(super) async fn place_over(
        &self,
        job: &Job,
        making: Arc<Making>,
        name: Name,
    ) -> Result<(), DriverError> {
        let layout = self.layout.clone();
        let exchanged = job
            .run(move |stop| {
                stop.check()?;
                let is_exchanged = layout.exchange(making.partial.path(), &layout.home(&name))?;
                if is_exchanged {
                    making.partial.placed();
                    layout.rename(making.partial.path(), &layout.replaced(&name))?;
                    layout.sync(Place::Volumes)?;
                    layout.sync(Place::Partial)?;
                    layout.sync(Place::Trash)?;
                }
                Ok((!is_exchanged).then_some((making, name)))
            })
            .await?;
        match exchanged {
            None => Ok(()),
            Some((making, name)) => {
                tracing::warn!(
                    object = name.text,
                    "file system cannot exchange names; the reverted content is not wiped"
                );
                self.place(job, making, name).await
            }
        }
    }
}
