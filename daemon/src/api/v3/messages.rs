//! Messages: why something that was accepted went wrong. The only place where Cinder's clients can read it.

use crate::api::Api;
use crate::api::call::Call;
use crate::api::error::{Answer, no_content, ok};
use crate::api::filter::{Kind, Rule};
use crate::api::page::{self, Listing};
use crate::model::message::Message;
use crate::ops::messages;
use crate::store::messages::{SHAPE, list as page_of};
use axum::extract::State;
use serde_json::{Value, json};

/// From this minor version on, the list has pages, filters and sort keys; before, it is whole.
const PAGED_FROM: u16 = 5;

const COLLECTION: &str = "messages";

const fn rule(wire: &'static str) -> Rule {
    Rule {
        wire,
        column: wire,
        kind: Kind::Text,
        since: PAGED_FROM,
        for_admins: false,
    }
}

/// What messages can be listed by.
pub(in crate::api) const LISTING: Listing = Listing {
    sort: &[
        ("id", "id"),
        ("event_id", "event_id"),
        ("message_level", "message_level"),
        ("request_id", "request_id"),
        ("resource_type", "resource_type"),
        ("resource_uuid", "resource_uuid"),
        ("created_at", "created_at"),
        ("guaranteed_until", "expires_at"),
    ],
    filters: &[
        rule("resource_uuid"),
        rule("resource_type"),
        rule("event_id"),
        rule("request_id"),
        rule("message_level"),
    ],
    of_projects: true,
    strict_from: 31,
};

pub(in crate::api) async fn list(State(api): State<Api>, mut call: Call) -> Answer {
    if !call.version.at_least(PAGED_FROM) {
        call.query.clear();
    }
    let wanted = LISTING.read(&call)?;
    let found = page_of(&api.ctx.store, &wanted.request).await;
    let found = found.map_err(|error| page::fault("Message", error))?;
    let count = page::count(&api.ctx.store, &SHAPE, &wanted).await?;
    let objects = found.iter().map(|message| view(&call, message)).collect();
    Ok(ok(&page::body(
        &call, &wanted, COLLECTION, COLLECTION, objects, count,
    )))
}

pub(in crate::api) async fn show(State(api): State<Api>, call: Call) -> Answer {
    let found = messages::visible(&api.ctx, &call.caller, call.id("Message")?).await?;
    Ok(ok(&json!({"message": view(&call, &found)})))
}

pub(in crate::api) async fn delete(State(api): State<Api>, call: Call) -> Answer {
    messages::delete(&api.ctx, &call.caller, call.id("Message")?).await?;
    Ok(no_content())
}

fn view(call: &Call, message: &Message) -> Value {
    let id = message.id.to_string();
    json!({
        "id": id,
        "event_id": message.event_id,
        "user_message": message.user_message,
        "message_level": message.message_level,
        "created_at": message.created_at.as_str(),
        "guaranteed_until": message.guaranteed_until.as_str(),
        "request_id": message.request_id,
        "links": call.links.of(COLLECTION, &id),
        "resource_type": message.resource_type,
        "resource_uuid": message.resource_uuid,
    })
}
