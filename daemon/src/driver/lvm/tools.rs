//! LVM's own programs: its reports, and what udisks2 cannot do (tags, the activation skip, merging, splitting, a thin
//! pool's metadata).
//!
//! Every one of them takes LVM's lock of the group, so that whatever was under way in it, ours or another's, even by a
//! process that outlived us, has ended when a report is there.

use super::report::{self, Group, LV_COLUMNS, Lv, THIN_COLUMNS, ThinIds, VG_COLUMNS};
use crate::cmd::{Ended, Programs};
use crate::driver::DriverError;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// LVM answers within a second; within a minute or two when disks are slow or another waits for the lock.
const DEADLINE: Duration = Duration::from_secs(180);
/// A merge copies what changed back; its size is not known.
const MERGE_DEADLINE: Duration = Duration::from_secs(6 * 3600);
/// So long it may take to read a pool's metadata, while nothing else is done in the group.
const METADATA_DEADLINE: Duration = Duration::from_secs(60);

/// A merge under way is looked at this often.
const MERGE_POLL: Duration = Duration::from_secs(1);

/// LVM's programs for one group.
#[derive(Clone)]
pub(super) struct Tools {
    programs: Arc<dyn Programs>,
    backend: String,
    group: String,
}

impl Tools {
    pub(super) fn new(programs: Arc<dyn Programs>, backend: &str, group: &str) -> Self {
        Self {
            programs,
            backend: backend.to_owned(),
            group: group.to_owned(),
        }
    }

    /// Every logical volume of the group.
    pub(super) async fn volumes(&self) -> Result<Vec<Lv>, DriverError> {
        let told = self.report("lvs", LV_COLUMNS).await?;
        report::volumes(&told).map_err(|error| self.unavailable(error.to_string()))
    }

    /// The group itself.
    pub(super) async fn group(&self) -> Result<Group, DriverError> {
        let told = self.report("vgs", VG_COLUMNS).await?;
        let group = report::group(&told).map_err(|error| self.unavailable(error.to_string()))?;
        group.ok_or_else(|| self.unavailable(format!("there is no volume group {}", self.group)))
    }

    /// What thin volumes are called in their pools' metadata, and where those are.
    pub(super) async fn thin_ids(&self) -> Result<ThinIds, DriverError> {
        let told = self.report("lvs", THIN_COLUMNS).await?;
        report::thin_ids(&told).map_err(|error| self.unavailable(error.to_string()))
    }

    async fn report(&self, program: &str, columns: &str) -> Result<String, DriverError> {
        let args = [
            "--reportformat",
            "json",
            "--units",
            "b",
            "--nosuffix",
            "-o",
            columns,
            &self.group,
        ];
        Ok(self.ok(program, &args, DEADLINE).await?.stdout)
    }

    /// Adds and removes tags of a volume, and lets LVM activate it as any other when `unskip`.
    pub(super) async fn mark(
        &self,
        lv: &str,
        add: &[&str],
        remove: &[&str],
        unskip: bool,
    ) -> Result<(), DriverError> {
        let mut args = vec!["-q"];
        for tag in add {
            args.extend(["--addtag", tag]);
        }
        for tag in remove {
            args.extend(["--deltag", tag]);
        }
        if unskip {
            args.extend(["--setactivationskip", "n"]);
        }
        let path = self.path(lv);
        args.push(&path);
        self.ok("lvchange", &args, DEADLINE).await.map(|_| ())
    }

    /// Activates a volume even if LVM is to skip it; a classic snapshot's origin is activated with it, which LVM wants
    /// to be told.
    pub(super) async fn activate(&self, lv: &str) -> Result<(), DriverError> {
        let path = self.path(lv);
        let args = ["-q", "-y", "-ay", "-K", &path];
        self.ok("lvchange", &args, DEADLINE).await.map(|_| ())
    }

    /// Puts an origin back to what its classic snapshot holds, and waits until that is done; the snapshot is no more.
    pub(super) async fn merge(&self, snapshot: &str) -> Result<(), DriverError> {
        let path = self.path(snapshot);
        let args = ["-q", "--merge", "-i", "1", &path];
        self.ok("lvconvert", &args, MERGE_DEADLINE)
            .await
            .map(|_| ())
    }

    /// Waits until a merge into `origin` that somebody began is done; begins to look after it if nobody does.
    pub(super) async fn finish_merge(&self, origin: &str) -> Result<(), DriverError> {
        let path = self.path(origin);
        let deadline = Instant::now() + MERGE_DEADLINE;
        let args = ["-q", "--poll", "y", &path];
        self.ok("lvchange", &args, DEADLINE).await?;
        let is_merging = |lv: &Lv| lv.name == origin && lv.is_merging;
        while self.volumes().await?.iter().any(is_merging) {
            if Instant::now() >= deadline {
                return Err(self.unavailable(format!("{path} is still being merged")));
            }
            tokio::time::sleep(MERGE_POLL).await;
        }
        Ok(())
    }

    /// Makes a plain volume of a classic snapshot's own space, so that it can be overwritten.
    pub(super) async fn split(&self, snapshot: &str) -> Result<(), DriverError> {
        let path = self.path(snapshot);
        let args = ["-q", "-y", "--splitsnapshot", &path];
        self.ok("lvconvert", &args, DEADLINE).await.map(|_| ())
    }

    /// Whether the pool's metadata are held, by whomever.
    pub(super) async fn are_metadata_held(&self, pool: &str) -> Result<bool, DriverError> {
        let args = ["status", &self.mapped(pool, "-tpool")];
        let told = self.ok("dmsetup", &args, DEADLINE).await?.stdout;
        report::is_held(&told).ok_or_else(|| {
            self.unavailable(format!("the kernel's word on {pool} is not understood"))
        })
    }

    /// Keeps a pool's metadata as they are now, to be read while the pool goes on.
    pub(super) async fn hold_metadata(&self, pool: &str) -> Result<(), DriverError> {
        self.tell_pool(pool, "reserve_metadata_snap").await
    }

    /// The end of [`Self::hold_metadata`].
    pub(super) async fn release_metadata(&self, pool: &str) -> Result<(), DriverError> {
        self.tell_pool(pool, "release_metadata_snap").await
    }

    async fn tell_pool(&self, pool: &str, message: &str) -> Result<(), DriverError> {
        let device = self.mapped(pool, "-tpool");
        let args = ["message", &device, "0", message];
        self.ok("dmsetup", &args, DEADLINE).await.map(|_| ())
    }

    /// What the held metadata say of a thin volume.
    pub(super) async fn thin_dump(&self, metadata: &str, id: u64) -> Result<String, DriverError> {
        let (id, device) = (id.to_string(), self.node(metadata));
        let args = ["--dev-id", &id, "--metadata-snap", &device];
        Ok(self.ok("thin_dump", &args, METADATA_DEADLINE).await?.stdout)
    }

    /// Where two thin volumes differ, by the held metadata.
    pub(super) async fn thin_delta(
        &self,
        metadata: &str,
        left: u64,
        right: u64,
    ) -> Result<String, DriverError> {
        let (left, right) = (left.to_string(), right.to_string());
        let device = self.node(metadata);
        let args = [
            "--snap1",
            &left,
            "--snap2",
            &right,
            "--metadata-snap",
            &device,
        ];
        Ok(self
            .ok("thin_delta", &args, METADATA_DEADLINE)
            .await?
            .stdout)
    }

    /// What device-mapper calls a volume: a dash within a name is doubled.
    fn mapped(&self, lv: &str, layer: &str) -> String {
        let (group, lv) = (self.group.replace('-', "--"), lv.replace('-', "--"));
        format!("{group}-{lv}{layer}")
    }

    fn node(&self, lv: &str) -> String {
        format!("/dev/mapper/{}", self.mapped(lv, ""))
    }

    /// Adds a tag to the group.
    pub(super) async fn mark_group(&self, tag: &str) -> Result<(), DriverError> {
        let args = ["-q", "--addtag", tag, &self.group];
        self.ok("vgchange", &args, DEADLINE).await.map(|_| ())
    }

    fn path(&self, lv: &str) -> String {
        format!("{}/{lv}", self.group)
    }

    async fn ok(
        &self,
        program: &str,
        args: &[&str],
        deadline: Duration,
    ) -> Result<Ended, DriverError> {
        let failed = |source: io::Error| DriverError::Io {
            doing: "running one of LVM's programs",
            object: format!("{program} {}", self.group),
            source,
        };
        let ended = match self.programs.run(program, args, deadline).await {
            Ok(ended) => ended,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(
                    self.unavailable(format!("there is no program {program}; install lvm2"))
                );
            }
            Err(error) => return Err(failed(error)),
        };
        let said = ended.stderr.trim();
        if ended.code == Some(0) {
            if !said.is_empty() {
                tracing::warn!(
                    program,
                    group = self.group,
                    said,
                    "one of LVM's programs complains"
                );
            }
            return Ok(ended);
        }
        if said.contains("Volume group") && said.contains("not found") {
            return Err(self.unavailable(format!(
                "there is no volume group {}; is its disk there? Nothing was changed",
                self.group
            )));
        }
        let code = ended
            .code
            .map_or("a signal".to_owned(), |code| code.to_string());
        Err(failed(io::Error::other(format!(
            "it ended with {code}: {said}"
        ))))
    }

    fn unavailable(&self, why: String) -> DriverError {
        DriverError::Unavailable {
            backend: self.backend.clone(),
            why,
        }
    }
}
