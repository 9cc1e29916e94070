//! What lies in a pool and is not managed.

use super::describe::{Described, get, post};
use super::schema::{
    Field, boolean, field, integer, list, named, null, object, or_null, said_boolean, said_pairs,
    said_text, text, uuid, wrapped,
};
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Described> {
    let paths = [
        (
            "/v3/manageable_volumes",
            "/v3/manageable_volumes/detail",
            "/v3/manageable_snapshots",
            "/v3/manageable_snapshots/detail",
        ),
        (
            "/v3/os-volume-manage",
            "/v3/os-volume-manage/detail",
            "/v3/os-snapshot-manage",
            "/v3/os-snapshot-manage/detail",
        ),
    ];
    let all = paths.map(|(volumes, volumes_detail, snapshots, snapshots_detail)| {
        let listed = |path, schema: &'static str| {
            let says = "Lists what lies in a pool and could be taken over; administrators only.";
            listing(get(path, says)).answers(200, named(schema))
        };
        [
            listed(volumes, "ManageableVolumesInShort"),
            listed(volumes_detail, "ManageableVolumes"),
            post(volumes, "Takes over what lies in a pool, as a volume.")
                .body(wrapped("volume", volume()))
                .answers(202, wrapped("volume", named("Volume")))
                .refuses(&[403, 409, 413]),
            listed(snapshots, "ManageableSnapshotsInShort"),
            listed(snapshots_detail, "ManageableSnapshots"),
            post(
                snapshots,
                "Takes over what lies in a volume's pool, as a snapshot of it.",
            )
            .body(wrapped("snapshot", snapshot()))
            .answers(202, wrapped("snapshot", named("Snapshot")))
            .refuses(&[403, 409, 413]),
        ]
    });
    all.into_iter().flatten().collect()
}

fn listing(route: Described) -> Described {
    route
        .query("host", text(), "Which pool: `host@backend#pool`.")
        .query("cluster", text(), "There are no clusters: 404.")
        .query("limit", integer(), "At most so many.")
        .query("offset", integer(), "Leaves out the first so many.")
        .query("marker", text(), "The reference after which to go on.")
        .query(
            "sort",
            text(),
            "By `reference` or `size`, `:asc` or `:desc`.",
        )
        .query("sort_key", text(), "The older spelling of `sort`.")
        .query("sort_dir", text(), "The older spelling of `sort`.")
        .refuses(&[403, 404, 500, 502])
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let source = || vec![field("source_reference", or_null(reference()))];
    let all = |name, fields: Vec<Field>| object([field(name, list(&object(fields)))]);
    let (volumes, snapshots) = ("manageable-volumes", "manageable-snapshots");
    let with = |mut fields: Vec<Field>, more: Vec<Field>| {
        fields.extend(more);
        fields
    };
    vec![
        ("ManageableVolumesInShort", all(volumes, short())),
        ("ManageableVolumes", all(volumes, with(short(), long()))),
        (
            "ManageableSnapshotsInShort",
            all(snapshots, with(short(), source())),
        ),
        (
            "ManageableSnapshots",
            all(snapshots, with(with(short(), long()), source())),
        ),
    ]
}

fn reference() -> Value {
    object([field("source-name", text())])
}

fn short() -> Vec<Field> {
    vec![
        field("reference", reference()),
        field("size", integer()).says("GiB, rounded up."),
        field("safe_to_manage", boolean()),
    ]
}

fn long() -> Vec<Field> {
    vec![
        field("reason_not_safe", or_null(text())),
        field("cinder_id", null()).says("What is managed already is not listed."),
        field("extra_info", null()),
    ]
}

/// A plain name: it leads nowhere else.
fn said_reference() -> Value {
    let name =
        json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^./][^/]*$"});
    object([field("source-name", name)])
}

fn volume() -> Value {
    object([
        field("ref", said_reference()),
        field("host", or_null(said_text())).optional(),
        field("cluster", or_null(said_text())).since(16).optional(),
        field("name", or_null(said_text())).optional(),
        field("description", or_null(said_text())).optional(),
        field("volume_type", or_null(said_text())).optional(),
        field("availability_zone", or_null(said_text())).optional(),
        field("bootable", or_null(said_boolean())).optional(),
        field("metadata", or_null(said_pairs())).optional(),
    ])
}

fn snapshot() -> Value {
    object([
        field("ref", said_reference()),
        field("volume_id", uuid()),
        field("name", or_null(said_text())).optional(),
        field("display_name", or_null(said_text())).optional(),
        field("description", or_null(said_text())).optional(),
        field("metadata", or_null(said_pairs())).optional(),
    ])
}
