//! `ashlar snapshot ...`

use serde_json::json;

use super::{pairs, put};
use crate::client::{Method, text};
use crate::failure::Failure;
use crate::find::{self, SNAPSHOT, VOLUME};
use crate::grammar::{Arg, Given, Level, Verb};
use crate::output::{Answer, Column};
use crate::{Session, ask, wait};

const SHORT: &[Column] = &[
    Column {
        head: "id",
        field: "id",
    },
    Column {
        head: "name",
        field: "name",
    },
    Column {
        head: "volume",
        field: "volume_id",
    },
    Column {
        head: "status",
        field: "status",
    },
    Column {
        head: "GiB",
        field: "size",
    },
    Column {
        head: "created",
        field: "created_at",
    },
];

const LONG: &[Column] = &[
    Column {
        head: "id",
        field: "id",
    },
    Column {
        head: "name",
        field: "name",
    },
    Column {
        head: "description",
        field: "description",
    },
    Column {
        head: "volume",
        field: "volume_id",
    },
    Column {
        head: "status",
        field: "status",
    },
    Column {
        head: "GiB",
        field: "size",
    },
    Column {
        head: "progress",
        field: "os-extended-snapshot-attributes:progress",
    },
    Column {
        head: "metadata",
        field: "metadata",
    },
    Column {
        head: "created",
        field: "created_at",
    },
    Column {
        head: "updated",
        field: "updated_at",
    },
];

pub(super) const CREATE: Verb = Verb {
    noun: "snapshot",
    name: "create",
    about: "Keep the content of a volume as of now, in use or not",
    args: &[
        Arg::One("volume", "the volume's name or id"),
        Arg::Maybe("name", "the snapshot's name"),
        Arg::Option("description", "what it is for"),
        Arg::Repeated("meta", "metadata, KEY=VALUE"),
    ],
    level: Level::Safe,
    columns: LONG,
    run: create,
};

fn create(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let volume = find::find(session, &VOLUME, given.word("volume"))?;
    let mut snapshot =
        json!({"volume_id": text(&volume, "id"), "metadata": pairs(&given.all("meta"))?});
    put(&mut snapshot, "name", given.option("name"));
    put(&mut snapshot, "description", given.option("description"));
    let body = json!({"snapshot": snapshot});
    let what = format!("snapshotting the volume {}", given.word("volume"));
    let answer = session
        .client
        .cinder(Method::Post, "/snapshots", Some(&body))
        .map_err(|failure| failure.of(&what))?;
    Ok(Answer::One(wait::settled(
        session,
        &SNAPSHOT,
        find::inner(&answer, "snapshot"),
    )?))
}

pub(super) const LIST: Verb = Verb {
    noun: "snapshot",
    name: "list",
    about: "List the snapshots of the project",
    args: &[Arg::Option("volume", "only those of this volume")],
    level: Level::Safe,
    columns: SHORT,
    run: list,
};

fn list(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let volume_id = match given.option("volume") {
        Some(word) => Some(text(&find::find(session, &VOLUME, word)?, "id")),
        None => None,
    };
    let filters: Vec<(&str, &str)> = volume_id
        .iter()
        .map(|id| ("volume_id", id.as_str()))
        .collect();
    Ok(Answer::Many(session.client.list(
        SNAPSHOT.list,
        SNAPSHOT.collection,
        &filters,
    )?))
}

pub(super) const SHOW: Verb = Verb {
    noun: "snapshot",
    name: "show",
    about: "Show a snapshot",
    args: &[Arg::One(
        "snapshot",
        "its name, its id, or the start of its id",
    )],
    level: Level::Safe,
    columns: LONG,
    run: |session, given| {
        Ok(Answer::One(find::find(
            session,
            &SNAPSHOT,
            given.word("snapshot"),
        )?))
    },
};

pub(super) const DELETE: Verb = Verb {
    noun: "snapshot",
    name: "delete",
    about: "Delete snapshots",
    args: &[Arg::Many("snapshot", "names or ids")],
    level: Level::Confirm,
    columns: &[],
    run: delete,
};

fn delete(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    ask::each(&given.all("snapshot"), |word| {
        let snapshot = find::find(session, &SNAPSHOT, word)?;
        ask::before(session, given, "deletion", "snapshot", word, &snapshot)?;
        let id = text(&snapshot, "id");
        session
            .client
            .cinder(Method::Delete, &format!("/snapshots/{id}"), None)
            .map_err(|failure| failure.of(&format!("deleting the snapshot {word}")))?;
        wait::gone(session, &SNAPSHOT, &id)
    })
}
