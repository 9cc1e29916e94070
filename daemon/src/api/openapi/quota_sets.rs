//! What a project may use, and what it uses; classes; limits.

use super::describe::{Described, delete, get, put};
use super::schema::{any_of, exactly, field, integer, list, named, object, one_of, text, wrapped};
use crate::store::quotas::Resource;
use serde_json::{Value, json};

const OF_PROJECT: &str = "/v3/os-quota-sets/{id}";
const OF_CLASS: &str = "/v3/os-quota-class-sets/{id}";

pub(super) fn routes() -> Vec<Described> {
    vec![
        get(OF_PROJECT, "The quotas of a project.")
            .variable("id", text())
            .query("usage", one_of(&["true", "false"]), "Also what is in use.")
            .answers(200, wrapped("quota_set", named("QuotaSet")))
            .refuses(&[403]),
        put(OF_PROJECT, "Sets limits of a project, all or none.")
            .variable("id", text())
            .body(wrapped("quota_set", said(1)))
            .answers(200, wrapped("quota_set", named("QuotaLimits"))),
        delete(OF_PROJECT, "Leaves a project without limits of its own.")
            .variable("id", text())
            .answers_nothing(200),
        get(
            "/v3/os-quota-sets/{id}/defaults",
            "What holds where a project has no limits.",
        )
        .variable("id", text())
        .answers(200, wrapped("quota_set", named("QuotaLimits")))
        .refuses(&[403]),
        get(OF_CLASS, "The limits of a class.")
            .variable("id", text())
            .answers(200, wrapped("quota_class_set", named("QuotaLimits")))
            .refuses(&[403]),
        put(
            OF_CLASS,
            "Sets limits of a class; those of `default` are everybody's default.",
        )
        .variable("id", text())
        .body(wrapped("quota_class_set", said(0)))
        .answers(200, wrapped("quota_class_set", named("QuotaLimits"))),
        get("/v3/limits", "What the project may have and has.")
            .query(
                "project_id",
                text(),
                "From 3.39, for administrators: of this project.",
            )
            .query("tenant_id", text(), "The older name of the same.")
            .answers(200, wrapped("limits", named("Limits"))),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let used = object([
        field("limit", integer()),
        field("in_use", integer()),
        field("reserved", exactly(0)),
    ]);
    let absolute = [
        "maxTotalVolumes",
        "maxTotalVolumeGigabytes",
        "maxTotalSnapshots",
        "maxTotalBackups",
        "maxTotalBackupGigabytes",
        "totalVolumesUsed",
        "totalGigabytesUsed",
        "totalSnapshotsUsed",
        "totalBackupsUsed",
        "totalBackupGigabytesUsed",
    ]
    .map(|name| field(name, integer()));
    let limits = object([
        field("rate", list(&object([]))),
        field("absolute", object(absolute)),
    ]);
    vec![
        ("QuotaSet", any_of([set(&integer()), set(&used)])),
        ("QuotaLimits", set(&integer())),
        ("Limits", limits),
    ]
}

/// A line for each resource, and three for each volume type.
fn set(one: &Value) -> Value {
    let counted = Resource::ALL.map(|resource| field(resource.as_str(), one.clone()));
    let mut set = object(counted.into_iter().chain([field("id", text()).optional()]));
    set["patternProperties"] = json!({"^(volumes|snapshots|gigabytes)_": one});
    set
}

fn said(least: u64) -> Value {
    json!({
        "type": "object", "minProperties": least,
        "properties": {"id": {}, "tenant_id": {}},
        "additionalProperties": any_of([
            json!({"type": "integer", "minimum": -1, "maximum": i32::MAX}),
            json!({"type": "string", "pattern": "^(-1|[0-9]{1,9})$"}),
        ]),
    })
}
