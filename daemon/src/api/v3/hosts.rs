//! Hosts, Cinder's older view of services: who is there, and what projects have on one.

use crate::api::Api;
use crate::api::body::invalid;
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, ok};
use crate::model::service::{Binary, Service};
use crate::ops::{services, unreadable};
use crate::store::services::{Used, used_by_project};
use axum::extract::State;
use serde_json::{Map, Value, json};

const ACTION: &str = "volume_extension:hosts";

/// `PUT /os-hosts/{id}`: whether the host is to be disabled. Keys and words count in any case, as in Cinder.
fn update_request(body: &Map<String, Value>) -> Result<bool, Fault> {
    let mut disabled = None;
    for (key, value) in body {
        if !key.trim().eq_ignore_ascii_case("status") {
            let why = format!("Invalid update setting: '{}'", shown(key));
            return Err(Fault::bad_request(why));
        }
        let word = value.as_str().map(|word| word.trim().to_lowercase());
        disabled = match word.as_deref() {
            Some("enable") => Some(false),
            Some("disable") => Some(true),
            Some(_) | None => {
                return Err(invalid("status", value, "it must be enable or disable"));
            }
        };
    }
    disabled.ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute body. 'status' is a required property",
        )
    })
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    services::admins_only(&call.caller, ACTION)?;
    let zone = call.parameter("zone").filter(|zone| !zone.is_empty());
    let found = services::list(&api.ctx, &call.caller).await?;
    let shown: Vec<Value> = found
        .iter()
        .filter(|one| zone.is_none_or(|zone| zone == one.availability_zone))
        .map(view)
        .collect();
    Ok(ok(&json!({"hosts": shown})))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    services::admins_only(&call.caller, ACTION)?;
    let host = call.path("id");
    let known = services::list(&api.ctx, &call.caller).await?;
    let is_it = |one: &Service| one.binary == Binary::Volume && one.host == host;
    if !known.iter().any(is_it) {
        return Err(Fault::not_found("Host", &shown(host)));
    }
    let used = used_by_project(&api.ctx.store, host)
        .await
        .map_err(unreadable)?;
    let mut total = Used {
        project_id: "(total)".to_owned(),
        ..Used::default()
    };
    for one in &used {
        total.volumes += one.volumes;
        total.volume_gib += one.volume_gib;
        total.snapshots += one.snapshots;
        total.snapshot_gib += one.snapshot_gib;
    }
    let resources: Vec<Value> = std::iter::once(&total)
        .chain(&used)
        .map(|one| resource(host, one))
        .collect();
    Ok(ok(&json!({"host": resources})))
}

pub(in crate::api) async fn update(State(api): State<Api>, call: Call) -> Answer {
    services::admins_only(&call.caller, ACTION)?;
    let disabled = update_request(&call.json()?)?;
    let host = call.path("id");
    services::set_host(&api.ctx, &call.caller, host, disabled).await?;
    let status = if disabled { "disabled" } else { "enabled" };
    Ok(ok(&json!({"host": host, "status": status})))
}

fn view(one: &Service) -> Value {
    json!({
        "host_name": one.host,
        "service": one.binary.as_str(),
        "zone": one.availability_zone,
        "service-status": if one.is_up { "available" } else { "unavailable" },
        "service-state": if one.is_disabled { "disabled" } else { "enabled" },
        "last-update": one.heard_at.as_str(),
    })
}

/// Numbers as texts, as Cinder has them here.
fn resource(host: &str, used: &Used) -> Value {
    json!({"resource": {
        "host": host,
        "project": used.project_id,
        "volume_count": used.volumes.to_string(),
        "total_volume_gb": used.volume_gib.to_string(),
        "snapshot_count": used.snapshots.to_string(),
        "total_snapshot_gb": used.snapshot_gib.to_string(),
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_enabled_or_disabled() {
        let read = |body: Value| update_request(body.as_object().unwrap()).map_err(|f| f.code());
        assert_eq!(read(json!({"status": "disable"})), Ok(true));
        assert_eq!(read(json!({" Status": "ENABLE "})), Ok(false));
        for bad in [
            json!({}),
            json!({"status": "off"}),
            json!({"status": 1}),
            json!({"state": "enable"}),
        ] {
            assert_eq!(read(bad.clone()), Err(400), "{bad}");
        }
    }
}
