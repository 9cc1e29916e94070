//! What a project may use, and what it uses.

use super::describe::{Described, get};
use super::schema::{any_of, field, integer, named, object, one_of, text, wrapped};
use serde_json::Value;

/// What is counted.
const RESOURCES: [&str; 4] = ["volumes", "snapshots", "gigabytes", "per_volume_gigabytes"];

pub(super) fn routes() -> Vec<Described> {
    vec![
        get("/v3/os-quota-sets/{id}", "The quotas of a project.")
            .variable("id", text())
            .query("usage", one_of(&["true", "false"]), "Also what is in use.")
            .answers(200, wrapped("quota_set", named("QuotaSet"))),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let used = object([
        field("limit", integer()),
        field("in_use", integer()),
        field("reserved", integer()),
    ]);
    let set = |schema: &Value| {
        let counted = RESOURCES.map(|name| field(name, schema.clone()));
        object(counted.into_iter().chain([field("id", text())]))
    };
    vec![("QuotaSet", any_of([set(&integer()), set(&used)]))]
}
