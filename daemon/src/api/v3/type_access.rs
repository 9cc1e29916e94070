//! Which projects may use a private volume type, and each project's default type (3.62).

use super::types::NOUN;
use crate::api::Api;
use crate::api::body::{Object, action, invalid, only};
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, accepted_empty, no_content, ok};
use crate::api::place::is_project_id;
use crate::error::Error;
use crate::model::id::VolumeTypeId;
use crate::ops::type_access;
use crate::store::type_access::DefaultType;
use axum::extract::State;
use serde_json::{Map, Value, json};

/// The actions of a type.
pub(in crate::api) const ACTIONS: &[&str] = &["addProjectAccess", "removeProjectAccess"];

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let id: VolumeTypeId = call.id(NOUN)?;
    let projects = type_access::projects(&api.ctx, &call.caller, id).await?;
    let shown: Vec<Value> = projects
        .iter()
        .map(|project| json!({"volume_type_id": id.to_string(), "project_id": project}))
        .collect();
    Ok(ok(&json!({"volume_type_access": shown})))
}

pub(in crate::api) async fn act(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    let (name, _) = action(&body)?;
    if !ACTIONS.contains(&name) {
        return Err(Fault::no_such_action(&shown(name)));
    }
    let project = project_of(&body, name)?;
    let (ctx, caller, id) = (&api.ctx, &call.caller, call.id(NOUN)?);
    if name == "addProjectAccess" {
        type_access::add(ctx, caller, id, &project).await?;
    } else {
        type_access::remove(ctx, caller, id, &project).await?;
    }
    Ok(accepted_empty())
}

fn project_of(body: &Map<String, Value>, name: &str) -> Result<String, Fault> {
    let said = Object::within(body, name)?;
    said.only(&["project"])?;
    let project = said.required_text("project")?;
    if is_project_id(&project) {
        Ok(project)
    } else {
        Err(invalid("project", &json!(project), "it is no project's id"))
    }
}

/// Upstream says here no policy's name.
fn unauthorized(error: Error) -> Fault {
    if let Error::Forbidden { .. } = error {
        return Fault::not_authorized();
    }
    error.into()
}

pub(in crate::api) async fn defaults(State(api): State<Api>, call: Call) -> Answer {
    let all = type_access::defaults(&api.ctx, &call.caller)
        .await
        .map_err(unauthorized)?;
    let shown: Vec<Value> = all.iter().map(view).collect();
    Ok(ok(&json!({"default_types": shown})))
}

pub(in crate::api) async fn show_default(State(api): State<Api>, call: Call) -> Answer {
    let project = project_in_path(&call)?;
    let found = type_access::default_of(&api.ctx, &call.caller, project)
        .await
        .map_err(unauthorized)?;
    Ok(ok(&json!({"default_type": view(&found)})))
}

pub(in crate::api) async fn set_default(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    only(&body, &["default_type"])?;
    let said = Object::within(&body, "default_type")?;
    said.only(&["volume_type"])?;
    let word = said.required_text("volume_type")?;
    let project = project_in_path(&call)?;
    let set = type_access::set_default(&api.ctx, &call.caller, project, &word)
        .await
        .map_err(unauthorized)?;
    Ok(ok(&json!({"default_type": view(&set)})))
}

pub(in crate::api) async fn unset_default(State(api): State<Api>, call: Call) -> Answer {
    type_access::unset_default(&api.ctx, &call.caller, project_in_path(&call)?)
        .await
        .map_err(unauthorized)?;
    Ok(no_content())
}

fn project_in_path(call: &Call) -> Result<&str, Fault> {
    let project = call.path("id");
    if is_project_id(project) {
        Ok(project)
    } else {
        Err(Fault::missing(format!(
            "Project with id {} not found.",
            shown(project)
        )))
    }
}

fn view(one: &DefaultType) -> Value {
    json!({"project_id": one.project_id, "volume_type_id": one.volume_type_id.to_string()})
}
