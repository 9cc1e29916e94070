//! `ashlar qos ...`: limits of throughput, and the types that carry them.

use serde_json::{Value, json};

use super::rows::{self, pairs};
use crate::Session;
use crate::client::Method;
use crate::failure::Failure;
use crate::find;
use crate::listing;
use crate::output::{Answer, Column};
use crate::places::{Api, QOS, TYPE};
use crate::table::{Arg, Given, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "qos",
    aliases: &[],
    about: "QoS specs: limits of throughput for types",
    place: &QOS,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[
        CREATE,
        rows::list("List the QoS specs (admin)"),
        rows::show("Show QoS specs (admin)"),
        SET,
        UNSET,
        DELETE,
        TYPES,
        ASSOCIATE,
        DISASSOCIATE,
    ],
};

const COLUMNS: &[Column] = &[
    Column::text("id", "id"),
    Column::text("name", "name"),
    Column::text("consumer", "consumer"),
    Column::text("specs", "specs"),
];

const CREATE: Verb = Verb::form(
    "create",
    "Create QoS specs (admin)",
    &[
        Arg::One("name", "their name"),
        Arg::Option(
            "consumer",
            "front-end, back-end or both [default: back-end]",
        ),
        Arg::Repeated("spec", "a limit, KEY=VALUE, as total_iops_sec=500"),
    ],
    create,
);

fn create<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut qos = pairs(&given.all("spec"))?;
    qos["name"] = Value::from(given.word("name"));
    qos["consumer"] = Value::from(given.option("consumer").unwrap_or("back-end"));
    let body = json!({"qos_specs": qos});
    let what = format!("creating the QoS specs {}", given.word("name"));
    let answer = session
        .client
        .cinder(Method::Post, "/qos-specs", Some(&body))
        .map_err(|failure| failure.of(&what))?;
    Ok(Answer::One(find::inner(&answer, "qos_specs")))
}

const SET: Verb = Verb::form(
    "set",
    "Add or change limits (admin)",
    &[
        Arg::Many("qos", "names or ids"),
        Arg::Option("consumer", "front-end, back-end or both"),
        Arg::Repeated("spec", "a limit, KEY=VALUE"),
    ],
    set,
);

fn set<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut qos = pairs(&given.all("spec"))?;
    rows::put(&mut qos, "consumer", given.option("consumer"));
    let body = json!({"qos_specs": qos});
    rows::each(session, given, "changing", |target| {
        let path = format!("/qos-specs/{}", target.id);
        rows::send(session, &QOS, Method::Put, &path, Some(&body), target)?;
        find::show(session, &QOS, &target.id).map(Some)
    })
}

const UNSET: Verb = Verb::form(
    "unset",
    "Take limits away (admin)",
    &[
        Arg::Many("qos", "names or ids"),
        Arg::Repeated("spec", "the key of a limit"),
    ],
    |session, given| {
        let body = json!({"keys": given.all("spec")});
        rows::each(session, given, "changing", |target| {
            let path = format!("/qos-specs/{}/delete_keys", target.id);
            rows::send(session, &QOS, Method::Put, &path, Some(&body), target)?;
            find::show(session, &QOS, &target.id).map(Some)
        })
    },
);

const DELETE: Verb = Verb::confirm(
    "delete",
    "Delete QoS specs that no type carries (admin)",
    &[
        Arg::Many("qos", "names or ids; - reads them from standard input"),
        Arg::Flag("force", "take them off their types first"),
        rows::ABSENT_OK,
    ],
    |session, given| {
        let query = if given.flag("force") {
            "?force=true"
        } else {
            ""
        };
        rows::each(session, given, "deleting", |target| {
            rows::remove(session, given, target, query)?;
            Ok(None)
        })
    },
);

const TYPES: Verb = Verb::read(
    "types",
    "List the types that carry QoS specs (admin)",
    &[Arg::One("qos", "their name or id")],
    types,
)
.shows(&[Column::text("id", "id"), Column::text("name", "name")]);

fn types<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let id = find::id(session, &QOS, given.word("qos"))?;
    let path = format!("/qos-specs/{id}/associations");
    let answer = session.client.cinder(Method::Get, &path, None)?;
    let items = answer["qos_associations"].as_array().cloned();
    listing::of_items(given, items.unwrap_or_default())
}

const ASSOCIATE: Verb = Verb::form(
    "associate",
    "Let a type carry QoS specs (admin)",
    &[
        Arg::One("qos", "their name or id"),
        Arg::One("type", "the type"),
    ],
    |session, given| tie(session, given, "associate"),
);

const DISASSOCIATE: Verb = Verb::form(
    "disassociate",
    "Take QoS specs off a type, or off all types (admin)",
    &[
        Arg::One("qos", "their name or id"),
        Arg::Maybe("type", "the type; else all"),
    ],
    |session, given| tie(session, given, "disassociate"),
);

fn tie<'s>(session: &'s Session, given: &Given<'_>, act: &str) -> Result<Answer<'s>, Failure> {
    let id = find::id(session, &QOS, given.word("qos"))?;
    let path = match given.option("type") {
        Some(word) => {
            let type_id = find::id(session, &TYPE, word)?;
            format!("/qos-specs/{id}/{act}?vol_type_id={type_id}")
        }
        None => format!("/qos-specs/{id}/{act}_all"),
    };
    // Cinder changes something here with a GET; the fence for dry runs must know.
    session
        .client
        .changing_get(Api::Cinder, &path)
        .map_err(|failure| failure.of(&format!("tying the QoS specs {id} to types")))?;
    Ok(Answer::Done)
}
