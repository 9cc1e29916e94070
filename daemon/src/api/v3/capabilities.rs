//! What a backend is and what types may ask of it, out of its last report.

use crate::api::Api;
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, ok};
use crate::model::pool::PoolReport;
use crate::model::service::{Binary, service_host};
use crate::ops::{services, unreadable};
use crate::store::pools;
use axum::extract::State;
use serde_json::{Value, json};

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    services::admins_only(&call.caller, "volume_extension:capabilities")?;
    let host = call.path("id");
    let known = crate::store::services::list(&api.ctx.store)
        .await
        .map_err(unreadable)?;
    let is_it =
        |one: &crate::model::service::Service| one.binary == Binary::Volume && one.host == host;
    if !known.iter().any(is_it) {
        return Err(Fault::not_found("Service", &shown(host)));
    }
    let pools = pools::list(&api.ctx.store).await.map_err(unreadable)?;
    let its = pools
        .iter()
        .find(|pool| service_host(&pool.address) == host);
    let report = its.map(|pool| &pool.report);
    Ok(ok(&view(host, report)))
}

fn view(host: &str, report: Option<&PoolReport>) -> Value {
    let named = |name: &str| report.and_then(|report| report.capabilities.get(name));
    json!({
        "namespace": format!("OS::Storage::Capabilities::{host}"),
        "vendor_name": named("vendor_name"),
        "volume_backend_name": named("volume_backend_name"),
        "pool_name": report.map(|report| &report.pool),
        "driver_version": named("driver_version"),
        "storage_protocol": named("storage_protocol"),
        "display_name": null,
        "description": null,
        "visibility": null,
        "replication_targets": [],
        "properties": properties(report),
    })
}

/// The extra specs that mean something to this backend.
fn properties(report: Option<&PoolReport>) -> Value {
    let mut properties = json!({});
    if report.is_some_and(|report| report.thin_provisioning_support) {
        properties["provisioning:type"] = json!({
            "title": "Provisioning type",
            "description": "thin: space is taken as it is written; thick: all of it at once.",
            "type": "string",
            "enum": provisioning(report),
            "default": "thin",
        });
    }
    if report.is_some_and(|report| report.multiattach) {
        properties["multiattach"] = json!({
            "title": "Multiattach",
            "description": "With \"<is> True\", several hosts may have the volume at once.",
            "type": "boolean",
        });
    }
    properties
}

fn provisioning(report: Option<&PoolReport>) -> Value {
    match report.is_some_and(|report| report.thick_provisioning_support) {
        true => json!(["thin", "thick"]),
        false => json!(["thin"]),
    }
}
