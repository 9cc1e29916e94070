//! `ashlar version`: of this program and of the server.

use serde_json::{Value, json};

use crate::Session;
use crate::client::text;
use crate::failure::Failure;
use crate::output::{Answer, Column};
use crate::places::LOCAL;
use crate::table::{Given, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "version",
    aliases: &[],
    about: "Versions of this program and of the server",
    place: &LOCAL,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[Verb::read(
        "version",
        "Show the version of this program and what the server speaks",
        &[],
        version,
    )],
};

const COLUMNS: &[Column] = &[
    Column::text("ashlar", "ashlar"),
    Column::text("endpoint", "endpoint"),
    Column::text("api", "api"),
    Column::text("api from", "api_min"),
    Column::text("api to", "api_max"),
];

fn version<'s>(session: &'s Session, _: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let document = session.client.versions()?;
    let v3 = document
        .get("versions")
        .and_then(Value::as_array)
        .and_then(|all| {
            all.iter()
                .find(|version| text(version, "id").starts_with("v3"))
        })
        .cloned()
        .unwrap_or(Value::Null);
    Ok(Answer::One(json!({
        "ashlar": env!("CARGO_PKG_VERSION"),
        "endpoint": session.client.endpoint(),
        "api": text(&v3, "id"),
        "api_min": text(&v3, "min_version"),
        "api_max": text(&v3, "version"),
    })))
}
