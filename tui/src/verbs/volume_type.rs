//! `ashlar type ...`: volume types, who may use them, and which one is the default.

use serde_json::{Value, json};

use super::rows::{self, pairs, put};
use crate::Session;
use crate::client::Method;
use crate::failure::Failure;
use crate::find;
use crate::listing;
use crate::output::{Answer, Column};
use crate::places::{Api, TYPE};
use crate::table::{Arg, Given, Level, Noun, Verb};
use crate::text::path_segment;

pub(super) static NOUN: Noun = Noun {
    name: "type",
    aliases: &["types"],
    about: "Volume types: what a volume is made of and who may have it",
    place: &TYPE,
    short: &[
        Column::text("id", "id"),
        Column::text("name", "name"),
        Column::text("public", "is_public"),
        Column::text("description", "description"),
        Column::text("extra specs", "extra_specs"),
    ],
    long: &[
        Column::text("id", "id"),
        Column::text("name", "name"),
        Column::text("public", "is_public"),
        Column::text("description", "description"),
        Column::text("extra specs", "extra_specs"),
        Column::text("qos", "qos_specs_id"),
    ],
    verbs: &[
        CREATE,
        rows::list("List the volume types").key("9"),
        rows::show("Show volume types").key("Enter"),
        SET,
        UNSET,
        rows::delete(Level::Confirm, "Delete volume types that nothing uses"),
        ACCESS,
        ALLOW,
        DENY,
        DEFAULT,
    ],
};

const CREATE: Verb = Verb::form(
    "create",
    "Create a volume type (admin)",
    &[
        Arg::One("name", "its name"),
        Arg::Option("description", "what it is for"),
        Arg::Repeated("spec", "extra spec, KEY=VALUE"),
        Arg::Flag("private", "only for projects that are allowed it"),
        Arg::Flag("exists-ok", "one of this name is no failure; it is shown"),
    ],
    create,
);

fn create<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let name = given.word("name");
    if given.flag("exists-ok")
        && let Ok(found) = find::find(session, &TYPE, name)
    {
        return Ok(Answer::One(found));
    }
    let mut kind = json!({
        "name": name,
        "os-volume-type-access:is_public": !given.flag("private"),
        "extra_specs": pairs(&given.all("spec"))?,
    });
    put(&mut kind, "description", given.option("description"));
    let body = json!({"volume_type": kind});
    let answer = session
        .client
        .cinder(Method::Post, "/types", Some(&body))
        .map_err(|failure| failure.of(&format!("creating the type {name}")))?;
    Ok(Answer::One(find::inner(&answer, "volume_type")))
}

const SET: Verb = Verb::form(
    "set",
    "Change volume types (admin)",
    &[
        Arg::Many("type", "names or ids"),
        Arg::Option("name", "a new name"),
        Arg::Option("description", "a new description"),
        Arg::Option("public", "true or false"),
        Arg::Repeated("spec", "extra spec to add or change, KEY=VALUE"),
    ],
    set,
);

fn set<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut kind = json!({});
    put(&mut kind, "name", given.option("name"));
    put(&mut kind, "description", given.option("description"));
    if let Some(word) = given.option("public") {
        kind["is_public"] = Value::from(rows::truth(word)?);
    }
    let specs = pairs(&given.all("spec"))?;
    let is_given = |map: &Value| map.as_object().is_some_and(|map| !map.is_empty());
    if !is_given(&kind) && !is_given(&specs) {
        return Err(Failure::usage(
            "nothing was named to be changed",
            "add --name, --description, --public or --spec",
        ));
    }
    rows::each(session, given, "changing", |target| {
        let path = format!("/types/{}", target.id);
        if is_given(&kind) {
            let body = json!({"volume_type": kind});
            rows::send(session, &TYPE, Method::Put, &path, Some(&body), target)?;
        }
        if is_given(&specs) {
            let body = json!({"extra_specs": specs});
            let path = format!("{path}/extra_specs");
            rows::send(session, &TYPE, Method::Post, &path, Some(&body), target)?;
        }
        find::show(session, &TYPE, &target.id).map(Some)
    })
}

const UNSET: Verb = Verb::form(
    "unset",
    "Take away extra specs of volume types (admin)",
    &[
        Arg::Many("type", "names or ids"),
        Arg::Repeated("spec", "a key of the extra specs"),
    ],
    unset,
);

fn unset<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let keys = given.all("spec");
    if keys.is_empty() {
        return Err(Failure::usage(
            "nothing was named to be taken away",
            "add --spec KEY",
        ));
    }
    rows::each(session, given, "changing", |target| {
        for key in &keys {
            let path = format!("/types/{}/extra_specs/{}", target.id, path_segment(key));
            rows::send(session, &TYPE, Method::Delete, &path, None, target)?;
        }
        find::show(session, &TYPE, &target.id).map(Some)
    })
}

const ACCESS: Verb = Verb::read(
    "access",
    "List the projects that may use a private type (admin)",
    &[Arg::One("type", "its name or id")],
    access,
)
.shows(&[
    Column::text("type", "volume_type_id"),
    Column::text("project", "project_id"),
]);

fn access<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let id = find::id(session, &TYPE, given.word("type"))?;
    let path = format!("/types/{id}/os-volume-type-access");
    let answer = session.client.cinder(Method::Get, &path, None)?;
    let items = answer["volume_type_access"].as_array().cloned();
    listing::of_items(given, items.unwrap_or_default())
}

const PROJECTS: &[Arg] = &[
    Arg::One("type", "its name or id"),
    Arg::Many("of-project", "ids of projects"),
];

const ALLOW: Verb = Verb::form(
    "allow",
    "Let projects use a private type (admin)",
    PROJECTS,
    |session, given| let_in(session, given, "addProjectAccess"),
);

const DENY: Verb = Verb::form(
    "deny",
    "No longer let projects use a private type; their volumes stay (admin)",
    PROJECTS,
    |session, given| let_in(session, given, "removeProjectAccess"),
);

fn let_in<'s>(
    session: &'s Session,
    given: &Given<'_>,
    action: &str,
) -> Result<Answer<'s>, Failure> {
    let id = find::id(session, &TYPE, given.word("type"))?;
    for project in given.all("of-project") {
        let body = json!({action: {"project": project}});
        session
            .client
            .cinder(Method::Post, &format!("/types/{id}/action"), Some(&body))
            .map_err(|failure| failure.of(&format!("changing who may use the type {id}")))?;
    }
    Ok(Answer::Done)
}

const DEFAULT: Verb = Verb::form(
    "default",
    "Show, set or unset the type that volumes of a project get when they name none",
    &[
        Arg::Maybe(
            "of-project",
            "the project; else everybody's default is shown",
        ),
        Arg::Option("set", "the type it shall be (admin)"),
        Arg::Flag("unset", "go back to everybody's default (admin)"),
    ],
    default,
)
.shows(&[
    Column::text("project", "project_id"),
    Column::text("type", "volume_type_id"),
    Column::text("id", "id"),
    Column::text("name", "name"),
]);

fn default<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let Some(project) = given.option("of-project") else {
        let answer = session.client.cinder(Method::Get, "/types/default", None)?;
        return Ok(Answer::One(find::inner(&answer, "volume_type")));
    };
    // Default types are the one thing below /v3 that no project is put in front of.
    let path = format!("/v3/default-types/{}", path_segment(project));
    let client = &session.client;
    if given.flag("unset") {
        client.at(Api::Local, Method::Delete, &path, None)?;
        return Ok(Answer::Done);
    }
    let answer = match given.option("set") {
        Some(word) => {
            let id = find::id(session, &TYPE, word)?;
            let body = json!({"default_type": {"volume_type": id}});
            client.at(Api::Local, Method::Put, &path, Some(&body))?
        }
        None => client.at(Api::Local, Method::Get, &path, None)?,
    };
    Ok(Answer::One(find::inner(&answer, "default_type")))
}
