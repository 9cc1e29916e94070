//! Follows the event stream on a thread of its own until it ends or a newer one is begun.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use serde_json::Value;

use super::super::event::{Event, Stream, Trouble};
use super::super::item::word;
use super::http::Http;
use super::sse::{Frame, Reader};

/// Which stream is the present one: an older one that still speaks is not listened to.
#[derive(Debug, Clone, Default)]
pub(super) struct Generation {
    newest: Arc<AtomicU64>,
    mine: u64,
}

impl Generation {
    /// The next one; the ones before are over.
    pub(super) fn next(&self) -> Self {
        let mine = self.newest.fetch_add(1, Ordering::SeqCst) + 1;
        Self {
            newest: Arc::clone(&self.newest),
            mine,
        }
    }

    fn is_over(&self) -> bool {
        self.newest.load(Ordering::SeqCst) != self.mine
    }
}

/// Begins to follow.
pub(super) fn follow(
    http: Arc<Http>,
    since: Option<u64>,
    events: SyncSender<Event>,
    generation: Generation,
) {
    let tell = events.clone();
    let spawned = std::thread::Builder::new()
        .name("events".to_owned())
        .spawn(move || {
            let end = read(&http, since, &events, &generation);
            if !generation.is_over() {
                let _ = events.send(Event::Stream(end));
            }
        });
    if let Err(error) = spawned {
        let _ = tell.try_send(Event::Stream(Stream::Lost(Trouble::lost(&format!(
            "no thread: {error}"
        )))));
    }
}

/// Reads to the end; says how it ended.
fn read(
    http: &Http,
    since: Option<u64>,
    events: &SyncSender<Event>,
    generation: &Generation,
) -> Stream {
    let mut response = match http.stream(since) {
        Ok(response) => response,
        Err(trouble) if [404, 405, 406, 501].contains(&trouble.code) => return Stream::Absent,
        Err(trouble) => return Stream::Lost(trouble),
    };
    let mut reader = Reader::default();
    let mut bytes = [0; 8192];
    loop {
        let len = match response.read(&mut bytes) {
            Ok(0) => return Stream::Lost(Trouble::lost("the daemon closed the event stream")),
            Ok(len) => len,
            Err(error) => {
                return Stream::Lost(Trouble::lost(&format!("the event stream broke: {error}")));
            }
        };
        for frame in reader.take(bytes.get(..len).unwrap_or_default()) {
            if generation.is_over() {
                return Stream::Absent;
            }
            if let Some(stream) = meaning(&frame)
                && events.send(Event::Stream(stream)).is_err()
            {
                return Stream::Absent;
            }
        }
    }
}

/// What a frame says; unknown ones are signs of life.
fn meaning(frame: &Frame) -> Option<Stream> {
    if frame.is_beat {
        return Some(Stream::Beat);
    }
    let data: Value = serde_json::from_str(&frame.data).ok()?;
    let number = |key: &str| data.get(key).and_then(Value::as_u64);
    Some(match frame.event.as_str() {
        "hello" => Stream::Hello(number("newest").unwrap_or(0)),
        "gap" => Stream::Gap(number("newest").unwrap_or(0)),
        "change" => Stream::Change {
            id: number("id")?,
            kind: word(&data, "kind"),
            object_id: word(&data, "object_id"),
            is_deleted: word(&data, "change") == "deleted",
        },
        _ => Stream::Beat,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_mean_what_the_wire_says() {
        let frame = |event: &str, data: &str| Frame {
            event: event.to_owned(),
            data: data.to_owned(),
            is_beat: false,
        };
        assert_eq!(
            meaning(&frame("hello", "{\"newest\":7}")),
            Some(Stream::Hello(7))
        );
        assert_eq!(
            meaning(&frame("gap", "{\"newest\":9,\"since\":1}")),
            Some(Stream::Gap(9))
        );
        let change = r#"{"id":8,"kind":"volume","object_id":"v","change":"deleted"}"#;
        let expected = Stream::Change {
            id: 8,
            kind: "volume".to_owned(),
            object_id: "v".to_owned(),
            is_deleted: true,
        };
        assert_eq!(meaning(&frame("change", change)), Some(expected));
        assert_eq!(meaning(&frame("change", "{cut")), None);
        assert_eq!(meaning(&frame("news", "{}")), Some(Stream::Beat));
    }

    #[test]
    fn an_older_stream_is_over_when_a_newer_one_begins() {
        let all = Generation::default();
        let one = all.next();
        assert!(!one.is_over());
        let other = all.next();
        assert!(one.is_over() && !other.is_over());
    }
}
