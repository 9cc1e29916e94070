//! `ashlar version`: of this program and of the server.

use serde_json::{Value, json};

use crate::Session;
use crate::client::text;
use crate::failure::Failure;
use crate::grammar::{Given, Level, Verb};
use crate::output::{Answer, Column};

pub(super) const VERSION: Verb = Verb {
    noun: "version",
    name: "version",
    about: "Show the version of this program and what the server speaks",
    args: &[],
    level: Level::Safe,
    columns: &[
        Column {
            head: "ashlar",
            field: "ashlar",
        },
        Column {
            head: "endpoint",
            field: "endpoint",
        },
        Column {
            head: "api",
            field: "api",
        },
        Column {
            head: "api from",
            field: "api_min",
        },
        Column {
            head: "api to",
            field: "api_max",
        },
    ],
    run: version,
};

fn version(session: &Session, _: &Given<'_>) -> Result<Answer, Failure> {
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
