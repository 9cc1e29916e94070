//! `ashlar placement ...`: why a volume lies where it does, and where a new one would.

use serde_json::Value;

use super::volume;
use crate::Session;
use crate::client::Method;
use crate::failure::Failure;
use crate::find;
use crate::output::{Answer, Column};
use crate::places::{Api, VOLUME};
use crate::table::{Arg, Given, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "placement",
    aliases: &[],
    about: "Why a volume lies in its pool, and where a new one would",
    place: &VOLUME,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[SHOW, TRY],
};

const COLUMNS: &[Column] = &[
    Column::text("pool", "pool"),
    Column::text("passed", "passed"),
    Column::number("weight", "weight"),
    Column::text("chosen", "is_winner"),
    Column::text("verdicts", "verdicts"),
];

const SHOW: Verb = Verb::read(
    "show",
    "Show which pools were looked at for a volume and what was said of each",
    &[Arg::One("volume", "its name or id")],
    |session, given| {
        let id = find::id(session, &VOLUME, given.word("volume"))?;
        let path = format!("/volumes/{id}/placement");
        let answer = session.client.at(Api::Ashlar, Method::Get, &path, None)?;
        Ok(explained(session, find::inner(&answer, "placement")))
    },
);

const TRY: Verb = Verb::read(
    "try",
    "Show which pool a new volume would get; nothing is made",
    &[
        Arg::Option("size", "its size: 10, 10G or 1T"),
        Arg::Option("type", "its volume type"),
        Arg::Option("snapshot", "the snapshot to start from"),
        Arg::Option("source", "the volume to clone"),
        Arg::Option("zone", "its availability zone"),
        Arg::Repeated("hint", "scheduler hint, KEY=VALUE"),
    ],
    try_it,
);

fn try_it<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let body = volume::request(session, given)?;
    let answer = session.client.reckon("/placement", &body)?;
    Ok(explained(session, find::inner(&answer, "placement")))
}

/// A row a pool for people; the whole as it came for programs.
fn explained(session: &Session, placement: Value) -> Answer<'static> {
    if session.form.is_json() {
        return Answer::One(placement);
    }
    let winner = placement["winner"].clone();
    let pools = placement["pools"].as_array().cloned().unwrap_or_default();
    let rows = pools.into_iter().map(|mut pool| {
        pool["is_winner"] = Value::from(!winner.is_null() && pool["pool"] == winner);
        pool
    });
    Answer::Many(rows.collect())
}
