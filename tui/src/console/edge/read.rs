//! Questions and their answers: which path, which key of the answer.

use serde_json::{Value, json};

use super::super::change::Change;
use super::super::data::OPERATIONS_MAX;
use super::super::data::Quota;
use super::super::event::{Answer, Ask, Event, Plan, Trouble};
use super::super::item::{Item, Kind, word};
use super::super::text::clean;
use super::http::Http;
use super::yaml;

/// The first page must come at once, and the others soon.
const PAGE_ROWS: usize = 500;
/// Past that a filter is the better question: 100,000 rows.
const PAGES_MAX: usize = 200;

/// Answers one question; a listing sends page by page. `send` says whether anybody still listens.
pub(super) fn answer(http: &Http, ask: Ask, send: &mut dyn FnMut(Event) -> bool) {
    let answer = match ask {
        Ask::Whoami => Answer::Whoami(http.whoami()),
        Ask::List(kind) => {
            if let Err(trouble) = list(http, kind, send) {
                send(Event::Answer(Answer::NoPage(kind, trouble)));
            }
            return;
        }
        Ask::One(kind, id) => {
            let result = one(http, kind, &id);
            Answer::One(kind, id, result)
        }
        Ask::Raw(ticket, kind, id) => Answer::Raw(ticket, raw(http, kind, &id)),
        Ask::Plan(ticket, change) => Answer::Plan(ticket, plan(http, &change)),
        Ask::Placement(ticket, change) => Answer::Placement(ticket, placement(http, &change)),
        Ask::Quota => Answer::Quota(quota(http)),
    };
    send(Event::Answer(answer));
}

/// Where a kind is listed: path, key of the rows, whether Cinder pages it.
fn place(kind: Kind, is_admin: bool) -> (String, &'static str, bool) {
    let all = if is_admin { "&all_tenants=1" } else { "" };
    match kind {
        Kind::Volume => (
            format!("/volumes/detail?limit={PAGE_ROWS}{all}"),
            "volumes",
            true,
        ),
        Kind::Snapshot => (
            format!("/snapshots/detail?limit={PAGE_ROWS}{all}"),
            "snapshots",
            true,
        ),
        Kind::Attachment => (
            format!("/attachments/detail?limit={PAGE_ROWS}{all}"),
            "attachments",
            true,
        ),
        Kind::Pool => (
            "/scheduler-stats/get_pools?detail=true".to_owned(),
            "pools",
            false,
        ),
        Kind::Service => ("/os-services".to_owned(), "services", false),
        Kind::Type => ("/types?is_public=None".to_owned(), "volume_types", false),
        Kind::Operation => (
            format!("/operations?limit={OPERATIONS_MAX}"),
            "operations",
            false,
        ),
        Kind::Session => ("/sessions".to_owned(), "sessions", false),
    }
}

fn is_own(kind: Kind) -> bool {
    matches!(kind, Kind::Operation | Kind::Session)
}

fn get(http: &Http, kind: Kind, path: &str) -> Result<Value, Trouble> {
    if is_own(kind) {
        http.own(path)
    } else {
        http.cinder(path)
    }
}

fn list(http: &Http, kind: Kind, send: &mut dyn FnMut(Event) -> bool) -> Result<(), Trouble> {
    let is_admin = http.whoami()?.role == "admin";
    let (path, key, is_paged) = place(kind, is_admin);
    let mut marker: Option<String> = None;
    for page in 0..PAGES_MAX {
        let path = match &marker {
            Some(marker) => format!("{path}&marker={marker}"),
            None => path.clone(),
        };
        let value = get(http, kind, &path)?;
        let rows = value.get(key).and_then(Value::as_array).map(Vec::as_slice);
        let rows = rows.ok_or_else(|| Trouble {
            code: 502,
            ..Trouble::lost(&format!("the answer holds no `{key}`"))
        })?;
        // An id that is no plain word would change the path; no daemon of ours gives one.
        marker = rows
            .last()
            .map(|row| word(row, "id"))
            .filter(|id| is_plain(id));
        let has_more = value.get(format!("{key}_links")).is_some();
        let is_last =
            !is_paged || !has_more || rows.is_empty() || marker.is_none() || page + 1 == PAGES_MAX;
        let items = rows
            .iter()
            .filter_map(|row| Item::read(kind, row))
            .collect();
        let event = Event::Answer(Answer::Page {
            kind,
            items,
            is_first: page == 0,
            is_last,
        });
        if !send(event) || is_last {
            return Ok(());
        }
    }
    Ok(())
}

fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Path and key of one object; `None` for kinds that have no such path.
fn single(kind: Kind, id: &str) -> Option<(String, &'static str)> {
    if !is_plain(id) {
        return None;
    }
    match kind {
        Kind::Volume => Some((format!("/volumes/{id}"), "volume")),
        Kind::Snapshot => Some((format!("/snapshots/{id}"), "snapshot")),
        Kind::Attachment => Some((format!("/attachments/{id}"), "attachment")),
        Kind::Type => Some((format!("/types/{id}"), "volume_type")),
        Kind::Operation => Some((format!("/operations/{id}"), "operation")),
        Kind::Pool | Kind::Service | Kind::Session => None,
    }
}

fn one(http: &Http, kind: Kind, id: &str) -> Result<Option<Item>, Trouble> {
    let Some((path, key)) = single(kind, id) else {
        return Ok(None);
    };
    match get(http, kind, &path) {
        Ok(value) => Ok(value.get(key).and_then(|inner| Item::read(kind, inner))),
        Err(trouble) if trouble.code == 404 => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// The object as the daemon tells it. Secrets are not for a screen.
fn raw(http: &Http, kind: Kind, id: &str) -> Result<Vec<String>, Trouble> {
    let mut value = match single(kind, id) {
        Some((path, key)) => get(http, kind, &path)?
            .get(key)
            .cloned()
            .unwrap_or(Value::Null),
        None => {
            let (path, key, _) = place(kind, false);
            let rows = get(http, kind, &path)?;
            let rows = rows
                .get(key)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            let is_it = |row: &Value| Item::read(kind, row).is_some_and(|item| item.id == id);
            rows.into_iter().find(is_it).unwrap_or(Value::Null)
        }
    };
    hide_secrets(&mut value);
    Ok(yaml::lines(&value))
}

fn hide_secrets(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                if key.contains("password") || key.contains("secret") {
                    *inner = Value::from("(hidden)");
                } else {
                    hide_secrets(inner);
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(hide_secrets),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What a change would do. A daemon without `plan` answers 404 or 405: that is `None`.
fn plan(http: &Http, change: &Change) -> Result<Option<Plan>, Trouble> {
    let (noun, verb) = change.verb();
    let Some((_, id)) = change.object() else {
        return Ok(None);
    };
    let mut input = json!({});
    if let Change::DeleteVolume { is_cascade, .. } = change {
        input = json!({"cascade": is_cascade});
    }
    let body = json!({"verb": format!("{verb}_{noun}"), "objects": [id], "input": input});
    let value = match http.question("/plan", &body) {
        Ok(value) => value,
        Err(trouble) if [404, 405, 501].contains(&trouble.code) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    Ok(Some(read_plan(&value, id)))
}

fn read_plan(value: &Value, id: &str) -> Plan {
    let plan = value.get("plan").unwrap_or(value);
    let objects = plan.get("objects").and_then(Value::as_array);
    let object = objects
        .into_iter()
        .flatten()
        .find(|object| word(object, "id") == id);
    let object = object.unwrap_or(&Value::Null);
    let texts = |key: &str| -> Vec<String> {
        let all = object.get(key).and_then(Value::as_array);
        let text = |one: &Value| one.as_str().map_or_else(|| clean(&one.to_string()), clean);
        all.into_iter().flatten().map(text).collect()
    };
    Plan {
        hash: word(plan, "hash"),
        is_blocked: plan
            .get("is_blocked")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        blocks: texts("blocks"),
        lost: texts("lost"),
        breaks: texts("breaks"),
        keeps: texts("keeps"),
        frees_bytes: object.get("frees_bytes").and_then(Value::as_u64),
        // What is not said to be safe is not.
        level: match word(object, "level").as_str() {
            "safe" => "safe".to_owned(),
            "confirm" => "confirm".to_owned(),
            _ => "type_name".to_owned(),
        },
    }
}

/// Where a volume would be placed, in words.
fn placement(http: &Http, change: &Change) -> Result<Option<String>, Trouble> {
    let value = match http.question("/placement", &change.volume_body()) {
        Ok(value) => value,
        Err(trouble) if [404, 405, 501].contains(&trouble.code) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let placement = value.get("placement").unwrap_or(&value);
    let (winner, reason) = (word(placement, "winner"), word(placement, "reason"));
    Ok(Some(match (winner.is_empty(), reason.is_empty()) {
        (false, true) => format!("the scheduler would pick {winner}"),
        (false, false) => format!("the scheduler would pick {winner}: {reason}"),
        (true, _) => format!("! no pool would take it: {reason}"),
    }))
}

fn quota(http: &Http) -> Result<Quota, Trouble> {
    let project = http.whoami()?.project;
    let value = http.cinder(&format!("/os-quota-sets/{project}?usage=true"))?;
    let set = value.get("quota_set").and_then(Value::as_object);
    let row = |(resource, figures): (&String, &Value)| {
        let limit = figures.get("limit")?.as_i64()?;
        let number = |key: &str| figures.get(key).and_then(Value::as_i64).unwrap_or(0);
        Some((
            clean(resource),
            limit,
            number("in_use").saturating_add(number("reserved")),
        ))
    };
    Ok(Quota {
        rows: set.into_iter().flatten().filter_map(row).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_for_its_object_and_counts_as_dangerous_unless_it_says_otherwise() {
        let value = json!({"plan": {"hash": "h1", "is_blocked": true, "objects": [
            {"id": "other", "blocks": ["x"], "level": "safe"},
            {"id": "v1", "blocks": ["1 attachment\u{1b}"], "lost": [], "frees_bytes": 5}]}});
        let plan = read_plan(&value, "v1");
        assert_eq!(plan.blocks, ["1 attachment<1b>"]);
        assert_eq!(
            (plan.hash.as_str(), plan.is_blocked, plan.level.as_str()),
            ("h1", true, "type_name")
        );
        assert_eq!(plan.frees_bytes, Some(5));
    }

    #[test]
    fn secrets_do_not_come_to_the_screen() {
        let mut value = json!({"connection_info": {"auth_password": "p4ss", "auth_username": "u",
            "mutual_auth_password": "0ther"}, "list": [{"secret": "s"}]});
        hide_secrets(&mut value);
        let text = value.to_string();
        assert!(
            !text.contains("p4ss")
                && !text.contains("0ther")
                && !text.contains("\"s\"")
                && text.contains("\"u\""),
            "{text}"
        );
    }

    #[test]
    fn an_id_that_is_no_word_makes_no_path() {
        assert_eq!(single(Kind::Volume, "../tokens"), None);
        assert!(single(Kind::Volume, "7f3c-1").is_some());
    }
}
