//! Messages.

use super::describe::{Described, delete, get};
use super::schema::{exactly, field, links, named, object, one_of, text, time, uuid, wrapped};
use super::volumes::page;
use crate::api::v3::messages::LISTING;
use serde_json::Value;

pub(super) fn routes() -> Vec<Described> {
    vec![
        get("/v3/messages", "Lists why accepted requests failed.")
            .lists(&LISTING, true)
            .answers(200, named("Messages")),
        get("/v3/messages/{id}", "Shows a message.")
            .answers(200, wrapped("message", named("Message"))),
        delete("/v3/messages/{id}", "Deletes a message.").answers_nothing(204),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let message = object([
        field("id", uuid()),
        field("event_id", text()),
        field("user_message", text()),
        field("message_level", exactly("ERROR")),
        field("created_at", time()),
        field("guaranteed_until", time()),
        field("request_id", text()),
        field("links", links()),
        field("resource_type", one_of(&["VOLUME", "VOLUME_SNAPSHOT"])),
        field("resource_uuid", uuid()),
    ]);
    vec![
        ("Message", message),
        (
            "Messages",
            page("messages", "messages_links", &named("Message")),
        ),
    ]
}
