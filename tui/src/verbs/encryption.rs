//! `ashlar encryption ...`: how the volumes of a type are encrypted. A record; whoever attaches carries it out.

use serde_json::{Value, json};

use super::rows::{self, put};
use crate::Session;
use crate::client::{Method, text};
use crate::failure::Failure;
use crate::find;
use crate::output::{Answer, Column};
use crate::places::TYPE;
use crate::table::{Arg, Given, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "encryption",
    aliases: &[],
    about: "Encryption of volume types",
    // Its objects are found by their type.
    place: &TYPE,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[SHOW, SET, UNSET],
};

const COLUMNS: &[Column] = &[
    Column::text("type", "volume_type_id"),
    Column::text("provider", "provider"),
    Column::text("cipher", "cipher"),
    Column::number("key size", "key_size"),
    Column::text("where", "control_location"),
    Column::text("id", "encryption_id"),
];

const SHOW: Verb = Verb::read(
    "show",
    "Show how the volumes of types are encrypted",
    &[Arg::Many("type", "names or ids of types")],
    |session, given| {
        rows::each(session, given, "showing", |target| {
            of(session, &target.id).map(Some)
        })
    },
);

fn of(session: &Session, type_id: &str) -> Result<Value, Failure> {
    let path = format!("/types/{type_id}/encryption");
    session.client.cinder(Method::Get, &path, None)
}

const SET: Verb = Verb::form(
    "set",
    "Encrypt the volumes of types, or change how; only while no volume has the type (admin)",
    &[
        Arg::Many("type", "names or ids of types"),
        Arg::Option("provider", "luks or luks2"),
        Arg::Option("cipher", "as aes-xts-plain64"),
        Arg::Option("key-size", "in bits, as 256"),
        Arg::Option("where", "front-end or back-end [default: front-end]"),
    ],
    set,
);

fn set<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut encryption = json!({});
    put(&mut encryption, "provider", given.option("provider"));
    put(&mut encryption, "cipher", given.option("cipher"));
    put(&mut encryption, "control_location", given.option("where"));
    if let Some(word) = given.option("key-size") {
        let bits: u32 = word.parse().map_err(|_| {
            Failure::usage(
                &format!("`{word}` is not a number of bits"),
                "write --key-size 256",
            )
        })?;
        encryption["key_size"] = Value::from(bits);
    }
    rows::each(session, given, "setting the encryption of", |target| {
        let path = format!("/types/{}/encryption", target.id);
        let now = text(&of(session, &target.id)?, "encryption_id");
        let mut wanted = encryption.clone();
        let (method, path) = if now.is_empty() {
            if wanted["control_location"].is_null() {
                wanted["control_location"] = Value::from("front-end");
            }
            (Method::Post, path)
        } else {
            (Method::Put, format!("{path}/{now}"))
        };
        let body = json!({"encryption": wanted});
        let answer = rows::send(session, &TYPE, method, &path, Some(&body), target)?;
        Ok(Some(find::inner(&answer, "encryption")))
    })
}

const UNSET: Verb = Verb::confirm(
    "unset",
    "No longer encrypt new volumes of types; only while no volume has the type (admin)",
    &[Arg::Many("type", "names or ids of types")],
    |session, given| {
        rows::each(session, given, "unsetting the encryption of", |target| {
            let id = text(&of(session, &target.id)?, "encryption_id");
            if !id.is_empty() {
                let path = format!("/types/{}/encryption/{id}", target.id);
                rows::send(session, &TYPE, Method::Delete, &path, None, target)?;
            }
            Ok(None)
        })
    },
);
