//! Transfers: offer a volume, list and show offers, accept or withdraw one; at `/volume-transfers` and under its older
//! name `/os-volume-transfer` alike.

use crate::api::Api;
use crate::api::body::{Object, invalid, only};
use crate::api::call::Call;
use crate::api::error::{Answer, Fault, accepted, accepted_empty, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing};
use crate::model::transfer::Transfer;
use crate::ops::{accept_transfer, create_transfer, delete_transfer, visible_transfer};
use crate::store::list::Direction;
use crate::store::transfers::{self, SHAPE};
use axum::extract::State;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

/// The collection in links: Cinder's, whichever path was asked.
const COLLECTION: &str = "os-volume-transfer";

/// The collection in bodies.
const KEY: &str = "transfers";

/// From this minor version on snapshots may stay behind.
const SNAPSHOTS_FROM: u16 = 55;

/// From this one an offer tells of its projects.
const PROJECTS_FROM: u16 = 57;

/// From this one a list begins with the newest offer, and can be sorted.
const SORTS_FROM: u16 = 59;

const fn text(wire: &'static str, column: &'static str) -> Rule {
    Rule {
        wire,
        column,
        kind: Kind::Text,
        since: 0,
        for_admins: false,
    }
}

/// What transfers can be listed by.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[
        ("id", "id"),
        ("name", "name"),
        ("display_name", "name"),
        ("volume_id", "volume_id"),
        ("created_at", "created_at"),
    ],
    filters: &[
        text("id", "id"),
        text("name", "name"),
        text("volume_id", "volume_id"),
    ],
    of_projects: true,
    strict_from: u16::MAX,
};

/// `POST` of an offer.
fn create_request(
    call: &Call,
    body: &Map<String, Value>,
) -> Result<create_transfer::Request, Fault> {
    only(body, &["transfer"])?;
    let transfer = Object::within(body, "transfer")?;
    let keys = ["volume_id", "name", "no_snapshots"];
    let known = if call.version.at_least(SNAPSHOTS_FROM) {
        keys.len()
    } else {
        keys.len() - 1
    };
    transfer.only(&keys[..known])?;
    Ok(create_transfer::Request {
        volume_id: transfer.required_id("volume_id")?,
        name: transfer.text("name")?,
        with_snapshots: !transfer.boolean("no_snapshots")?.unwrap_or(false),
    })
}

/// The key: a text, or digits that a client took for a number.
fn key_request(body: &Map<String, Value>) -> Result<SecretString, Fault> {
    only(body, &["accept"])?;
    let accept = Object::within(body, "accept")?;
    accept.only(&["auth_key"])?;
    match accept.value("auth_key") {
        Some(Value::String(key)) => Ok(SecretString::from(key.as_str())),
        Some(Value::Number(number)) if !number.is_f64() => {
            Ok(SecretString::from(number.to_string()))
        }
        // What was sent may be a key in the wrong place: it is not echoed.
        Some(_) => Err(invalid(
            "auth_key",
            &Value::Null,
            "it is not of type 'string', 'integer'",
        )),
        None => Err(Fault::bad_request("'auth_key' is a required property")),
    }
}

pub(in crate::api) async fn list(State(api): State<Api>, call: Call) -> Answer {
    page_of(&api, &call, COLLECTION, summary).await
}

pub(in crate::api) async fn list_detail(State(api): State<Api>, call: Call) -> Answer {
    page_of(&api, &call, "os-volume-transfer/detail", detail).await
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let transfer = visible_transfer(&api.ctx, &call.caller, call.id("Transfer")?).await?;
    Ok(ok(&json!({"transfer": detail(&call, &transfer)})))
}

pub(in crate::api) async fn create(State(api): State<Api>, call: Call) -> Answer {
    let request = create_request(&call, &call.json()?)?;
    let (transfer, key) = create_transfer::begin(&api.ctx, &call.caller, request).await?;
    let mut view = detail(&call, &transfer);
    // Told here and never again.
    view["auth_key"] = json!(key.expose_secret());
    Ok(accepted(&json!({"transfer": view})))
}

pub(in crate::api) async fn accept(State(api): State<Api>, call: Call) -> Answer {
    let key = key_request(&call.json()?)?;
    let id = call.id("Transfer")?;
    let transfer = accept_transfer::begin(&api.ctx, &call.caller, id, &key).await?;
    Ok(accepted(&json!({"transfer": summary(&call, &transfer)})))
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    delete_transfer::begin(&api.ctx, &call.caller, call.id("Transfer")?).await?;
    Ok(accepted_empty())
}

async fn page_of(
    api: &Api,
    call: &Call,
    path: &str,
    view: fn(&Call, &Transfer) -> Value,
) -> Answer {
    let mut wanted = LISTING.read(call)?;
    if !call.version.at_least(SORTS_FROM) {
        wanted.request.sort = vec![("created_at", Direction::Ascending)];
    }
    let listed = transfers::list(&api.ctx.store, &wanted.request).await;
    let found = listed.map_err(|error| page::fault("Transfer", error))?;
    let count = page::count(&api.ctx.store, &SHAPE, &wanted).await?;
    let objects = found.iter().map(|transfer| view(call, transfer)).collect();
    Ok(ok(&page::body(call, &wanted, KEY, path, objects, count)))
}

fn summary(call: &Call, transfer: &Transfer) -> Value {
    let id = transfer.id.to_string();
    json!({
        "id": id,
        "volume_id": transfer.volume_id.to_string(),
        "name": transfer.name,
        "links": call.links.of(COLLECTION, &id),
    })
}

fn detail(call: &Call, transfer: &Transfer) -> Value {
    let mut view = summary(call, transfer);
    view["created_at"] = json!(transfer.created_at.as_str());
    if call.version.at_least(SNAPSHOTS_FROM) {
        view["no_snapshots"] = json!(!transfer.with_snapshots);
    }
    if call.version.at_least(PROJECTS_FROM) {
        // An offer that was taken is gone, as in Cinder.
        view["source_project_id"] = json!(transfer.project_id);
        view["destination_project_id"] = Value::Null;
        view["accepted"] = json!(false);
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{self, Asks};
    use crate::model::id::{TransferId, VolumeId};
    use crate::model::time::Time;

    fn create(minor: u16, transfer: &Value) -> Result<create_transfer::Request, u16> {
        let call = testing::call(&Asks {
            minor,
            ..Asks::default()
        });
        let body = json!({"transfer": transfer});
        create_request(&call, body.as_object().unwrap()).map_err(|fault| fault.code())
    }

    #[test]
    fn snapshots_stay_behind_from_3_55() {
        let id = VolumeId::random().to_string();
        let request = create(0, &json!({"volume_id": id, "name": " n "})).unwrap();
        assert_eq!(request.name.as_deref(), Some("n"));
        assert!(request.with_snapshots);
        let without = json!({"volume_id": id, "no_snapshots": "yes"});
        assert_eq!(create(54, &without).unwrap_err(), 400);
        assert!(!create(55, &without).unwrap().with_snapshots);
        for bad in [
            json!({}),
            json!({"volume_id": "x"}),
            json!({"volume_id": id, "name": 5}),
            json!({"volume_id": id, "no_snapshots": "maybe"}),
            json!({"volume_id": id, "colour": 1}),
        ] {
            assert_eq!(create(60, &bad).unwrap_err(), 400, "{bad}");
        }
    }

    #[test]
    fn keys_are_texts_or_numbers_and_never_echoed() {
        let read = |accept: Value| key_request(json!({"accept": accept}).as_object().unwrap());
        let key = read(json!({"auth_key": "s3cret"})).unwrap();
        assert_eq!(key.expose_secret(), "s3cret");
        let key = read(json!({"auth_key": 1234})).unwrap();
        assert_eq!(key.expose_secret(), "1234");
        for bad in [
            json!({}),
            json!({"auth_key": null}),
            json!({"auth_key": ["s3cret"]}),
            json!({"auth_key": "s3cret", "x": 1}),
        ] {
            let fault = read(bad).unwrap_err();
            assert_eq!(fault.code(), 400);
            assert!(!fault.message().contains("s3cret"), "{fault:?}");
        }
    }

    #[test]
    fn fields_by_version() {
        let transfer = Transfer {
            id: TransferId::random(),
            volume_id: VolumeId::random(),
            project_id: "p".to_owned(),
            name: None,
            with_snapshots: true,
            created_at: Time::now(),
        };
        let keys = |minor| {
            let call = testing::call(&Asks {
                minor,
                ..Asks::default()
            });
            detail(&call, &transfer).as_object().unwrap().len()
        };
        assert_eq!([keys(0), keys(55), keys(57)], [5, 6, 9]);
    }
}
