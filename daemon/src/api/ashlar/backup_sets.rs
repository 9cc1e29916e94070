//! Backup sets: list, show, create, change, delete; a run now; what a run would do.

use super::backup_calendar::run_view;
use crate::api::Api;
use crate::api::body::{Object, invalid, only, pairs_of};
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, accepted, created, no_content, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing};
use crate::model::backup_set::{BackupSet, FULL_EVERY_MAX, Selection, VOLUMES_MAX};
use crate::model::cron::Cron;
use crate::model::retention::{KEPT_MAX, Reason, Retention};
use crate::model::time::Time;
use crate::ops::backup_calendar;
use crate::ops::backup_sets::{self, Request};
use crate::ops::plan_backup_set::{self, Plan};
use crate::ops::retain_backups::Verdict;
use crate::store::backup_sets as record;
use axum::extract::State;
use serde_json::{Map, Value, json};

/// The noun in error texts.
const NOUN: &str = "Backup set";

/// Characters of a name: its backups are called after it, with their time.
pub(in crate::api) const NAME_CHARS_MAX: usize = 200;

/// What sets can be listed by.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[
        ("id", "id"),
        ("name", "name"),
        ("next_at", "next_at"),
        ("created_at", "created_at"),
    ],
    filters: &[Rule {
        wire: "name",
        column: "name",
        kind: Kind::Text,
        since: 0,
        for_admins: false,
    }],
    of_projects: true,
    strict_from: 0,
};

const KEYS: &[&str] = &[
    "name",
    "description",
    "volumes",
    "schedule",
    "store",
    "incremental",
    "full_every",
    "in_use",
    "retention",
    "enabled",
];

/// The ways to say which volumes; one of them.
const WAYS: &[&str] = &["ids", "name", "type", "metadata", "all"];

/// The body of a create or a change.
fn request(body: &Map<String, Value>) -> Result<Request, Fault> {
    only(body, &["backup_set"])?;
    let said = Object::within(body, "backup_set")?;
    said.only(KEYS)?;
    // Said as null is said as none.
    let or_none = |key: &str, text: Option<String>| said.has(key).then_some(text);
    let request = Request {
        name: said.has("name").then(|| name(&said)).transpose()?,
        description: or_none("description", said.text("description")?),
        selection: selection(&said)?,
        cron: said.has("schedule").then(|| schedule(&said)).transpose()?,
        store: or_none("store", said.text("store")?),
        is_incremental: said.boolean("incremental")?,
        full_every: count(&said, "full_every", FULL_EVERY_MAX)?,
        may_be_attached: said.boolean("in_use")?,
        retention: retention(&said)?,
        is_enabled: said.boolean("enabled")?,
    };
    if request == Request::default() {
        let why = "Invalid input for field/attribute backup_set. Nothing was said.";
        return Err(Fault::bad_request(why));
    }
    Ok(request)
}

fn name(said: &Object<'_>) -> Result<String, Fault> {
    let name = said.required_text("name")?;
    match name.chars().count() > NAME_CHARS_MAX {
        true => {
            let why = format!("it may have {NAME_CHARS_MAX} characters");
            Err(invalid("name", &json!(name), &why))
        }
        false => Ok(name),
    }
}

fn schedule(said: &Object<'_>) -> Result<Option<Cron>, Fault> {
    let Some(text) = said.text("schedule")? else {
        return Ok(None);
    };
    let read = text.parse().map(Some);
    read.map_err(|error: crate::model::cron::CronError| {
        invalid("schedule", &json!(text), &error.to_string())
    })
}

fn selection(said: &Object<'_>) -> Result<Option<Selection>, Fault> {
    let map = match said.value("volumes") {
        None if said.has("volumes") => &Map::new(),
        None => return Ok(None),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(invalid("volumes", other, &one_way())),
    };
    let whole = Map::from_iter([("volumes".to_owned(), Value::Object(map.clone()))]);
    let way = Object::within(&whole, "volumes")?;
    way.only(WAYS)?;
    if map.len() != 1 {
        return Err(invalid("volumes", &Value::Object(map.clone()), &one_way()));
    }
    if let Some(Value::Array(ids)) = map.get("ids") {
        return Ok(Some(Selection::Volumes(self::ids(ids)?)));
    }
    if let Some(Value::Object(pairs)) = map.get("metadata") {
        let pairs = pairs_of(pairs)?;
        if let (1, Some((key, value))) = (pairs.len(), pairs.into_iter().next()) {
            return Ok(Some(Selection::With { key, value }));
        }
        let why = "it must be one pair";
        return Err(invalid("volumes.metadata", &json!({}), why));
    }
    if way.has("name") {
        return Ok(Some(Selection::Named(way.required_text("name")?)));
    }
    if way.has("type") {
        return Ok(Some(Selection::OfType(way.required_text("type")?)));
    }
    match way.value("all") {
        Some(Value::Bool(true)) => Ok(Some(Selection::Project)),
        Some(_) | None => Err(invalid("volumes", &Value::Object(map.clone()), &one_way())),
    }
}

fn ids<T: std::str::FromStr>(said: &[Value]) -> Result<Vec<T>, Fault> {
    if said.len() > VOLUMES_MAX {
        let why =
            format!("there may be {VOLUMES_MAX}; make several sets, or choose them otherwise");
        return Err(invalid("volumes.ids", &json!(said.len()), &why));
    }
    said.iter()
        .map(|id| {
            let read = id.as_str().and_then(|id| id.parse().ok());
            read.ok_or_else(|| invalid("volumes.ids", id, "it is not a 'uuid'"))
        })
        .collect()
}

fn one_way() -> String {
    "it must be one of {\"ids\": [..]}, {\"name\": pattern}, {\"type\": name}, {\"metadata\": {key: value}}, \
     {\"all\": true}"
        .to_owned()
}

/// A whole number from 0 on.
fn count(said: &Object<'_>, key: &str, max: u32) -> Result<Option<u32>, Fault> {
    let Some(value) = said.value(key) else {
        return Ok(said.has(key).then_some(0));
    };
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number
        .filter(|number| *number <= max)
        .map(Some)
        .ok_or_else(|| {
            let why = format!("it must be a whole number from 0 to {max}");
            invalid(key, value, &why)
        })
}

fn retention(said: &Object<'_>) -> Result<Option<Retention>, Fault> {
    let map = match said.value("retention") {
        None => return Ok(said.has("retention").then(Retention::default)),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(invalid("retention", other, "it is no object")),
    };
    let whole = Map::from_iter([("retention".to_owned(), Value::Object(map.clone()))]);
    let kept = Object::within(&whole, "retention")?;
    kept.only(&[
        "keep_last",
        "keep_hourly",
        "keep_daily",
        "keep_weekly",
        "keep_monthly",
        "keep_yearly",
    ])?;
    let of = |key| Ok::<u32, Fault>(count(&kept, key, KEPT_MAX)?.unwrap_or(0));
    Ok(Some(Retention {
        last: of("keep_last")?,
        hourly: of("keep_hourly")?,
        daily: of("keep_daily")?,
        weekly: of("keep_weekly")?,
        monthly: of("keep_monthly")?,
        yearly: of("keep_yearly")?,
    }))
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let wanted = LISTING.read(&call)?;
    let listed = record::list(&api.ctx.store, &wanted.request).await;
    let mut shown = Vec::new();
    for set in listed.map_err(|error| page::fault(NOUN, error))? {
        shown.push(view(&api, &set).await?);
    }
    Ok(ok(&json!({"backup_sets": shown})))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let set = backup_sets::visible(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(ok(&json!({"backup_set": view(&api, &set).await?})))
}

pub(in crate::api) async fn create(State(api): State<Api>, call: Call) -> Answer {
    let request = request(&call.json()?)?;
    let set = backup_sets::create(&api.ctx, &call.caller, request).await?;
    Ok(created(&json!({"backup_set": view(&api, &set).await?})))
}

pub(in crate::api) async fn update(State(api): State<Api>, call: Call) -> Answer {
    let (id, request) = (call.id(NOUN)?, request(&call.json()?)?);
    let set = backup_sets::update(&api.ctx, &call.caller, id, request).await?;
    Ok(ok(&json!({"backup_set": view(&api, &set).await?})))
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    backup_sets::delete(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(no_content())
}

pub(in crate::api) async fn run(State(api): State<Api>, call: Call) -> Answer {
    let run = backup_sets::run(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    let told = backup_calendar::tell(&api.ctx, run).await?;
    Ok(accepted(&json!({"backup_run": run_view(&told)})))
}

pub(in crate::api) async fn plan(State(api): State<Api>, call: Call) -> Answer {
    let plan = plan_backup_set::plan(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(ok(&json!({"backup_plan": plan_view(&plan)})))
}

async fn view(api: &Api, set: &BackupSet) -> Result<Value, Fault> {
    let last = backup_calendar::newest(&api.ctx, set.id).await?;
    let kept = &set.retention;
    Ok(json!({
        "id": set.id.to_string(),
        "project_id": set.project_id,
        "user_id": set.user_id,
        "name": set.name,
        "description": set.description,
        "volumes": selection_view(&set.selection),
        "schedule": set.cron.as_ref().map(ToString::to_string),
        "store": set.how.store,
        "incremental": set.how.is_incremental,
        "full_every": set.how.full_every,
        "in_use": set.how.may_be_attached,
        "retention": {
            "keep_last": kept.last,
            "keep_hourly": kept.hourly,
            "keep_daily": kept.daily,
            "keep_weekly": kept.weekly,
            "keep_monthly": kept.monthly,
            "keep_yearly": kept.yearly,
        },
        "enabled": set.is_enabled,
        "next_at": set.next_at.as_ref().map(Time::as_str),
        "last_run": last.as_ref().map(run_view),
        "created_at": set.created_at.as_str(),
        "updated_at": set.updated_at.as_ref().map(Time::as_str),
    }))
}

fn selection_view(selection: &Selection) -> Value {
    match selection {
        Selection::Volumes(ids) => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            json!({"ids": ids})
        }
        Selection::Named(pattern) => json!({"name": pattern}),
        Selection::OfType(name) => json!({"type": name}),
        Selection::With { key, value } => json!({"metadata": {key.as_str(): value}}),
        Selection::Project => json!({"all": true}),
    }
}

fn plan_view(plan: &Plan) -> Value {
    let volumes = plan.volumes.iter().map(|one| {
        json!({
            "id": one.id.to_string(),
            "name": one.volume.as_ref().and_then(|volume| volume.name.as_deref()),
            "size": one.volume.as_ref().map(|volume| volume.size_gib.get()),
            "is_full": one.is_full,
            "problem": one.problem,
        })
    });
    let backups = plan.backups.iter().map(|(backup, verdict)| {
        json!({
            "id": backup.id.to_string(),
            "name": backup.name,
            "volume_id": backup.volume_id.to_string(),
            "status": backup.status.as_str(),
            "data_timestamp": backup.data_timestamp.as_str(),
            "goes": verdict.goes(),
            "reasons": reasons(verdict),
        })
    });
    json!({
        "volumes": volumes.collect::<Vec<_>>(),
        "left_out": plan.left_out,
        "backups": backups.collect::<Vec<_>>(),
        "is_cut": plan.is_cut,
    })
}

/// Why a backup is kept, or why it goes.
fn reasons(verdict: &Verdict) -> Vec<&'static str> {
    match verdict {
        Verdict::Kept(reasons) => reasons.iter().map(|one| Reason::as_str(*one)).collect(),
        Verdict::Unneeded => vec!["unneeded"],
        Verdict::Superseded => vec!["superseded"],
        Verdict::LeftAlone => vec!["left_alone"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::VolumeId;

    fn read(said: &Value) -> Result<Request, u16> {
        let body = json!({"backup_set": said});
        request(body.as_object().unwrap()).map_err(|fault| fault.code())
    }

    #[test]
    fn what_is_said_of_a_set() {
        let id = VolumeId::random();
        let said = json!({"name": " nightly ", "description": "d", "volumes": {"ids": [id.to_string()]},
            "schedule": "0 2 * * *", "store": "nas", "incremental": true, "full_every": 7, "in_use": "yes",
            "retention": {"keep_last": 3, "keep_yearly": 0}, "enabled": false});
        let all = read(&said).unwrap();
        assert_eq!(all.name.as_deref(), Some("nightly"));
        assert_eq!(all.selection, Some(Selection::Volumes(vec![id])));
        assert_eq!(all.cron.flatten().unwrap().to_string(), "0 2 * * *");
        assert_eq!((all.full_every, all.may_be_attached), (Some(7), Some(true)));
        assert_eq!(
            all.retention,
            Some(Retention {
                last: 3,
                ..Retention::default()
            })
        );
        let none = read(&json!({"schedule": null, "store": null, "retention": null})).unwrap();
        assert_eq!((none.cron, none.store), (Some(None), Some(None)));
        assert_eq!(
            (none.retention, none.name),
            (Some(Retention::default()), None)
        );
        for (said, meant) in [
            (json!({"name": "pg-*"}), Selection::Named("pg-*".to_owned())),
            (
                json!({"type": "gold"}),
                Selection::OfType("gold".to_owned()),
            ),
            (
                json!({"metadata": {"k": "v"}}),
                Selection::With {
                    key: "k".to_owned(),
                    value: "v".to_owned(),
                },
            ),
            (json!({"all": true}), Selection::Project),
        ] {
            let read = read(&json!({"volumes": said})).unwrap();
            assert_eq!(read.selection.as_ref(), Some(&meant));
            assert_eq!(selection_view(&meant), said);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for bad in [
            json!({}),
            json!({"colour": "red"}),
            json!({"name": ""}),
            json!({"name": null}),
            json!({"name": "n".repeat(NAME_CHARS_MAX + 1)}),
            json!({"schedule": "0 0 31 2 *"}),
            json!({"schedule": "often"}),
            json!({"schedule": 5}),
            json!({"volumes": null}),
            json!({"volumes": {}}),
            json!({"volumes": []}),
            json!({"volumes": {"ids": ["x"]}}),
            json!({"volumes": {"ids": "x"}}),
            json!({"volumes": {"ids": vec![VolumeId::random().to_string(); VOLUMES_MAX + 1]}}),
            json!({"volumes": {"all": false}}),
            json!({"volumes": {"all": true, "type": "gold"}}),
            json!({"volumes": {"metadata": {}}}),
            json!({"volumes": {"metadata": {"a": "1", "b": "2"}}}),
            json!({"volumes": {"name": ""}}),
            json!({"volumes": {"colour": "red"}}),
            json!({"full_every": -1}),
            json!({"full_every": 1.5}),
            json!({"full_every": FULL_EVERY_MAX + 1}),
            json!({"retention": {"keep_daily": KEPT_MAX + 1}}),
            json!({"retention": {"keep_everything": 1}}),
            json!({"retention": 7}),
            json!({"in_use": "maybe"}),
        ] {
            assert_eq!(read(&bad).unwrap_err(), 400, "{bad}");
        }
    }
}
