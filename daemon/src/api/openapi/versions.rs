//! What is answered at the door, without credentials: the version documents and the health check.

use super::describe::{Described, get};
use super::schema::{exactly, field, list, named, object, text, wrapped};
use serde_json::Value;

/// The paths that are in no route table.
pub(super) const AT_DOOR: &[&str] = &["/", "/v3/", "/healthcheck"];

pub(super) fn routes() -> Vec<Described> {
    vec![
        get("/", "Every version of the API.").answers(300, named("Versions")),
        get("/v3/", "This version of the API.").answers(200, named("Versions")),
        get("/healthcheck", "Whether the API answers.").answers_nothing(200),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let link = object([
        field("rel", text()),
        field("href", text()),
        field("type", text()).optional(),
    ]);
    let media = object([field("base", text()), field("type", text())]);
    let version = object([
        field("id", exactly("v3.0")),
        field("status", exactly("CURRENT")),
        field("version", text()),
        field("min_version", exactly("3.0")),
        field("updated", text()),
        field("links", list(&link)),
        field("media-types", list(&media)),
    ]);
    vec![("Versions", wrapped("versions", list(&version)))]
}
