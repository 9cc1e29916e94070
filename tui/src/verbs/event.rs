//! `ashlar event ...`: what changes, as it changes, and what changed lately.

use serde_json::Value;

use crate::Session;
use crate::clock;
use crate::failure::Failure;
use crate::listing;
use crate::output::{Answer, Column, Pages, instant};
use crate::places::{Api, EVENT};
use crate::settings;
use crate::table::{Arg, Given, Noun, Verb};

pub(super) static NOUN: Noun = Noun {
    name: "event",
    aliases: &["events"],
    about: "Events: what changes, as it changes",
    place: &EVENT,
    short: COLUMNS,
    long: COLUMNS,
    verbs: &[LIST, WATCH],
};

const COLUMNS: &[Column] = &[
    Column::number("id", "id"),
    Column::time("at", "at"),
    Column::text("kind", "kind"),
    Column::text("change", "change"),
    Column::text("object", "object_id"),
    Column::text("status", "status"),
    Column::text("project", "project_id"),
];

const SINCE: Arg = Arg::Option("since", "an event's id, or a time ago: 90s, 10m, 2h");

const LIST: Verb = Verb::read(
    "list",
    "List the changes that are still kept, oldest first",
    &[SINCE],
    kept,
)
.list();

const WATCH: Verb = Verb::read(
    "watch",
    "Print each change as it happens, until interrupted or --limit is reached",
    &[SINCE],
    watch,
)
.list();

fn kept<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let since = Since::read(given)?;
    let mut from = since.id().unwrap_or(0);
    let mut events = Vec::new();
    // A page says how far the record goes; one that brings nothing new ends it, whatever it says.
    loop {
        let query = [("since", from.to_string())];
        let query = query.each_ref().map(|(key, id)| (*key, id.as_str()));
        let answer = session.client.get(Api::Ashlar, "/events", &query)?;
        let page = answer["events"].as_array().cloned().unwrap_or_default();
        let last = page.last().and_then(|event| event["id"].as_u64());
        events.extend(page.into_iter().filter(|event| since.takes(event)));
        match last {
            Some(last) if last > from && answer["newest"].as_u64() > Some(last) => from = last,
            _ => return listing::of_items(given, events),
        }
    }
}

/// From where on.
enum Since {
    /// From now.
    Now,
    /// After this event.
    Id(u64),
    /// Not before.
    Time(jiff::Timestamp),
}

impl Since {
    fn read(given: &Given<'_>) -> Result<Self, Failure> {
        let Some(word) = given.option("since") else {
            return Ok(Since::Now);
        };
        if let Ok(id) = word.parse() {
            return Ok(Since::Id(id));
        }
        let ago = jiff::SignedDuration::try_from(settings::duration(word)?);
        let at = ago.ok().and_then(|ago| clock::now().checked_sub(ago).ok());
        at.map(Since::Time).ok_or_else(|| {
            Failure::usage(&format!("`{word}` is too long ago"), "write 90s, 10m or 2h")
        })
    }

    /// What the server is asked for: ids are in the order of time, so a time begins at the oldest.
    fn id(&self) -> Option<u64> {
        match self {
            Since::Now => None,
            Since::Id(id) => Some(*id),
            Since::Time(_) => Some(0),
        }
    }

    fn takes(&self, event: &Value) -> bool {
        match self {
            Since::Now | Since::Id(_) => true,
            Since::Time(from) => instant(&event["at"]).is_none_or(|at| at >= *from),
        }
    }
}

fn watch<'s>(session: &'s Session, given: &Given<'_>) -> Result<Answer<'s>, Failure> {
    let since = Since::read(given)?;
    let events = session.client.events(since.id());
    let pages: Pages<'s> = Box::new(events.map(move |event| {
        event.map(|event| {
            if since.takes(&event) {
                vec![event]
            } else {
                Vec::new()
            }
        })
    }));
    listing::of_pages(given, pages)
}
