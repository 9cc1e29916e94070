//! `ashlar attachment ...`: reserve, connect, complete, release.

use serde_json::{Value, json};

use super::put;
use crate::client::{Method, text};
use crate::failure::Failure;
use crate::find::{self, ATTACHMENT, VOLUME};
use crate::grammar::{Arg, Given, Level, Verb};
use crate::output::{Answer, Column};
use crate::{Session, ask};

const SHORT: &[Column] = &[
    Column {
        head: "id",
        field: "id",
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
        head: "instance",
        field: "instance",
    },
    Column {
        head: "mode",
        field: "attach_mode",
    },
    Column {
        head: "since",
        field: "attached_at",
    },
];

const LONG: &[Column] = &[
    Column {
        head: "id",
        field: "id",
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
        head: "instance",
        field: "instance",
    },
    Column {
        head: "mode",
        field: "attach_mode",
    },
    Column {
        head: "since",
        field: "attached_at",
    },
    Column {
        head: "portal",
        field: "connection_info.target_portal",
    },
    Column {
        head: "iqn",
        field: "connection_info.target_iqn",
    },
    Column {
        head: "lun",
        field: "connection_info.target_lun",
    },
    Column {
        head: "connection",
        field: "connection_info",
    },
];

const INITIATOR: Arg = Arg::Option("initiator", "the host's initiator name (IQN)");
const HOST: Arg = Arg::Option("host", "the host's name");
const IP: Arg = Arg::Option("ip", "the host's address");

pub(super) const CREATE: Verb = Verb {
    noun: "attachment",
    name: "create",
    about: "Reserve a volume for a host; with --initiator connect it at once",
    args: &[
        Arg::One("volume", "the volume's name or id"),
        INITIATOR,
        HOST,
        IP,
        Arg::Option("instance", "the id of the server that will use it"),
        Arg::Option("mode", "rw or ro"),
    ],
    level: Level::Safe,
    columns: LONG,
    run: create,
};

fn connector(given: &Given<'_>) -> Option<Value> {
    let initiator = given.option("initiator")?;
    let mut connector = json!({"initiator": initiator, "multipath": false});
    put(&mut connector, "host", given.option("host"));
    put(&mut connector, "ip", given.option("ip"));
    Some(connector)
}

fn create(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let volume = find::find(session, &VOLUME, given.word("volume"))?;
    let mut attachment = json!({"volume_uuid": text(&volume, "id"), "connector": connector(given)});
    put(&mut attachment, "instance_uuid", given.option("instance"));
    put(&mut attachment, "mode", given.option("mode"));
    let body = json!({"attachment": attachment});
    let what = format!("attaching the volume {}", given.word("volume"));
    let answer = session
        .client
        .cinder(Method::Post, "/attachments", Some(&body))
        .map_err(|failure| failure.of(&what))?;
    Ok(Answer::One(find::inner(&answer, "attachment")))
}

pub(super) const UPDATE: Verb = Verb {
    noun: "attachment",
    name: "update",
    about: "Connect a reserved volume to the host that will use it",
    args: &[Arg::One("attachment", "its id"), INITIATOR, HOST, IP],
    level: Level::Safe,
    columns: LONG,
    run: update,
};

fn update(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let Some(connector) = connector(given) else {
        return Err(Failure::usage(
            "the host is not named",
            "add --initiator IQN",
        ));
    };
    let id = text(
        &find::find(session, &ATTACHMENT, given.word("attachment"))?,
        "id",
    );
    let body = json!({"attachment": {"connector": connector}});
    let answer = session
        .client
        .cinder(Method::Put, &format!("/attachments/{id}"), Some(&body))
        .map_err(|failure| failure.of(&format!("connecting the attachment {id}")))?;
    Ok(Answer::One(find::inner(&answer, "attachment")))
}

pub(super) const COMPLETE: Verb = Verb {
    noun: "attachment",
    name: "complete",
    about: "Say that the host has the device",
    args: &[Arg::One("attachment", "its id")],
    level: Level::Safe,
    columns: LONG,
    run: complete,
};

fn complete(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let id = text(
        &find::find(session, &ATTACHMENT, given.word("attachment"))?,
        "id",
    );
    session
        .client
        .cinder(
            Method::Post,
            &format!("/attachments/{id}/action"),
            Some(&json!({"os-complete": null})),
        )
        .map_err(|failure| failure.of(&format!("completing the attachment {id}")))?;
    Ok(Answer::One(find::show(session, &ATTACHMENT, &id)?))
}

pub(super) const LIST: Verb = Verb {
    noun: "attachment",
    name: "list",
    about: "List the attachments of the project",
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
        ATTACHMENT.list,
        ATTACHMENT.collection,
        &filters,
    )?))
}

pub(super) const SHOW: Verb = Verb {
    noun: "attachment",
    name: "show",
    about: "Show an attachment; -o json also shows the CHAP secret",
    args: &[Arg::One("attachment", "its id, or the start of it")],
    level: Level::Safe,
    columns: LONG,
    run: |session, given| {
        let found = find::find(session, &ATTACHMENT, given.word("attachment"))?;
        Ok(Answer::One(find::show(
            session,
            &ATTACHMENT,
            &text(&found, "id"),
        )?))
    },
};

pub(super) const DELETE: Verb = Verb {
    noun: "attachment",
    name: "delete",
    about: "Disconnect and release; the host must have let go",
    args: &[Arg::Many("attachment", "ids")],
    level: Level::Confirm,
    columns: &[],
    run: delete,
};

fn delete(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    ask::each(&given.all("attachment"), |word| {
        let attachment = find::find(session, &ATTACHMENT, word)?;
        ask::before(session, given, "release", "attachment", word, &attachment)?;
        let id = text(&attachment, "id");
        session
            .client
            .cinder(Method::Delete, &format!("/attachments/{id}"), None)
            .map(|_| ())
            .map_err(|failure| failure.of(&format!("deleting the attachment {id}")))
    })
}
