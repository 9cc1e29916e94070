//! Quotas: of a project, their defaults, of a class.

use crate::api::Api;
use crate::api::auth::is_id;
use crate::api::body::{NUMBER_MAX, Object, invalid, only};
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, ok, ok_empty};
use crate::api::place::is_project_id;
use crate::ops::quotas::{self, Quota};
use axum::extract::State;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What clients send beside the limits.
const BESIDE: &[&str] = &["id", "tenant_id"];

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let project = project(&call)?;
    let set = quotas::of_project(&api.ctx, &call.caller, project).await?;
    let shows_usage = call.flag("usage")?;
    let one = |quota: &Quota| match shows_usage {
        // Nothing is ever reserved beside what is in use: the counter changes with the rows.
        true => json!({"limit": quota.limit, "in_use": quota.in_use, "reserved": 0}),
        false => json!(quota.limit),
    };
    Ok(ok(&json!({"quota_set": view(&set, Some(project), one)})))
}

pub(in crate::api) async fn defaults(State(api): State<Api>, call: Call) -> Answer {
    let project = project(&call)?;
    let set = quotas::defaults(&api.ctx, &call.caller, project).await?;
    Ok(ok(&json!({"quota_set": view(&set, Some(project), limit)})))
}

pub(in crate::api) async fn update(State(api): State<Api>, call: Call) -> Answer {
    let limits = limits(&call.json()?, "quota_set", BESIDE)?;
    let project = project(&call)?;
    quotas::set(&api.ctx, &call.caller, project, &limits).await?;
    let set = quotas::of_project(&api.ctx, &call.caller, project).await?;
    Ok(ok(&json!({"quota_set": view(&set, None, limit)})))
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    quotas::forget(&api.ctx, &call.caller, project(&call)?).await?;
    Ok(ok_empty())
}

pub(in crate::api) async fn show_class(State(api): State<Api>, call: Call) -> Answer {
    let class = class(&call)?;
    let set = quotas::of_class(&api.ctx, &call.caller, class).await?;
    Ok(ok(
        &json!({"quota_class_set": view(&set, Some(class), limit)}),
    ))
}

pub(in crate::api) async fn update_class(State(api): State<Api>, call: Call) -> Answer {
    let limits = limits(&call.json()?, "quota_class_set", &[])?;
    let class = class(&call)?;
    quotas::set_class(&api.ctx, &call.caller, class, &limits).await?;
    let set = quotas::of_class(&api.ctx, &call.caller, class).await?;
    Ok(ok(&json!({"quota_class_set": view(&set, None, limit)})))
}

/// The limits under `name`: whole numbers from -1, also as digits.
fn limits(
    body: &Map<String, Value>,
    name: &str,
    beside: &[&str],
) -> Result<BTreeMap<String, i64>, Fault> {
    only(body, &[name])?;
    Object::within(body, name)?;
    let said = body[name].as_object().ok_or_else(Fault::malformed_body)?;
    if said.is_empty() && !beside.is_empty() {
        return Err(invalid(
            name,
            &body[name],
            "it does not have enough properties",
        ));
    }
    said.iter()
        .filter(|(key, _)| !beside.contains(&key.as_str()))
        .map(|(key, value)| {
            let number = match value {
                Value::Number(number) => number.as_i64(),
                Value::String(digits) => digits.parse().ok(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            };
            number
                .filter(|number| (-1..=NUMBER_MAX).contains(number))
                .map(|number| (key.clone(), number))
                .ok_or_else(|| {
                    let why = format!("it is not a whole number from -1 to {NUMBER_MAX}");
                    invalid(key, value, &why)
                })
        })
        .collect()
}

fn project(call: &Call) -> Result<&str, Fault> {
    let project = call.path("id");
    if is_project_id(project) {
        Ok(project)
    } else {
        Err(Fault::not_found("Quota set of project", &shown(project)))
    }
}

/// A class may have any name that a project may have.
fn class(call: &Call) -> Result<&str, Fault> {
    let class = call.path("id");
    if is_id(class) {
        Ok(class)
    } else {
        Err(Fault::not_found("Quota class", &shown(class)))
    }
}

fn limit(quota: &Quota) -> Value {
    json!(quota.limit)
}

fn view(set: &[Quota], id: Option<&str>, one: impl Fn(&Quota) -> Value) -> Value {
    let mut view: Map<String, Value> = set
        .iter()
        .map(|quota| (quota.name.clone(), one(quota)))
        .collect();
    if let Some(id) = id {
        view.insert("id".to_owned(), json!(id));
    }
    Value::Object(view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_whole_numbers() {
        let read = |said: Value| {
            let body = json!({ "quota_set": said });
            limits(body.as_object().unwrap(), "quota_set", BESIDE).map_err(|fault| fault.code())
        };
        let set = read(json!({"volumes": 5, "gigabytes": "7", "snapshots": -1, "tenant_id": "p"}));
        assert_eq!(
            set.unwrap(),
            [("gigabytes", 7), ("snapshots", -1), ("volumes", 5)]
                .map(|(name, limit)| (name.to_owned(), limit))
                .into()
        );
        for bad in [
            json!({}),
            json!([]),
            json!({"volumes": -2}),
            json!({"volumes": "x"}),
            json!({"volumes": 1.5}),
            json!({"volumes": null}),
            json!({"volumes": true}),
            json!({"volumes": 1_i64 << 31}),
        ] {
            assert_eq!(read(bad.clone()), Err(400), "{bad}");
        }
    }
}
