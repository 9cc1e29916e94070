//! Metadata of volumes and snapshots by itself.

use super::describe::{Described, delete, get, post, put};
use super::schema::{named, pairs, said_pairs, wrapped};
use serde_json::Value;

macro_rules! of {
    ($noun:literal, $all:literal, $one:literal) => {
        vec![
            get($all, concat!("The metadata of a ", $noun, ".")).answers(200, named("Metadata")),
            post($all, concat!("Adds to the metadata of a ", $noun, "."))
                .body(named("SaidMetadata"))
                .answers(200, named("Metadata"))
                .refuses(&[409, 412]),
            put($all, concat!("Replaces the metadata of a ", $noun, "."))
                .body(named("SaidMetadata"))
                .answers(200, named("Metadata"))
                .refuses(&[409, 412]),
            get($one, concat!("One pair of the metadata of a ", $noun, "."))
                .answers(200, named("Meta")),
            put(
                $one,
                concat!("Sets one pair of the metadata of a ", $noun, "."),
            )
            .body(named("SaidMeta"))
            .answers(200, named("Meta"))
            .refuses(&[409, 412]),
            delete(
                $one,
                concat!("Takes one pair off the metadata of a ", $noun, "."),
            )
            .answers_nothing(200)
            .refuses(&[409, 412]),
        ]
    };
}

pub(super) fn routes() -> Vec<Described> {
    let volumes = of!(
        "volume",
        "/v3/volumes/{id}/metadata",
        "/v3/volumes/{id}/metadata/{key}"
    );
    let snapshots = of!(
        "snapshot",
        "/v3/snapshots/{id}/metadata",
        "/v3/snapshots/{id}/metadata/{key}"
    );
    [volumes, snapshots].concat()
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("Metadata", wrapped("metadata", pairs())),
        ("SaidMetadata", wrapped("metadata", said_pairs())),
        ("Meta", wrapped("meta", pairs())),
        ("SaidMeta", wrapped("meta", said_pairs())),
    ]
}
