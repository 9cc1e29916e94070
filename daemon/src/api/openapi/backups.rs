//! Backups.

use super::describe::{Described, delete, get, post, put};
use super::schema::{
    Field, any_of, anything, boolean, exactly, field, integer, links, named, object, one_of,
    or_null, pairs, said_boolean, said_pairs, said_text, text, time, uuid, wrapped,
};
use super::volumes::page;
use crate::api::v3::backups::LISTING;
use crate::model::status::BackupStatus;
use serde_json::Value;

pub(super) fn routes() -> Vec<Described> {
    let in_short = || wrapped("backup", named("BackupInShort"));
    vec![
        get("/v3/backups", "Lists backups, in short.")
            .lists(&LISTING, true)
            .answers(200, named("BackupsInShort")),
        get("/v3/backups/detail", "Lists backups.")
            .lists(&LISTING, true)
            .answers(200, named("Backups")),
        post(
            "/v3/backups",
            "Copies a volume or a snapshot into a backup store.",
        )
        .body(wrapped("backup", create()))
        .answers(202, in_short())
        .refuses(&[404, 409]),
        post(
            "/v3/backups/import_record",
            "Makes the row of a backup that lies in a store already, by a record from here or of Cinder's posix or NFS driver; for administrators.",
        )
        .body(named("BackupRecord"))
        .answers(201, in_short())
        .refuses(&[409]),
        get("/v3/backups/{id}", "Shows a backup.").answers(200, wrapped("backup", named("Backup"))),
        put(
            "/v3/backups/{id}",
            "Changes a backup's name, description or metadata.",
        )
        .body(wrapped("backup", update()))
        .answers(200, in_short())
        .refuses(&[409]),
        delete("/v3/backups/{id}", "Deletes a backup; no other needs it. Of a store that is only read it takes the row alone.")
            .answers_nothing(202)
            .refuses(&[409]),
        post(
            "/v3/backups/{id}/restore",
            "Restores a backup into a new volume, or over one that is available.",
        )
        .body(object([
            field("restore", or_null(restore())).optional(),
        ]))
        .answers(202, wrapped("restore", restored()))
        .refuses(&[409]),
        get(
            "/v3/backups/{id}/export_record",
            "The record of a backup, for another Ashlar that reaches the same store; for administrators.",
        )
        .answers(200, named("BackupRecord")),
        post("/v3/backups/{id}/action", "Does something with a backup.")
            .body(any_of([
                wrapped("os-force_delete", anything()),
                wrapped("os-reset_status", wrapped("status", said_text())),
            ]))
            .answers_nothing(202)
            .refuses(&[409]),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let record = object([
        field("backup_service", text()),
        field("backup_url", text()).says("Base64."),
    ]);
    vec![
        ("Backup", object(long())),
        ("BackupInShort", object(short())),
        (
            "Backups",
            page("backups", "backups_links", &named("Backup")),
        ),
        (
            "BackupsInShort",
            page("backups", "backups_links", &named("BackupInShort")),
        ),
        ("BackupRecord", wrapped("backup-record", record)),
    ]
}

fn short() -> Vec<Field> {
    vec![
        field("id", uuid()),
        field("name", or_null(text())),
        field("links", links()),
    ]
}

fn long() -> impl Iterator<Item = Field> {
    let statuses: Vec<&str> = BackupStatus::ALL.iter().map(|one| one.as_str()).collect();
    short().into_iter().chain([
        field("status", one_of(&statuses)),
        field("size", integer()).says("GiB."),
        field("object_count", integer()),
        field("availability_zone", text()),
        field("container", text()).says("The backup store."),
        field("created_at", time()),
        field("updated_at", or_null(time())),
        field("description", or_null(text())),
        field("fail_reason", or_null(text())),
        field("volume_id", uuid()),
        field("is_incremental", boolean()),
        field("has_dependent_backups", exactly(false)).says("None ever depends on another."),
        field("snapshot_id", or_null(uuid())),
        field("data_timestamp", time()),
        field("os-backup-project-attr:project_id", text())
            .since(18)
            .for_admins(),
        field("metadata", pairs()).since(43),
        field("user_id", text()).since(56).for_admins(),
    ])
}

fn create() -> Value {
    object([
        field("volume_id", uuid()),
        field("snapshot_id", or_null(uuid())).optional(),
        field("container", or_null(said_text())).optional(),
        field("name", or_null(said_text())).optional(),
        field("description", or_null(said_text())).optional(),
        field("incremental", or_null(said_boolean())).optional(),
        field("force", or_null(said_boolean())).optional(),
        field("metadata", or_null(said_pairs()))
            .since(43)
            .optional(),
        field("availability_zone", or_null(said_text()))
            .since(51)
            .optional(),
    ])
}

fn update() -> Value {
    object([
        field("name", or_null(said_text())).optional(),
        field("description", or_null(said_text())).optional(),
        field("metadata", or_null(said_pairs()))
            .since(43)
            .optional(),
    ])
}

fn restore() -> Value {
    object([
        field("volume_id", or_null(uuid())).optional(),
        field("name", or_null(said_text())).optional(),
    ])
}

fn restored() -> Value {
    object([
        field("backup_id", uuid()),
        field("volume_id", uuid()),
        field("volume_name", or_null(text())),
    ])
}
