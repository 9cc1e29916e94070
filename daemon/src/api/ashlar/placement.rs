//! `GET /ashlar/v1/volumes/{id}/placement`: why a volume lies where it lies, or why nowhere, as it was reckoned then; and
//! `POST /ashlar/v1/placement`: where a volume would be placed now, without making one.

use crate::api::Api;
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, ok};
use crate::api::v3::volumes::create_request;
use crate::model::caller::Role;
use crate::model::id::VolumeId;
use crate::ops::{create_volume, unreadable, visible_volume};
use crate::store::operations;
use axum::extract::State;
use serde_json::{Value, json};

pub(in crate::api) async fn rehearse(State(api): State<Api>, call: Call) -> Answer {
    let request = create_request(&call, &call.json()?)?;
    let placement = create_volume::rehearse_placement(&api.ctx, &call.caller, request).await?;
    Ok(ok(&json!({"placement": placement.explanation.to_json()})))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let id: VolumeId = call.id("Volume")?;
    visible_volume(&api.ctx, &call.caller, id).await?;
    // It names hosts and pools, which Cinder shows to administrators only.
    if call.caller.role != Role::Admin {
        return Err(Fault::forbidden("volume:placement"));
    }
    let stored = operations::placement(&api.ctx.store, id).await;
    let stored = stored.map_err(unreadable)?;
    let text = stored.ok_or_else(|| Fault::not_found("Placement of volume", &id.to_string()))?;
    let placement: Value = serde_json::from_str(&text).map_err(|_| Fault::erred())?;
    Ok(ok(&json!({"placement": placement})))
}
