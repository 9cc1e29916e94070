//! Snapshots.

use super::describe::{Described, delete, get, post, put};
use super::schema::{
    Field, any_of, anything, boolean, field, integer, named, null, object, one_of, or_null, pairs,
    said_boolean, said_pairs, said_text, text, time, uuid, wrapped,
};
use super::volumes::page;
use crate::api::v3::snapshots::LISTING;
use crate::model::status::SnapshotStatus;
use serde_json::Value;

pub(super) fn routes() -> Vec<Described> {
    let one = || wrapped("snapshot", named("Snapshot"));
    vec![
        get("/v3/snapshots", "Lists snapshots, in short.")
            .lists(&LISTING, true)
            .answers(200, named("SnapshotsInShort")),
        get("/v3/snapshots/detail", "Lists snapshots.")
            .lists(&LISTING, true)
            .answers(200, named("Snapshots")),
        post("/v3/snapshots", "Takes a snapshot of a volume.")
            .body(wrapped("snapshot", create()))
            .answers(202, one())
            .refuses(&[409]),
        get("/v3/snapshots/{id}", "Shows a snapshot.").answers(200, one()),
        put(
            "/v3/snapshots/{id}",
            "Changes a snapshot's name or description.",
        )
        .body(wrapped("snapshot", update()))
        .answers(200, one())
        .refuses(&[409]),
        delete("/v3/snapshots/{id}", "Deletes a snapshot.")
            .answers_nothing(202)
            .refuses(&[409]),
        post(
            "/v3/snapshots/{id}/action",
            "Does something with a snapshot.",
        )
        .body(any_of([
            wrapped("os-force_delete", anything()),
            wrapped("os-reset_status", wrapped("status", said_text())),
            wrapped("os-unmanage", anything()),
            wrapped("os-update_snapshot_status", assisted()),
        ]))
        .answers_nothing(202)
        .refuses(&[409]),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("Snapshot", object(short().into_iter().chain(long()))),
        ("SnapshotInShort", object(short())),
        (
            "Snapshots",
            page("snapshots", "snapshots_links", &named("Snapshot")),
        ),
        (
            "SnapshotsInShort",
            page("snapshots", "snapshots_links", &named("SnapshotInShort")),
        ),
    ]
}

fn short() -> Vec<Field> {
    let statuses: Vec<&str> = SnapshotStatus::ALL.iter().map(|one| one.as_str()).collect();
    vec![
        field("id", uuid()),
        field("created_at", time()),
        field("updated_at", or_null(time())),
        field("name", or_null(text())),
        field("description", or_null(text())),
        field("volume_id", uuid()),
        field("status", one_of(&statuses)),
        field("size", integer()).says("GiB."),
        field("metadata", pairs()),
    ]
}

fn long() -> Vec<Field> {
    vec![
        field("os-extended-snapshot-attributes:project_id", text()),
        field("os-extended-snapshot-attributes:progress", text()),
        field("group_snapshot_id", null()).since(14),
        field("user_id", text()).since(41),
        field("consumes_quota", boolean()).since(65),
    ]
}

fn create() -> Value {
    object([
        field("volume_id", uuid()),
        field("name", or_null(said_text())).optional(),
        field("display_name", or_null(said_text())).optional(),
        field("description", or_null(said_text())).optional(),
        field("metadata", or_null(said_pairs())).optional(),
        field("force", or_null(said_boolean()))
            .says("Until 3.65; from 3.66 on it may only be true.")
            .optional(),
    ])
}

/// What nova says of a snapshot that it makes itself.
fn assisted() -> Value {
    object([
        field("status", said_text()),
        field("progress", or_null(said_text())).optional(),
    ])
}

fn update() -> Value {
    object([
        field("name", or_null(said_text())).optional(),
        field("display_name", or_null(said_text())).optional(),
        field("description", or_null(said_text())).optional(),
        field("display_description", or_null(said_text())).optional(),
    ])
}
