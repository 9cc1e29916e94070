//! `ashlar backup ...`

use serde_json::{Value, json};

use super::operation;
use super::rows::{self, pairs, put};
use crate::Session;
use crate::client::{Method, text};
use crate::failure::Failure;
use crate::find;
use crate::listing;
use crate::output::{Answer, Column};
use crate::places::{Api, BACKUP, SNAPSHOT, VOLUME};
use crate::plan::About;
use crate::table::{Arg, Given, Level, Noun, Verb};
use crate::wait;

pub(super) static NOUN: Noun = Noun {
    name: "backup",
    aliases: &["backups"],
    about: "Copies of volumes in a backup store, each whole by itself",
    place: &BACKUP,
    short: &[
        Column::text("id", "id"),
        Column::text("name", "name"),
        Column::text("volume", "volume_id"),
        Column::text("status", "status"),
        Column::gib("size", "size"),
        Column::text("store", "container"),
        Column::time("of", "data_timestamp"),
    ],
    long: &[
        Column::text("id", "id"),
        Column::text("name", "name"),
        Column::text("description", "description"),
        Column::text("volume", "volume_id"),
        Column::text("snapshot", "snapshot_id"),
        Column::text("status", "status"),
        Column::gib("size", "size"),
        Column::text("store", "container"),
        Column::text("zone", "availability_zone"),
        Column::text("incremental", "is_incremental"),
        Column::text("objects", "object_count"),
        Column::text("failed because", "fail_reason"),
        Column::text("metadata", "metadata"),
        Column::time("of", "data_timestamp"),
        Column::time("created", "created_at"),
        Column::time("updated", "updated_at"),
    ],
    verbs: &[
        CREATE,
        rows::list("List the backups of the project"),
        rows::show("Show backups"),
        RESTORE,
        RESTORE_OVER,
        SET,
        CALENDAR,
        QUEUE,
        EXPORT,
        IMPORT,
        VERIFY,
        DRILL,
        FINDINGS,
        RESET_STATE,
        rows::delete(Level::Confirm, "Delete backups; no other backup needs them")
            .plan("delete_backup"),
        FORCE_DELETE,
    ],
};

const CREATE: Verb = Verb::form(
    "create",
    "Copy a volume, or a snapshot of it, into a backup store",
    &[
        Arg::One("volume", "the volume's name or id"),
        Arg::Maybe("name", "the backup's name"),
        Arg::Option(
            "snapshot",
            "the snapshot of the volume that is to be copied instead",
        ),
        Arg::Option(
            "store",
            "the backup store; else the one called default, or the first",
        ),
        Arg::Flag(
            "incremental",
            "read only what differs from the volume's newest backup",
        ),
        Arg::Flag("force", "also while the volume is in use"),
        Arg::Option("description", "what it is for"),
        Arg::Option("zone", "the zone that the backup service must be in"),
        Arg::Repeated("meta", "metadata, KEY=VALUE"),
    ],
    create,
);

fn create<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let volume = given.word("volume");
    let mut backup = json!({
        "volume_id": find::id(session, &VOLUME, volume)?,
        "incremental": given.flag("incremental"),
        "force": given.flag("force"),
    });
    if let Some(snapshot) = given.option("snapshot") {
        backup["snapshot_id"] = json!(find::id(session, &SNAPSHOT, snapshot)?);
    }
    put(&mut backup, "name", given.option("name"));
    put(&mut backup, "container", given.option("store"));
    put(&mut backup, "description", given.option("description"));
    put(&mut backup, "availability_zone", given.option("zone"));
    let meta = pairs(&given.all("meta"))?;
    if meta.as_object().is_some_and(|meta| !meta.is_empty()) {
        backup["metadata"] = meta;
    }
    let body = json!({"backup": backup});
    let made = session
        .client
        .cinder(Method::Post, "/backups", Some(&body))
        .map_err(|failure| failure.of(&format!("backing up the volume {volume}")))?;
    begun(session, &find::inner(&made, "backup"))
}

/// A backup whose making has begun: what the list shows of it, and its end if that is waited for.
fn begun<'s>(session: &'s Session, made: &Value) -> Result<Answer<'s>, Failure> {
    let backup = find::show(session, &BACKUP, &text(made, "id"))?;
    Ok(Answer::One(wait::settled(session, &BACKUP, backup)?))
}

const RESTORE: Verb = Verb::form(
    "restore",
    "Restore a backup into a new volume of its size",
    &[
        Arg::One("backup", "the backup's name or id"),
        Arg::Option("name", "what the new volume is called"),
    ],
    |session, given| restore(session, given, None),
)
.shows(RESTORED);

const RESTORE_OVER: Verb = Verb::type_name(
    "restore-over",
    "Restore a backup over an available volume, which loses what it holds",
    &[
        Arg::One("backup", "the backup's name or id"),
        Arg::One("volume", "the volume that is overwritten"),
    ],
    |session, given| restore(session, given, Some(given.word("volume"))),
)
.shows(RESTORED)
.plan("restore_backup");

const RESTORED: &[Column] = &[
    Column::text("backup", "backup_id"),
    Column::text("volume", "volume_id"),
    Column::text("name", "volume_name"),
];

fn restore<'s>(
    session: &'s Session,
    given: &Given<'_>,
    over: Option<&str>,
) -> Result<Answer<'s>, Failure> {
    let mut said = json!({});
    match over {
        Some(volume) => said["volume_id"] = json!(find::id(session, &VOLUME, volume)?),
        None => put(&mut said, "name", given.option("name")),
    }
    let about = |target: &rows::Target| {
        Ok(About {
            object_id: Some(target.id.clone()),
            input: said.clone(),
        })
    };
    rows::each_planned(session, given, "restoring", &about, |target| {
        let path = format!("/backups/{}/restore", target.id);
        let body = json!({"restore": said});
        let answer = rows::send(session, &BACKUP, Method::Post, &path, Some(&body), target)?;
        let restored = find::inner(&answer, "restore");
        let volume = find::show(session, &VOLUME, &text(&restored, "volume_id"))?;
        wait::settled(session, &VOLUME, volume)?;
        Ok(Some(restored))
    })
}

const SET: Verb = Verb::form(
    "set",
    "Change what is written about backups; metadata is replaced as a whole",
    &[
        Arg::Many("backup", "names or ids"),
        Arg::Option("name", "a new name"),
        Arg::Option("description", "a new description"),
        Arg::Repeated("meta", "metadata in place of what there is, KEY=VALUE"),
    ],
    set,
);

fn set<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut words = json!({});
    put(&mut words, "name", given.option("name"));
    put(&mut words, "description", given.option("description"));
    let meta = given.all("meta");
    if !meta.is_empty() {
        words["metadata"] = pairs(&meta)?;
    }
    if words == json!({}) {
        return Err(Failure::usage(
            "nothing was named to be changed",
            "add --name, --description or --meta",
        ));
    }
    rows::each(session, given, "changing", |target| {
        let path = format!("/backups/{}", target.id);
        let body = json!({"backup": words});
        rows::send(session, &BACKUP, Method::Put, &path, Some(&body), target)?;
        find::show(session, &BACKUP, &target.id).map(Some)
    })
}

const CALENDAR: Verb = Verb::read(
    "calendar",
    "Show when the backup sets ran and will run, and what came of it",
    &[
        Arg::Option(
            "from",
            "the first time (UTC), as 2026-12-01; else a week ago",
        ),
        Arg::Option("to", "the last time; else a week ahead"),
    ],
    |session, given| {
        let asked = ["from", "to"].into_iter();
        let asked = asked.filter_map(|key| given.option(key).map(|value| (key, value)));
        let asked: Vec<(&str, &str)> = asked.collect();
        let answer = session
            .client
            .get(Api::Ashlar, "/backup-calendar", &asked)?;
        let entries = find::inner(&answer, "backup_calendar");
        listing::of_items(given, entries.as_array().cloned().unwrap_or_default())
    },
)
.shows(&[
    Column::time("at", "at"),
    Column::text("set", "set_name"),
    Column::text("because", "run.cause"),
    Column::time("ended", "run.finished_at"),
    Column::number("done", "run.volumes.done"),
    Column::number("failed", "run.volumes.failed"),
    Column::number("removed", "run.removed_backups"),
    Column::text("problem", "run.problem"),
]);

const QUEUE: Verb = Verb::read(
    "queue",
    "Show what waits for or is worked on by the services that make and remove backups",
    &[],
    |session, given| {
        let answer = session.client.get(Api::Ashlar, "/backup-queue", &[])?;
        let queued = find::inner(&answer, "backup_queue");
        listing::of_items(given, queued.as_array().cloned().unwrap_or_default())
    },
)
.shows(&[
    Column::text("queue", "queue"),
    Column::number("place", "position"),
    Column::number("at once", "at_once"),
    Column::text("operation", "operation_id"),
    Column::text("does", "verb"),
    Column::text("object", "object_id"),
    Column::text("phase", "phase"),
    Column::bytes("done", "bytes_done"),
    Column::bytes("of", "bytes_total"),
    Column::time("begun", "created_at"),
]);

const RECORD: &[Column] = &[
    Column::text("service", "backup_service"),
    Column::text("url", "backup_url"),
];

const EXPORT: Verb = Verb::read(
    "export",
    "Show the record of backups, for another Ashlar that reaches the same store (admin)",
    &[Arg::Many("backup", "names or ids")],
    |session, given| {
        rows::each(session, given, "exporting", |target| {
            let path = format!("/backups/{}/export_record", target.id);
            let answer = session.client.at(Api::Cinder, Method::Get, &path, None)?;
            Ok(Some(find::inner(&answer, "backup-record")))
        })
    },
)
.shows(RECORD);

const IMPORT: Verb = Verb::form(
    "import",
    "Take over what lies in a backup store, from its record (admin)",
    &[
        Arg::One("service", "as `backup export` showed it"),
        Arg::One("url", "as `backup export` showed it"),
    ],
    import,
);

fn import<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let record = json!({
        "backup_service": given.word("service"), "backup_url": given.word("url"),
    });
    let body = json!({"backup-record": record});
    let made = session
        .client
        .cinder(Method::Post, "/backups/import_record", Some(&body))
        .map_err(|failure| failure.of("importing the backup"))?;
    begun(session, &find::inner(&made, "backup"))
}

const VERIFY: Verb = Verb::form(
    "verify",
    "Look whether backups can be read: whether all they need is in their store, or every byte is what was stored",
    &[
        Arg::Many("backup", "names or ids; - reads them from standard input"),
        Arg::Option("depth", "structure, or data for every byte [default: structure]"),
    ],
    |session, given| {
        rows::each(session, given, "verifying", |target| {
            let path = format!("/backups/{}/verify", target.id);
            let body = json!({"depth": given.option("depth").unwrap_or("structure")});
            let begun = session
                .client
                .at(Api::Ashlar, Method::Post, &path, Some(&body))?;
            operation::ended(session, &begun["operation"]).map(Some)
        })
    },
)
.shows(operation::BEGUN);

const DRILL: Verb = Verb::form(
    "drill",
    "Prove that backups can be restored: into scratch volumes, which are compared with the store and deleted",
    &[Arg::Many("backup", "names or ids; - reads them from standard input")],
    |session, given| {
        rows::each(session, given, "drilling", |target| {
            let path = format!("/backups/{}/drill", target.id);
            let begun = session.client.at(Api::Ashlar, Method::Post, &path, None)?;
            operation::ended(session, &begun["operation"]).map(Some)
        })
    },
)
.shows(operation::BEGUN);

const FINDINGS: Verb = Verb::read(
    "findings",
    "Show what the last look into the store found of backups",
    &[Arg::Many("backup", "names or ids")],
    |session, given| {
        rows::each(session, given, "showing", |target| {
            let path = format!("/backups/{}", target.id);
            let answer = session.client.at(Api::Ashlar, Method::Get, &path, None)?;
            Ok(Some(find::inner(&answer, "backup")))
        })
    },
)
.shows(&[
    Column::text("id", "id"),
    Column::text("name", "name"),
    Column::text("store", "store"),
    Column::bytes("data", "data_bytes"),
    Column::bytes("added", "added_bytes"),
    Column::time("verified", "last_verified_at"),
    Column::text("depth", "last_verified_depth"),
    Column::text("result", "last_verified_result"),
    Column::text("findings", "findings"),
    Column::time("proven", "last_proven_at"),
]);

const RESET_STATE: Verb = Verb::type_name(
    "reset-state",
    "Say what a backup is, if it is true (admin)",
    &[
        Arg::One("backup", "its name or id"),
        Arg::One("state", "the status to write: available, error"),
    ],
    |session, given| {
        rows::act(session, given, "resetting", |_| {
            Ok(json!({"os-reset_status": {"status": given.word("state")}}))
        })
    },
)
.plan("reset_backup_status");

const FORCE_DELETE: Verb = Verb::type_name(
    "force-delete",
    "Delete backups whatever their status (admin)",
    &[
        Arg::Many("backup", "names or ids; - reads them from standard input"),
        rows::ABSENT_OK,
    ],
    |session, given| rows::act_away(session, given, "deleting", "os-force_delete"),
)
.plan("force_delete_backup");
