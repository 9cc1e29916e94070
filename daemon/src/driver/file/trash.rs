//! What is out of sight and waits to be wiped: deleted objects, and what reverts took out of volumes.

use super::FileDriver;
use super::jobs::Job;
use super::layout::{Name, Place};
use super::pool_file::PoolFile;
use crate::driver::DriverError;
use std::path::PathBuf;

impl FileDriver {
    /// Wipes and removes what an earlier revert took out, and what a crash left half made; whether there was any.
    pub(super) async fn wipe_remains(&self, job: &Job, name: &Name) -> Result<bool, DriverError> {
        let mut had_remains = false;
        // At most twice: the replaced content, then the half-made file that takes its name.
        loop {
            let (layout, wanted) = (self.layout.clone(), name.clone());
            let path = layout.replaced(name);
            let is_there = job
                .run(move |_| {
                    let path = layout.replaced(&wanted);
                    Ok(layout.is_at(&path)? || layout.rename(&layout.partial(&wanted), &path)?)
                })
                .await?;
            if !is_there {
                return Ok(had_remains);
            }
            had_remains = true;
            let file = self.open_in_trash(job, path.clone(), name).await?;
            if let Some(file) = file {
                self.wiper.wipe(job, file, 0).await?;
            }
            let layout = self.layout.clone();
            job.run(move |_| {
                layout.unlink(&path)?;
                layout.sync(Place::Partial)?;
                layout.sync(Place::Trash)
            })
            .await?;
        }
    }

    pub(super) async fn open_in_trash(
        &self,
        job: &Job,
        path: PathBuf,
        name: &Name,
    ) -> Result<Option<PoolFile>, DriverError> {
        let (pool, text) = (self.layout.pool().clone(), name.text.clone());
        job.run(move |_| match PoolFile::open(&path, &text, &pool, true) {
            Ok(file) => Ok(Some(file)),
            Err(DriverError::Absent { .. }) => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }
}
