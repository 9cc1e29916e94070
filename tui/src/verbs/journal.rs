//! `ashlar journal OBJECT`: who did what to an object and when, newest first.

use crate::Session;
use crate::failure::{Exit, Failure};
use crate::find;
use crate::listing;
use crate::output::{Answer, Column};
use crate::places::{JOURNAL, SNAPSHOT, VOLUME};
use crate::table::{Arg, Given, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "journal",
    aliases: &[],
    about: "Who did what to an object and when",
    place: &JOURNAL,
    short: &[
        Column::time("at", "at"),
        Column::text("what", "what"),
        Column::text("who", "who"),
        Column::text("before", "before"),
        Column::text("after", "after"),
        Column::text("error", "error"),
    ],
    long: &[
        Column::time("at", "at"),
        Column::text("what", "what"),
        Column::text("who", "who"),
        Column::text("before", "before"),
        Column::text("after", "after"),
        Column::text("error", "error"),
        Column::text("request", "request_id"),
        Column::text("operation", "operation_id"),
    ],
    verbs: &[Verb::read(
        "journal",
        "Show who did what to an object and when, newest first",
        &[Arg::One(
            "object",
            "the name or id of a volume or snapshot, or the id of anything",
        )],
        journal,
    )
    .list()],
};

fn journal<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let word = given.word("object");
    // What is gone has no name any more, but a journal still.
    let id = if find::looks_like_id(word) {
        word.to_owned()
    } else {
        match find::id(session, &VOLUME, word) {
            Err(failure) if failure.exit == Exit::NotFound => find::id(session, &SNAPSHOT, word)
                .map_err(|_| failure.hint("name a volume or a snapshot, or give an id"))?,
            other => other?,
        }
    };
    let items = find::all(session, &JOURNAL, &[("object_id", &id)])?;
    listing::of_items(given, items)
}
