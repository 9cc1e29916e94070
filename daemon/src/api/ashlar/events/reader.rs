//! One reader's way through the events: hello, what it missed, then what is new, with a heartbeat in between.
//!
//! It holds no text of its own: what it is given is a slice of the ring, or one page of the record while it catches up.
//! A live reader that the ring has left behind is told `gap` and goes on from the newest.

use super::feed::Feed;
use super::ring::Next;
use super::{Ear, frame, gap, hello};
use crate::store::StoreError;
use crate::store::events::Span;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

/// How often a stream in which nothing happens says so.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// A comment, which every client passes over.
const BEAT: &[u8] = b": beat\n\n";

/// Where a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was said yet.
    New,
    /// It reads what it missed out of the record.
    Resuming,
    /// It follows the ring.
    Live,
}

/// A reader.
pub(super) struct Reader {
    feed: Feed,
    news: watch::Receiver<u64>,
    ear: Ear,
    span: Span,
    seen: i64,
    phase: Phase,
    beat_at: Instant,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// A reader that has seen everything up to `since`, or that wants what comes from now on.
    pub(super) fn new(
        feed: &Feed,
        place: OwnedSemaphorePermit,
        ear: Ear,
        since: Option<i64>,
        span: Span,
    ) -> Self {
        Self {
            news: feed.listen(),
            feed: feed.clone(),
            ear,
            span,
            seen: since.unwrap_or(span.newest),
            phase: Phase::New,
            beat_at: Instant::now() + HEARTBEAT,
            _place: place,
        }
    }

    /// What it is sent, piece by piece.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, async |mut reader| {
            let piece = reader.piece().await?;
            reader.beat_at = Instant::now() + HEARTBEAT;
            Some((Ok(piece), reader))
        })
    }

    /// The next piece; `None` when the stream is to end.
    async fn piece(&mut self) -> Option<Bytes> {
        if self.phase == Phase::New {
            self.phase = Phase::Resuming;
            let mut text = hello(self.span);
            if !self.span.reaches(self.seen) {
                text.push_str(&self.gap(self.span));
            }
            return Some(Bytes::from(text));
        }
        loop {
            if self.feed.ended().is_cancelled() {
                return None;
            }
            // What comes later than this look is news.
            self.news.mark_unchanged();
            match self.feed.next(self.seen) {
                Some((Next::Chunk(chunk), _)) => {
                    self.phase = Phase::Live;
                    let text = chunk.after(self.seen, &self.ear);
                    self.seen = chunk.last;
                    if !text.is_empty() {
                        return Some(text);
                    }
                }
                Some((Next::Behind, _)) => match self.left_behind().await {
                    Ok(Some(text)) => return Some(text),
                    Ok(None) => {}
                    Err(error) => {
                        // The reader comes back with the last id that it saw.
                        tracing::warn!(%error, "a reader of events could not be told what it missed");
                        return None;
                    }
                },
                Some((Next::Nothing, end)) => {
                    if self.seen <= end {
                        self.phase = Phase::Live;
                    }
                    if let Some(beat) = self.wait().await {
                        return Some(beat);
                    }
                }
                None => {
                    if let Some(beat) = self.wait().await {
                        return Some(beat);
                    }
                }
            }
        }
    }

    /// What comes next is not in the ring: one who comes back reads it out of the record, one who was here was too
    /// slow.
    async fn left_behind(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.phase == Phase::Live {
            let span = self.feed.span().await?;
            return Ok(Some(Bytes::from(self.gap(span))));
        }
        let (missed, span) = self.feed.missed(self.seen).await?;
        if !span.reaches(self.seen) {
            return Ok(Some(Bytes::from(self.gap(span))));
        }
        let heard = missed.iter().filter(|event| self.ear.hears(event));
        let text: String = heard.map(frame).collect();
        self.seen = missed.last().map_or(span.newest, |event| event.id);
        Ok((!text.is_empty()).then(|| Bytes::from(text)))
    }

    fn gap(&mut self, span: Span) -> String {
        let text = gap(self.seen, span);
        self.seen = span.newest;
        text
    }

    /// Waits for news; the heartbeat, when it is due.
    async fn wait(&mut self) -> Option<Bytes> {
        tokio::select! {
            // The feed is here, so this is no end of the channel.
            _told = self.news.changed() => None,
            () = self.feed.ended().cancelled() => None,
            () = tokio::time::sleep_until(self.beat_at) => Some(Bytes::from_static(BEAT)),
        }
    }
}
