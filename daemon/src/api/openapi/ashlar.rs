//! Our own API: routes, whoami, operations, sessions, tokens, these documents.

use super::describe::{Described, delete, get, post};
use super::schema::{
    Field, anything, boolean, field, integer, list, named, object, one_of, or_null, said_text,
    text, time, uuid, wrapped,
};
use crate::api::ashlar::operations::LISTING;
use crate::api::openapi::serve::DOCUMENTS;
use crate::model::operation::Phase;
use serde_json::{Value, json};

/// The roles that a token may have.
const ROLES: [&str; 3] = ["admin", "member", "reader"];

pub(super) fn routes() -> Vec<Described> {
    let documents: Vec<&str> = DOCUMENTS.iter().map(|(name, _)| *name).collect();
    let mut routes = vec![
        get("/ashlar/v1/routes", "Every route of both APIs.")
            .answers(200, wrapped("routes", list(&named("Route")))),
        get("/ashlar/v1/openapi/{document}", "These documents.")
            .variable("document", one_of(&documents))
            .answers(200, anything()),
        get("/ashlar/v1/whoami", "As whom a request counts.").answers(200, named("Whoami")),
    ];
    routes.extend(operations());
    routes.push(journal());
    routes.extend(sessions());
    routes.extend(tokens());
    routes
}

fn operations() -> Vec<Described> {
    vec![
        get("/ashlar/v1/operations", "What is being done and was done.")
            .lists(&LISTING, false)
            .answers(200, wrapped("operations", list(&named("Operation"))))
            .refuses(&[404]),
        get("/ashlar/v1/operations/{id}", "An operation with its steps.")
            .answers(200, wrapped("operation", named("OperationWithSteps"))),
        post(
            "/ashlar/v1/operations/{id}/cancel",
            "Asks an operation to stop.",
        )
        .answers(202, wrapped("operation", named("Operation")))
        .refuses(&[400, 409]),
        post(
            "/ashlar/v1/operations/{id}/retry",
            "Begins a failed or cancelled operation anew; the answer is the new one.",
        )
        .answers(202, wrapped("operation", named("Operation")))
        .refuses(&[400, 409, 502]),
    ]
}

fn journal() -> Described {
    get(
        "/ashlar/v1/journal",
        "Who did what to an object and when, the newest first; also to one that is gone.",
    )
    .query("object_id", text(), "The id of the object; required.")
    .query(
        "limit",
        json!({"type": "integer", "minimum": 0, "maximum": i32::MAX}),
        "At most so many; a page has 1000 at most.",
    )
    .query(
        "marker",
        text(),
        "The operation_id of the last one of the page before.",
    )
    .answers(200, wrapped("journal", list(&named("JournalEntry"))))
    .refuses(&[404])
}

fn sessions() -> Vec<Described> {
    vec![
        get(
            "/ashlar/v1/sessions",
            "Who is logged in at the target; for administrators.",
        )
        .answers(200, wrapped("sessions", list(&named("Session"))))
        .refuses(&[403]),
        post(
            "/ashlar/v1/sessions/{id}/kick",
            "Ends one session; a host that is let in may log in again.",
        )
        .answers_nothing(204)
        .refuses(&[400, 403]),
    ]
}

fn tokens() -> Vec<Described> {
    vec![
        get(
            "/ashlar/v1/tokens",
            "Lists access tokens, without their secrets.",
        )
        .answers(200, wrapped("tokens", list(&named("Token"))))
        .refuses(&[403]),
        post(
            "/ashlar/v1/tokens",
            "Makes an access token; the only answer with its secret.",
        )
        .body(wrapped("token", new_token()))
        .answers(200, wrapped("token", named("TokenWithSecret"))),
        get(
            "/ashlar/v1/tokens/{id}",
            "Shows an access token, without its secret.",
        )
        .answers(200, wrapped("token", named("Token")))
        .refuses(&[403]),
        delete("/ashlar/v1/tokens/{id}", "Revokes an access token.").answers_nothing(204),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    [of_operations_and_callers(), of_the_past_and_the_target()].concat()
}

fn of_operations_and_callers() -> Vec<(&'static str, Value)> {
    let step = object([
        field("position", integer()),
        field("name", text()),
        field("direction", one_of(&["do", "undo"])),
        field("started_at", time()),
        field("finished_at", time()),
    ]);
    let with_steps = operation()
        .into_iter()
        .chain([field("steps", list(&named("Step")))]);
    vec![
        (
            "Route",
            object([field("method", text()), field("path", text())]),
        ),
        (
            "Whoami",
            object([
                field("project_id", text()),
                field("user_id", text()),
                field("role", one_of(&ROLES)),
                field("version", text()),
            ]),
        ),
        ("Operation", object(operation())),
        ("OperationWithSteps", object(with_steps)),
        ("Step", step),
        (
            "Stuck",
            object([
                field("owner", text()),
                field("since", time()),
                field("waiting_for", text()),
                field("next", text()),
            ]),
        ),
        ("Token", object(token())),
        (
            "TokenWithSecret",
            object(token().into_iter().chain([field("secret", text())])),
        ),
    ]
}

fn of_the_past_and_the_target() -> Vec<(&'static str, Value)> {
    vec![
        (
            "JournalEntry",
            object([
                field("at", time()),
                field("what", text()),
                field("who", or_null(text())),
                field("request_id", text()),
                field("operation_id", uuid()),
                field("before", or_null(text())),
                field("after", or_null(text())),
                field("error", or_null(text())),
            ]),
        ),
        (
            "Session",
            object([
                field("id", uuid()),
                field("volume_id", uuid()),
                field("initiator", text()),
                field("address", text()),
                field("since", or_null(time())),
                field("read_only", boolean()),
                field("reads", or_null(integer())),
                field("writes", or_null(integer())),
                field("read_bytes", integer()),
                field("written_bytes", integer()),
                field("last_io_at", or_null(time())),
                field("quiet_s", or_null(integer())),
            ]),
        ),
    ]
}

fn operation() -> Vec<Field> {
    let phases: Vec<&str> = Phase::ALL.iter().map(|one| one.as_str()).collect();
    vec![
        field("id", uuid()),
        field("verb", text()),
        field("phase", one_of(&phases)),
        field("object_id", text()),
        field("project_id", text()),
        field("request_id", text()),
        field("queue", text()),
        field("steps_done", integer()),
        field("steps_total", integer()),
        field("bytes_per_s", or_null(integer())),
        field("left_s", or_null(integer())),
        field("can_cancel", boolean()),
        field("can_retry", boolean()),
        field("stuck", or_null(named("Stuck"))),
        field("bytes_done", or_null(integer())),
        field("bytes_total", or_null(integer())),
        field("cancel_requested", boolean()),
        field("error", or_null(text())),
        field("created_at", time()),
        field("finished_at", or_null(time())),
        field("deadline_at", time()),
    ]
}

fn token() -> Vec<Field> {
    vec![
        field("id", uuid()),
        field("name", text()),
        field("project_id", text()),
        field("user_id", text()),
        field("role", one_of(&ROLES)),
        field("created_at", time()),
        field("expires_at", or_null(time())),
    ]
}

fn new_token() -> Value {
    let id = || json!({"type": "string", "pattern": "^[A-Za-z0-9_\\-][A-Za-z0-9_.\\-]{0,63}$"});
    object([
        field("project_id", id()),
        field("user_id", or_null(id())).optional(),
        field("name", or_null(said_text())).optional(),
        field("role", or_null(one_of(&ROLES))).optional(),
        field(
            "expires_in_s",
            or_null(json!({"type": "integer", "minimum": 1, "maximum": 316_224_000})),
        )
        .optional(),
    ])
}
