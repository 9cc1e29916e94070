//! `ashlar token ...`: who may call, over TCP. The secret is shown once, when it is made.

use serde_json::json;

use super::rows::{self, put};
use crate::Session;
use crate::client::Method;
use crate::failure::Failure;
use crate::output::{Answer, Column};
use crate::places::TOKEN;
use crate::table::{Arg, Given, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "token",
    aliases: &["tokens"],
    about: "Tokens of Ashlar's own",
    place: &TOKEN,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[
        CREATE,
        rows::list("List the tokens, without their secrets"),
        REVOKE,
    ],
};

const COLUMNS: &[Column] = &[
    Column::text("id", "id"),
    Column::text("project", "project_id"),
    Column::text("user", "user_id"),
    Column::text("role", "role"),
    Column::time("created", "created_at"),
    Column::time("expires", "expires_at"),
];

const CREATE: Verb = Verb::form(
    "create",
    "Make a token; it is shown this once and kept only as a hash",
    &[
        Arg::One("for-project", "the project it is for"),
        Arg::Option("role", "admin, member or reader [default: member]"),
        Arg::Option("user", "whom the log should name"),
        Arg::Option("name", "what it is for"),
    ],
    create,
)
.shows(&[
    Column::text("token", "secret"),
    Column::text("id", "id"),
    Column::text("project", "project_id"),
    Column::text("user", "user_id"),
    Column::text("role", "role"),
]);

fn create<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
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

const REVOKE: Verb = Verb::confirm(
    "revoke",
    "Make tokens worthless at once",
    &[
        Arg::Many("token", "ids, as `token list` shows them"),
        rows::ABSENT_OK,
    ],
    |session, given| {
        rows::each(session, given, "revoking", |target| {
            let path = format!("/tokens/{}", target.id);
            rows::send(session, &TOKEN, Method::Delete, &path, None, target)?;
            Ok(None)
        })
    },
);
