//! The key-value pairs of volumes and snapshots by themselves: all at once, or one by one.

use crate::api::Api;
use crate::api::body::{Object, is_key, only, pairs_of};
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, ok, ok_empty, set_header};
use crate::error::Error;
use crate::ops::set_metadata::{self, Owner, Pairs};
use crate::store::json::map_text;
use axum::http::header;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// `metadata`, as POST and PUT send it.
fn all_request(body: &Map<String, Value>) -> Result<Pairs, Fault> {
    only(body, &["metadata"])?;
    let said = Object::within(body, "metadata")?;
    said.all_pairs()
}

/// `meta`, as PUT of one key sends it.
fn one_request(body: &Map<String, Value>, key: &str) -> Result<Pairs, Fault> {
    only(body, &["meta"])?;
    let pairs = body
        .get("meta")
        .and_then(Value::as_object)
        .map(pairs_of)
        .transpose()?
        .unwrap_or_default();
    if pairs.len() != 1 || !pairs.contains_key(key) || !is_key(key) {
        return Err(Fault::bad_request("Request body and URI mismatch"));
    }
    Ok(pairs)
}

fn no_key(call: &Call, owner: Owner) -> Error {
    let key = shown(call.path("key"));
    Error::NoSuchPart {
        why: match owner {
            Owner::Volume(id) | Owner::Image(id) => {
                format!("Volume {id} has no metadata with key {key}.")
            }
            Owner::Snapshot(id) => format!("Snapshot {id} has no metadata with key {key}."),
        },
    }
}

/// From this minor version on the pairs have a tag, and a change may name the one it is meant for.
const TAGS_FROM: u16 = 15;

/// The tag of these pairs: equal pairs, equal tag. Opaque, as Cinder's MD5 is, and without quotes like that.
fn tag(pairs: &Pairs) -> String {
    let digest = Sha256::digest(map_text(pairs).as_bytes());
    digest
        .iter()
        .take(16)
        .fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Refuses a change that is meant for other pairs than there are.
fn meant_for(call: &Call, owner: Owner, pairs: &Pairs) -> Result<(), Error> {
    if !call.version.at_least(TAGS_FROM) || call.expects(&tag(pairs)) {
        return Ok(());
    }
    let (noun, id) = match owner {
        Owner::Volume(id) | Owner::Image(id) => ("The metadata of volume", id.to_string()),
        Owner::Snapshot(id) => ("The metadata of snapshot", id.to_string()),
    };
    Err(Error::NotAsStated { noun, id })
}

async fn list(api: &Api, call: &Call, owner: Owner) -> Answer {
    let pairs = set_metadata::get(&api.ctx, &call.caller, owner).await?;
    let mut answer = ok(&json!({"metadata": pairs}));
    if call.version.at_least(TAGS_FROM) {
        set_header(&mut answer, header::ETAG, &tag(&pairs));
    }
    Ok(answer)
}

async fn merge(api: &Api, call: &Call, owner: Owner) -> Answer {
    let added = all_request(&call.json()?)?;
    let change = |mut pairs: Pairs| {
        meant_for(call, owner, &pairs)?;
        pairs.extend(added.clone());
        Ok(pairs)
    };
    let pairs = set_metadata::begin(&api.ctx, &call.caller, owner, change).await?;
    Ok(ok(&json!({"metadata": pairs})))
}

async fn replace(api: &Api, call: &Call, owner: Owner) -> Answer {
    let wanted = all_request(&call.json()?)?;
    let change = |pairs: Pairs| {
        meant_for(call, owner, &pairs)?;
        Ok(wanted.clone())
    };
    let pairs = set_metadata::begin(&api.ctx, &call.caller, owner, change).await?;
    Ok(ok(&json!({"metadata": pairs})))
}

async fn show(api: &Api, call: &Call, owner: Owner) -> Answer {
    let pairs = set_metadata::get(&api.ctx, &call.caller, owner).await?;
    let key = call.path("key");
    let value = pairs.get(key).ok_or_else(|| no_key(call, owner))?;
    Ok(ok(&json!({"meta": { key: value }})))
}

async fn update(api: &Api, call: &Call, owner: Owner) -> Answer {
    let one = one_request(&call.json()?, call.path("key"))?;
    let change = |mut pairs: Pairs| {
        meant_for(call, owner, &pairs)?;
        pairs.extend(one.clone());
        Ok(pairs)
    };
    set_metadata::begin(&api.ctx, &call.caller, owner, change).await?;
    Ok(ok(&json!({"meta": one})))
}

async fn delete(api: &Api, call: &Call, owner: Owner) -> Answer {
    let change = |mut pairs: Pairs| {
        meant_for(call, owner, &pairs)?;
        pairs
            .remove(call.path("key"))
            .ok_or_else(|| no_key(call, owner))?;
        Ok(pairs)
    };
    set_metadata::begin(&api.ctx, &call.caller, owner, change).await?;
    Ok(ok_empty())
}

/// The handlers of one noun: the same six, each for its own ids.
macro_rules! handlers {
    ($(#[$doc:meta])* $module:ident, $noun:literal, $owner:path: $($verb:ident)+) => {
        $(#[$doc])*
        pub(in crate::api) mod $module {
            use crate::api::Api;
            use crate::api::call::Call;
            use crate::api::error::Answer;
            use crate::ops::set_metadata::Owner;
            use axum::extract::State;

            $(pub(in crate::api) async fn $verb(State(api): State<Api>, call: Call) -> Answer {
                super::$verb(&api, &call, $owner(call.id($noun)?)).await
            })+
        }
    };
}

handlers! {
    /// `/volumes/{id}/metadata`.
    volumes, "Volume", Owner::Volume: list merge replace show update delete
}

handlers! {
    /// `/snapshots/{id}/metadata`.
    snapshots, "Snapshot", Owner::Snapshot: list merge replace show update delete
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let all =
            |body: &Value| all_request(body.as_object().unwrap()).map_err(|fault| fault.code());
        assert_eq!(
            all(&json!({"metadata": {"a": "b"}})).map(|pairs| pairs.len()),
            Ok(1)
        );
        assert_eq!(
            all(&json!({"metadata": {}})).map(|pairs| pairs.len()),
            Ok(0)
        );
        for bad in [
            json!({}),
            json!({"metadata": null}),
            json!({"metadata": {"a": 1}}),
            json!({"metadata": {}, "x": 1}),
        ] {
            assert_eq!(all(&bad), Err(400), "{bad}");
        }
        let one = |body: &Value| {
            one_request(body.as_object().unwrap(), "k").map_err(|fault| fault.code())
        };
        assert!(one(&json!({"meta": {"k": "v"}})).is_ok());
        for bad in [
            json!({}),
            json!({"meta": {}}),
            json!({"meta": {"l": "v"}}),
            json!({"meta": {"k": "v", "l": "v"}}),
            json!({"meta": 1}),
        ] {
            assert_eq!(one(&bad), Err(400), "{bad}");
        }
    }
}
