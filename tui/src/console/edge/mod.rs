//! The one edge: carries out what `update` asks for, on threads of its own, and sends back what came of it.
//!
//! The view never waits for it. Everything that is queued is bounded: `update` asks for nothing twice at once, and what
//! comes back is taken up by a channel that makes its senders wait.

mod http;
mod read;
mod sse;
mod stream;
mod yaml;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::event::{Answer, Ask, Effect, Event, Trouble};
pub(crate) use http::{Http, Place};

/// More than a bulk act of `MARKS_MAX` objects and every listing at once.
const QUEUE_MAX: usize = 4096;
/// A listing must not hold up a plan, nor a plan an act.
const READERS: usize = 3;
/// Acts on several objects go side by side, as far as a small daemon likes it.
const WRITERS: usize = 2;

/// What carries out effects; tests have one of their own.
pub(crate) trait Edge {
    /// Begins to carry one out; what comes of it is sent as an event.
    fn carry_out(&mut self, effect: Effect);
}

/// The real edge: HTTP on threads.
pub(crate) struct Threads {
    asks: SyncSender<Ask>,
    changes: SyncSender<Effect>,
    events: SyncSender<Event>,
    http: Arc<Http>,
    stream: stream::Generation,
}

impl Threads {
    /// Starts the threads.
    pub(crate) fn start(http: Http, events: SyncSender<Event>) -> Self {
        let http = Arc::new(http);
        let (asks, questions) = sync_channel(QUEUE_MAX);
        let (changes, orders) = sync_channel(QUEUE_MAX);
        workers(READERS, "ask", questions, {
            let (http, events) = (Arc::clone(&http), events.clone());
            move |ask| read::answer(&http, ask, &mut |event| events.send(event).is_ok())
        });
        workers(WRITERS, "change", orders, {
            let (http, events) = (Arc::clone(&http), events.clone());
            move |effect| {
                if let Effect::Change {
                    ticket,
                    change,
                    plan_hash,
                } = effect
                {
                    let result = http.change(&change.call(), plan_hash.as_deref());
                    let _ = events.send(Event::Changed(ticket, change, result));
                }
            }
        });
        Self {
            asks,
            changes,
            events,
            http,
            stream: stream::Generation::default(),
        }
    }
}

impl Edge for Threads {
    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { since } => {
                stream::follow(
                    Arc::clone(&self.http),
                    since,
                    self.events.clone(),
                    self.stream.next(),
                );
            }
            Effect::Ask(ask) => {
                if let Err(error) = self.asks.try_send(ask) {
                    let (std::sync::mpsc::TrySendError::Full(ask)
                    | std::sync::mpsc::TrySendError::Disconnected(ask)) = error;
                    refuse(&self.events, ask);
                }
            }
            effect @ Effect::Change { .. } => {
                if let Err(error) = self.changes.try_send(effect)
                    && let std::sync::mpsc::TrySendError::Full(Effect::Change {
                        ticket,
                        change,
                        ..
                    })
                    | std::sync::mpsc::TrySendError::Disconnected(Effect::Change {
                        ticket,
                        change,
                        ..
                    }) = error
                {
                    let trouble = Trouble {
                        code: 429,
                        ..Trouble::lost("too much is waiting to be sent")
                    };
                    let _ = self
                        .events
                        .try_send(Event::Changed(ticket, change, Err(trouble)));
                }
            }
            Effect::Copy(_) | Effect::WakeAt(_) | Effect::Redraw | Effect::Quit => {}
        }
    }
}

/// A question for which there is no room is answered so.
fn refuse(events: &SyncSender<Event>, ask: Ask) {
    let trouble = Trouble {
        code: 429,
        ..Trouble::lost("too much is being asked at once")
    };
    let answer = match ask {
        Ask::Whoami => Answer::Whoami(Err(trouble)),
        Ask::List(kind) => Answer::NoPage(kind, trouble),
        Ask::One(kind, id) => Answer::One(kind, id, Err(trouble)),
        Ask::Raw(ticket, ..) => Answer::Raw(ticket, Err(trouble)),
        Ask::Plan(ticket, _) => Answer::Plan(ticket, Err(trouble)),
        Ask::Placement(ticket, _) => Answer::Placement(ticket, Err(trouble)),
        Ask::Quota => Answer::Quota(Err(trouble)),
    };
    let _ = events.try_send(Event::Answer(answer));
}

/// Threads that take from one queue until its sender is gone.
fn workers<T: Send + 'static>(
    count: usize,
    name: &str,
    queue: Receiver<T>,
    work: impl Fn(T) + Clone + Send + 'static,
) {
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..count {
        let (queue, work) = (Arc::clone(&queue), work.clone());
        let spawned = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match next {
                        Ok(task) => work(task),
                        Err(_) => return,
                    }
                }
            });
        // Fewer threads only make it slower; none is a queue that says so when it is full.
        drop(spawned);
    }
}
