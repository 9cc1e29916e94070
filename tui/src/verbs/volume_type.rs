//! `ashlar type ...`

use serde_json::{Value, json};

use super::{pairs, put};
use crate::client::{Method, text};
use crate::failure::Failure;
use crate::find::{self, TYPE};
use crate::grammar::{Arg, Given, Level, Verb};
use crate::output::{Answer, Column};
use crate::{Session, ask};

const COLUMNS: &[Column] = &[
    Column {
        head: "id",
        field: "id",
    },
    Column {
        head: "name",
        field: "name",
    },
    Column {
        head: "public",
        field: "is_public",
    },
    Column {
        head: "description",
        field: "description",
    },
    Column {
        head: "extra specs",
        field: "extra_specs",
    },
];

pub(super) const CREATE: Verb = Verb {
    noun: "type",
    name: "create",
    about: "Create a volume type",
    args: &[
        Arg::One("name", "its name"),
        Arg::Option("description", "what it is for"),
        Arg::Repeated("property", "an extra spec, KEY=VALUE"),
        Arg::Flag("private", "only for projects that are given access"),
    ],
    level: Level::Safe,
    columns: COLUMNS,
    run: create,
};

fn create(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let mut kind = json!({
        "name": given.word("name"),
        "os-volume-type-access:is_public": !given.flag("private"),
        "extra_specs": pairs(&given.all("property"))?,
    });
    put(&mut kind, "description", given.option("description"));
    let body = json!({"volume_type": kind});
    let answer = session
        .client
        .cinder(Method::Post, "/types", Some(&body))
        .map_err(|failure| failure.of(&format!("creating the type {}", given.word("name"))))?;
    Ok(Answer::One(find::inner(&answer, "volume_type")))
}

pub(super) const LIST: Verb = Verb {
    noun: "type",
    name: "list",
    about: "List the volume types",
    args: &[],
    level: Level::Safe,
    columns: COLUMNS,
    run: |session, _| {
        Ok(Answer::Many(session.client.list(
            TYPE.list,
            TYPE.collection,
            &[],
        )?))
    },
};

pub(super) const SHOW: Verb = Verb {
    noun: "type",
    name: "show",
    about: "Show a volume type",
    args: &[Arg::One("type", "its name or id")],
    level: Level::Safe,
    columns: COLUMNS,
    run: |session, given| Ok(Answer::One(find::find(session, &TYPE, given.word("type"))?)),
};

pub(super) const SET: Verb = Verb {
    noun: "type",
    name: "set",
    about: "Change a volume type: its name, description or extra specs",
    args: &[
        Arg::One("type", "its name or id"),
        Arg::Option("name", "a new name"),
        Arg::Option("description", "a new description"),
        Arg::Repeated("property", "an extra spec to set, KEY=VALUE"),
    ],
    level: Level::Safe,
    columns: COLUMNS,
    run: set,
};

fn set(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let kind = find::find(session, &TYPE, given.word("type"))?;
    let id = text(&kind, "id");
    let what = format!("changing the type {}", given.word("type"));
    let specs = pairs(&given.all("property"))?;
    if specs.as_object().is_some_and(|map| !map.is_empty()) {
        let body = json!({"extra_specs": specs});
        session
            .client
            .cinder(
                Method::Post,
                &format!("/types/{id}/extra_specs"),
                Some(&body),
            )
            .map_err(|failure| failure.of(&what))?;
    }
    let mut change = Value::Object(serde_json::Map::new());
    put(&mut change, "name", given.option("name"));
    put(&mut change, "description", given.option("description"));
    if change.as_object().is_some_and(|map| !map.is_empty()) {
        let body = json!({"volume_type": change});
        session
            .client
            .cinder(Method::Put, &format!("/types/{id}"), Some(&body))
            .map_err(|failure| failure.of(&what))?;
    }
    Ok(Answer::One(find::show(session, &TYPE, &id)?))
}

pub(super) const DELETE: Verb = Verb {
    noun: "type",
    name: "delete",
    about: "Delete volume types that no volume uses",
    args: &[Arg::Many("type", "names or ids")],
    level: Level::Confirm,
    columns: &[],
    run: delete,
};

fn delete(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    ask::each(&given.all("type"), |word| {
        let kind = find::find(session, &TYPE, word)?;
        ask::before(session, given, "deletion", "type", word, &kind)?;
        session
            .client
            .cinder(
                Method::Delete,
                &format!("/types/{}", text(&kind, "id")),
                None,
            )
            .map(|_| ())
            .map_err(|failure| failure.of(&format!("deleting the type {word}")))
    })
}
