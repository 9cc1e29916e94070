//! `ashlar transfer ...`: a volume goes from one project to another; who has the key may take it.

use std::io::{BufRead as _, Read as _};

use serde_json::json;

use super::rows::{self, put};
use crate::Session;
use crate::client::Method;
use crate::failure::{Exit, Failure};
use crate::find;
use crate::output::{Answer, Column};
use crate::places::{TRANSFER, VOLUME};
use crate::table::{Arg, Given, Level, Noun, Verb};

/// A key is 16 characters; anything longer is a wrong file.
const KEY_BYTES_MAX: u64 = 4096;

pub(super) static NOUN: Noun = Noun {
    name: "transfer",
    aliases: &["transfers"],
    about: "Transfers: give a volume to another project",
    place: &TRANSFER,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[
        CREATE,
        ACCEPT,
        rows::list("List the transfers that are open"),
        rows::show("Show transfers"),
        rows::delete(Level::Confirm, "Take transfers back; the volume stays"),
    ],
};

const COLUMNS: &[Column] = &[
    Column::text("id", "id"),
    Column::text("name", "name"),
    Column::text("volume", "volume_id"),
    Column::text("from", "source_project_id"),
    Column::text("to", "destination_project_id"),
    Column::text("accepted", "accepted"),
    Column::time("created", "created_at"),
];

const CREATE: Verb = Verb::form(
    "create",
    "Offer a volume; the key that is shown this once lets another project take it",
    &[
        Arg::One("volume", "its name or id"),
        Arg::Maybe("name", "a name for the transfer"),
        Arg::Flag("no-snapshots", "its snapshots stay behind"),
    ],
    create,
)
.shows(&[
    Column::text("id", "id"),
    Column::text("name", "name"),
    Column::text("volume", "volume_id"),
    Column::text("key", "auth_key"),
    Column::time("created", "created_at"),
]);

fn create<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let volume_id = find::id(session, &VOLUME, given.word("volume"))?;
    let mut transfer = json!({"volume_id": volume_id});
    put(&mut transfer, "name", given.option("name"));
    if given.flag("no-snapshots") {
        transfer["no_snapshots"] = json!(true);
    }
    let body = json!({"transfer": transfer});
    let what = format!("offering the volume {}", given.word("volume"));
    let answer = session
        .client
        .cinder(Method::Post, "/volume-transfers", Some(&body))
        .map_err(|failure| failure.of(&what))?;
    Ok(Answer::One(find::inner(&answer, "transfer")))
}

const ACCEPT: Verb = Verb::form(
    "accept",
    "Take a volume that was offered; the key comes from a file or from standard input",
    &[
        Arg::One("transfer", "its id"),
        Arg::Option(
            "key-file",
            "file with the key; - or none reads standard input",
        ),
    ],
    accept,
);

/// The offered transfer belongs to another project and is not listed here: it is named by its id.
fn accept<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let id = given.word("transfer");
    if !find::looks_like_id(id) {
        return Err(Failure::usage(
            &format!("`{id}` is not the id of a transfer"),
            "whoever made the transfer knows its id",
        ));
    }
    let key = key(given.option("key-file").unwrap_or("-"))?;
    let body = json!({"accept": {"auth_key": key}});
    let answer = session
        .client
        .cinder(
            Method::Post,
            &format!("/volume-transfers/{id}/accept"),
            Some(&body),
        )
        .map_err(|failure| failure.of(&format!("accepting the transfer {id}")))?;
    Ok(Answer::One(find::inner(&answer, "transfer")))
}

/// A key is as good as the volume: it is never an argument, which every process on the machine could read.
fn key(path: &str) -> Result<String, Failure> {
    let unread = |why: &str| {
        Failure::new(Exit::Usage, "reading the key of the transfer", why)
            .hint("write it, and nothing else, on the first line of --key-file or standard input")
    };
    let mut line = String::new();
    let read = if path == "-" {
        let mut input = std::io::stdin().lock().take(KEY_BYTES_MAX);
        input.read_line(&mut line)
    } else {
        std::fs::File::open(path).and_then(|file| {
            let mut input = std::io::BufReader::new(file.take(KEY_BYTES_MAX));
            input.read_line(&mut line)
        })
    };
    read.map_err(|error| unread(&error.to_string()))?;
    match line.trim() {
        "" => Err(unread("there is none")),
        key => Ok(key.to_owned()),
    }
}
