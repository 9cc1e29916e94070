//! Attachments.

use super::describe::{Described, delete, get, post, put};
use super::schema::{
    Field, any_of, anything, boolean, exactly, field, integer, links, list, named, object, one_of,
    or_null, text, time, uuid, wrapped,
};
use crate::api::v3::attachments::LISTING;
use crate::model::status::AttachmentStatus;
use serde_json::{Value, json};

/// What a request about them may be refused with beyond the usual: held, or the backend failed or is slow.
const REFUSALS: &[u16] = &[409, 500, 502];

pub(super) fn routes() -> Vec<Described> {
    let one = || wrapped("attachment", named("Attachment"));
    vec![
        get("/v3/attachments", "Lists attachments, in short.")
            .lists(&LISTING, false)
            .answers(200, named("AttachmentsInShort")),
        get("/v3/attachments/detail", "Lists attachments.")
            .lists(&LISTING, false)
            .answers(200, named("Attachments")),
        post(
            "/v3/attachments",
            "Reserves a volume for a host, or with a connector lets it in.",
        )
        .body(wrapped("attachment", create()))
        .answers(200, one())
        .refuses(REFUSALS),
        get("/v3/attachments/{id}", "Shows an attachment.").answers(200, one()),
        put("/v3/attachments/{id}", "Lets a host in.")
            .body(wrapped("attachment", wrapped("connector", connector())))
            .answers(200, one())
            .refuses(REFUSALS),
        delete("/v3/attachments/{id}", "Shuts the host out.")
            .answers(
                200,
                wrapped("attachments", list(&named("AttachmentInShort"))),
            )
            .refuses(REFUSALS),
        post(
            "/v3/attachments/{id}/action",
            "From 3.44, `os-complete`: the host has connected.",
        )
        .body(wrapped("os-complete", anything()))
        .answers_nothing(204)
        .refuses(&[409]),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let short = || {
        let statuses: Vec<&str> = AttachmentStatus::ALL
            .iter()
            .map(|one| one.as_str())
            .collect();
        vec![
            field("id", uuid()),
            field("status", one_of(&statuses)),
            field("instance", or_null(text())),
            field("volume_id", uuid()),
        ]
    };
    let mut long = short();
    long.extend([
        field("attached_at", any_of([time(), exactly("")])),
        field("detached_at", any_of([time(), exactly("")])),
        field("attach_mode", one_of(&["rw", "ro"])),
        field("connection_info", any_of([object([]), flat()])),
    ]);
    let page = |one: &str| {
        object([
            field("attachments", list(&named(one))),
            field("attachments_links", links()).optional(),
        ])
    };
    vec![
        ("Attachment", object(long)),
        ("AttachmentInShort", object(short())),
        ("Attachments", page("Attachment")),
        ("AttachmentsInShort", page("AttachmentInShort")),
    ]
}

/// What a host needs to log in: the keys that os-brick's iSCSI connector reads, and those that nova does.
pub(super) fn data() -> Vec<Field> {
    vec![
        field("target_discovered", exactly(false)),
        field("target_portal", text()),
        field("target_iqn", text()),
        field("target_lun", integer()),
        field("target_portals", list(&text())).optional(),
        field("target_iqns", list(&text())).optional(),
        field("target_luns", list(&integer())).optional(),
        field("volume_id", uuid()),
        field("auth_method", exactly("CHAP")),
        field("auth_username", text()),
        field("auth_password", text()),
        field("mutual_auth_username", text()).optional(),
        field("mutual_auth_password", text()).optional(),
        field("encrypted", boolean()),
        field("qos_specs", or_null(told_limits())),
        field("access_mode", one_of(&["rw", "ro"])),
        field("cacheable", boolean()),
        field("discard", boolean()),
    ]
}

/// What the host is to keep the volume to: texts as they were written, numbers where the size was reckoned with.
fn told_limits() -> Value {
    json!({"type": "object", "additionalProperties": {"type": ["string", "integer"]}})
}

/// The flat form, as attachments show it.
fn flat() -> Value {
    object(data().into_iter().chain([
        field("driver_volume_type", exactly("iscsi")),
        field("attachment_id", uuid()),
        field("enforce_multipath", boolean()),
    ]))
}

fn create() -> Value {
    object([
        field("volume_uuid", uuid()),
        field("instance_uuid", or_null(uuid())).optional(),
        field("connector", or_null(connector())).optional(),
        field("mode", or_null(one_of(&["rw", "ro"])))
            .since(54)
            .optional(),
    ])
}

/// A host, as os-brick describes it: more keys than ours are kept, not read.
pub(super) fn connector() -> Value {
    json!({
        "type": "object",
        "required": ["initiator"],
        "properties": {
            "initiator": {"type": "string", "pattern": "^(iqn|eui|naa)\\.[A-Za-z0-9.:_\\-]{1,200}$"},
            "host": {"type": ["string", "null"], "maxLength": 60, "pattern": "^[^\\u0000]*$"},
            "ip": {"type": ["string", "null"], "maxLength": 60},
            "multipath": {"type": ["boolean", "null"]},
            "mountpoint": {"type": ["string", "null"], "maxLength": 60, "pattern": "^[^\\u0000]*$"},
            "mode": {"enum": ["rw", "ro", null]},
        },
        "additionalProperties": anything(),
    })
}
