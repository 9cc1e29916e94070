//! Backup sets, their calendar, and the queues of the backup services.

use super::describe::{Described, delete, get, post, put};
use super::schema::{
    Field, any_of, boolean, exactly, field, integer, list, named, object, one_of, or_null, pairs,
    said_boolean, said_text, text, time, uuid, wrapped,
};
use crate::api::ashlar::backup_sets::{LISTING, NAME_CHARS_MAX};
use crate::model::backup_run::{Cause, RunState};
use crate::model::backup_set::{FULL_EVERY_MAX, VOLUMES_MAX};
use crate::model::cron::CHARS_MAX;
use crate::model::operation::Phase;
use crate::model::retention::{KEPT_MAX, Reason};
use crate::model::status::BackupStatus;
use serde_json::{Value, json};

const KEEPS: [&str; 6] = [
    "keep_last",
    "keep_hourly",
    "keep_daily",
    "keep_weekly",
    "keep_monthly",
    "keep_yearly",
];

pub(super) fn routes() -> Vec<Described> {
    let set = || wrapped("backup_set", named("BackupSet"));
    vec![
        get("/ashlar/v1/backup-sets", "Lists the backup sets of the project.")
            .lists(&LISTING, false)
            .answers(200, wrapped("backup_sets", list(&named("BackupSet"))))
            .refuses(&[404]),
        post(
            "/ashlar/v1/backup-sets",
            "Makes a backup set; name and volumes must be said.",
        )
        .body(wrapped("backup_set", said_set()))
        .answers(201, set())
        .refuses(&[404]),
        get(
            "/ashlar/v1/backup-sets/{id}",
            "A backup set, with its newest run.",
        )
        .answers(200, set()),
        put(
            "/ashlar/v1/backup-sets/{id}",
            "Changes what is said of a backup set; what is under way goes on as it was begun.",
        )
        .body(wrapped("backup_set", said_set()))
        .answers(200, set()),
        delete(
            "/ashlar/v1/backup-sets/{id}",
            "Deletes a backup set. Its backups stay.",
        )
        .answers_nothing(204),
        post(
            "/ashlar/v1/backup-sets/{id}/run",
            "Begins a run now; its next time stays.",
        )
        .answers(202, wrapped("backup_run", named("BackupRun")))
        .refuses(&[400, 409]),
        post(
            "/ashlar/v1/backup-sets/{id}/plan",
            "What a run would do now, and what of the set's backups would be kept then, and why. Changes nothing.",
        )
        .answers(200, wrapped("backup_plan", named("BackupPlan")))
        .refuses(&[400]),
        get(
            "/ashlar/v1/backup-calendar",
            "The runs of the project's sets that were and that come, by time.",
        )
        .query("from", text(), "The first time; a week ago if it is not said.")
        .query("to", text(), "The last time; a week ahead if it is not said.")
        .answers(200, named("BackupCalendar")),
        get(
            "/ashlar/v1/backup-queue",
            "What waits for or is worked on by the services that make and remove backups.",
        )
        .answers(200, wrapped("backup_queue", list(&named("QueuedBackupWork")))),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("BackupSet", object(set())),
        ("BackupSetVolumes", selection()),
        (
            "BackupRetention",
            object(KEEPS.map(|key| field(key, integer()))),
        ),
        ("BackupRun", object(run())),
        ("BackupPlan", plan()),
        (
            "BackupCalendar",
            object([
                field(
                    "backup_calendar",
                    list(&object([
                        field("at", time()),
                        field("set_id", uuid()),
                        field("set_name", text()),
                        field("run", or_null(named("BackupRun"))),
                    ])),
                ),
                field("from", time()),
                field("to", time()),
                field("is_cut", boolean()).says("There is more in that span than is told."),
            ]),
        ),
        ("QueuedBackupWork", queued()),
    ]
}

fn set() -> Vec<Field> {
    vec![
        field("id", uuid()),
        field("project_id", text()),
        field("user_id", text()),
        field("name", text()),
        field("description", or_null(text())),
        field("volumes", named("BackupSetVolumes")),
        field("schedule", or_null(text())).says(
            "Minute, hour, day of the month, month, day of the week, UTC; or @hourly, @daily, @weekly, @monthly.",
        ),
        field("store", or_null(text())),
        field("incremental", boolean()),
        field("full_every", integer()),
        field("in_use", boolean()),
        field("retention", named("BackupRetention")),
        field("enabled", boolean()),
        field("next_at", or_null(time())),
        field("last_run", or_null(named("BackupRun"))),
        field("created_at", time()),
        field("updated_at", or_null(time())),
    ]
}

fn selection() -> Value {
    any_of([
        wrapped("ids", list(&uuid())),
        wrapped("name", text()),
        wrapped("type", text()),
        wrapped("metadata", pairs()),
        wrapped("all", exactly(true)),
    ])
}

/// What bodies may say of a set.
fn said_set() -> Value {
    let number = |max: u32| or_null(json!({"type": "integer", "minimum": 0, "maximum": max}));
    let word = |max: usize| json!({"type": "string", "minLength": 1, "maxLength": max, "pattern": "^[^\\u0000\\s][^\\u0000]*$"});
    let ids = json!({
        "type": "array", "items": uuid(), "minItems": 1, "maxItems": VOLUMES_MAX, "uniqueItems": true,
    });
    let pair = json!({
        "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": said_text(),
        "propertyNames": {"pattern": "^[a-zA-Z0-9\\-_:. /]{1,255}$"},
    });
    let selection = any_of([
        wrapped("ids", ids),
        wrapped("name", word(255)),
        wrapped("type", word(255)),
        wrapped("metadata", pair),
        wrapped("all", exactly(true)),
    ]);
    let kept = object(KEEPS.map(|key| field(key, number(KEPT_MAX)).optional()));
    object([
        field("name", word(NAME_CHARS_MAX)).optional(),
        field("description", or_null(said_text())).optional(),
        field("volumes", selection).optional(),
        field(
            "schedule",
            or_null(json!({"type": "string", "maxLength": CHARS_MAX})),
        )
        .optional(),
        field("store", or_null(said_text())).optional(),
        field("incremental", or_null(said_boolean())).optional(),
        field("full_every", number(FULL_EVERY_MAX)).optional(),
        field("in_use", or_null(said_boolean())).optional(),
        field("retention", or_null(kept)).optional(),
        field("enabled", or_null(said_boolean())).optional(),
    ])
}

fn run() -> Vec<Field> {
    let causes = Cause::ALL.map(Cause::as_str);
    let counts = object(RunState::ALL.map(|state| field(state.as_str(), integer())));
    vec![
        field("id", uuid()),
        field("set_id", uuid()),
        field("cause", one_of(&causes)),
        field("due_at", time()),
        field("begun_at", time()),
        field("finished_at", or_null(time())),
        field("problem", or_null(text())),
        field("volumes", counts).says("How many are in each state."),
        field(
            "failed_volumes",
            list(&object([
                field("volume_id", uuid()),
                field("why", or_null(text())),
            ])),
        ),
        field("removed_backups", integer()),
    ]
}

fn plan() -> Value {
    let statuses: Vec<&str> = BackupStatus::ALL.iter().map(|one| one.as_str()).collect();
    let mut reasons: Vec<&str> = Reason::ALL.iter().map(|one| one.as_str()).collect();
    reasons.extend(["unneeded", "superseded", "left_alone"]);
    object([
        field(
            "volumes",
            list(&object([
                field("id", uuid()),
                field("name", or_null(text())),
                field("size", or_null(integer())),
                field("is_full", boolean()),
                field("problem", or_null(text())),
            ])),
        ),
        field("left_out", integer()),
        field(
            "backups",
            list(&object([
                field("id", uuid()),
                field("name", or_null(text())),
                field("volume_id", uuid()),
                field("status", one_of(&statuses)),
                field("data_timestamp", time()),
                field("goes", boolean()),
                field("reasons", list(&one_of(&reasons))),
            ])),
        ),
        field("is_cut", boolean()),
    ])
}

fn queued() -> Value {
    let phases: Vec<&str> = Phase::ALL.iter().map(|one| one.as_str()).collect();
    object([
        field("operation_id", uuid()),
        field("verb", text()),
        field("object_id", text()),
        field("project_id", text()),
        field("phase", one_of(&phases)),
        field("queue", text()),
        field("position", integer())
            .says("Its place in its queue, from 1; the first at_once are worked on."),
        field("at_once", integer()),
        field("bytes_done", integer()),
        field("bytes_total", integer()),
        field("created_at", time()),
    ])
}
