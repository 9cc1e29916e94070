//! `ashlar host ...`: hosts as Cinder counts them, and what lies on each by project.

use serde_json::Value;

use super::rows;
use crate::Session;
use crate::client::Method;
use crate::failure::Failure;
use crate::listing;
use crate::output::{Answer, Column};
use crate::places::{Api, HOST};
use crate::table::{Arg, Given, Noun, Verb};
use crate::text::path_segment;

pub(super) static NOUN: Noun = Noun {
    name: "host",
    aliases: &["hosts"],
    about: "Hosts: what lies where, by project (admin)",
    place: &HOST,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[rows::list("List the hosts (admin)"), SHOW],
};

const COLUMNS: &[Column] = &[
    Column::text("host", "host_name"),
    Column::text("service", "service"),
    Column::text("zone", "zone"),
    Column::text("status", "service-status"),
    Column::text("state", "service-state"),
    Column::time("updated", "last-update"),
];

const SHOW: Verb = Verb::read(
    "show",
    "Show what lies on a host, by project (admin)",
    &[Arg::One("host", "as `host list` shows it")],
    show,
)
.shows(&[
    Column::text("project", "project"),
    Column::number("volumes", "volume_count"),
    Column::gib("size", "total_volume_gb"),
    Column::number("snapshots", "snapshot_count"),
    Column::gib("snapshots size", "total_snapshot_gb"),
]);

fn show<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let path = format!("/os-hosts/{}", path_segment(given.word("host")));
    let answer = session.client.at(Api::Cinder, Method::Get, &path, None)?;
    let rows = answer["host"].as_array().into_iter().flatten();
    let rows: Vec<Value> = rows.map(|row| row["resource"].clone()).collect();
    listing::of_items(given, rows)
}
