//! A small XFS for the tests of copies that share blocks; the machine's own file system often cannot.
//!
//! Needs root, a loop device and Debian's `xfsprogs`. Where that cannot be had the tests say that they are skipped.
//! The file under it is sparse and far smaller than the volumes that the tests put on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use ashlar_tests::{Result, cmd, qemu};

/// Large enough for XFS and for what the tests really write.
const LEN_BYTES: u64 = 3 << 30;
/// None of it takes a second.
const DEADLINE: Duration = Duration::from_secs(60);

/// A mounted XFS; unmounted and removed when dropped.
#[derive(Debug)]
pub(crate) struct Reflink {
    image: PathBuf,
    place: PathBuf,
}

impl Reflink {
    /// Mounts one below `dir`, at a path by which the tests know it.
    pub(crate) fn mount(dir: &Path) -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "mounting needs root");
        if cmd::find("mkfs.xfs").is_err() {
            qemu::apt_update()?;
            qemu::apt_install(&["xfsprogs"])?;
        }
        let (image, place) = (dir.join("xfs.img"), dir.join("ashlar-reflink"));
        std::fs::create_dir_all(&place)?;
        // One that an earlier run left behind.
        let _not_mounted = unmount(&place);
        std::fs::File::create(&image)?.set_len(LEN_BYTES)?;
        cmd::run_ok(
            cmd::program("mkfs.xfs").args(["-q", "-f"]).arg(&image),
            DEADLINE,
        )?;
        cmd::run_ok(
            cmd::program("mount")
                .args(["-o", "loop"])
                .arg(&image)
                .arg(&place),
            DEADLINE,
        )?;
        Ok(Self { image, place })
    }
}

impl Drop for Reflink {
    fn drop(&mut self) {
        // A leftover is harmless: the next run unmounts it and makes the image anew.
        let _unmounted = unmount(&self.place);
        let _removed = std::fs::remove_file(&self.image);
    }
}

fn unmount(place: &Path) -> Result<()> {
    cmd::run_ok(cmd::program("umount").arg(place), DEADLINE).map(|_| ())
}
