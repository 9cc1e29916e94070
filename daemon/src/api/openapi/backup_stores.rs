//! What our own API says of backups and of the stores that they lie in.

use super::describe::{Described, get, post};
use super::schema::{
    Field, boolean, field, integer, list, named, object, one_of, or_null, text, time, uuid, wrapped,
};
use crate::api::ashlar::backups::LISTING;
use crate::model::backup::Depth;
use crate::model::status::BackupStatus;
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Described> {
    let depths = one_of(&Depth::ALL.map(Depth::as_str));
    vec![
        get(
            "/ashlar/v1/backups",
            "Backups, with what a look into their store last found.",
        )
        .lists(&LISTING, false)
        .answers(200, wrapped("backups", list(&named("StoredBackup"))))
        .refuses(&[404]),
        get(
            "/ashlar/v1/backups/{id}",
            "A backup, with what a look into its store last found, line by line.",
        )
        .answers(200, wrapped("backup", named("StoredBackupWithFindings"))),
        post(
            "/ashlar/v1/backups/{id}/verify",
            "Looks whether all that a backup needs is in its store, or whether every byte is what was stored.",
        )
        .body(object([field("depth", or_null(depths))
            .optional()
            .says("Structure when nothing is said.")]))
        .answers(202, wrapped("operation", named("Operation")))
        .refuses(&[409]),
        post(
            "/ashlar/v1/backups/{id}/drill",
            "Proves that a backup can be restored: into a scratch volume, which is compared with the store and deleted.",
        )
        .answers(202, wrapped("operation", named("Operation")))
        .refuses(&[409, 413]),
        get(
            "/ashlar/v1/backup-stores",
            "The backup stores as their services last told; for administrators.",
        )
        .answers(200, wrapped("backup_stores", list(&named("BackupStore"))))
        .refuses(&[403]),
        get(
            "/ashlar/v1/backup-stores/{store}",
            "A backup store, by its name or as host@store, with its last import; for administrators.",
        )
        .variable("store", named_store())
        .answers(200, wrapped("backup_store", named("BackupStoreWithImport")))
        .refuses(&[403]),
        post(
            "/ashlar/v1/backup-stores/{store}/import",
            "Makes the rows of all backups that lie in a store and have none; for administrators.",
        )
        .variable("store", named_store())
        .answers(202, wrapped("operation", named("Operation")))
        .refuses(&[400, 403, 409]),
    ]
}

fn named_store() -> Value {
    json!({"type": "string", "pattern": "^[a-zA-Z0-9\\-_.@]{1,255}$"})
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let findings = field("findings", list(&text())).says("What is wrong; none when nothing is.");
    let reason = object([field("backup_id", uuid()), field("why", text())]);
    let import = object([
        field("operation_id", uuid()),
        field("at", time()),
        field("found", integer()),
        field("made", integer()),
        field("already_there", integer()),
        field("refused", integer()),
        field("reasons", list(&reason)).says("Of the refused, the first hundred."),
    ]);
    let last_import = field("last_import", or_null(named("BackupStoreImport")));
    vec![
        ("StoredBackup", object(backup())),
        (
            "StoredBackupWithFindings",
            object(backup().into_iter().chain([findings])),
        ),
        ("BackupStore", object(store())),
        (
            "BackupStoreWithImport",
            object(store().into_iter().chain([last_import])),
        ),
        ("BackupStoreImport", import),
    ]
}

fn backup() -> Vec<Field> {
    let statuses: Vec<&str> = BackupStatus::ALL.iter().map(|one| one.as_str()).collect();
    vec![
        field("id", uuid()),
        field("name", or_null(text())),
        field("project_id", text()),
        field("volume_id", uuid()),
        field("parent_id", or_null(uuid())),
        field("status", one_of(&statuses)),
        field("size", integer()).says("GiB."),
        field("store", text()),
        field("host", text()).says("The backup service, host@store."),
        field("data_bytes", integer()).says("Bytes that are not zero."),
        field("added_bytes", integer()).says("Bytes by which it made its store grow."),
        field("data_timestamp", time()),
        field("created_at", time()),
        field("last_verified_at", or_null(time())),
        field(
            "last_verified_depth",
            or_null(one_of(&Depth::ALL.map(Depth::as_str))),
        ),
        field(
            "last_verified_result",
            or_null(one_of(&["sound", "damaged"])),
        ),
        field("last_proven_at", or_null(time())).says("When a drill last went well."),
    ]
}

fn store() -> Vec<Field> {
    vec![
        field("name", text()),
        field("host", text()).says("The backup service, host@store."),
        field("kind", text()),
        field("is_up", boolean())
            .says("Its service is heard, and it answered when it was asked last."),
        field("is_disabled", boolean()),
        field("heard_at", or_null(time())).says("When its service was heard last."),
        field("availability_zone", or_null(text())),
        field("location", or_null(text())),
        field("repository_id", or_null(text())),
        field("used_bytes", or_null(integer())),
        field("free_bytes", or_null(integer())),
        field("backups", or_null(integer())).says("How many the store says that it has."),
        field("rows", integer()).says("How many the record has in stores of this name."),
        field("reported_at", or_null(time())).says("When the store said the above."),
        field("asked_at", time()).says("When it was asked last."),
        field("failure", or_null(text())).says("Why it did not answer then."),
    ]
}
