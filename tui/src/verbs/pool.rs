//! `ashlar pool ...`: where blocks live, how full each is, and what a backend can do.

use serde_json::{Value, json};

use super::rows;
use crate::Session;
use crate::client::Method;
use crate::failure::Failure;
use crate::find;
use crate::listing;
use crate::output::{Answer, Column, number};
use crate::places::{Api, POOL};
use crate::table::{Arg, Given, Noun, Verb};
use crate::text::path_segment;

pub(super) static NOUN: Noun = Noun {
    name: "pool",
    aliases: &["pools"],
    about: "Pools: where volumes live and how full each is (admin)",
    place: &POOL,
    short: &[
        Column::text("name", "name"),
        Column::gib("total", "total_gib"),
        Column::gib("free", "free_gib"),
        Column::number("used %", "used_pct"),
        Column::gib("provisioned", "provisioned_gib"),
        Column::number("max oversub", "max_over_subscription_ratio"),
        Column::number("volumes", "total_volumes"),
        Column::text("state", "backend_state"),
    ],
    long: &[
        Column::text("name", "name"),
        Column::gib("total", "total_gib"),
        Column::gib("free", "free_gib"),
        Column::number("used %", "used_pct"),
        Column::gib("provisioned", "provisioned_gib"),
        Column::gib("allocated", "allocated_gib"),
        Column::number("max oversub", "max_over_subscription_ratio"),
        Column::number("reserved %", "reserved_percentage"),
        Column::number("volumes", "total_volumes"),
        Column::text("thin", "thin_provisioning_support"),
        Column::text("multiattach", "multiattach"),
        Column::text("protocol", "storage_protocol"),
        Column::text("backend", "volume_backend_name"),
        Column::text("state", "backend_state"),
        Column::time("reported", "timestamp"),
    ],
    verbs: &[LIST, SHOW, CAPABILITIES],
};

const LIST: Verb = Verb::read("list", "List the pools (admin)", &[], |session, given| {
    let pools = find::all(session, &POOL, &[])?;
    listing::of_items(given, pools.iter().map(flat).collect())
})
.list()
.key("2");

const SHOW: Verb = Verb::read(
    "show",
    "Show pools (admin)",
    &[Arg::Many("pool", "names: host@backend#pool")],
    |session, given| {
        rows::each(session, given, "showing", |target| {
            Ok(Some(flat(&target.item)))
        })
    },
)
.key("Enter");

/// What the pool reports, on one level, with sizes named like everywhere else.
fn flat(pool: &Value) -> Value {
    let mut flat = pool["capabilities"].clone();
    if !flat.is_object() {
        flat = json!({});
    }
    flat["name"] = pool["name"].clone();
    for (ours, theirs) in [
        ("total_gib", "total_capacity_gb"),
        ("free_gib", "free_capacity_gb"),
        ("provisioned_gib", "provisioned_capacity_gb"),
        ("allocated_gib", "allocated_capacity_gb"),
    ] {
        flat[ours] = flat[theirs].clone();
    }
    // `infinite` and `unknown` are words; a pool of no size has no percentage.
    let sizes = number(&flat["total_gib"]).zip(number(&flat["free_gib"]));
    flat["used_pct"] = match sizes {
        Some((total, free)) if total > 0.0 => {
            let tenths = ((total - free) / total * 1000.0).round();
            Value::from(tenths / 10.0)
        }
        _ => Value::Null,
    };
    flat
}

const CAPABILITIES: Verb = Verb::read(
    "capabilities",
    "Show what a backend can do (admin)",
    &[Arg::One("backend", "host@backend")],
    capabilities,
)
.shows(&[
    Column::text("backend", "volume_backend_name"),
    Column::text("pool", "pool_name"),
    Column::text("vendor", "vendor_name"),
    Column::text("version", "driver_version"),
    Column::text("protocol", "storage_protocol"),
    Column::text("replication", "replication_targets"),
    Column::text("properties", "properties"),
]);

fn capabilities<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    // What names a pool is taken, too: people copy it from the list.
    let backend = given.word("backend");
    let backend = backend
        .split_once('#')
        .map_or(backend, |(backend, _)| backend);
    let path = format!("/capabilities/{}", path_segment(backend));
    let answer = session.client.at(Api::Cinder, Method::Get, &path, None)?;
    Ok(Answer::One(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_flat_and_its_use_is_a_percentage_where_it_has_a_size() {
        let pool = json!({"name": "a@b#c", "capabilities":
            {"total_capacity_gb": 100.0, "free_capacity_gb": 37.55, "total_volumes": 3}});
        let flat_pool = flat(&pool);
        assert_eq!(flat_pool["used_pct"], 62.5);
        assert_eq!(flat_pool["total_volumes"], 3);
        let endless = json!({"name": "x", "capabilities": {"total_capacity_gb": "infinite"}});
        assert_eq!(flat(&endless)["used_pct"], Value::Null);
        assert_eq!(flat(&json!({"name": "x"}))["name"], "x");
    }
}
