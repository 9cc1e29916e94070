//! Transfers, under both of their names.

use super::describe::{Described, delete, get, post};
use super::schema::{
    Field, any_of, boolean, field, integer, links, named, null, object, or_null, said_boolean,
    said_text, text, time, uuid, wrapped,
};
use super::volumes::page;
use crate::api::v3::transfers::LISTING;
use serde_json::{Value, json};

macro_rules! of {
    ($collection:literal) => {
        vec![
            get($collection, "Lists offers, in short.")
                .lists(&LISTING, true)
                .answers(200, named("TransfersInShort")),
            get(concat!($collection, "/detail"), "Lists offers.")
                .lists(&LISTING, true)
                .answers(200, named("Transfers")),
            post($collection, "Offers a volume to whoever knows the key.")
                .body(wrapped("transfer", create()))
                .answers(202, wrapped("transfer", named("TransferWithKey")))
                .refuses(&[409]),
            get(concat!($collection, "/{id}"), "Shows an offer.")
                .answers(200, wrapped("transfer", named("Transfer"))),
            delete(concat!($collection, "/{id}"), "Withdraws an offer.")
                .answers_nothing(202)
                .refuses(&[409]),
            post(
                concat!($collection, "/{id}/accept"),
                "Takes an offered volume.",
            )
            .body(wrapped("accept", accept()))
            .answers(202, wrapped("transfer", named("TransferInShort")))
            .refuses(&[409]),
        ]
    };
}

pub(super) fn routes() -> Vec<Described> {
    [of!("/v3/os-volume-transfer"), of!("/v3/volume-transfers")].concat()
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let key = field("auth_key", text()).says("Told here and never again.");
    vec![
        ("Transfer", object(short().into_iter().chain(long()))),
        ("TransferInShort", object(short())),
        (
            "TransferWithKey",
            object(short().into_iter().chain(long()).chain([key])),
        ),
        (
            "Transfers",
            page("transfers", "transfers_links", &named("Transfer")),
        ),
        (
            "TransfersInShort",
            page("transfers", "transfers_links", &named("TransferInShort")),
        ),
    ]
}

fn short() -> Vec<Field> {
    vec![
        field("id", uuid()),
        field("volume_id", uuid()),
        field("name", or_null(text())),
        field("links", links()),
    ]
}

fn long() -> Vec<Field> {
    vec![
        field("created_at", time()),
        field("no_snapshots", boolean()).since(55),
        field("source_project_id", text()).since(57),
        field("destination_project_id", null()).since(57),
        field("accepted", boolean()).since(57),
    ]
}

fn create() -> Value {
    object([
        field("volume_id", uuid()),
        field("name", or_null(said_text())).optional(),
        field("no_snapshots", or_null(said_boolean()))
            .since(55)
            .optional(),
    ])
}

fn accept() -> Value {
    let key = any_of([json!({"type": "string"}), integer()]);
    wrapped("auth_key", key)
}
