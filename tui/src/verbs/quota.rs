//! `ashlar quota ...`: how much a project may have, and how much it has. Shown resource by resource.

use serde_json::{Map, Value, json};

use super::rows;
use crate::Session;
use crate::client::Method;
use crate::failure::Failure;
use crate::listing;
use crate::output::{Answer, Column};
use crate::places::{Api, QUOTA};
use crate::table::{Arg, Given, Noun, Verb};
use crate::text::path_segment;

pub(super) static NOUN: Noun = Noun {
    name: "quota",
    aliases: &["quotas"],
    about: "Quotas: how much a project may have and has",
    place: &QUOTA,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[SHOW, DEFAULTS, SET, UNSET],
};

const COLUMNS: &[Column] = &[
    Column::text("resource", "resource"),
    Column::number("limit", "limit"),
    Column::number("in use", "in_use"),
    Column::number("reserved", "reserved"),
];

const SHOW: Verb = Verb::read(
    "show",
    "Show limits and use of a project; -1 is no limit",
    &[Arg::Maybe("of-project", "the project; else your own")],
    |session, given| {
        let path = format!("/os-quota-sets/{}", project(session, given)?);
        let answer = session
            .client
            .get(Api::Cinder, &path, &[("usage", "true")])?;
        listing::of_items(given, resources(&answer["quota_set"]))
    },
)
.list()
.key("0");

const DEFAULTS: Verb = Verb::read(
    "defaults",
    "Show the limits of projects that have none of their own",
    &[],
    |session, given| {
        let path = format!("/os-quota-sets/{}/defaults", project(session, given)?);
        let answer = session.client.cinder(Method::Get, &path, None)?;
        listing::of_items(given, resources(&answer["quota_set"]))
    },
)
.list();

fn project(session: &Session, given: &Given<'_>) -> Result<String, Failure> {
    match given.option("of-project") {
        Some(project) => Ok(path_segment(project)),
        None => session.client.project(),
    }
}

/// A row for each resource, in the order of the names; `id` is the project.
fn resources(set: &Value) -> Vec<Value> {
    let resources = set.as_object().into_iter().flatten();
    let is_resource = |(key, _): &(&String, &Value)| key.as_str() != "id";
    resources
        .filter(is_resource)
        .map(|(key, value)| match value.as_object() {
            Some(usage) => {
                let mut row = usage.clone();
                row.insert("resource".to_owned(), Value::from(key.as_str()));
                Value::Object(row)
            }
            None => json!({"resource": key, "limit": value}),
        })
        .collect()
}

const SET: Verb = Verb::confirm(
    "set",
    "Set limits of a project (admin); -1 is no limit",
    &[
        Arg::One("of-project", "the project"),
        Arg::Option("volumes", "how many volumes"),
        Arg::Option("snapshots", "how many snapshots"),
        Arg::Option("gigabytes", "how many GiB, volumes and snapshots together"),
        Arg::Option("per-volume-gigabytes", "how many GiB one volume may have"),
        Arg::Option("backups", "how many backups"),
        Arg::Option("backup-gigabytes", "how many GiB of backups"),
        Arg::Repeated("limit-of", "any resource, NAME=N, as gigabytes_gold=500"),
    ],
    set,
);

fn set<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut limits = Map::new();
    let numbers = rows::pairs(&given.all("limit-of"))?;
    let named = SET.args.iter().filter_map(|arg| {
        let name = arg.name();
        let is_limit = matches!(arg, Arg::Option(..));
        let value = given.option(name).filter(|_| is_limit)?;
        Some((name.replace('-', "_"), value))
    });
    let other = numbers.as_object().into_iter().flatten();
    let other = other.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default()));
    for (name, value) in named.chain(other) {
        let number: i64 = value.parse().map_err(|_| {
            Failure::usage(
                &format!("`{value}` is not a limit of {name}"),
                "write a whole number, or -1 for no limit",
            )
        })?;
        limits.insert(name, Value::from(number));
    }
    if limits.is_empty() {
        return Err(Failure::usage(
            "no limit was named",
            "add --volumes, --gigabytes, ...",
        ));
    }
    crate::ask::consent(
        session,
        given,
        "changing the quota of",
        given.word("of-project"),
    )?;
    let path = format!("/os-quota-sets/{}", path_segment(given.word("of-project")));
    let body = json!({"quota_set": limits});
    let answer = session.client.cinder(Method::Put, &path, Some(&body))?;
    listing::of_items(given, resources(&answer["quota_set"]))
}

const UNSET: Verb = Verb::confirm(
    "unset",
    "Give a project the default limits again (admin)",
    &[Arg::One("of-project", "the project")],
    |session, given| {
        crate::ask::consent(
            session,
            given,
            "unsetting the quota of",
            given.word("of-project"),
        )?;
        let path = format!("/os-quota-sets/{}", path_segment(given.word("of-project")));
        session.client.cinder(Method::Delete, &path, None)?;
        Ok(Answer::Done)
    },
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_row_for_each_resource_with_or_without_use() {
        let set =
            json!({"id": "p", "volumes": {"limit": 10, "in_use": 1, "reserved": 0}, "groups": 10});
        assert_eq!(
            resources(&set),
            [
                json!({"resource": "groups", "limit": 10}),
                json!({"resource": "volumes", "limit": 10, "in_use": 1, "reserved": 0}),
            ]
        );
    }
}
