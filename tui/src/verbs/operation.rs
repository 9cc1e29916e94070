//! `ashlar operation ...`: what the daemon is doing and has done, step by step, and why something does not end.

use std::time::Duration;

use serde_json::Value;

use super::rows;
use crate::Session;
use crate::client::{Method, text};
use crate::failure::{Exit, Failure};
use crate::find;
use crate::output::{Answer, Column};
use crate::places::OPERATION;
use crate::table::{Arg, Given, Noun, Verb};
use crate::text::harmless;
use crate::wait;

pub(super) static NOUN: Noun = Noun {
    name: "operation",
    aliases: &["operations", "op", "task", "tasks"],
    about: "What the daemon is doing and has done",
    place: &OPERATION,
    short: &[
        Column::text("id", "id"),
        Column::text("operation", "verb"),
        Column::text("object", "object_id"),
        Column::text("phase", "phase"),
        Column::bytes("done", "bytes_done"),
        Column::bytes("of", "bytes_total"),
        Column::seconds("left", "left_s"),
        Column::text("error", "error"),
        Column::time("begun", "created_at"),
        Column::time("ended", "finished_at"),
    ],
    long: &[
        Column::text("id", "id"),
        Column::text("operation", "verb"),
        Column::text("object", "object_id"),
        Column::text("project", "project_id"),
        Column::text("request", "request_id"),
        Column::text("queue", "queue"),
        Column::text("phase", "phase"),
        Column::number("steps done", "steps_done"),
        Column::number("steps", "steps_total"),
        Column::bytes("done", "bytes_done"),
        Column::bytes("of", "bytes_total"),
        Column::bytes("per second", "bytes_per_s"),
        Column::seconds("left", "left_s"),
        Column::text("can cancel", "can_cancel"),
        Column::text("can retry", "can_retry"),
        Column::text("error", "error"),
        Column::text("waits for", "stuck.waiting_for"),
        Column::time("begun", "created_at"),
        Column::time("ended", "finished_at"),
        Column::time("deadline", "deadline_at"),
    ],
    verbs: &[
        rows::list("List what the daemon is doing and has done, newest first").key("7"),
        rows::show("Show operations").key("Enter"),
        STEPS,
        WHY,
        WAIT,
        CANCEL,
        RETRY,
    ],
};

/// What a verb shows of the operation that it began.
pub(super) const BEGUN: &[Column] = &[
    Column::text("id", "id"),
    Column::text("operation", "verb"),
    Column::text("object", "object_id"),
    Column::text("phase", "phase"),
    Column::text("error", "error"),
    Column::time("begun", "created_at"),
    Column::time("ended", "finished_at"),
];

/// An operation that was begun; once it is over, where `--wait` was given.
pub(super) fn ended(session: &Session, begun: &Value) -> Result<Value, Failure> {
    match &session.wait {
        Some(wait) => until_over(session, &text(begun, "id"), wait.timeout),
        None => Ok(begun.clone()),
    }
}

/// An operation once it is over; one that did not end well is a failure.
fn until_over(session: &Session, id: &str, timeout: Duration) -> Result<Value, Failure> {
    let ended = wait::poll(session, &OPERATION, id, timeout, || {
        let operation = find::show(session, &OPERATION, id)?;
        Ok(is_over(&operation).then_some(operation))
    })?;
    if text(&ended, "phase") == "done" {
        return Ok(ended);
    }
    let why = format!("it is {}: {}", text(&ended, "phase"), text(&ended, "error"));
    Err(Failure::new(Exit::EndedInError, "waiting", &why))
}

const STEPS: Verb = Verb::read(
    "steps",
    "Show the steps of an operation with their times",
    &[Arg::One("operation", "its id")],
    |session, given| {
        let operation = whole(session, given)?;
        let steps = operation["steps"].as_array().cloned().unwrap_or_default();
        crate::listing::of_items(given, steps)
    },
)
.shows(&[
    Column::number("no", "position"),
    Column::text("step", "name"),
    Column::text("direction", "direction"),
    Column::time("begun", "started_at"),
    Column::time("ended", "finished_at"),
]);

fn whole(session: &Session, given: &Given<'_>) -> Result<Value, Failure> {
    let id = find::id(session, &OPERATION, given.word("operation"))?;
    find::show(session, &OPERATION, &id)
}

const WHY: Verb = Verb::read(
    "why",
    "Say in words why an operation does not end, or how it ended",
    &[Arg::One("operation", "its id")],
    |session, given| {
        let operation = whole(session, given)?;
        if session.form.is_json() {
            return Ok(Answer::One(operation));
        }
        Ok(Answer::Text(why(&operation)))
    },
);

/// One line for each thing that is known.
fn why(operation: &Value) -> String {
    let field = |key: &str| harmless(&text(operation, key));
    let mut lines = format!(
        "{} of {} is {}, begun {}\n",
        field("verb"),
        field("object_id"),
        field("phase"),
        field("created_at")
    );
    let mut add = |what: &str, value: String| {
        if !value.is_empty() {
            lines.push_str(&format!("  {what:12} {value}\n"));
        }
    };
    let stuck = &operation["stuck"];
    for (what, key) in [
        ("held by", "owner"),
        ("since", "since"),
        ("waits for", "waiting_for"),
        ("then", "next"),
    ] {
        add(what, harmless(&text(stuck, key)));
    }
    add("error", field("error"));
    add("ended", field("finished_at"));
    add("deadline", field("deadline_at"));
    let can = |key: &str| operation[key].as_bool() == Some(true);
    let id = field("id");
    if can("can_cancel") {
        add("one can", format!("ashlar operation cancel {id}"));
    }
    if can("can_retry") {
        add("one can", format!("ashlar operation retry {id}"));
    }
    lines
}

const WAIT: Verb = Verb::read(
    "wait",
    "Wait for the end of operations; --timeout says how long",
    &[Arg::Many(
        "operation",
        "ids; - reads them from standard input",
    )],
    |session, given| {
        let timeout = crate::settings::timeout(given)?;
        rows::each(session, given, "waiting for", |target| {
            until_over(session, &target.id, timeout).map(Some)
        })
    },
);

fn is_over(operation: &Value) -> bool {
    !text(operation, "finished_at").is_empty()
}

const CANCEL: Verb = Verb::confirm(
    "cancel",
    "Ask for operations to be undone, where that is still possible",
    &[Arg::Many("operation", "ids")],
    |session, given| act(session, given, "cancelling", "cancel"),
)
.key("X");

const RETRY: Verb = Verb::form(
    "retry",
    "Begin operations that failed once more",
    &[Arg::Many("operation", "ids")],
    |session, given| act(session, given, "retrying", "retry"),
)
.key("Z");

fn act<'s>(
    session: &'s Session,
    given: &Given<'_>,
    doing: &str,
    act: &str,
) -> Result<Answer<'s>, Failure> {
    rows::each(session, given, doing, |target| {
        let path = format!("/operations/{}/{act}", target.id);
        let answer = rows::send(session, &OPERATION, Method::Post, &path, None, target)?;
        // A retry is an operation of its own, and the answer says which.
        match answer.get("operation") {
            Some(operation) => Ok(Some(operation.clone())),
            None => find::show(session, &OPERATION, &target.id).map(Some),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn why_says_who_holds_what_and_what_one_can_do() {
        let text = why(
            &json!({"id": "op", "verb": "delete_volume", "object_id": "v", "phase": "running",
            "created_at": "2025-01-01T00:00:00", "can_cancel": true, "can_retry": false, "error": null,
            "stuck": {"owner": "volume@a", "since": "2025", "waiting_for": "the target\u{1b}", "next": "an undo"}}),
        );
        assert_eq!(
            text,
            "delete_volume of v is running, begun 2025-01-01T00:00:00\n  held by      volume@a\n  \
             since        2025\n  waits for    the target\n  then         an undo\n  \
             one can      ashlar operation cancel op\n"
        );
    }
}
