//! `GET /ashlar/v1/journal?object_id=`: who did what to an object and when; also to one that is gone.

use crate::api::Api;
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing};
use crate::ops::history::{self, Entry};
use axum::extract::State;
use serde_json::{Value, json};

/// A journal is of one object and has one order, the newest first.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[],
    filters: &[Rule {
        wire: "object_id",
        column: "id",
        kind: Kind::Ignored,
        since: 0,
        for_admins: false,
    }],
    of_projects: false,
    strict_from: 0,
};

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let wanted = LISTING.read(&call)?;
    let object_id = call.parameter("object_id").filter(|id| !id.is_empty());
    let object_id = object_id.ok_or_else(|| {
        Fault::bad_request("object_id is required: the id of the object whose journal is wanted.")
    })?;
    let found = history::of_object(&api.ctx, &call.caller, object_id, wanted.request).await;
    let found = found.map_err(|error| page::fault("Operation", error))?;
    let shown: Value = found.iter().map(view).collect();
    Ok(ok(&json!({"journal": shown})))
}

fn view(entry: &Entry) -> Value {
    let operation = &entry.operation;
    // Operations of before the record kept it have nobody.
    let who = Some(operation.user_id.as_str()).filter(|who| !who.is_empty());
    json!({
        "at": operation.created_at.as_str(),
        "what": operation.verb.as_str(),
        "who": who,
        "request_id": operation.request_id,
        "operation_id": operation.id.to_string(),
        "before": entry.before,
        "after": entry.after,
        "error": operation.error,
    })
}
