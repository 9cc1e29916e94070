//! The part of the tour in which things change hands between Ashlar and the pool's administrator. They are copies of the
//! first volume, so that its stamps tell whether anything was lost on the way.

use crate::tour::{Ask, SNAPSHOTS, Until, VOLUMES, available, delete, get, post};

/// A volume and its snapshot are handed back to the administrator and taken over again.
pub(crate) fn handing_over() -> Vec<Ask> {
    let [mut parts, rest] = [handing_back(), taking_over()];
    parts.extend(rest);
    parts
}

fn handing_back() -> Vec<Ask> {
    vec![
        post(
            "create_volume",
            "/volumes",
            r#"{"volume":{"name":"d","source_volid":"$a"}}"#,
            "d",
            available("d"),
        ),
        post(
            "create_snapshot",
            "/snapshots",
            r#"{"snapshot":{"volume_id":"$d","name":"u"}}"#,
            "u",
            Until::Is(SNAPSHOTS, "u", "available"),
        ),
        post(
            "unmanage_snapshot",
            "/snapshots/$u/action",
            r#"{"os-unmanage":null}"#,
            "",
            Until::Gone(SNAPSHOTS, "u"),
        ),
        get(
            "list_manageable",
            "/manageable_snapshots/detail?host=host1@default",
        ),
        post(
            "manage_snapshot",
            "/manageable_snapshots",
            r#"{"snapshot":{"volume_id":"$d","name":"m","ref":{"source-name":"volume-$d.snapshot-$u"}}}"#,
            "m",
            Until::Is(SNAPSHOTS, "m", "available"),
        ),
        delete(
            "delete_snapshot",
            "/snapshots/$m",
            Until::Gone(SNAPSHOTS, "m"),
        ),
        post(
            "unmanage_volume",
            "/volumes/$d/action",
            r#"{"os-unmanage":{}}"#,
            "",
            Until::Gone(VOLUMES, "d"),
        ),
    ]
}

fn taking_over() -> Vec<Ask> {
    vec![
        post(
            "manage_volume",
            "/manageable_volumes",
            r#"{"volume":{"host":"host1@default#pool","name":"e","ref":{"source-name":"volume-$d"}}}"#,
            "e",
            available("e"),
        ),
        post(
            "",
            "/types",
            r#"{"volume_type":{"name":"other"}}"#,
            "other",
            Until::Answered,
        ),
        post(
            "retype_volume",
            "/volumes/$e/action",
            r#"{"os-retype":{"new_type":"other"}}"#,
            "",
            available("e"),
        ),
        post(
            "",
            "/types",
            r#"{"volume_type":{"name":"elsewhere","extra_specs":{"volume_backend_name":"other"}}}"#,
            "elsewhere",
            Until::Answered,
        ),
        post(
            "retype_volume",
            "/volumes/$e/action",
            r#"{"os-retype":{"new_type":"elsewhere","migration_policy":"on-demand"}}"#,
            "",
            Until::Lies("e", "@other#"),
        ),
        delete("delete_volume", "/volumes/$e", Until::Gone(VOLUMES, "e")),
    ]
}
