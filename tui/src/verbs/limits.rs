//! `ashlar limits`: what the project may have and has, as every member may ask.

use serde_json::{Value, json};

use crate::listing;
use crate::output::Column;
use crate::places::{Api, LOCAL};
use crate::table::{Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "limits",
    aliases: &[],
    about: "What the project may have and has",
    place: &LOCAL,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[Verb::read(
        "limits",
        "Show what the project may have and has",
        &[],
        |session, given| {
            let answer = session.client.get(Api::Cinder, "/limits", &[])?;
            let absolute = answer["limits"]["absolute"].as_object().cloned();
            let rows = absolute.unwrap_or_default().into_iter();
            let rows =
                rows.map(|(name, value): (String, Value)| json!({"name": name, "value": value}));
            listing::of_items(given, rows.collect())
        },
    )],
};

const COLUMNS: &[Column] = &[
    Column::text("name", "name"),
    Column::number("value", "value"),
];
