//! Actions of a volume: one key of the body says which.

use super::attachments::{connector, data};
use super::describe::{Described, post};
use super::schema::{
    any_of, anything, boolean, exactly, field, object, one_of, or_null, said_size, said_text, uuid,
    wrapped,
};
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Described> {
    vec![
        post("/v3/volumes/{id}/action", "Does something with a volume.")
            .body(any_of(
                actions()
                    .into_iter()
                    .map(|(name, said)| wrapped(name, said)),
            ))
            .answers_nothing(202)
            .answers(200, wrapped("connection_info", connection_info()))
            .refuses(&[409, 413, 500, 502]),
    ]
}

/// Every action, and what stands under its name.
pub(super) fn actions() -> Vec<(&'static str, Value)> {
    // What says nothing may be anything (rule W13).
    let nothing = anything;
    let with_connector = || wrapped("connector", connector());
    vec![
        (
            "os-attach",
            object([
                field(
                    "mountpoint",
                    json!({"type": "string", "minLength": 1, "maxLength": 255}),
                ),
                field("instance_uuid", or_null(uuid())).optional(),
                field("host_name", or_null(said_text())).optional(),
                field("mode", or_null(one_of(&["rw", "ro"]))).optional(),
            ]),
        ),
        ("os-begin_detaching", nothing()),
        (
            "os-detach",
            or_null(object([field("attachment_id", or_null(uuid())).optional()])),
        ),
        ("os-extend", wrapped("new_size", said_size())),
        ("os-initialize_connection", with_connector()),
        ("os-reserve", nothing()),
        (
            "os-retype",
            object([
                field("new_type", said_text()),
                field("migration_policy", or_null(one_of(&["never", "on-demand"]))).optional(),
            ]),
        ),
        ("os-roll_detaching", nothing()),
        ("os-terminate_connection", with_connector()),
        ("os-unmanage", nothing()),
        ("os-unreserve", nothing()),
        ("revert", wrapped("snapshot_id", uuid())),
    ]
}

fn connection_info() -> Value {
    object([
        field("driver_volume_type", exactly("iscsi")),
        field("data", object(data())),
        field("enforce_multipath", boolean()),
    ])
}
