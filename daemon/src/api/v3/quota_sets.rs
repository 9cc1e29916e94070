//! `GET /os-quota-sets/{id}`: what a project may use, and with `usage=true` what it uses. Setting quotas is to come.

use crate::api::Api;
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, ok};
use crate::api::place::is_project_id;
use crate::ops::unreadable;
use crate::store::quotas;
use axum::extract::State;
use serde_json::{Map, Value, json};

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let project_id = call.path("id");
    if !call.caller.sees(project_id) || !is_project_id(project_id) {
        return Err(Fault::not_found("Quota set of project", &shown(project_id)));
    }
    let limit = &api.ctx.quota;
    let limits = [
        ("volumes", limit.volumes),
        ("snapshots", limit.snapshots),
        ("gigabytes", limit.gigabytes),
        ("per_volume_gigabytes", limit.per_volume_gigabytes),
    ];
    let used = quotas::usage(&api.ctx.store, project_id)
        .await
        .map_err(unreadable)?;
    let shows_usage = call.flag("usage")?;
    let mut set = Map::new();
    for (resource, limit) in limits {
        let in_use = used.get(resource).copied().unwrap_or(0);
        let shown = match shows_usage {
            // Nothing is ever reserved beside what is in use: the counter changes with the rows.
            true => json!({"limit": limit, "in_use": in_use, "reserved": 0}),
            false => json!(limit),
        };
        set.insert(resource.to_owned(), shown);
    }
    set.insert("id".to_owned(), Value::from(project_id));
    Ok(ok(&json!({"quota_set": set})))
}
