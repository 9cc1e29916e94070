//! `ashlar token ...`: who may call, over TCP. The secret is shown once, when it is made.

use serde_json::{Value, json};

use super::put;
use crate::client::Method;
use crate::failure::{Exit, Failure};
use crate::grammar::{Arg, Given, Level, Verb};
use crate::output::{Answer, Column};
use crate::{Session, ask};

const COLUMNS: &[Column] = &[
    Column {
        head: "id",
        field: "id",
    },
    Column {
        head: "project",
        field: "project_id",
    },
    Column {
        head: "user",
        field: "user_id",
    },
    Column {
        head: "role",
        field: "role",
    },
    Column {
        head: "created",
        field: "created_at",
    },
    Column {
        head: "expires",
        field: "expires_at",
    },
];

const CREATED: &[Column] = &[
    Column {
        head: "token",
        field: "secret",
    },
    Column {
        head: "id",
        field: "id",
    },
    Column {
        head: "project",
        field: "project_id",
    },
    Column {
        head: "user",
        field: "user_id",
    },
    Column {
        head: "role",
        field: "role",
    },
];

pub(super) const CREATE: Verb = Verb {
    noun: "token",
    name: "create",
    about: "Make a token; it is shown this once and kept only as a hash",
    args: &[
        Arg::One("for-project", "the project it is for"),
        Arg::Option("role", "admin, member or reader [default: member]"),
        Arg::Option("user", "whom the log should name"),
        Arg::Option("name", "what it is for"),
    ],
    level: Level::Safe,
    columns: CREATED,
    run: create,
};

fn create(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    let mut token = json!({
        "project_id": given.word("for-project"),
        "role": given.option("role").unwrap_or("member"),
    });
    put(&mut token, "user_id", given.option("user"));
    put(&mut token, "name", given.option("name"));
    let body = json!({"token": token});
    let answer = session
        .client
        .ashlar(Method::Post, "/tokens", Some(&body))
        .map_err(|failure| failure.of("making a token"))?;
    Ok(Answer::One(
        answer
            .get("token")
            .filter(|token| token.is_object())
            .unwrap_or(&answer)
            .clone(),
    ))
}

pub(super) const LIST: Verb = Verb {
    noun: "token",
    name: "list",
    about: "List the tokens, without their secrets",
    args: &[],
    level: Level::Safe,
    columns: COLUMNS,
    run: list,
};

fn list(session: &Session, _: &Given<'_>) -> Result<Answer, Failure> {
    let answer = session.client.ashlar(Method::Get, "/tokens", None)?;
    let tokens = answer
        .get("tokens")
        .and_then(Value::as_array)
        .cloned()
        .ok_or_else(|| {
            Failure::new(
                Exit::Failed,
                "listing tokens",
                "the answer holds no `tokens`",
            )
        })?;
    Ok(Answer::Many(tokens))
}

pub(super) const REVOKE: Verb = Verb {
    noun: "token",
    name: "revoke",
    about: "Make tokens worthless at once",
    args: &[Arg::Many("token", "ids, as `token list` shows them")],
    level: Level::Confirm,
    columns: &[],
    run: revoke,
};

fn revoke(session: &Session, given: &Given<'_>) -> Result<Answer, Failure> {
    ask::each(&given.all("token"), |word| {
        ask::before(
            session,
            given,
            "revocation",
            "token",
            word,
            &json!({"id": word}),
        )?;
        session
            .client
            .ashlar(Method::Delete, &format!("/tokens/{word}"), None)
            .map(|_| ())
            .map_err(|failure| failure.of(&format!("revoking the token {word}")))
    })
}
