//! `GET /ashlar/v1/events`: what changes, as a stream that can be taken up again, or a page at a time.
//!
//! `feed.rs` reads the record once for all readers of the process; `ring.rs` keeps what it read, as text, for a while;
//! `reader.rs` is one reader's way through it. A reader hears of the objects of its project and of what is public, an
//! administrator of everything. Nobody is waited for: who is too slow is told `gap`, or cut.

mod feed;
mod reader;
mod ring;

pub(in crate::api) use feed::Feed;

use crate::api::Api;
use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Body, Fault, event_stream, ok};
use crate::model::caller::{Caller, Role};
use crate::model::time::Time;
use crate::ops::unreadable;
use crate::store::events::{self, EVERYBODY, Event, RETENTION_EVENTS, RETENTION_S, Span};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use reader::Reader;
use serde_json::{Value, json};

/// Events on a page, and read together: some 200 KB of text.
const PAGE: i64 = 1_000;

/// What somebody may hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ear {
    All,
    Project(String),
}

impl Ear {
    fn of(caller: &Caller) -> Self {
        match caller.role {
            Role::Admin => Ear::All,
            Role::Reader | Role::Member => Ear::Project(caller.project_id.clone()),
        }
    }

    fn hears(&self, event: &Event) -> bool {
        match self {
            Ear::All => true,
            Ear::Project(own) => event.audience == *own || event.audience == EVERYBODY,
        }
    }
}

pub(in crate::api) async fn list(State(api): State<Api>, headers: HeaderMap, call: Call) -> Answer {
    let since = since(&headers, &call)?;
    let ear = Ear::of(&call.caller);
    if wants_page(&headers) {
        return page(&api, since, &ear).await;
    }
    let place = api
        .feed()
        .place()
        .ok_or_else(|| Fault::overloaded("Too many readers of events at once; try again."))?;
    let span = events::span(&api.ctx.store).await.map_err(unreadable)?;
    let reader = Reader::new(api.feed(), place, ear, since, span);
    Ok(event_stream(Body::from_stream(reader.into_stream())))
}

/// The last event that the reader saw. The header is what a browser sends when it comes back, so it is newer.
fn since(headers: &HeaderMap, call: &Call) -> Result<Option<i64>, Fault> {
    let header = match headers.get("last-event-id") {
        Some(value) => Some(value.to_str().map_err(|_| bad_since("Last-Event-ID", ""))?),
        None => None,
    };
    let (name, text) = match (header, call.parameter("since")) {
        (Some(text), _) => ("Last-Event-ID", text),
        (None, Some(text)) => ("since", text),
        (None, None) => return Ok(None),
    };
    let id: Option<i64> = text.parse().ok().filter(|id| *id >= 0);
    id.map(Some).ok_or_else(|| bad_since(name, text))
}

fn bad_since(name: &str, text: &str) -> Fault {
    Fault::bad_request(format!(
        "Value '{}' for '{name}' is no event's id: it is a whole number, 0 or more.",
        shown(text)
    ))
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    accept.contains("application/json") && !accept.contains("text/event-stream")
}

/// One page: for whoever cannot keep a stream open.
async fn page(api: &Api, since: Option<i64>, ear: &Ear) -> Answer {
    let from = since.unwrap_or(i64::MAX);
    let read = events::after(&api.ctx.store, from, PAGE).await;
    let (found, span) = read.map_err(unreadable)?;
    let gap = since.is_some_and(|since| !span.reaches(since));
    // What was read of others counts as read, too.
    let next = found.last().map_or(span.newest, |event| event.id);
    let heard: Vec<Value> = found
        .iter()
        .filter(|event| ear.hears(event))
        .map(view)
        .collect();
    Ok(ok(&json!({
        "events": heard,
        "oldest": span.oldest,
        "newest": span.newest,
        "next": next,
        "gap": gap,
    })))
}

/// An event on the wire.
fn view(event: &Event) -> Value {
    let project = Some(&event.audience).filter(|one| !one.is_empty() && *one != EVERYBODY);
    json!({
        "id": event.id,
        "at": event.at.as_str(),
        "kind": event.kind,
        "object_id": event.object_id,
        "project_id": project,
        "change": event.change,
        "status": event.status,
    })
}

/// The frame of a change.
fn frame(event: &Event) -> String {
    format!("id: {}\nevent: change\ndata: {}\n\n", event.id, view(event))
}

/// The first frame of a stream.
fn hello(span: Span) -> String {
    let data = json!({
        "newest": span.newest,
        "oldest": span.oldest,
        "server_time": Time::now().as_str(),
        "retention_events": RETENTION_EVENTS,
        "retention_s": RETENTION_S,
    });
    format!("event: hello\ndata: {data}\n\n")
}

/// The frame that says that changes were missed: everything must be listed anew, and the stream goes on from `newest`.
/// It carries that as its id, so that a reader who comes back does not hear of the same gap again.
fn gap(since: i64, span: Span) -> String {
    let newest = span.newest;
    let data = json!({"since": since, "oldest": span.oldest, "newest": newest});
    format!("id: {newest}\nevent: gap\ndata: {data}\n\n")
}
