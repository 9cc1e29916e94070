//! Quality of service specs: list, show, create, update, delete, keys, and which volume types have them.

use crate::api::Api;
use crate::api::body::{Object, invalid, is_key, only, pairs_of};
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, accepted_empty, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing};
use crate::model::caller::Role;
use crate::model::id::VolumeTypeId;
use crate::model::qos::{Consumer, QosSpecs};
use crate::ops::qos_specs;
use axum::extract::State;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The collection in paths.
const COLLECTION: &str = "qos-specs";

/// The noun in Cinder's words.
const NOUN: &str = "QoS specs";

/// What QoS specs can be listed by.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[
        ("id", "id"),
        ("name", "name"),
        ("consumer", "consumer"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
    filters: &[rule("id"), rule("name"), rule("consumer")],
    of_projects: false,
    // Cinder drops what it does not know here at every version.
    strict_from: u16::MAX,
};

const fn rule(name: &'static str) -> Rule {
    Rule {
        wire: name,
        column: name,
        kind: Kind::Text,
        since: 0,
        for_admins: true,
    }
}

/// Name, consumer and limits of `POST /qos-specs`.
fn create_request(
    body: &Map<String, Value>,
) -> Result<(String, Consumer, BTreeMap<String, String>), Fault> {
    only(body, &["qos_specs"])?;
    let name = Object::within(body, "qos_specs")?.required_text("name")?;
    let (consumer, specs) = limits(body, &["name"])?;
    Ok((name, consumer.unwrap_or(Consumer::BackEnd), specs))
}

/// The consumer, if it is said, and the limits beside it.
fn limits(
    body: &Map<String, Value>,
    beside: &[&str],
) -> Result<(Option<Consumer>, BTreeMap<String, String>), Fault> {
    let said = Object::within(body, "qos_specs")?;
    let consumer = said.word("consumer", Consumer::WORDS)?;
    let mut rest = (body["qos_specs"].as_object()).cloned().unwrap_or_default();
    rest.retain(|key, _| key != "consumer" && !beside.contains(&key.as_str()));
    Ok((consumer.and_then(Consumer::parse), pairs_of(&rest)?))
}

/// `PUT /qos-specs/{id}/delete_keys`.
fn keys_request(body: &Map<String, Value>) -> Result<Vec<String>, Fault> {
    only(body, &["keys"])?;
    let value =
        (body.get("keys")).ok_or_else(|| Fault::bad_request("'keys' is a required property"))?;
    let wrong = || invalid("keys", value, "it is not a list of different keys");
    let keys = value.as_array().ok_or_else(wrong)?;
    let keys: Vec<String> = keys
        .iter()
        .map(|key| key.as_str().filter(|key| is_key(key)).map(str::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let mut once = keys.clone();
    once.sort_unstable();
    once.dedup();
    if once.len() != keys.len() || keys.len() > qos_specs::SPECS_MAX {
        return Err(wrong());
    }
    Ok(keys)
}

/// Asked before anything that these requests say in their path or query.
fn admins_only(call: &Call, action: &str) -> Result<(), Fault> {
    if call.caller.role == Role::Admin {
        Ok(())
    } else {
        Err(Fault::forbidden(action))
    }
}

/// The volume type that the query names.
fn type_of(call: &Call) -> Result<VolumeTypeId, Fault> {
    admins_only(call, "volume_extension:qos_specs_manage:update")?;
    let word = call
        .parameter("vol_type_id")
        .filter(|word| !word.is_empty())
        .ok_or_else(|| Fault::bad_request("Volume Type id must not be None."))?;
    word.parse()
        .map_err(|_| Fault::not_found(super::types::NOUN, &shown(word)))
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    admins_only(&call, "volume_extension:qos_specs_manage:get_all")?;
    let wanted = LISTING.read(&call)?;
    let listed = qos_specs::list(&api.ctx, &wanted.request).await;
    let found = listed.map_err(|error| page::fault(NOUN, error))?;
    let views: Vec<Value> = found.iter().map(view).collect();
    let body = page::body(&call, &wanted, "qos_specs", COLLECTION, views, None);
    Ok(ok(&body))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let found = qos_specs::get(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(ok(&detail(&call, &found)))
}

pub(in crate::api) async fn create(State(api): State<Api>, call: Call) -> Answer {
    let (name, consumer, specs) = create_request(&call.json()?)?;
    let made = qos_specs::create(&api.ctx, &call.caller, name, consumer, specs).await?;
    Ok(ok(&detail(&call, &made)))
}

pub(in crate::api) async fn update(State(api): State<Api>, call: Call) -> Answer {
    let mut body = call.json()?;
    only(&body, &["qos_specs"])?;
    let (consumer, specs) = limits(&body, &[])?;
    qos_specs::update(&api.ctx, &call.caller, call.id(NOUN)?, consumer, specs).await?;
    // A consumer that is null was not said, and nothing else may be null.
    if let Some(Value::Object(said)) = body.get_mut("qos_specs") {
        said.retain(|_, value| !value.is_null());
    }
    Ok(ok(&Value::Object(body)))
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    let force = call.flag("force")?;
    qos_specs::delete(&api.ctx, &call.caller, call.id(NOUN)?, force).await?;
    Ok(accepted_empty())
}

pub(in crate::api) async fn delete_keys(State(api): State<Api>, call: Call) -> Answer {
    let keys = keys_request(&call.json()?)?;
    qos_specs::delete_keys(&api.ctx, &call.caller, call.id(NOUN)?, &keys).await?;
    Ok(accepted_empty())
}

pub(in crate::api) async fn associations(State(api): State<Api>, call: Call) -> Answer {
    let types = qos_specs::associations(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    let shown: Vec<Value> = types
        .iter()
        .map(|one| json!({"association_type": "volume_type", "name": one.name, "id": one.id.to_string()}))
        .collect();
    Ok(ok(&json!({"qos_associations": shown})))
}

pub(in crate::api) async fn associate(State(api): State<Api>, call: Call) -> Answer {
    qos_specs::associate(&api.ctx, &call.caller, call.id(NOUN)?, type_of(&call)?).await?;
    Ok(accepted_empty())
}

pub(in crate::api) async fn disassociate(State(api): State<Api>, call: Call) -> Answer {
    qos_specs::disassociate(&api.ctx, &call.caller, call.id(NOUN)?, type_of(&call)?).await?;
    Ok(accepted_empty())
}

pub(in crate::api) async fn disassociate_all(State(api): State<Api>, call: Call) -> Answer {
    qos_specs::disassociate_all(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(accepted_empty())
}

fn view(one: &QosSpecs) -> Value {
    json!({
        "id": one.id.to_string(),
        "name": one.name,
        "consumer": one.consumer.as_str(),
        "specs": one.specs,
    })
}

fn detail(call: &Call, one: &QosSpecs) -> Value {
    json!({
        "qos_specs": view(one),
        "links": call.links.of(COLLECTION, &one.id.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_name_consumer_and_limits() {
        let read = |body: Value| create_request(body.as_object().unwrap());
        let (name, consumer, specs) =
            read(json!({"qos_specs": {"name": " q ", "consumer": "both", "total_iops_sec": "5"}}))
                .unwrap();
        assert_eq!((name.as_str(), consumer), ("q", Consumer::Both));
        assert_eq!(
            specs,
            [("total_iops_sec".to_owned(), "5".to_owned())].into()
        );
        let unsaid = read(json!({"qos_specs": {"name": "q"}})).unwrap();
        assert_eq!(unsaid.1, Consumer::BackEnd);
        for bad in [
            json!({"qos_specs": {}}),
            json!({"qos_specs": {"name": ""}}),
            json!({"qos_specs": {"name": "q", "consumer": "nobody"}}),
            json!({"qos_specs": {"name": "q", "a": 1}}),
            json!({"qos_specs": {"name": "q", "a": null}}),
            json!({"qos_specs": []}),
            json!({"qos_specs": {"name": "q"}, "x": 1}),
        ] {
            assert_eq!(read(bad.clone()).unwrap_err().code(), 400, "{bad}");
        }
    }

    #[test]
    fn keys_are_a_list_of_different_keys() {
        let read = |body: Value| keys_request(body.as_object().unwrap());
        assert_eq!(read(json!({"keys": ["a", "b"]})).unwrap(), ["a", "b"]);
        for bad in [
            json!({}),
            json!({"keys": "a"}),
            json!({"keys": [1]}),
            json!({"keys": [""]}),
            json!({"keys": ["a", "a"]}),
            json!({"keys": [], "x": 1}),
        ] {
            assert_eq!(read(bad.clone()).unwrap_err().code(), 400, "{bad}");
        }
    }
}
