//! `ashlar snapshot ...`

use serde_json::{Value, json};

use super::rows::{self, pairs, put};
use super::volume_acts::{REFERENCES, references};
use crate::Session;
use crate::client::Method;
use crate::failure::Failure;
use crate::find;
use crate::output::{Answer, Column};
use crate::places::{Api, SNAPSHOT, VOLUME};
use crate::table::{Arg, Given, Level, Noun, Verb};
use crate::wait;

pub(super) static NOUN: Noun = Noun {
    name: "snapshot",
    aliases: &["snapshots", "snap"],
    about: "Snapshots of volumes",
    place: &SNAPSHOT,
    short: &[
        Column::text("id", "id"),
        Column::text("name", "name"),
        Column::text("volume", "volume_id"),
        Column::text("status", "status"),
        Column::gib("size", "size"),
        Column::time("created", "created_at"),
    ],
    long: &[
        Column::text("id", "id"),
        Column::text("name", "name"),
        Column::text("description", "description"),
        Column::text("volume", "volume_id"),
        Column::text("status", "status"),
        Column::gib("size", "size"),
        Column::text("progress", "os-extended-snapshot-attributes:progress"),
        Column::text("project", "os-extended-snapshot-attributes:project_id"),
        Column::text("metadata", "metadata"),
        Column::time("created", "created_at"),
        Column::time("updated", "updated_at"),
    ],
    verbs: &[
        CREATE,
        rows::list("List the snapshots of the project").key("4"),
        rows::show("Show snapshots").key("Enter"),
        SET,
        UNSET,
        MANAGE,
        UNMANAGE,
        MANAGEABLE,
        RESET_STATE,
        rows::delete(Level::Confirm, "Delete snapshots")
            .key("^D")
            .plan("delete_snapshot"),
        FORCE_DELETE,
    ],
};

const CREATE: Verb = Verb::form(
    "create",
    "Keep the content of a volume as of now, in use or not",
    &[
        Arg::One("volume", "the volume's name or id"),
        Arg::Maybe("name", "the snapshot's name"),
        Arg::Option("description", "what it is for"),
        Arg::Repeated("meta", "metadata, KEY=VALUE"),
    ],
    create,
)
.key("s");

fn create<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let volume_id = find::id(session, &VOLUME, given.word("volume"))?;
    let mut snapshot = json!({"volume_id": volume_id, "metadata": pairs(&given.all("meta"))?});
    put(&mut snapshot, "name", given.option("name"));
    put(&mut snapshot, "description", given.option("description"));
    let body = json!({"snapshot": snapshot});
    let what = format!("snapshotting the volume {}", given.word("volume"));
    let answer = session
        .client
        .cinder(Method::Post, "/snapshots", Some(&body))
        .map_err(|failure| failure.of(&what))?;
    let snapshot = find::inner(&answer, "snapshot");
    Ok(Answer::One(wait::settled(session, &SNAPSHOT, snapshot)?))
}

const SET: Verb = Verb::form(
    "set",
    "Change what is written about snapshots",
    &[
        Arg::Many("snapshot", "names or ids"),
        Arg::Option("name", "a new name"),
        Arg::Option("description", "a new description"),
        Arg::Repeated("meta", "metadata to add or change, KEY=VALUE"),
    ],
    set,
);

fn set<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut words = json!({});
    put(&mut words, "name", given.option("name"));
    put(&mut words, "description", given.option("description"));
    let meta = pairs(&given.all("meta"))?;
    let is_given = |map: &Value| map.as_object().is_some_and(|map| !map.is_empty());
    if !is_given(&words) && !is_given(&meta) {
        return Err(Failure::usage(
            "nothing was named to be changed",
            "add --name, --description or --meta",
        ));
    }
    rows::each(session, given, "changing", |target| {
        let path = format!("/snapshots/{}", target.id);
        if is_given(&words) {
            let body = json!({"snapshot": words});
            rows::send(session, &SNAPSHOT, Method::Put, &path, Some(&body), target)?;
        }
        if is_given(&meta) {
            let body = json!({"metadata": meta});
            let path = format!("{path}/metadata");
            rows::send(session, &SNAPSHOT, Method::Post, &path, Some(&body), target)?;
        }
        find::show(session, &SNAPSHOT, &target.id).map(Some)
    })
}

const UNSET: Verb = Verb::form(
    "unset",
    "Take away metadata of snapshots",
    &[
        Arg::Many("snapshot", "names or ids"),
        Arg::Repeated("meta", "a key of the metadata"),
    ],
    unset,
);

fn unset<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let keys = given.all("meta");
    if keys.is_empty() {
        return Err(Failure::usage(
            "nothing was named to be taken away",
            "add --meta KEY",
        ));
    }
    rows::each(session, given, "changing", |target| {
        for key in &keys {
            let key = crate::text::path_segment(key);
            let path = format!("/snapshots/{}/metadata/{key}", target.id);
            rows::send(session, &SNAPSHOT, Method::Delete, &path, None, target)?;
        }
        find::show(session, &SNAPSHOT, &target.id).map(Some)
    })
}

const RESET_STATE: Verb = Verb::type_name(
    "reset-state",
    "Set the status in the record by force, without looking at what is true (admin)",
    &[
        Arg::One("snapshot", "its name or id"),
        Arg::One("state", "the status to write: available, error"),
    ],
    |session, given| {
        rows::act(session, given, "resetting", |_| {
            Ok(json!({"os-reset_status": {"status": given.word("state")}}))
        })
    },
)
.plan("reset_snapshot_status");

const FORCE_DELETE: Verb = Verb::type_name(
    "force-delete",
    "Delete snapshots whatever their status (admin)",
    &[
        Arg::Many("snapshot", "names or ids; - reads them from standard input"),
        rows::ABSENT_OK,
    ],
    |session, given| rows::act_away(session, given, "deleting", "os-force_delete"),
)
.plan("force_delete_snapshot");

const UNMANAGE: Verb = Verb::confirm(
    "unmanage",
    "Forget snapshots and leave their data where it is (admin)",
    &[Arg::Many("snapshot", "names or ids"), rows::ABSENT_OK],
    |session, given| rows::act_away(session, given, "unmanaging", "os-unmanage"),
)
.plan("unmanage_snapshot");

const MANAGE: Verb = Verb::form(
    "manage",
    "Take over what lies in a pool already as a snapshot (admin)",
    &[
        Arg::One("volume", "the volume it is of"),
        Arg::One(
            "source",
            "its name in the pool, as `snapshot manageable` shows it",
        ),
        Arg::Maybe("name", "the snapshot's name"),
        Arg::Option("description", "what it is for"),
        Arg::Repeated("meta", "metadata, KEY=VALUE"),
    ],
    manage,
);

fn manage<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut snapshot = json!({
        "volume_id": find::id(session, &VOLUME, given.word("volume"))?,
        "ref": {"source-name": given.word("source")},
        "metadata": pairs(&given.all("meta"))?,
    });
    put(&mut snapshot, "name", given.option("name"));
    put(&mut snapshot, "description", given.option("description"));
    let body = json!({"snapshot": snapshot});
    let what = format!("taking over {}", given.word("source"));
    let answer = session
        .client
        .at(
            Api::Cinder,
            Method::Post,
            "/manageable_snapshots",
            Some(&body),
        )
        .map_err(|failure| failure.of(&what))?;
    let snapshot = find::inner(&answer, "snapshot");
    Ok(Answer::One(wait::settled(session, &SNAPSHOT, snapshot)?))
}

const MANAGEABLE: Verb = Verb::read(
    "manageable",
    "List what lies in a pool and could be taken over (admin)",
    &[Arg::One("pool", "host@backend#pool")],
    |session, given| {
        references(
            session,
            given,
            "/manageable_snapshots",
            "manageable-snapshots",
        )
    },
)
.shows(REFERENCES);
