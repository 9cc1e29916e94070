//! The extra specs of a volume type: all of them, one by one.

use super::types::{NOUN, specs};
use crate::api::Api;
use crate::api::body::{Object, is_key, only, pairs_of};
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, accepted_empty, ok};
use crate::ops::volume_types::{set_extra_specs, visible};
use axum::extract::State;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A type has at most so many; each is matched against every pool.
const SPECS_MAX: usize = 128;

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let one = visible(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(ok(&json!({"extra_specs": specs(&call.caller, &one)})))
}

pub(in crate::api) async fn create(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    only(&body, &["extra_specs"])?;
    Object::within(&body, "extra_specs")?;
    let added = body["extra_specs"]
        .as_object()
        .map(pairs_of)
        .transpose()?
        .unwrap_or_default();
    add(&api, &call, added).await?;
    Ok(ok(&Value::Object(body)))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let one = visible(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    let key = call.path("key");
    let seen = specs(&call.caller, &one);
    let value = seen.get(key).ok_or_else(|| no_spec(&call))?;
    Ok(ok(&json!({ key: value })))
}

pub(in crate::api) async fn update(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    let key = call.path("key");
    if body.len() != 1 || !body.contains_key(key) || !is_key(key) {
        return Err(Fault::bad_request("Request body and URI mismatch"));
    }
    add(&api, &call, pairs_of(&body)?).await?;
    Ok(ok(&Value::Object(body)))
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    let one = visible(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    let mut left = one.extra_specs.clone();
    left.remove(call.path("key"))
        .ok_or_else(|| no_spec(&call))?;
    set_extra_specs(&api.ctx, &call.caller, &one, &left).await?;
    Ok(accepted_empty())
}

async fn add(api: &Api, call: &Call, added: BTreeMap<String, String>) -> Result<(), Fault> {
    let one = visible(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    let mut all = one.extra_specs.clone();
    all.extend(added);
    if all.len() > SPECS_MAX {
        return Err(Fault::bad_request(format!(
            "A volume type has at most {SPECS_MAX} extra specs."
        )));
    }
    Ok(set_extra_specs(&api.ctx, &call.caller, &one, &all).await?)
}

fn no_spec(call: &Call) -> Fault {
    let key = shown(call.path("key"));
    Fault::not_found("Volume Type extra spec", &key)
}
