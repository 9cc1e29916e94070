//! Our own API: what changes.

use super::describe::{Described, get};
use super::schema::{boolean, field, integer, list, named, object, one_of, or_null, text, time};
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Described> {
    let id = json!({"type": "integer", "minimum": 0});
    vec![
        get(
            "/ashlar/v1/events",
            "What changes, as server-sent events without end; one page of it with `Accept: application/json`.",
        )
        .query("since", id, "The last event that the reader has seen.")
        .streams("text/event-stream")
        .answers(200, named("Events")),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let event = object([
        field("id", integer()),
        field("at", time()),
        field("kind", text()),
        field("object_id", text()),
        field("project_id", or_null(text())),
        field("change", one_of(&["created", "changed", "deleted"])),
        field("status", or_null(text())),
    ]);
    let page = object([
        field("events", list(&named("Event"))),
        field("oldest", integer()),
        field("newest", integer()),
        field("next", integer()),
        field("gap", boolean()),
    ]);
    vec![("Event", event), ("Events", page)]
}
