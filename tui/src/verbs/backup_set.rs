//! `ashlar backup-set ...`: which volumes are backed up when, and how long each backup is kept.

use serde_json::{Map, Value, json};

use super::rows::{self, pairs, put};
use crate::Session;
use crate::client::{Method, text};
use crate::failure::Failure;
use crate::find;
use crate::output::{Answer, Column};
use crate::places::{BACKUP_SET, VOLUME};
use crate::table::{Arg, Given, Level, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "backup-set",
    aliases: &["backup-sets"],
    about: "Which volumes are backed up when, and how long each backup is kept",
    place: &BACKUP_SET,
    short: &[
        Column::text("id", "id"),
        Column::text("name", "name"),
        Column::text("volumes", "volumes"),
        Column::text("schedule", "schedule"),
        Column::text("enabled", "enabled"),
        Column::time("next", "next_at"),
        Column::time("last", "last_run.begun_at"),
        Column::number("failed", "last_run.volumes.failed"),
    ],
    long: &[
        Column::text("id", "id"),
        Column::text("name", "name"),
        Column::text("description", "description"),
        Column::text("volumes", "volumes"),
        Column::text("schedule", "schedule"),
        Column::text("enabled", "enabled"),
        Column::text("store", "store"),
        Column::text("incremental", "incremental"),
        Column::number("full every", "full_every"),
        Column::text("in use", "in_use"),
        Column::text("retention", "retention"),
        Column::time("next", "next_at"),
        Column::time("last", "last_run.begun_at"),
        Column::time("last ended", "last_run.finished_at"),
        Column::number("done", "last_run.volumes.done"),
        Column::number("failed", "last_run.volumes.failed"),
        Column::text("failures", "last_run.failed_volumes"),
        Column::text("problem", "last_run.problem"),
        Column::time("created", "created_at"),
        Column::time("updated", "updated_at"),
    ],
    verbs: &[
        CREATE,
        rows::list("List the backup sets of the project"),
        rows::show("Show backup sets with their newest run"),
        SET,
        RUN,
        PLAN,
        rows::delete(Level::Confirm, "Delete backup sets; their backups stay"),
    ],
};

const VOLUME_ARG: Arg = Arg::Repeated("volume", "a volume by name or id, as often as needed");
const NAMED: Arg = Arg::Option(
    "named",
    "the volumes whose name is so: * and ? stand for others",
);
const OF_TYPE: Arg = Arg::Option("type", "the volumes of this type");
const META: Arg = Arg::Repeated("meta", "the volumes with this metadata, KEY=VALUE");
const ALL: Arg = Arg::Flag("all-volumes", "all volumes of the project");
const SCHEDULE: Arg = Arg::Option(
    "schedule",
    "minute, hour, day, month, day of the week (UTC), @hourly, @daily, @weekly, @monthly, or never",
);
const STORE: Arg = Arg::Option("store", "the backup store; else the default one");
const INCREMENTAL: Arg = Arg::Option(
    "incremental",
    "true: read only what differs from the newest backup",
);
const FULL_EVERY: Arg = Arg::Option(
    "full-every",
    "of so many backups of a volume one is full; 0: only the first",
);
const IN_USE: Arg = Arg::Option("in-use", "true: also volumes that are in use");
const KEEP: Arg = Arg::Repeated(
    "keep",
    "WHAT=COUNT, what is last, hourly, daily, weekly, monthly or yearly; or all",
);
const ENABLED: Arg = Arg::Option("enabled", "false: only when somebody asks");
const DESCRIPTION: Arg = Arg::Option("description", "what it is for");

const CREATE: Verb = Verb::form(
    "create",
    "Back up volumes at set times; say which with one of --volume, --named, --type, --meta, --all-volumes",
    &[
        Arg::One("name", "what it is called, and its backups after it"),
        VOLUME_ARG,
        NAMED,
        OF_TYPE,
        META,
        ALL,
        SCHEDULE,
        STORE,
        INCREMENTAL,
        FULL_EVERY,
        IN_USE,
        KEEP,
        ENABLED,
        DESCRIPTION,
    ],
    |session, given| {
        let mut set = said(session, given)?;
        put(&mut set, "name", Some(given.word("name")));
        let made = session
            .client
            .ashlar(
                Method::Post,
                "/backup-sets",
                Some(&json!({"backup_set": set})),
            )
            .map_err(|failure| failure.of("making the backup set"))?;
        Ok(Answer::One(find::inner(&made, "backup_set")))
    },
);

const SET: Verb = Verb::form(
    "set",
    "Change backup sets; what --keep says replaces all that was kept before",
    &[
        Arg::Many("backup-set", "names or ids"),
        Arg::Option("name", "a new name"),
        VOLUME_ARG,
        NAMED,
        OF_TYPE,
        META,
        ALL,
        SCHEDULE,
        STORE,
        INCREMENTAL,
        FULL_EVERY,
        IN_USE,
        KEEP,
        ENABLED,
        DESCRIPTION,
    ],
    |session, given| {
        let mut words = said(session, given)?;
        put(&mut words, "name", given.option("name"));
        if words == json!({}) {
            return Err(Failure::usage(
                "nothing was named to be changed",
                "add --schedule, --keep or another option; --help names them",
            ));
        }
        rows::each(session, given, "changing", |target| {
            let path = format!("/backup-sets/{}", target.id);
            let body = json!({"backup_set": words});
            let answer = rows::send(
                session,
                &BACKUP_SET,
                Method::Put,
                &path,
                Some(&body),
                target,
            )?;
            Ok(Some(find::inner(&answer, "backup_set")))
        })
    },
);

/// What the options say of a set.
fn said(session: &Session, given: &Given<'_>) -> Result<Value, Failure> {
    let mut set = json!({});
    put(&mut set, "description", given.option("description"));
    put(&mut set, "store", given.option("store"));
    if let Some(schedule) = given.option("schedule") {
        set["schedule"] = match schedule {
            "never" => Value::Null,
            schedule => json!(schedule),
        };
    }
    for (option, key) in [
        ("incremental", "incremental"),
        ("in-use", "in_use"),
        ("enabled", "enabled"),
    ] {
        if let Some(word) = given.option(option) {
            set[key] = json!(rows::truth(word)?);
        }
    }
    if let Some(count) = given.option("full-every") {
        set["full_every"] = json!(number("--full-every", count)?);
    }
    let keep = given.all("keep");
    if !keep.is_empty() {
        set["retention"] = retention(&keep)?;
    }
    if let Some(volumes) = volumes(session, given)? {
        set["volumes"] = volumes;
    }
    Ok(set)
}

/// Which volumes, said in one way.
fn volumes(session: &Session, given: &Given<'_>) -> Result<Option<Value>, Failure> {
    let mut ways = Map::new();
    let ids = given
        .all("volume")
        .into_iter()
        .map(|word| find::id(session, &VOLUME, word));
    let ids = ids.collect::<Result<Vec<String>, Failure>>()?;
    if !ids.is_empty() {
        ways.insert("ids".to_owned(), json!(ids));
    }
    for (option, key) in [("named", "name"), ("type", "type")] {
        if let Some(word) = given.option(option) {
            ways.insert(key.to_owned(), json!(word));
        }
    }
    let meta = given.all("meta");
    if !meta.is_empty() {
        ways.insert("metadata".to_owned(), pairs(&meta)?);
    }
    if given.flag("all-volumes") {
        ways.insert("all".to_owned(), json!(true));
    }
    match ways.len() {
        0 => Ok(None),
        1 => Ok(Some(Value::Object(ways))),
        _ => Err(Failure::usage(
            "the volumes were said in several ways",
            "use one of --volume, --named, --type, --meta and --all-volumes",
        )),
    }
}

/// `daily=7` and the like.
fn retention(words: &[&str]) -> Result<Value, Failure> {
    let mut kept = Map::new();
    if words == ["all"] {
        return Ok(Value::Object(kept));
    }
    for word in words {
        let known = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];
        let (what, count) = word.split_once('=').unwrap_or((word, ""));
        if !known.contains(&what) {
            return Err(Failure::usage(
                &format!("`{word}` says nothing of what is kept"),
                "write it as daily=7; the words are last, hourly, daily, weekly, monthly, yearly",
            ));
        }
        kept.insert(format!("keep_{what}"), json!(number("--keep", count)?));
    }
    Ok(Value::Object(kept))
}

fn number(option: &str, word: &str) -> Result<u32, Failure> {
    word.parse().map_err(|_| {
        Failure::usage(
            &format!("{option}: `{word}` is no number"),
            "write a whole number from 0 on",
        )
    })
}

const RUN: Verb = Verb::form(
    "run",
    "Begin a run of backup sets now; `backup-set show` tells how it gets on",
    &[Arg::Many("backup-set", "names or ids")],
    |session, given| {
        rows::each(session, given, "running", |target| {
            let path = format!("/backup-sets/{}/run", target.id);
            let answer = rows::send(session, &BACKUP_SET, Method::Post, &path, None, target)?;
            Ok(Some(find::inner(&answer, "backup_run")))
        })
    },
)
.shows(&[
    Column::text("run", "id"),
    Column::text("set", "set_id"),
    Column::number("volumes", "volumes.waiting"),
    Column::text("problem", "problem"),
    Column::time("begun", "begun_at"),
]);

const PLAN: Verb = Verb::read(
    "plan",
    "Show what a run would back up now, and which backups it would keep and why; nothing is changed",
    &[Arg::One("backup-set", "its name or id")],
    |session, given| {
        let id = find::id(session, &BACKUP_SET, given.word("backup-set"))?;
        let answer = session.client.reckon(&format!("/backup-sets/{id}/plan"), &json!({}))?;
        let plan = find::inner(&answer, "backup_plan");
        if session.form.is_json() {
            return Ok(Answer::One(plan));
        }
        Ok(Answer::Many(planned(&plan)))
    },
)
.shows(&[
    Column::text("what", "what"),
    Column::text("id", "id"),
    Column::text("name", "name"),
    Column::text("volume", "volume"),
    Column::time("of", "of"),
    Column::text("because", "why"),
]);

/// A row a volume, then a row a backup.
fn planned(plan: &Value) -> Vec<Value> {
    let list = |key: &str| plan[key].as_array().cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for volume in list("volumes") {
        let what = match (volume["problem"].is_null(), volume["is_full"] == true) {
            (false, _) => "cannot back up",
            (true, true) => "back up in full",
            (true, false) => "back up",
        };
        rows.push(
            json!({"what": what, "id": volume["id"], "name": volume["name"], "volume": volume["id"],
            "of": null, "why": volume["problem"]}),
        );
    }
    for backup in list("backups") {
        let reasons = backup["reasons"].as_array().cloned().unwrap_or_default();
        let why: Vec<&str> = reasons.iter().filter_map(Value::as_str).collect();
        let what = match (backup["goes"] == true, why.as_slice()) {
            (true, _) => "remove",
            (false, ["left_alone"]) => "leave",
            (false, _) => "keep",
        };
        rows.push(json!({"what": what, "id": backup["id"], "name": backup["name"],
            "volume": text(&backup, "volume_id"), "of": backup["data_timestamp"], "why": why.join(", ")}));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_said_in_words() {
        assert_eq!(
            retention(&["daily=7", "last=3"]).unwrap(),
            json!({"keep_daily": 7, "keep_last": 3})
        );
        assert_eq!(retention(&["all"]).unwrap(), json!({}));
        for bad in [
            "daily",
            "daily=",
            "daily=x",
            "daily=-1",
            "sometimes=1",
            "all=1",
        ] {
            assert!(retention(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_plan_is_a_row_each() {
        let plan = json!({"volumes": [
            {"id": "v", "name": "n", "is_full": true, "problem": null},
            {"id": "w", "name": null, "is_full": false, "problem": "it is in use"},
        ], "backups": [
            {"id": "b", "name": "x", "volume_id": "v", "data_timestamp": "t", "goes": false, "reasons": ["daily", "weekly"]},
            {"id": "c", "name": "y", "volume_id": "v", "data_timestamp": "t", "goes": true, "reasons": ["unneeded"]},
            {"id": "d", "name": "z", "volume_id": "v", "data_timestamp": "t", "goes": false, "reasons": ["left_alone"]},
        ]});
        let rows = planned(&plan);
        let seen: Vec<(String, String)> = rows
            .iter()
            .map(|row| (text(row, "what"), text(row, "why")))
            .collect();
        let expected = [
            ("back up in full", ""),
            ("cannot back up", "it is in use"),
            ("keep", "daily, weekly"),
            ("remove", "unneeded"),
            ("leave", "left_alone"),
        ];
        assert_eq!(
            seen,
            expected.map(|(what, why)| (what.to_owned(), why.to_owned()))
        );
    }
}
