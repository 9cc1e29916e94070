//! Volume types, their extra specs, and the filters of lists.

use super::describe::{Described, delete, get, post, put};
use super::schema::{
    boolean, field, links, list, named, object, or_null, pairs, said_boolean, said_pairs,
    said_text, text, uuid, wrapped,
};
use crate::api::v3::types::LISTING;
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Described> {
    let one = || wrapped("volume_type", named("VolumeType"));
    vec![
        get("/v3/types", "Lists volume types.")
            .lists(&LISTING, false)
            .answers(200, named("VolumeTypes")),
        get(
            "/v3/types/default",
            "Shows the type that a create without one takes.",
        )
        .answers(200, one()),
        post("/v3/types", "Creates a volume type.")
            .body(wrapped("volume_type", create()))
            .answers(200, one())
            .refuses(&[409]),
        get("/v3/types/{id}", "Shows a volume type.").answers(200, one()),
        put("/v3/types/{id}", "Changes a volume type.")
            .body(wrapped("volume_type", update()))
            .answers(200, one())
            .refuses(&[409]),
        delete("/v3/types/{id}", "Deletes a volume type.")
            .answers_nothing(202)
            .refuses(&[409]),
        get("/v3/types/{id}/extra_specs", "Lists a type's extra specs.")
            .answers(200, named("ExtraSpecs")),
        post("/v3/types/{id}/extra_specs", "Adds extra specs to a type.")
            .body(wrapped("extra_specs", said_pairs()))
            .answers(200, named("ExtraSpecs"))
            .refuses(&[409]),
        get("/v3/types/{id}/extra_specs/{key}", "One extra spec.").answers(200, pairs()),
        put("/v3/types/{id}/extra_specs/{key}", "Sets one extra spec.")
            .body(said_pairs())
            .answers(200, pairs())
            .refuses(&[409]),
        delete(
            "/v3/types/{id}/extra_specs/{key}",
            "Takes an extra spec off a type.",
        )
        .answers_nothing(202)
        .refuses(&[409]),
        get("/v3/resource_filters", "Which filters each list takes.")
            .query("resource", text(), "Of this list only.")
            .answers(
                200,
                wrapped("resource_filters", list(&named("ResourceFilters"))),
            ),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let volume_type = object([
        field("id", uuid()),
        field("name", text()),
        field("is_public", boolean()),
        field("description", or_null(text())),
        field("extra_specs", pairs()),
        field("os-volume-type-access:is_public", boolean()),
        field("qos_specs_id", or_null(uuid())).for_admins(),
    ]);
    let filters = object([field("resource", text()), field("filters", list(&text()))]);
    let page = object([
        field("volume_types", list(&named("VolumeType"))),
        field("volume_type_links", links()).optional(),
    ]);
    vec![
        ("VolumeType", volume_type),
        ("VolumeTypes", page),
        ("ExtraSpecs", wrapped("extra_specs", pairs())),
        ("ResourceFilters", filters),
    ]
}

fn name() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^\\u0000]*$"})
}

fn create() -> Value {
    object([
        field("name", name()),
        field("description", or_null(said_text())).optional(),
        field("extra_specs", or_null(said_pairs())).optional(),
        field("os-volume-type-access:is_public", or_null(said_boolean())).optional(),
    ])
}

fn update() -> Value {
    object([
        field("name", or_null(name())).optional(),
        field("description", or_null(said_text())).optional(),
        field("is_public", or_null(said_boolean())).optional(),
    ])
}
