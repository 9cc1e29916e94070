//! The kernel's handle on a block device: an object under a numbered parent, one each, as rtslib makes them.

use super::LioTarget;
use super::paths::{self, BACKSTORE, Paths};
use crate::driver::Device;
use serde_json::{Value, json};
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// How the kernel writes a serial number.
const SERIAL_SAID: &str = "T10 VPD Unit Serial Number: ";
/// Backstores on one machine, others' too.
const NUMBERS_MAX: u32 = 65_536;

impl LioTarget {
    /// The number of the export's backstore over `device`, made or made anew; whether anything was changed.
    pub(super) async fn backstore(
        &self,
        paths: &Paths,
        device: &Device,
    ) -> io::Result<(u32, bool)> {
        let wanted = device.path.display().to_string();
        if let Some(number) = self.find_backstore(paths).await? {
            let own = paths.backstore(number);
            let path = self.tree.read(&own.join("udev_path")).await?;
            let is_enabled = self.tree.read(&own.join("enable")).await?.as_deref() == Some("1");
            if path.as_deref() == Some(&wanted) && is_enabled {
                self.let_discard(&own).await;
                return Ok((number, false));
            }
            // Half made by a crash, or of another device, which cannot be changed while it is served.
            self.take_down_but_saved(paths).await?;
        }
        let turn = self.turn.lock().await;
        let number = self.free_number().await?;
        let made = self.make_backstore(paths, number, &wanted).await;
        drop(turn);
        if let Err(error) = made {
            self.remove_backstore(paths).await?;
            self.tree.rmdir(&paths::parent(number)).await?;
            return Err(error);
        }
        Ok((number, true))
    }

    async fn make_backstore(&self, paths: &Paths, number: u32, device: &str) -> io::Result<()> {
        let (tree, own) = (&self.tree, paths.backstore(number));
        tree.mkdir(Path::new("core")).await?;
        tree.mkdir(&paths::parent(number)).await?;
        tree.mkdir(&own).await?;
        tree.write(&own.join("udev_path"), device).await?;
        tree.write(&own.join("control"), &format!("udev_path={device}"))
            .await?;
        tree.write(&own.join("control"), "readonly=0").await?;
        tree.write(&own.join("wwn/vpd_unit_serial"), &paths.serial())
            .await?;
        // Last, so that what is enabled is whole. The kernel opens the device here, alone: who mounts it fails from now
        // on, and so does this if it is mounted.
        tree.write(&own.join("enable"), "1")
            .await
            .map_err(|error| {
                let why = format!(
                    "the kernel does not take {device} ({error}); is it mounted or in use?"
                );
                io::Error::new(error.kind(), why)
            })?;
        self.let_discard(&own).await;
        Ok(())
    }

    /// Freed blocks go back to a thin pool; a device that cannot discard refuses, and that is all right.
    async fn let_discard(&self, own: &Path) {
        let _ = self.set(&own.join("attrib/emulate_tpu"), "1").await;
    }

    /// The lowest number that nobody has. A parent with nothing in it is nobody's: a crash left it.
    async fn free_number(&self) -> io::Result<u32> {
        let taken = self.tree.objects(Path::new("core")).await?;
        for number in 0..NUMBERS_MAX {
            if !taken.contains(&format!("{BACKSTORE}{number}"))
                || self.tree.objects(&paths::parent(number)).await?.is_empty()
            {
                return Ok(number);
            }
        }
        Err(io::Error::other("every number of a backstore is taken"))
    }

    pub(super) async fn find_backstore(&self, paths: &Paths) -> io::Result<Option<u32>> {
        for parent in self.tree.objects(Path::new("core")).await? {
            let number = parent
                .strip_prefix(BACKSTORE)
                .and_then(|number| number.parse().ok());
            if let Some(number) = number
                && self.tree.list(&paths.backstore(number)).await?.is_some()
            {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// The device that an export serves; `None` when it has no backstore.
    pub(super) async fn served(&self, paths: &Paths) -> io::Result<Option<PathBuf>> {
        let Some(number) = self.find_backstore(paths).await? else {
            return Ok(None);
        };
        let path = self
            .tree
            .read(&paths.backstore(number).join("udev_path"))
            .await?;
        Ok(path.map(PathBuf::from))
    }

    pub(super) async fn remove_backstore(&self, paths: &Paths) -> io::Result<bool> {
        let Some(number) = self.find_backstore(paths).await? else {
            return Ok(false);
        };
        self.tree.rmdir(&paths.backstore(number)).await?;
        // Others may have put something beside it.
        if self.tree.objects(&paths::parent(number)).await?.is_empty() {
            self.tree.rmdir(&paths::parent(number)).await?;
        }
        Ok(true)
    }

    async fn take_down_but_saved(&self, paths: &Paths) -> io::Result<()> {
        let Some((volume, _)) = Paths::read(&self.config.iqn_prefix, &paths.iqn) else {
            return Ok(());
        };
        self.take_down(volume).await.map(|_| ())
    }

    /// As rtslib's `BlockStorageObject.dump` has it: it makes an object of exactly these again.
    pub(super) async fn saved_backstore(&self, paths: &Paths, number: u32) -> io::Result<Value> {
        let own = paths.backstore(number);
        let serial = self
            .tree
            .read(&own.join("wwn/vpd_unit_serial"))
            .await?
            .unwrap_or_default();
        let wwn = serial.strip_prefix(SERIAL_SAID).unwrap_or(&serial);
        Ok(json!({
            "alua_tpgs": [],
            "attributes": self.attributes(&own.join("attrib")).await?,
            "dev": self.tree.read(&own.join("udev_path")).await?,
            "name": paths.iqn,
            "plugin": "block",
            "readonly": false,
            "wwn": wwn,
            "write_back": false,
        }))
    }
}

/// The length of a device, which `stat` does not tell; 0 when it is gone.
pub(super) async fn len_bytes(device: &Path) -> u64 {
    let device = device.to_owned();
    let measured = tokio::task::spawn_blocking(move || {
        std::fs::File::open(device).and_then(|mut file| file.seek(SeekFrom::End(0)))
    });
    measured.await.ok().and_then(Result::ok).unwrap_or(0)
}
