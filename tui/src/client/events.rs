//! The stream of changes (server-sent events), read for ever: it is asked for anew where it ended, so that no change is
//! missed and none comes twice. A gap is told on standard error, since what came in between is not kept any more.
//!
//! Failure paths: a daemon that restarts is waited for; one that was never there, or refuses, is a failure.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::time::Duration;

use reqwest::blocking::Response;
use serde_json::Value;

use super::{Ask, Client, Method};
use crate::failure::{Exit, Failure};
use crate::wait;

/// A stream is asked for anew after so long: a peer that died without a word is noticed by then.
pub(super) const STREAM_TIMEOUT: Duration = Duration::from_secs(60);
/// The rest before a daemon that is not there is asked again.
const RETRY: Duration = Duration::from_secs(1);
/// An event is an id and a few words; a longer line is not of this protocol.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The stream.
pub(crate) struct Events<'a> {
    client: &'a Client,
    since: Option<u64>,
    open: Option<BufReader<Response>>,
    was_open: bool,
    is_over: bool,
}

/// One frame of the stream.
#[derive(Debug, Default, PartialEq)]
struct Frame {
    event: String,
    data: String,
}

impl<'a> Events<'a> {
    /// Nothing is asked yet.
    pub(super) fn new(client: &'a Client, since: Option<u64>) -> Self {
        Self {
            client,
            since,
            open: None,
            was_open: false,
            is_over: false,
        }
    }

    /// Connects if need be; nothing when it was interrupted meanwhile.
    fn connect(&mut self) -> Result<bool, Failure> {
        let interrupt = wait::interrupt();
        while self.open.is_none() {
            let since = self.since.map(|id| id.to_string());
            let query: Vec<(&str, &str)> = since.iter().map(|id| ("since", id.as_str())).collect();
            let asked = self.client.stream(&Ask {
                method: Method::Get,
                path: "/ashlar/v1/events",
                query: &query,
                body: None,
                if_match: None,
            });
            match asked {
                Ok(response) => {
                    self.was_open = true;
                    self.open = Some(BufReader::new(response));
                }
                Err(failure) if failure.exit == Exit::Unreachable && self.was_open => {
                    if wait::sleep(RETRY, &interrupt) {
                        return Ok(false);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(!interrupt.load(std::sync::atomic::Ordering::Relaxed))
    }

    /// The next change.
    fn read(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            if !self.connect()? {
                return Ok(None);
            }
            let frame = self.open.as_mut().and_then(frame);
            let Some(frame) = frame else {
                // It ended, as it does now and then; the next one goes on where this one stopped.
                self.open = None;
                continue;
            };
            let data: Value = serde_json::from_str(&frame.data).unwrap_or(Value::Null);
            match frame.event.as_str() {
                "change" => {
                    self.since = data["id"].as_u64().or(self.since);
                    return Ok(Some(data));
                }
                "hello" => self.since = self.since.or_else(|| data["newest"].as_u64()),
                "gap" => {
                    self.since = data["newest"].as_u64().or(self.since);
                    let _ = writeln!(
                        std::io::stderr(),
                        "ashlar: changes after {} are no longer kept (the oldest is {}): list anew what matters",
                        data["since"],
                        data["oldest"]
                    );
                }
                _ => {}
            }
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Value, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let event = self.read().transpose();
        self.is_over = !matches!(event, Some(Ok(_)));
        event
    }
}

/// The next whole frame; nothing when the stream has ended. Comments, as heartbeats are, are passed over.
fn frame(stream: &mut impl BufRead) -> Option<Frame> {
    let mut frame = Frame::default();
    let mut line = String::new();
    loop {
        line.clear();
        let len = stream
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_line(&mut line)
            .ok()?;
        // Without its end of line it is not whole, and what is not whole comes again.
        if len == 0 || !line.ends_with('\n') {
            return None;
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            if !frame.event.is_empty() || !frame.data.is_empty() {
                return Some(frame);
            }
            continue;
        }
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match key {
            "event" => frame.event = value.to_owned(),
            "data" => {
                if !frame.data.is_empty() {
                    frame.data.push('\n');
                }
                frame.data.push_str(value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_whole_and_heartbeats_are_passed_over() {
        let text = ": hb\n\nevent: hello\ndata: {\"newest\":7}\n\nid: 8\r\nevent: change\r\ndata: {\r\ndata: }\r\n\r\nevent: cut";
        let mut stream = text.as_bytes();
        let hello = frame(&mut stream).unwrap();
        assert_eq!(
            (hello.event.as_str(), hello.data.as_str()),
            ("hello", "{\"newest\":7}")
        );
        assert_eq!(frame(&mut stream).unwrap().data, "{\n}");
        assert_eq!(frame(&mut stream), None);
    }

    #[test]
    fn an_endless_line_ends_the_stream() {
        let mut stream = std::io::BufReader::new(std::io::repeat(b'x'));
        assert_eq!(frame(&mut stream), None);
    }
}
