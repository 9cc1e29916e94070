//! `ashlar operation ...`: the daemon's journal.

use serde_json::Value;

use crate::Session;
use crate::client::{Method, text};
use crate::failure::{Exit, Failure};
use crate::grammar::{Arg, Given, Level, Verb};
use crate::output::{Answer, Column};

const COLUMNS: &[Column] = &[
    Column {
        head: "id",
        field: "id",
    },
    Column {
        head: "operation",
        field: "verb",
    },
    Column {
        head: "object",
        field: "object_id",
    },
    Column {
        head: "phase",
        field: "phase",
    },
    Column {
        head: "steps done",
        field: "steps_done",
    },
    Column {
        head: "bytes done",
        field: "bytes_done",
    },
    Column {
        head: "bytes",
        field: "bytes_total",
    },
    Column {
        head: "error",
        field: "error",
    },
    Column {
        head: "begun",
        field: "created_at",
    },
    Column {
        head: "ended",
        field: "finished_at",
    },
];

pub(super) const LIST: Verb = Verb {
    noun: "operation",
    name: "list",
    about: "List what the daemon is doing and has done, newest first",
    args: &[
        Arg::Option("object", "only those of the object with this id"),
        Arg::Flag("live", "only those that have not ended"),
    ],
    level: Level::Safe,
    columns: COLUMNS,
    run: list,
};

/// Phases in which something will still change.
const LIVE: &[&str] = &["queued", "running", "undoing"];

fn list(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let mut operations = all(session)?;
    if let Some(id) = given.option("object") {
        operations.retain(|operation| text(operation, "object_id").starts_with(id));
    }
    if given.flag("live") {
        operations.retain(|operation| LIVE.contains(&text(operation, "phase").as_str()));
    }
    Ok(Answer::Many(operations))
}

fn all(session: &Session) -> Result<Vec<Value>, Failure> {
    let answer = session.client.ashlar(Method::Get, "/operations", None)?;
    answer
        .get("operations")
        .and_then(Value::as_array)
        .cloned()
        .ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                "listing operations",
                "the answer holds no `operations`",
            )
        })
}

fn one(session: &Session, word: &str) -> Result<Value, Failure> {
    let mut found = all(session)?;
    found.retain(|operation| text(operation, "id").starts_with(word));
    let what = format!("finding the operation `{word}`");
    if found.len() > 1 {
        return Err(Failure::new(Exit::Ambiguous, &what, "several ids begin so"));
    }
    found.pop().ok_or_else(|| {
        Failure::new(Exit::NotFound, &what, "no operation has that id")
            .hint("`ashlar operation list` shows what there is")
    })
}

pub(super) const SHOW: Verb = Verb {
    noun: "operation",
    name: "show",
    about: "Show an operation",
    args: &[Arg::One("operation", "its id, or the start of it")],
    level: Level::Safe,
    columns: COLUMNS,
    run: |session, given| Ok(Answer::One(one(session, given.word("operation"))?)),
};

pub(super) const CANCEL: Verb = Verb {
    noun: "operation",
    name: "cancel",
    about: "Ask for an operation to be undone, where that is still possible",
    args: &[Arg::One("operation", "its id, or the start of it")],
    level: Level::Safe,
    columns: COLUMNS,
    run: cancel,
};

fn cancel(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let id = text(&one(session, given.word("operation"))?, "id");
    session
        .client
        .ashlar(Method::Post, &format!("/operations/{id}/cancel"), None)
        .map_err(|failure| failure.of(&format!("cancelling the operation {id}")))?;
    Ok(Answer::One(one(session, &id)?))
}
