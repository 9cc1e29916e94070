//! `POST /snapshots/{id}/action`: one key says which, as for volumes.

use super::admin_actions;
use crate::api::Api;
use crate::api::body::{self, Object};
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, accepted_empty};
use crate::ops::{unmanage_snapshot, visible_snapshot};
use axum::extract::State;

/// The actions there are, with the minor version from which each is one.
pub(in crate::api) const ACTIONS: &[(&str, u16)] = &[
    ("os-force_delete", 0),
    ("os-reset_status", 0),
    ("os-unmanage", 0),
    ("os-update_snapshot_status", 0),
];

pub(in crate::api) async fn act(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    let (asked, _) = body::action(&body)?;
    let known = ACTIONS.iter().find(|(name, _)| *name == asked);
    let (name, _) = known.ok_or_else(|| Fault::no_such_action(&shown(asked)))?;
    let id = call.id("Snapshot")?;
    if *name == "os-unmanage" {
        unmanage_snapshot::begin(&api.ctx, &call.caller, id).await?;
        return Ok(accepted_empty());
    }
    if *name == "os-update_snapshot_status" {
        return assisted(&api, &call, &Object::within(&body, name)?).await;
    }
    admin_actions::snapshot(&api, &call, id, name, &body).await
}

/// Nova tells so how far a snapshot is that it makes itself, on storage that cannot. No snapshot here is made so: each
/// is Ashlar's own operation, which alone says where it is.
async fn assisted(api: &Api, call: &Call, said: &Object<'_>) -> Answer {
    said.only(&["status", "progress"])?;
    said.required_text("status")?;
    said.text("progress")?;
    let snapshot = visible_snapshot(&api.ctx, &call.caller, call.id("Snapshot")?).await?;
    Err(Fault::bad_request(format!(
        "Snapshot status {} not allowed for update_snapshot_status: no snapshot here is made with nova's help.",
        snapshot.status.as_str()
    )))
}
