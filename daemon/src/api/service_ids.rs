//! Which service has a volume: `service_uuid` (3.48), by the host part of where it lies.
//!
//! A service keeps its id for ever, so what was read once is remembered; the record is asked again only about a host
//! that is new.

use super::Api;
use super::call::Call;
use super::error::Fault;
use crate::model::id::ServiceId;
use crate::model::service::{Binary, service_host};
use crate::model::volume::Volume;
use crate::ops::unreadable;
use crate::store::services;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// Ids of volume services by `host@backend`. As many as there are backends.
#[derive(Debug, Default)]
pub(super) struct ServiceIds(RwLock<BTreeMap<String, ServiceId>>);

impl ServiceIds {
    /// The service that has `volume`, if that is known; a volume that was not placed has none.
    pub(super) fn of(&self, volume: &Volume) -> Option<ServiceId> {
        let host = service_host(volume.host.as_deref()?);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(host).copied()
    }

    fn learn(&self, ids: BTreeMap<String, ServiceId>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ids;
    }
}

/// Reads the ids of the services that have `volumes`, where they are wanted and not known yet.
pub(super) async fn learn(api: &Api, call: &Call, volumes: &[Volume]) -> Result<(), Fault> {
    let ids = api.service_ids();
    let is_unknown = |volume: &Volume| volume.host.is_some() && ids.of(volume).is_none();
    if !call.version.at_least(48) || !volumes.iter().any(is_unknown) {
        return Ok(());
    }
    let found = services::list(&api.ctx.store).await.map_err(unreadable)?;
    let of_volumes = found.into_iter().filter(|one| one.binary == Binary::Volume);
    ids.learn(of_volumes.map(|one| (one.host, one.id)).collect());
    Ok(())
}
