//! Pools as the scheduler sees them: what each last reported, and what the record adds.

use crate::api::Api;
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::Listing;
use crate::model::pool::Pool;
use crate::model::size::gib_from_bytes;
use crate::ops::{services, unreadable};
use crate::schedule;
use crate::store::{pools, volume_types};
use axum::extract::State;
use serde_json::{Map, Value, json};

/// From this minor version on, pools can be filtered.
const FILTERS_FROM: u16 = 28;

/// What pools can be listed by; read here, since a pool is no row with these columns.
pub(super) const LISTING: Listing = Listing {
    sort: &[],
    filters: &[
        Rule {
            wire: "name",
            column: "address",
            kind: Kind::Ignored,
            since: FILTERS_FROM,
            for_admins: false,
        },
        Rule {
            wire: "volume_type",
            column: "address",
            kind: Kind::Ignored,
            since: 35,
            for_admins: false,
        },
    ],
    of_projects: false,
    strict_from: 31,
};

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    services::admins_only(
        &call.caller,
        "scheduler_extension:scheduler_stats:get_pools",
    )?;
    let is_long = call.flag("detail")?;
    let filters = filters(&call)?;
    let mut found = pools::list(&api.ctx.store).await.map_err(unreadable)?;
    for (key, value) in filters {
        match key {
            "name" => found.retain(|pool| pool.address == value),
            "volume_type" => {
                let found_type = volume_types::find(&api.ctx.store, value).await;
                let volume_type = found_type
                    .map_err(unreadable)?
                    .ok_or_else(|| Fault::not_found("Volume type", &shown(value)))?;
                found.retain(|pool| schedule::has_what_is_asked(pool, &volume_type.extra_specs));
            }
            other => found.retain(|pool| is_said(&capabilities(pool)[other], value)),
        }
    }
    let shown: Vec<Value> = found
        .iter()
        .map(|pool| match is_long {
            true => json!({"name": pool.address, "capabilities": capabilities(pool)}),
            false => json!({"name": pool.address}),
        })
        .collect();
    Ok(ok(&json!({"pools": shown})))
}

/// The filters that count at the asked version; from 3.31 on another one is refused, before, it names a capability.
fn filters(call: &Call) -> Result<Vec<(&str, &str)>, Fault> {
    if !call.version.at_least(FILTERS_FROM) {
        return Ok(Vec::new());
    }
    let mut filters = Vec::new();
    for (key, value) in call.query.iter().filter(|(key, _)| key != "detail") {
        let rule = LISTING.filters.iter().find(|rule| rule.wire == key);
        match rule {
            Some(rule) if !call.version.at_least(rule.since) => {}
            None if call.version.at_least(LISTING.strict_from) => {
                let why = format!("Invalid filters {} are found in query options.", shown(key));
                return Err(Fault::bad_request(why));
            }
            Some(_) | None => filters.push((key.as_str(), value.as_str())),
        }
    }
    Ok(filters)
}

/// Whether a capability is said as `asked`, whatever its type.
fn is_said(has: &Value, asked: &str) -> bool {
    match has {
        Value::String(text) => text == asked,
        Value::Bool(flag) => asked.eq_ignore_ascii_case(&flag.to_string()),
        Value::Number(number) => number.as_f64() == asked.parse().ok(),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// The pool in Cinder's words.
fn capabilities(pool: &Pool) -> Value {
    let report = &pool.report;
    let others: Map<String, Value> = report
        .capabilities
        .iter()
        .map(|(name, value)| (name.clone(), spelled(value)))
        .collect();
    let mut view = json!({
        "pool_name": report.pool,
        "total_capacity_gb": two_decimals(report.total_bytes),
        "free_capacity_gb": two_decimals(report.free_bytes),
        "allocated_capacity_gb": pool.allocated_gib,
        "provisioned_capacity_gb": pool.provisioned_gib,
        "reserved_percentage": report.reserved_percentage,
        // A text in Cinder since it may be `auto` there.
        "max_over_subscription_ratio": format!("{:?}", report.max_over_subscription_ratio),
        "thin_provisioning_support": report.thin_provisioning_support,
        "thick_provisioning_support": report.thick_provisioning_support,
        "online_extend_support": report.online_extend_support,
        "multiattach": report.multiattach,
        "total_volumes": pool.total_volumes,
        "QoS_support": false,
        "replication_enabled": false,
        "filter_function": null,
        "goodness_function": null,
        "location_info": null,
        "backend_state": if is_usable(pool) { "up" } else { "down" },
        "timestamp": pool.reported_at.as_str(),
    });
    for (name, value) in others {
        if view.get(&name).is_none() {
            view[name] = value;
        }
    }
    view
}

fn is_usable(pool: &Pool) -> bool {
    pool.is_up && pool.service.as_ref().is_none_or(|service| service.is_up)
}

/// Drivers say everything in texts; a truth value is one on the wire.
fn spelled(value: &str) -> Value {
    match value {
        "True" => json!(true),
        "False" => json!(false),
        text => json!(text),
    }
}

fn two_decimals(bytes: u64) -> f64 {
    (gib_from_bytes(bytes) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{self, Asks};

    fn read(minor: u16, query: &str) -> Result<Vec<String>, u16> {
        let call = testing::call(&Asks {
            minor,
            query,
            ..Asks::default()
        });
        let read = filters(&call).map_err(|fault| fault.code())?;
        Ok(read.into_iter().map(|(key, _)| key.to_owned()).collect())
    }

    #[test]
    fn filters_by_version() {
        let query = "detail=true&name=a&volume_type=t&thin_provisioning_support=true";
        assert_eq!(read(27, query), Ok(vec![]));
        let both = vec!["name".to_owned(), "thin_provisioning_support".to_owned()];
        assert_eq!(read(28, query), Ok(both));
        assert_eq!(read(31, query), Err(400));
        let both = vec!["name".to_owned(), "volume_type".to_owned()];
        assert_eq!(read(35, "detail=1&name=a&volume_type=t"), Ok(both));
    }

    #[test]
    fn a_capability_is_compared_by_its_type() {
        assert!(is_said(&json!(true), "True") && !is_said(&json!(true), "False"));
        assert!(is_said(&json!(20), "20.0") && !is_said(&json!(20), "x"));
        assert!(is_said(&json!("iSCSI"), "iSCSI") && !is_said(&Value::Null, ""));
    }
}
