//! Volumes.

use super::describe::{Described, delete, get, post, put};
use super::schema::{
    any_of, anything, boolean, exactly, field, integer, links, list, named, null, object, one_of,
    or_null, pairs, said_boolean, said_pairs, said_size, said_text, text, time, uuid, wrapped,
};
use crate::api::v3::volumes::LISTING;
use crate::model::status::VolumeStatus;
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Described> {
    vec![
        get("/v3/volumes", "Lists volumes, in short.")
            .lists(&LISTING, true)
            .answers(200, named("VolumesInShort")),
        get("/v3/volumes/detail", "Lists volumes.")
            .lists(&LISTING, true)
            .answers(200, named("Volumes")),
        get(
            "/v3/volumes/summary",
            "How many volumes there are, how large they are, and what their metadata says.",
        )
        .lists(&LISTING, false)
        .answers(200, wrapped("volume-summary", volume_summary())),
        post(
            "/v3/volumes",
            "Creates a volume: empty, of a snapshot, of another volume, or of a backup.",
        )
        .body(named("CreateVolume"))
        .answers(202, wrapped("volume", named("Volume")))
        .refuses(&[404, 409]),
        get("/v3/volumes/{id}", "Shows a volume.").answers(200, wrapped("volume", named("Volume"))),
        put(
            "/v3/volumes/{id}",
            "Changes a volume's name, description or metadata.",
        )
        .body(named("UpdateVolume"))
        .answers(200, wrapped("volume", named("Volume")))
        .refuses(&[409]),
        delete("/v3/volumes/{id}", "Deletes a volume.")
            .query("cascade", one_of(&["true", "false"]), "Its snapshots too.")
            .query(
                "force",
                one_of(&["true", "false"]),
                "From 3.23: whatever its status; for administrators.",
            )
            .answers_nothing(202)
            .refuses(&[409]),
        get("/v3/volumes/{id}/encryption", "How a volume is encrypted.")
            .answers(200, named("VolumeEncryption")),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("Volume", volume()),
        (
            "VolumeInShort",
            object([
                field("id", uuid()),
                field("name", or_null(text())),
                field("links", links()),
            ]),
        ),
        (
            "Volumes",
            page("volumes", "volumes_links", &named("Volume")),
        ),
        (
            "VolumesInShort",
            page("volumes", "volumes_links", &named("VolumeInShort")),
        ),
        ("AttachmentOfVolume", attachment()),
        ("VolumeEncryption", wrapped("encryption_key_id", null())),
        ("CreateVolume", create()),
        ("UpdateVolume", update()),
    ]
}

/// A page of a list that counts.
pub(super) fn page(collection: &'static str, links_name: &'static str, one: &Value) -> Value {
    object([
        field(collection, list(one)),
        field(links_name, links()).optional(),
        field("count", integer()).since(45).optional(),
    ])
}

fn volume() -> Value {
    let statuses: Vec<&str> = VolumeStatus::ALL.iter().map(|one| one.as_str()).collect();
    object([
        field("id", uuid()),
        field("status", one_of(&statuses)),
        field("size", integer()).says("GiB."),
        field("availability_zone", text()),
        field("created_at", time()),
        field("updated_at", or_null(time())),
        field("name", or_null(text())),
        field("description", or_null(text())),
        field("volume_type", text()).says("The type's name."),
        field("snapshot_id", or_null(uuid())),
        field("source_volid", or_null(uuid())),
        field("metadata", pairs()),
        field("links", links()),
        field("user_id", text()),
        field("bootable", one_of(&["true", "false"])).says("A text, unlike its neighbours."),
        field("encrypted", boolean()),
        field("replication_status", null()),
        field("consistencygroup_id", null()),
        field("multiattach", boolean()),
        field("attachments", list(&named("AttachmentOfVolume"))),
        field("os-vol-tenant-attr:tenant_id", text()),
        field("volume_image_metadata", pairs())
            .says("When there is any.")
            .optional(),
        field("migration_status", null()).for_admins(),
        field("os-vol-host-attr:host", or_null(text())).for_admins(),
        field("os-vol-mig-status-attr:migstat", null()).for_admins(),
        field("os-vol-mig-status-attr:name_id", null()).for_admins(),
        field("group_id", null()).since(13),
        field("provider_id", null()).since(21).for_admins(),
        field("shared_targets", exactly(false)).since(48),
        field("service_uuid", or_null(uuid())).since(48),
        field("cluster_name", null()).since(61).for_admins(),
        field("volume_type_id", uuid()).since(63),
        field("consumes_quota", boolean()).since(65),
    ])
}

fn volume_summary() -> Value {
    let values = json!({"type": "object", "additionalProperties": list(&text())});
    object([
        field("total_count", integer()),
        field("total_size", integer()).says("GiB."),
        field("metadata", values)
            .since(36)
            .says("Every value of every key, each once."),
    ])
}

fn attachment() -> Value {
    object([
        field("id", uuid()).says("The volume's id: an old habit that clients know."),
        field("attachment_id", uuid()),
        field("volume_id", uuid()),
        field("server_id", or_null(text())),
        field("host_name", or_null(text())).says("Null but for administrators."),
        field("device", or_null(text())),
        field("attached_at", or_null(time())),
    ])
}

fn create() -> Value {
    let text = || or_null(said_text());
    let id = || or_null(uuid());
    let volume = object([
        field("size", or_null(said_size()))
            .says("GiB; may be left out with a source.")
            .optional(),
        field("name", text()).optional(),
        field("display_name", text()).optional(),
        field("description", text()).optional(),
        field("display_description", text()).optional(),
        field("volume_type", text())
            .says("A type's name or id.")
            .optional(),
        field("metadata", or_null(said_pairs())).optional(),
        field("snapshot_id", id()).optional(),
        field("source_volid", id()).optional(),
        field("consistencygroup_id", id()).optional(),
        field("group_id", id()).optional(),
        field("backup_id", id()).optional(),
        field("image_id", id()).optional(),
        field("imageRef", id()).optional(),
        field("availability_zone", text()).optional(),
        field("multiattach", or_null(said_boolean())).optional(),
    ]);
    let hints = any_of([
        null(),
        serde_json::json!({"type": "object", "additionalProperties": anything()}),
    ]);
    object([
        field("volume", volume),
        field("OS-SCH-HNT:scheduler_hints", hints).optional(),
    ])
}

fn update() -> Value {
    let text = || or_null(said_text());
    wrapped(
        "volume",
        object([
            field("name", text()).optional(),
            field("display_name", text()).optional(),
            field("description", text()).optional(),
            field("display_description", text()).optional(),
            field("metadata", or_null(said_pairs())).optional(),
        ]),
    )
}
