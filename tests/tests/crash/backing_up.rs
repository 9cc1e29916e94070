//! The part of the tour that goes through backups: of a volume at rest, in use, of a snapshot, on top of another; back
//! into a new volume and over one that is there; a look at one, a drill, a record of what lies in the store, and all that lies there.
//!
//! They are copies of the stamped volume, so that its stamps tell whether the bytes came back.

use crate::tour::{Ask, Until, VOLUMES, available, delete, post};

pub(crate) const BACKUPS: &str = "backups";

/// What lies in the store from the start, and is imported on the way.
pub(crate) const LAID: &str = "0badcafe-0000-4000-8000-000000000001";
/// What lies there, too, and comes with all that the store has.
pub(crate) const LAID_TOO: &str = "0badcafe-0000-4000-8000-000000000002";

fn backup(name: &'static str, body: &'static str) -> Ask {
    post(
        "create_backup",
        "/backups",
        body,
        name,
        Until::Is(BACKUPS, name, "available"),
    )
}

/// While a host has the volume `a`.
pub(crate) fn while_in_use() -> Vec<Ask> {
    vec![backup(
        "k",
        r#"{"backup":{"volume_id":"$a","name":"k","force":true}}"#,
    )]
}

/// While every volume is at rest.
pub(crate) fn at_rest() -> Vec<Ask> {
    let reset = |body, status| {
        let until = Until::Is(BACKUPS, "n", status);
        post("reset_backup_status", "/backups/$n/action", body, "", until)
    };
    vec![
        backup("l", r#"{"backup":{"volume_id":"$b","name":"l"}}"#),
        backup(
            "n",
            r#"{"backup":{"volume_id":"$a","snapshot_id":"$s","name":"n"}}"#,
        ),
        backup(
            "p",
            r#"{"backup":{"volume_id":"$b","name":"p","incremental":true}}"#,
        ),
        post(
            "verify_backup",
            "/ashlar/v1/backups/$l/verify",
            r#"{"depth":"data"}"#,
            "",
            Until::Quiet,
        ),
        post(
            "drill_backup",
            "/ashlar/v1/backups/$l/drill",
            "",
            "",
            Until::Quiet,
        ),
        post(
            "restore_backup",
            "/backups/$l/restore",
            r#"{"restore":{"name":"r"}}"#,
            "r",
            available("r"),
        ),
        post(
            "restore_backup",
            "/backups/$p/restore",
            r#"{"restore":{"volume_id":"$b"}}"#,
            "",
            available("b"),
        ),
        reset(r#"{"os-reset_status":{"status":"error"}}"#, "error"),
        reset(r#"{"os-reset_status":{"status":"available"}}"#, "available"),
        post(
            "import_backup",
            "/backups/import_record",
            "$record",
            "q",
            Until::Is(BACKUPS, "q", "available"),
        ),
        // The one in the midst of a chain first.
        delete("delete_backup", "/backups/$l", Until::Gone(BACKUPS, "l")),
        delete("delete_backup", "/backups/$k", Until::Gone(BACKUPS, "k")),
        delete("delete_backup", "/backups/$n", Until::Gone(BACKUPS, "n")),
        delete("delete_backup", "/backups/$p", Until::Gone(BACKUPS, "p")),
        delete("delete_backup", "/backups/$q", Until::Gone(BACKUPS, "q")),
        post(
            "import_store",
            "/ashlar/v1/backup-stores/nas/import",
            "",
            "",
            Until::Quiet,
        ),
        delete("delete_volume", "/volumes/$r", Until::Gone(VOLUMES, "r")),
    ]
}
