//! The zones there are: those of the volume services. Everybody may ask; storage drivers of clusters do.

use crate::api::Api;
use crate::api::call::Call;
use crate::api::error::{Answer, ok};
use crate::model::service::{Binary, Service};
use crate::ops::unreadable;
use crate::store::services;
use axum::extract::State;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(in crate::api) async fn list(State(api): State<Api>, _call: Call) -> Answer {
    let found = services::list(&api.ctx.store).await.map_err(unreadable)?;
    let zones = zones(&found);
    let shown: Vec<Value> = zones
        .iter()
        .map(|(name, available)| json!({"zoneName": name, "zoneState": {"available": available}}))
        .collect();
    Ok(ok(&json!({"availabilityZoneInfo": shown})))
}

/// A zone is available when one of its volume services is not disabled. One that is down counts, as in Cinder: it
/// may be back sooner than a client asks again.
fn zones(services: &[Service]) -> BTreeMap<&str, bool> {
    let mut zones: BTreeMap<&str, bool> = BTreeMap::new();
    for one in services.iter().filter(|one| one.binary == Binary::Volume) {
        *zones.entry(&one.availability_zone).or_default() |= !one.is_disabled;
    }
    zones
}
