//! `GET /limits`: what the caller's project may have and has; from 3.39 an administrator may name another project.

use crate::api::Api;
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, ok};
use crate::api::place::is_project_id;
use crate::model::caller::Role;
use crate::ops::quotas;
use axum::extract::State;
use serde_json::{Map, json};

/// A resource, what its limit is called here, and what its use is.
const NAMES: &[(&str, &str, &str)] = &[
    ("volumes", "maxTotalVolumes", "totalVolumesUsed"),
    ("gigabytes", "maxTotalVolumeGigabytes", "totalGigabytesUsed"),
    ("snapshots", "maxTotalSnapshots", "totalSnapshotsUsed"),
    ("backups", "maxTotalBackups", "totalBackupsUsed"),
    (
        "backup_gigabytes",
        "maxTotalBackupGigabytes",
        "totalBackupGigabytesUsed",
    ),
];

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let may_name = call.version.at_least(39) && call.caller.role == Role::Admin;
    let named = call
        .parameter("project_id")
        .or(call.parameter("tenant_id"))
        .filter(|_| may_name);
    let project = named.unwrap_or(&call.caller.project_id);
    if !is_project_id(project) {
        return Err(Fault::not_found("Limits of project", &shown(project)));
    }
    let set = quotas::of_project(&api.ctx, &call.caller, project).await?;
    let mut absolute = Map::new();
    for (resource, limit, used) in NAMES {
        if let Some(quota) = set.iter().find(|quota| quota.name == *resource) {
            absolute.insert((*limit).to_owned(), json!(quota.limit));
            absolute.insert((*used).to_owned(), json!(quota.in_use));
        }
    }
    Ok(ok(&json!({"limits": {"rate": [], "absolute": absolute}})))
}
