//! Cinder's CapabilitiesFilter: each extra spec of the type must be met by a capability of the pool.
//!
//! A key without a colon, or with the scope `capabilities:`, names a capability; other scopes (`provisioning:type`,
//! `RESKEY:...`) are for others and are not looked at. A capability that the pool does not name is not met.

use super::explanation::Verdict;
use super::extra_specs as specs;
use crate::model::pool::Pool;
use crate::model::size::gib_from_bytes;
use std::collections::BTreeMap;

/// Every spec that is not met is named.
pub(super) fn filter(pool: &Pool, extra_specs: &BTreeMap<String, String>) -> Verdict {
    let mut unmet = Vec::new();
    let mut asked: u32 = 0;
    for (key, wanted) in extra_specs {
        let Some(name) = capability_name(key) else {
            continue;
        };
        asked += 1;
        match capability(pool, name) {
            Some(has) if specs::is_met(&has, wanted) => {}
            Some(has) => unmet.push(format!(
                "has {name} {has:?} where the type wants {wanted:?}"
            )),
            None => unmet.push(format!(
                "does not say {name}, where the type wants {wanted:?}"
            )),
        }
    }
    let passed = unmet.is_empty();
    let why = if passed {
        "has what the type asks for".to_owned()
    } else {
        unmet.join(", and it ")
    };
    Verdict::new("CapabilitiesFilter", passed, why).with(vec![("asked", f64::from(asked))])
}

fn capability_name(key: &str) -> Option<&str> {
    match key.split_once(':') {
        None => Some(key),
        Some(("capabilities", name)) => Some(name),
        Some(_) => None,
    }
}

/// What the pool says under `name`: its own capabilities, and the report's fields under Cinder's names.
fn capability(pool: &Pool, name: &str) -> Option<String> {
    let report = &pool.report;
    let spelled = |is_so: bool| if is_so { "True" } else { "False" }.to_owned();
    match name {
        "pool_name" => Some(report.pool.clone()),
        "total_capacity_gb" => Some(gib_from_bytes(report.total_bytes).to_string()),
        "free_capacity_gb" => Some(gib_from_bytes(report.free_bytes).to_string()),
        "provisioned_capacity_gb" => Some(pool.provisioned_gib.to_string()),
        "total_volumes" => Some(pool.total_volumes.to_string()),
        "reserved_percentage" => Some(report.reserved_percentage.to_string()),
        "max_over_subscription_ratio" => Some(report.max_over_subscription_ratio.to_string()),
        "thin_provisioning_support" => Some(spelled(report.thin_provisioning_support)),
        "thick_provisioning_support" => Some(spelled(report.thick_provisioning_support)),
        "online_extend_support" => Some(spelled(report.online_extend_support)),
        "multiattach" => Some(spelled(report.multiattach)),
        other => report.capabilities.get(other).cloned(),
    }
}
