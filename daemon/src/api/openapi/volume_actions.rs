//! Actions of a volume: one key of the body says which.

use super::attachments::{connector, data};
use super::describe::{Described, post};
use super::schema::{
    any_of, anything, boolean, exactly, field, object, one_of, or_null, pairs, said_boolean,
    said_pairs, said_size, said_text, uuid, wrapped,
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
            .answers_nothing(200)
            .answers(
                200,
                any_of([
                    wrapped("connection_info", connection_info()),
                    wrapped("metadata", pairs()),
                ]),
            )
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
        ("os-force_delete", nothing()),
        (
            "os-force_detach",
            or_null(object([
                field("attachment_id", or_null(uuid())).optional(),
                field("connector", json!({"type": ["string", "object", "null"]})).optional(),
            ])),
        ),
        ("os-initialize_connection", with_connector()),
        ("os-reserve", nothing()),
        ("os-reset_status", reset()),
        (
            "os-retype",
            object([
                field("new_type", said_text()),
                field("migration_policy", or_null(one_of(&["never", "on-demand"]))).optional(),
            ]),
        ),
        ("os-roll_detaching", nothing()),
        ("os-set_bootable", wrapped("bootable", said_boolean())),
        ("os-set_image_metadata", wrapped("metadata", said_pairs())),
        ("os-show_image_metadata", nothing()),
        ("os-terminate_connection", with_connector()),
        ("os-unmanage", nothing()),
        ("os-unreserve", nothing()),
        (
            "os-unset_image_metadata",
            wrapped(
                "key",
                json!({"type": "string", "minLength": 1, "maxLength": 255}),
            ),
        ),
        (
            "os-update_readonly_flag",
            wrapped("readonly", said_boolean()),
        ),
        ("revert", wrapped("snapshot_id", uuid())),
    ]
}

/// What an administrator may say that a volume is, in any case of letters.
fn reset() -> Value {
    let word = || or_null(said_text());
    object([
        field("status", word()).optional(),
        field("attach_status", word()).optional(),
        field("migration_status", word()).optional(),
    ])
}

fn connection_info() -> Value {
    object([
        field("driver_volume_type", exactly("iscsi")),
        field("data", object(data())),
        field("enforce_multipath", boolean()),
    ])
}
