//! `ashlar service ...`: which process runs where, and whether it gets new work.

use serde_json::{Value, json};

use super::rows::{self, put};
use crate::Session;
use crate::client::Method;
use crate::failure::Failure;
use crate::output::{Answer, Column};
use crate::places::{Api, SERVICE};
use crate::table::{Arg, Given, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "service",
    aliases: &["services"],
    about: "Services: which process runs where (admin)",
    place: &SERVICE,
    short: COLUMNS,
    long: LONG,
    verbs: &[
        rows::list("List the services (admin)").key("8"),
        ENABLE,
        DISABLE,
        FREEZE,
        THAW,
    ],
};

const COLUMNS: &[Column] = &[
    Column::text("binary", "binary"),
    Column::text("host", "host"),
    Column::text("zone", "zone"),
    Column::text("status", "status"),
    Column::text("state", "state"),
    Column::time("updated", "updated_at"),
    Column::text("reason", "disabled_reason"),
];

const LONG: &[Column] = &[
    Column::text("binary", "binary"),
    Column::text("host", "host"),
    Column::text("zone", "zone"),
    Column::text("status", "status"),
    Column::text("state", "state"),
    Column::text("backend", "backend_state"),
    Column::text("frozen", "frozen"),
    Column::text("disabled", "disabled"),
    Column::time("updated", "updated_at"),
    Column::text("reason", "disabled_reason"),
    Column::text("cluster", "cluster"),
];

const HOST: Arg = Arg::One("host", "its host, as `service list` shows it");
const BINARY: Arg = Arg::Option("binary", "which program [default: cinder-volume]");

const ENABLE: Verb = Verb::form(
    "enable",
    "Let a service have new work again (admin)",
    &[HOST, BINARY],
    |session, given| change(session, given, "enable"),
);

const DISABLE: Verb = Verb::confirm(
    "disable",
    "Give a service no new work; what is there goes on (admin)",
    &[
        HOST,
        BINARY,
        Arg::Option("reason", "why, for those who wonder"),
    ],
    |session, given| {
        let act = match given.option("reason") {
            Some(_) => "disable-log-reason",
            None => "disable",
        };
        change(session, given, act)
    },
);

const FREEZE: Verb = Verb::confirm(
    "freeze",
    "Let nothing of a host be changed; hosts go on reading and writing (admin)",
    &[HOST],
    |session, given| freeze(session, given, "freeze"),
);

const THAW: Verb = Verb::form(
    "thaw",
    "Let things of a host be changed again (admin)",
    &[HOST],
    |session, given| freeze(session, given, "thaw"),
);

fn change<'s>(session: &'s Session, given: &Given<'_>, act: &str) -> Result<Answer<'s>, Failure> {
    let host = given.word("host");
    crate::ask::consent(
        session,
        given,
        &format!("{} the service on", given.verb.name),
        host,
    )?;
    let mut body = json!({
        "host": host,
        "binary": given.option("binary").unwrap_or("cinder-volume"),
    });
    put(&mut body, "disabled_reason", given.option("reason"));
    let answer = put_service(session, act, &body)?;
    Ok(Answer::One(answer))
}

fn freeze<'s>(session: &'s Session, given: &Given<'_>, act: &str) -> Result<Answer<'s>, Failure> {
    let host = given.word("host");
    crate::ask::consent(session, given, &format!("{act} the host"), host)?;
    put_service(session, act, &json!({"host": host}))?;
    Ok(Answer::Done)
}

fn put_service(session: &Session, act: &str, body: &Value) -> Result<Value, Failure> {
    let path = format!("/os-services/{act}");
    session
        .client
        .at(Api::Cinder, Method::Put, &path, Some(body))
}
