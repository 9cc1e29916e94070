//! Messages in the record: why something that was accepted went wrong; kept for a month.

use super::Store;
use super::batch::{Batch, Row, Sql, StoreError, Value};
use super::list::{self, ListError, ListRequest, Shape};
use crate::model::id::MessageId;
use crate::model::message::Message;
use crate::model::time::Time;

/// At most so many messages are kept, the newest: who fails in a loop must not fill the disk.
pub const KEPT_MAX: i64 = 100_000;
/// So many are forgotten in one write, so that no writer waits long behind it.
pub const FORGET_MAX: i64 = 1000;

/// What of messages may be listed.
pub const SHAPE: Shape = Shape {
    select: "SELECT t.id, t.project_id, t.request_id, t.resource_type, t.resource_uuid, t.event_id, t.message_level, \
             t.user_message, t.created_at, t.expires_at FROM messages t",
    count: "SELECT COUNT(*) FROM messages t",
    columns: &[
        "id",
        "project_id",
        "request_id",
        "resource_type",
        "resource_uuid",
        "event_id",
        "message_level",
        "created_at",
        "expires_at",
    ],
};

/// Parameters: [`insert_values`].
pub const INSERT: Sql = Sql {
    name: "messages.insert",
    text: "INSERT INTO messages (id, project_id, request_id, resource_type, resource_uuid, event_id, message_level, \
           user_message, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
};

/// Parameters: id. A guard: the message existed.
pub const DELETE: Sql = Sql {
    name: "messages.delete",
    text: "DELETE FROM messages WHERE id = $1",
};

/// Parameters: now, how many at most.
const FORGET_OLD: Sql = Sql {
    name: "messages.forget_old",
    text: "DELETE FROM messages WHERE id IN (SELECT m.id FROM messages m WHERE m.expires_at < $1 \
           ORDER BY m.expires_at LIMIT CAST($2 AS BIGINT))",
};

/// Parameters: how many are kept, how many are forgotten at most.
const FORGET_MANY: Sql = Sql {
    name: "messages.forget_many",
    text: "DELETE FROM messages WHERE id IN (SELECT m.id FROM messages m ORDER BY m.created_at DESC, m.id DESC \
           LIMIT CAST($2 AS BIGINT) OFFSET CAST($1 AS BIGINT))",
};

pub(super) const ALL: &[Sql] = &[INSERT, DELETE, FORGET_OLD, FORGET_MANY];

/// The message, or `None`.
pub async fn get(store: &Store, id: MessageId) -> Result<Option<Message>, StoreError> {
    let row = list::one(store, &SHAPE, "id", id.to_string()).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of messages.
pub async fn list(store: &Store, request: &ListRequest) -> Result<Vec<Message>, ListError> {
    let rows = list::page(store, &SHAPE, request).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Forgets some of those whose time is over at `now`, and some of those that are too many.
pub fn forget(now: &Time) -> Batch {
    let mut batch = Batch::new();
    batch.add(FORGET_OLD, vec![now.as_str().into(), FORGET_MAX.into()]);
    batch.add(FORGET_MANY, vec![KEPT_MAX.into(), FORGET_MAX.into()]);
    batch
}

/// The parameters of [`INSERT`].
pub fn insert_values(message: &Message) -> Vec<Value> {
    vec![
        message.id.to_string().into(),
        message.project_id.as_str().into(),
        message.request_id.as_str().into(),
        message.resource_type.as_str().into(),
        message.resource_uuid.as_str().into(),
        message.event_id.as_str().into(),
        message.message_level.as_str().into(),
        message.user_message.as_str().into(),
        message.created_at.as_str().into(),
        message.guaranteed_until.as_str().into(),
    ]
}

fn read(row: &Row) -> Result<Message, StoreError> {
    Ok(Message {
        id: row.parsed(0, |text| text.parse().ok())?,
        project_id: row.text(1)?.to_owned(),
        request_id: row.text(2)?.to_owned(),
        resource_type: row.text(3)?.to_owned(),
        resource_uuid: row.text(4)?.to_owned(),
        event_id: row.text(5)?.to_owned(),
        message_level: row.text(6)?.to_owned(),
        user_message: row.text(7)?.to_owned(),
        created_at: Time::from_stored(row.text(8)?.to_owned()),
        guaranteed_until: Time::from_stored(row.text(9)?.to_owned()),
    })
}
