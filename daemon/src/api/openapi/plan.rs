//! Our own API: plans of acts, and the reckoning of placements.

use super::describe::{Described, get, post};
use super::schema::{
    anything, boolean, field, integer, list, named, object, one_of, or_null, text, uuid, wrapped,
};
use serde_json::Value;

pub(super) fn routes() -> Vec<Described> {
    let asked = object([
        field("verb", text()),
        field("objects", list(&uuid())).optional(),
        field("input", anything()).optional(),
    ]);
    vec![
        post(
            "/ashlar/v1/plan",
            "What an act would block on, lose, break and keep; nothing is done.",
        )
        .body(asked)
        .answers(200, wrapped("plan", named("Plan")))
        .refuses(&[404]),
        get(
            "/ashlar/v1/volumes/{id}/placement",
            "Why a volume lies where it lies; for administrators.",
        )
        .answers(200, wrapped("placement", anything()))
        .refuses(&[403]),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let texts = || list(&text());
    let one = object([
        field("id", text()),
        field("name", or_null(text())),
        field("hash", text()),
        field("blocks", texts()),
        field("lost", texts()),
        field("breaks", texts()),
        field("keeps", texts()),
        field("frees_bytes", integer()),
        field("level", one_of(&["safe", "confirm", "type_name"])),
    ]);
    let plan = object([
        field("verb", text()),
        field("hash", text()),
        field("is_blocked", boolean()),
        field("objects", list(&named("PlannedObject"))),
        field(
            "after",
            object([
                field("frees_bytes", integer()),
                field("gigabytes", integer()),
            ]),
        ),
    ]);
    vec![("Plan", plan), ("PlannedObject", one)]
}
