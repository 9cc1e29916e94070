//! `POST /snapshots/{id}/action`: one key says which; what stands under it may be anything where it says nothing (W13).

use crate::api::Api;
use crate::api::body;
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, accepted_empty};
use crate::ops::unmanage_snapshot;
use axum::extract::State;

pub(in crate::api) async fn act(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    let (asked, _) = body::action(&body)?;
    let id = call.id("Snapshot")?;
    match asked {
        "os-unmanage" => unmanage_snapshot::begin(&api.ctx, &call.caller, id).await?,
        other => return Err(Fault::no_such_action(&shown(other))),
    }
    Ok(accepted_empty())
}
