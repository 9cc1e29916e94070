//! Events in the record: one for each committed change of a visible object, written by the triggers of `watched.rs` in
//! the change's own transaction, with ids in the order of commits and without gaps.
//!
//! What is too old is pruned from the old end only, so that "older than the oldest" is all that a reader can have
//! missed. The newest event is never pruned: the next id is made from it.

use super::Store;
use super::batch::{Batch, Query, Row, Sql, StoreError};
use crate::model::time::Time;

/// Events that are kept at most.
pub const RETENTION_EVENTS: i64 = 200_000;
/// How long an event is kept, if there are not too many.
pub const RETENTION_S: u64 = 7 * 24 * 3600;
/// Events that one commit of the pruning removes at most: a few milliseconds of the writer's time.
pub const PRUNE_PIECE: i64 = 2_000;

/// The audience of what everybody may know.
pub const EVERYBODY: &str = "*";

const SPAN: Sql = Sql {
    name: "events.span",
    text: "SELECT COALESCE((SELECT MIN(e.id) FROM events e), 0), COALESCE((SELECT MAX(e.id) FROM events e), 0)",
};

/// Parameters: id of the last one seen, limit.
const AFTER: Sql = Sql {
    name: "events.after",
    text: "SELECT e.id, e.at, e.kind, e.object_id, e.audience, e.change, e.status FROM events e \
           WHERE e.id > $1 ORDER BY e.id LIMIT CAST($2 AS BIGINT)",
};

/// The first one of a piece that is not too old. Parameters: the piece's last id, a time.
const FIRST_YOUNG: Sql = Sql {
    name: "events.first_young",
    text: "SELECT COALESCE((SELECT MIN(e.id) FROM events e WHERE e.id <= $1 AND e.at >= $2), -1)",
};

const PRUNE: Sql = Sql {
    name: "events.prune",
    text: "DELETE FROM events WHERE id < $1",
};

pub(super) const ALL: &[Sql] = &[SPAN, AFTER, FIRST_YOUNG, PRUNE];

/// One change of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of commits.
    pub id: i64,
    /// When it was recorded.
    pub at: Time,
    /// The noun.
    pub kind: String,
    /// Which object.
    pub object_id: String,
    /// Who may know: a project, [`EVERYBODY`], or nobody but administrators when empty.
    pub audience: String,
    /// `created`, `changed` or `deleted`.
    pub change: String,
    /// The status since, if the noun has one and the object is still there.
    pub status: Option<String>,
}

/// The oldest and the newest event that are kept; both 0 before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The oldest one's id.
    pub oldest: i64,
    /// The newest one's id.
    pub newest: i64,
}

impl Span {
    /// Whether a reader who saw everything up to `since` has missed nothing that is no longer there. An id that was
    /// never given is of another record (one restored from a copy, say): then nothing is known.
    pub fn reaches(&self, since: i64) -> bool {
        since <= self.newest && since + 1 >= self.oldest
    }
}

/// What is kept.
pub async fn span(store: &Store) -> Result<Span, StoreError> {
    let row = store.row(Query::of(SPAN, Vec::new())).await?;
    row.map_or(Ok(Span::default()), |row| read_span(&row))
}

/// At most `limit` events after `since`, in order, and what is kept at the same instant.
pub async fn after(
    store: &Store,
    since: i64,
    limit: i64,
) -> Result<(Vec<Event>, Span), StoreError> {
    let queries = vec![
        Query::of(AFTER, vec![since.into(), limit.into()]),
        Query::of(SPAN, Vec::new()),
    ];
    let answers = store.read(queries).await?;
    let [events, span] = &answers[..] else {
        return Ok((Vec::new(), Span::default()));
    };
    let events = events.iter().map(read).collect::<Result<_, _>>()?;
    let span = span.first().map_or(Ok(Span::default()), read_span)?;
    Ok((events, span))
}

/// Removes a piece of what is beyond `keep` or was recorded before `oldest_at`; whether there may be more.
pub async fn prune(store: &Store, keep: i64, oldest_at: &Time) -> Result<bool, StoreError> {
    let span = span(store).await?;
    let end = (span.oldest + PRUNE_PIECE - 1).min(span.newest - 1);
    let values = vec![end.into(), oldest_at.as_str().into()];
    let young = store.row(Query::of(FIRST_YOUNG, values)).await?;
    let young = young.map_or(Ok(-1), |row| row.int(0))?;
    let by_age = if young < 0 { end + 1 } else { young };
    let by_count = span.newest - keep + 1;
    let before = by_age.max(by_count).min(end + 1);
    if before <= span.oldest {
        return Ok(false);
    }
    let mut batch = Batch::new();
    // It gives room back, so it may also run while the disk is full.
    batch.add(PRUNE, vec![before.into()]).essential();
    store.write(batch).await?;
    Ok(before == end + 1 && end + 1 < span.newest)
}

fn read_span(row: &Row) -> Result<Span, StoreError> {
    Ok(Span {
        oldest: row.int(0)?,
        newest: row.int(1)?,
    })
}

fn read(row: &Row) -> Result<Event, StoreError> {
    Ok(Event {
        id: row.int(0)?,
        at: Time::from_stored(row.text(1)?.to_owned()),
        kind: row.text(2)?.to_owned(),
        object_id: row.text(3)?.to_owned(),
        audience: row.text(4)?.to_owned(),
        change: row.text(5)?.to_owned(),
        status: row.optional_text(6)?.map(str::to_owned),
    })
}
