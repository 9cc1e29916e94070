//! What a volume type says of encryption: show, one by one, create, update, delete. Its own id in a path is not looked
//! at, as in Cinder: a type has one, and older clients write `provider` there.

use super::types::NOUN;
use crate::api::Api;
use crate::api::body::{NUMBER_MAX, Object, invalid, only};
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, accepted_empty, ok};
use crate::model::id::VolumeTypeId;
use crate::model::volume_type::{ControlLocation, Encryption};
use crate::ops::type_encryption::{self, Change};
use crate::ops::volume_types::for_admin;
use axum::extract::State;
use serde_json::{Map, Value, json};

/// The right to look.
const GET: &str = "volume_extension:volume_type_encryption:get";

/// What the body says; nothing of it must be there.
fn request(body: &Map<String, Value>) -> Result<Change, Fault> {
    only(body, &["encryption"])?;
    let said = Object::within(body, "encryption")?;
    let location = match said.has("control_location") {
        true => Some(location(&said)?),
        false => None,
    };
    Ok(Change {
        provider: said.text("provider")?,
        control_location: location,
        cipher: said.text("cipher")?,
        key_size_bits: key_size(&said)?,
    })
}

/// `null` is no location.
fn location(said: &Object<'_>) -> Result<ControlLocation, Fault> {
    said.word("control_location", ControlLocation::WORDS)?
        .and_then(ControlLocation::parse)
        .ok_or_else(|| invalid("control_location", &Value::Null, "None is not a location"))
}

/// A whole number of bits, also as digits; zero is one too.
fn key_size(said: &Object<'_>) -> Result<Option<i64>, Fault> {
    let Some(value) = said.value("key_size") else {
        return Ok(None);
    };
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(digits) => digits.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number
        .filter(|number| (0..=NUMBER_MAX).contains(number))
        .map(Some)
        .ok_or_else(|| invalid("key_size", value, "it is not a number of bits"))
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    let (id, found) = look(&api, &call).await?;
    let shown = found.map_or_else(|| json!({}), |found| view(id, &found));
    Ok(ok(&shown))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let (id, found) = look(&api, &call).await?;
    let found = found.ok_or_else(|| type_encryption::not_found(id))?;
    let key = call.path("key");
    let all = view(id, &found);
    let value = all.get(key).ok_or_else(|| type_encryption::not_found(id))?;
    Ok(ok(&json!({ key: value })))
}

pub(in crate::api) async fn create(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    let mut change = request(&body)?;
    let missing = |key: &str| Fault::bad_request(format!("'{key}' is a required property"));
    let provider = change.provider.take().ok_or_else(|| missing("provider"))?;
    let location = change
        .control_location
        .ok_or_else(|| missing("control_location"))?;
    let id: VolumeTypeId = call.id(NOUN)?;
    let made =
        type_encryption::create(&api.ctx, &call.caller, id, provider, location, change).await?;
    let mut shown = brief(&made);
    shown["volume_type_id"] = json!(id.to_string());
    shown["encryption_id"] = json!(made.id.to_string());
    Ok(ok(&json!({"encryption": shown})))
}

pub(in crate::api) async fn update(State(api): State<Api>, call: Call) -> Answer {
    let body = call.json()?;
    let change = request(&body)?;
    type_encryption::update(&api.ctx, &call.caller, call.id(NOUN)?, change).await?;
    Ok(ok(&Value::Object(body)))
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    type_encryption::delete(&api.ctx, &call.caller, call.id(NOUN)?).await?;
    Ok(accepted_empty())
}

async fn look(api: &Api, call: &Call) -> Result<(VolumeTypeId, Option<Encryption>), Fault> {
    let id = call.id(NOUN)?;
    let found = for_admin(&api.ctx, &call.caller, id, GET).await?;
    Ok((id, found.encryption))
}

fn brief(one: &Encryption) -> Value {
    json!({
        "provider": one.provider,
        "control_location": one.control_location.as_str(),
        "cipher": one.cipher,
        "key_size": one.key_size_bits,
    })
}

fn view(id: VolumeTypeId, one: &Encryption) -> Value {
    let mut view = brief(one);
    view["volume_type_id"] = json!(id.to_string());
    view["encryption_id"] = json!(one.id.to_string());
    view["created_at"] = json!(one.created_at.as_str());
    view["updated_at"] = json!(one.updated_at.as_ref().map(|time| time.as_str()));
    view["deleted"] = json!(false);
    view["deleted_at"] = Value::Null;
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_locations() {
        let read = |said: Value| {
            let body = json!({ "encryption": said });
            request(body.as_object().unwrap()).map_err(|fault| fault.code())
        };
        assert_eq!(read(json!({})), Ok(Change::default()));
        assert_eq!(
            read(json!({"key_size": "256"})).unwrap().key_size_bits,
            Some(256)
        );
        assert_eq!(
            read(json!({"control_location": "back-end"}))
                .unwrap()
                .control_location,
            Some(ControlLocation::BackEnd)
        );
        for bad in [
            json!({"key_size": -1}),
            json!({"key_size": "x"}),
            json!({"key_size": 1.5}),
            json!({"control_location": "middle"}),
            json!({"control_location": null}),
            json!({"provider": 1}),
            json!({"cipher": "c".repeat(256)}),
            json!([]),
        ] {
            assert_eq!(read(bad.clone()), Err(400), "{bad}");
        }
    }
}
