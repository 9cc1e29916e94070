//! The refusals: their bodies, and which codes every route may answer.

use super::describe::Described;
use super::schema::{exactly, field, object, text};
use serde_json::Value;

/// A code, Cinder's key for it, and when it is given.
pub(super) const FAULTS: &[(u16, &str, &str)] = &[
    (
        400,
        "badRequest",
        "The request cannot be right, or the object's status does not allow it.",
    ),
    (401, "unauthorized", "No or no valid credentials."),
    (403, "forbidden", "The caller's role may not."),
    (
        404,
        "itemNotFound",
        "There is no such object for this caller, or no such route at this microversion.",
    ),
    (405, "badMethod", "The path exists, the method does not."),
    (
        406,
        "computeFault",
        "A microversion beyond what is advertised.",
    ),
    (
        409,
        "conflictingRequest",
        "Somebody else is at it, or it exists already.",
    ),
    (
        412,
        "computeFault",
        "What the request is conditional on is not so (any more); nothing was done.",
    ),
    (
        413,
        "overLimit",
        "The body is too large, or a quota is used up.",
    ),
    (
        415,
        "badMediaType",
        "The body is said to be something else than JSON.",
    ),
    (
        500,
        "computeFault",
        "A backend failed; the message says what to do, or the log does.",
    ),
    (501, "notImplemented", "Nobody here can do that."),
    (
        502,
        "computeFault",
        "The work goes on, but the request waited long enough.",
    ),
    (
        503,
        "serviceUnavailable",
        "Too much at once, or something that is needed does not answer; try again.",
    ),
];

/// The name of a fault's schema.
pub(super) fn name(code: u16) -> String {
    format!("Fault{code}")
}

/// When a fault is given.
pub(super) fn says(code: u16) -> &'static str {
    let known = FAULTS.iter().find(|(known, _, _)| *known == code);
    known.map_or("", |(_, _, says)| says)
}

/// The schemas of all of them.
pub(super) fn schemas() -> Vec<(String, Value)> {
    FAULTS
        .iter()
        .map(|(code, key, _)| (name(*code), schema(*code, key)))
        .collect()
}

fn schema(code: u16, key: &'static str) -> Value {
    let mut fields = vec![field("code", exactly(code)), field("message", text())];
    match code {
        // As the token check in front of a Cinder answers.
        401 => {
            fields.push(field("title", text()));
            return object([field("error", object(fields))]);
        }
        413 => fields.push(field("retryAfter", text())),
        _ => {}
    }
    object([field(key, object(fields))])
}

/// Every code with which a route may refuse.
pub(super) fn of(route: &Described) -> Vec<u16> {
    if is_at_door(route.path) {
        return vec![503];
    }
    let mut codes = vec![401, 413, 503];
    let is_cinders = route.path.starts_with("/v3/");
    if is_cinders || !route.query.is_empty() {
        codes.push(400);
    }
    if is_cinders {
        // A route above the requested version is not there.
        codes.extend([404, 406]);
    }
    if route.names().next().is_some() {
        codes.push(404);
    }
    if route.method != "get" {
        codes.push(403);
    }
    if route.body.is_some() {
        codes.extend([400, 415]);
    }
    codes.extend(&route.refusals);
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// Whether a path is answered before anybody is asked who he is.
pub(super) fn is_at_door(path: &str) -> bool {
    super::versions::AT_DOOR.contains(&path)
}
