//! The feed: reads new events out of the record once, for all readers of this process.
//!
//! It runs while there are readers. It looks when this process has committed something, when another has rung, and
//! once a second in any case; what it read goes into the ring, and the readers are woken. A record that cannot be read
//! is looked at again; meanwhile readers hear their heartbeat.

use super::PAGE;
use super::ring::{Chunk, Next, Ring};
use crate::ops::{Ctx, Doorbell};
use crate::store::{Store, StoreError, events};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Readers at once. They hold none of the door's places: their own are these, and the connections are more.
const READERS_MAX: usize = 1_024;

/// Readers that read what they missed out of the record at once; the others wait their turn.
const RESUMING_MAX: usize = 4;

/// What happens within this is told together: a thousand readers are woken so often at most.
const GATHER: Duration = Duration::from_millis(50);

/// The feed of a process. Clones share it.
#[derive(Clone)]
pub(in crate::api) struct Feed(Arc<Inner>);

struct Inner {
    store: Store,
    doorbell: Doorbell,
    /// `None` while it does not run, or has not yet looked. A std mutex: it is never held across an await.
    ring: Mutex<State>,
    news: watch::Sender<u64>,
    readers: Arc<Semaphore>,
    resuming: Semaphore,
    ended: CancellationToken,
}

#[derive(Default)]
struct State {
    is_running: bool,
    ring: Option<Ring>,
}

impl Feed {
    /// A feed that does not run yet.
    pub(in crate::api) fn new(ctx: &Ctx) -> Self {
        Self(Arc::new(Inner {
            store: ctx.store.clone(),
            doorbell: ctx.doorbell.clone(),
            ring: Mutex::default(),
            news: watch::Sender::new(0),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            resuming: Semaphore::new(RESUMING_MAX),
            ended: CancellationToken::new(),
        }))
    }

    /// Ends every stream.
    pub(in crate::api) fn end(&self) {
        self.0.ended.cancel();
    }

    /// A reader's place; `None` when all are taken.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.readers).try_acquire_owned().ok()
    }

    /// Hears of news from now on; the feed runs at least as long as somebody does.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        let news = self.0.news.subscribe();
        let mut state = self.0.state();
        if !state.is_running {
            state.is_running = true;
            tokio::spawn(run(Arc::clone(&self.0)));
        }
        news
    }

    /// What comes after an event; `None` before the feed has looked.
    pub(super) fn next(&self, seen: i64) -> Option<(Next, i64)> {
        let state = self.0.state();
        let ring = state.ring.as_ref()?;
        Some((ring.next(seen), ring.end()))
    }

    /// Resolves when the streams are to end.
    pub(super) fn ended(&self) -> &CancellationToken {
        &self.0.ended
    }

    /// Reads what a reader missed out of the record, a page, when it is its turn.
    pub(super) async fn missed(
        &self,
        seen: i64,
    ) -> Result<(Vec<events::Event>, events::Span), StoreError> {
        // Never closed, so that an error cannot come; then it would be read without a turn.
        let _turn = self.0.resuming.acquire().await.ok();
        events::after(&self.0.store, seen, PAGE).await
    }

    /// What is kept.
    pub(super) async fn span(&self) -> Result<events::Span, StoreError> {
        events::span(&self.0.store).await
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody listens any more; then it is noted as not running. A listener is counted before it looks
    /// whether the feed runs, so that it cannot be left without one.
    fn is_over(&self) -> bool {
        let mut state = self.state();
        let over = self.news.receiver_count() == 0 || self.ended.is_cancelled();
        if over {
            *state = State::default();
        }
        over
    }

    /// Reads what is new into the ring.
    async fn look(&self) -> Result<(), StoreError> {
        loop {
            let end = self.state().ring.as_ref().map(Ring::end);
            let Some(end) = end else {
                let newest = events::span(&self.store).await?.newest;
                self.state().ring = Some(Ring::from(newest));
                self.tell();
                return Ok(());
            };
            let (found, span) = events::after(&self.store, end, PAGE).await?;
            if !span.reaches(end) {
                // More happened than is kept, or the record is another one: everybody is told of a gap.
                self.state().ring = Some(Ring::from(span.newest));
                self.tell();
                return Ok(());
            }
            let is_all = found.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            let Some(chunk) = Chunk::of(&found) else {
                return Ok(());
            };
            if let Some(ring) = &mut self.state().ring {
                ring.push(chunk);
            }
            self.tell();
            if is_all {
                return Ok(());
            }
        }
    }

    fn tell(&self) {
        self.news
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

async fn run(feed: Arc<Inner>) {
    let mut bell = feed.doorbell.listen();
    let mut commits = feed.store.commits();
    while !feed.is_over() {
        if let Err(error) = feed.look().await {
            tracing::warn!(%error, "the events cannot be read; they are looked at again");
        }
        tokio::time::sleep(GATHER).await;
        tokio::select! {
            // The store is here, so this is no end of the channel.
            _committed = commits.changed() => {}
            () = bell.heard() => {}
            () = feed.ended.cancelled() => {}
        }
    }
}
