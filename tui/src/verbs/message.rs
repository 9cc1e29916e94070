//! `ashlar message ...`: why something failed in the background, in words for its owner.

use super::rows;
use crate::output::Column;
use crate::places::MESSAGE;
use crate::table::{Level, Noun};

pub(super) static NOUN: Noun = Noun {
    name: "message",
    aliases: &["messages", "msg"],
    about: "Messages: why something failed, in words",
    place: &MESSAGE,
    short: &[
        Column::text("id", "id"),
        Column::text("level", "message_level"),
        Column::text("object", "resource_uuid"),
        Column::text("message", "user_message"),
        Column::time("created", "created_at"),
    ],
    long: &[
        Column::text("id", "id"),
        Column::text("level", "message_level"),
        Column::text("event", "event_id"),
        Column::text("kind", "resource_type"),
        Column::text("object", "resource_uuid"),
        Column::text("message", "user_message"),
        Column::text("request", "request_id"),
        Column::time("created", "created_at"),
        Column::time("kept until", "guaranteed_until"),
    ],
    verbs: &[
        rows::list("List the messages of the project"),
        rows::show("Show messages"),
        rows::delete(Level::Confirm, "Delete messages"),
    ],
};
