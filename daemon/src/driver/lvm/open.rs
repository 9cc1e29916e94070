//! Snapshots as devices to read. A thin one is not active by itself, so that its many are no burden at boot; it is
//! activated for whoever reads it, and put to rest again. A classic one is active with its volume.

use super::LvmDriver;
use super::names::Name;
use super::report::Kind;
use super::vg::find;
use crate::driver::{Device, Done, DriverError, SnapshotRef};

impl LvmDriver {
    pub(super) async fn open_to_read(&self, snapshot: &SnapshotRef) -> Result<Device, DriverError> {
        let name = Name::of_snapshot(snapshot.id).text;
        let _turn = self.turn().await?;
        let lvs = self.vg.volumes().await?;
        let lv = self.must_find(&lvs, &name, &snapshot.pool)?;
        if lv.is_invalid {
            return Err(DriverError::NotConsistent {
                object: name,
                why: "more was written to its volume than it could keep; it is lost",
            });
        }
        if !lv.is_active {
            self.vg.tools.activate(&name).await?;
        }
        Ok(Device {
            path: self.vg.device(&name),
            len_bytes: lv.len_bytes,
        })
    }

    pub(super) async fn close_again(&self, snapshot: &SnapshotRef) -> Result<Done, DriverError> {
        let name = Name::of_snapshot(snapshot.id).text;
        let _turn = self.turn().await?;
        let lvs = self.vg.volumes().await?;
        match find(&lvs, &name) {
            Some(lv) if lv.kind == Kind::Thin && lv.is_active => {
                self.vg.deactivate(&name).await?;
                Ok(Done::Changed)
            }
            Some(_) | None => Ok(Done::AlreadySo),
        }
    }
}
