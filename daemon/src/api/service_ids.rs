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
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// Ids of volume services by `host@backend`. As many as there are backends.
#[derive(Debug, Default)]
pub(super) struct ServiceIds(RwLock<BTreeMap<String, ServiceId>>);

impl ServiceIds {
    fn get(&self, host: &str) -> Option<ServiceId> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(host).copied()
    }

    fn learn(&self, ids: BTreeMap<String, ServiceId>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ids;
    }
}

/// Puts `service_uuid` into the views of `volumes`, in the same order; a volume that was not placed has none.
pub(super) async fn put(
    api: &Api,
    call: &Call,
    volumes: &[Volume],
    views: &mut [Value],
) -> Result<(), Fault> {
    if !call.version.at_least(48) {
        return Ok(());
    }
    let ids = api.service_ids();
    let host = |volume: &Volume| volume.host.as_deref().map(service_host).map(str::to_owned);
    let is_unknown = |host: String| ids.get(&host).is_none();
    if volumes.iter().filter_map(host).any(is_unknown) {
        let found = services::list(&api.ctx.store).await.map_err(unreadable)?;
        let of_volumes = found.into_iter().filter(|one| one.binary == Binary::Volume);
        ids.learn(of_volumes.map(|one| (one.host, one.id)).collect());
    }
    for (volume, view) in volumes.iter().zip(views) {
        let id = host(volume).and_then(|host| ids.get(&host));
        view["service_uuid"] = json!(id.map(|id| id.to_string()));
    }
    Ok(())
}
