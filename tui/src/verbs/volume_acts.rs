//! The rarer verbs of `ashlar volume`: retype, revert, manage and unmanage, summary, reset-state, force-delete.

use serde_json::{Value, json};

use super::rows::{self, pairs, put};
use crate::Session;
use crate::client::Method;
use crate::failure::Failure;
use crate::find;
use crate::listing;
use crate::output::{Answer, Column};
use crate::places::{Api, SNAPSHOT, TYPE, VOLUME};
use crate::table::{Arg, Given, Verb};
use crate::wait;

pub(super) const RETYPE: Verb = Verb::confirm(
    "retype",
    "Give volumes another type; --migration on-demand moves those whose pool cannot have it",
    &[
        Arg::One("volume", "its name or id"),
        Arg::One("type", "the new type"),
        Arg::Option("migration", "never or on-demand [default: never]"),
    ],
    retype,
)
.plan("retype_volume");

fn retype<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let kind = find::id(session, &TYPE, given.word("type"))?;
    let policy = given.option("migration").unwrap_or("never");
    rows::act(session, given, "retyping", |_| {
        Ok(json!({"os-retype": {"new_type": kind, "migration_policy": policy}}))
    })
}

pub(super) const REVERT: Verb = Verb::confirm(
    "revert",
    "Put a volume back to its newest snapshot; what was written since is lost",
    &[
        Arg::One("volume", "its name or id"),
        Arg::One("snapshot", "its newest snapshot, by name or id"),
    ],
    revert,
)
.plan("revert_volume");

fn revert<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let snapshot = find::id(session, &SNAPSHOT, given.word("snapshot"))?;
    rows::act(session, given, "reverting", |_| {
        Ok(json!({"revert": {"snapshot_id": snapshot}}))
    })
}

pub(super) const RESET_STATE: Verb = Verb::type_name(
    "reset-state",
    "Set the status in the record by force, without looking at what is true (admin)",
    &[
        Arg::One("volume", "its name or id"),
        Arg::One("state", "the status to write: available, error, in-use"),
        Arg::Option("attach-state", "attached or detached"),
    ],
    reset_state,
)
.plan("reset_volume_status");

fn reset_state<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut reset = json!({"status": given.word("state")});
    put(&mut reset, "attach_status", given.option("attach-state"));
    rows::act(session, given, "resetting", |_| {
        Ok(json!({"os-reset_status": reset}))
    })
}

pub(super) const FORCE_DELETE: Verb = Verb::type_name(
    "force-delete",
    "Delete volumes whatever their status (admin)",
    &[
        Arg::Many("volume", "names or ids; - reads them from standard input"),
        rows::ABSENT_OK,
    ],
    |session, given| rows::act_away(session, given, "deleting", "os-force_delete"),
)
.plan("force_delete_volume");

pub(super) const UNMANAGE: Verb = Verb::confirm(
    "unmanage",
    "Forget volumes and leave their data where it is (admin)",
    &[Arg::Many("volume", "names or ids"), rows::ABSENT_OK],
    |session, given| rows::act_away(session, given, "unmanaging", "os-unmanage"),
)
.plan("unmanage_volume");

pub(super) const MANAGE: Verb = Verb::form(
    "manage",
    "Take over what lies in a pool already as a volume (admin)",
    &[
        Arg::One("pool", "where it lies: host@backend#pool"),
        Arg::One("source", "its name there, as `volume manageable` shows it"),
        Arg::Maybe("name", "the volume's name"),
        Arg::Option("description", "what it is for"),
        Arg::Option("type", "its volume type"),
        Arg::Option("zone", "its availability zone"),
        Arg::Repeated("meta", "metadata, KEY=VALUE"),
        Arg::Flag("bootable", "one can boot from it"),
    ],
    manage,
);

fn manage<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let mut volume = json!({
        "host": given.word("pool"),
        "ref": {"source-name": given.word("source")},
        "metadata": pairs(&given.all("meta"))?,
        "bootable": given.flag("bootable"),
    });
    put(&mut volume, "name", given.option("name"));
    put(&mut volume, "description", given.option("description"));
    put(&mut volume, "availability_zone", given.option("zone"));
    if let Some(word) = given.option("type") {
        put(
            &mut volume,
            "volume_type",
            Some(&find::id(session, &TYPE, word)?),
        );
    }
    let what = format!("taking over {}", given.word("source"));
    let body = json!({"volume": volume});
    let answer = session
        .client
        .cinder(Method::Post, "/manageable_volumes", Some(&body))
        .map_err(|failure| failure.of(&what))?;
    let volume = find::inner(&answer, "volume");
    Ok(Answer::One(wait::settled(session, &VOLUME, volume)?))
}

/// The columns of what could be managed.
pub(super) const REFERENCES: &[Column] = &[
    Column::text("source", "reference.source-name"),
    Column::gib("size", "size"),
    Column::text("safe", "safe_to_manage"),
    Column::text("why not", "reason_not_safe"),
    Column::text("is already", "cinder_id"),
];

pub(super) const MANAGEABLE: Verb = Verb::read(
    "manageable",
    "List what lies in a pool and could be taken over (admin)",
    &[Arg::One("pool", "host@backend#pool")],
    |session, given| references(session, given, "/manageable_volumes", "manageable-volumes"),
)
.shows(REFERENCES);

/// What could be managed in a pool.
pub(super) fn references<'s>(
    session: &'s Session,
    given: &Given<'_>,
    path: &str,
    key: &str,
) -> Result<Answer<'s>, Failure> {
    let query = [("host", given.word("pool"))];
    let path = format!("{path}/detail");
    let answer = session.client.get(Api::Cinder, &path, &query)?;
    let items = answer[key].as_array().cloned().unwrap_or_default();
    listing::of_items(given, items)
}

pub(super) const SUMMARY: Verb = Verb::read(
    "summary",
    "Count the volumes and add up their sizes",
    &[Arg::Flag("all-projects", "of every project (admin)")],
    summary,
)
.shows(&[
    Column::number("volumes", "total_count"),
    Column::gib("size", "total_size"),
    Column::text("metadata", "metadata"),
]);

fn summary<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let query: &[(&str, &str)] = if given.flag("all-projects") {
        &[("all_tenants", "1")]
    } else {
        &[]
    };
    let answer = session.client.get(Api::Cinder, "/volumes/summary", query)?;
    let mut summary = find::inner(&answer, "volume-summary");
    if summary.is_null() {
        summary = Value::Object(serde_json::Map::new());
    }
    Ok(Answer::One(summary))
}
