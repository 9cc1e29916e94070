//! What a beginning demands to be still as it was read: what it judged by, and what it reckons with.
//!
//! Each is a guard of the begin transaction; one that is not met refuses the request, and nothing is done.

use super::Beginning;
use crate::error::{Conflict, Error, Refusal};
use crate::model::id::VolumeId;
use crate::model::service::service_host;
use crate::model::snapshot::Snapshot;
use crate::model::volume::Volume;
use crate::store::{services, snapshots, volumes};

impl Beginning<'_> {
    /// Demands that the volume still has the size that was read: what was reckoned from it (quota, the length of a
    /// copy) is false if an extend ended in between.
    pub(in crate::ops) fn needs_size_as_read(&mut self, volume: &Volume) {
        let values = vec![volume.id.to_string().into(), volume.size_gib.get().into()];
        let changed = Conflict::Changed {
            noun: "Volume",
            id: volume.id.to_string(),
        };
        self.rule(volumes::HAS_SIZE, values, Error::Conflict(changed));
    }

    /// Demands that the volume still has the owner that was read: rights and quota were judged by it, and it may have
    /// changed hands since.
    pub(super) fn needs_volumes_owner(&mut self, volume: &Volume) {
        let changed = Conflict::Changed {
            noun: "Volume",
            id: volume.id.to_string(),
        };
        let values = vec![
            volume.id.to_string().into(),
            volume.project_id.as_str().into(),
        ];
        self.rule(volumes::HAS_OWNER, values, Error::Conflict(changed));
    }

    /// The same of a snapshot.
    pub(super) fn needs_snapshots_owner(&mut self, snapshot: &Snapshot) {
        let changed = Conflict::Changed {
            noun: "Snapshot",
            id: snapshot.id.to_string(),
        };
        let values = vec![
            snapshot.id.to_string().into(),
            snapshot.project_id.as_str().into(),
        ];
        self.rule(snapshots::HAS_OWNER, values, Error::Conflict(changed));
    }

    /// Demands that hosts may (or may not) write to the volume as was read: a mode was chosen by it.
    pub(in crate::ops) fn needs_readonly_as_read(&mut self, volume: &Volume) {
        let readonly = i64::from(volume.is_readonly());
        let values = vec![volume.id.to_string().into(), readonly.into()];
        let changed = Conflict::Changed {
            noun: "Volume",
            id: volume.id.to_string(),
        };
        self.rule(volumes::IS_READONLY, values, Error::Conflict(changed));
    }

    /// Demands that the backend with the volume is not frozen; `address` is where its bytes lie.
    pub(in crate::ops) fn needs_thawed(&mut self, volume: VolumeId, address: &str) {
        let values = vec![volume.to_string().into(), service_host(address).into()];
        self.rule(services::IS_THAWED, values, Error::Refused(Refusal::Frozen));
    }
}
