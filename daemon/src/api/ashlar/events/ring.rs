//! The last events as text, in chunks that all readers share; bounded in bytes, the oldest chunk goes first.
//!
//! A chunk holds the frames once for administrators and once for each project that has some in it; a reader is given a
//! slice of that memory, never a copy. Pure; knows no record and no reader. Fails nowhere.

use super::{Ear, frame};
use crate::store::events::{EVERYBODY, Event};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Text that is kept for readers that are behind: some 20 s of 1,000 changes a second.
const RING_LEN_MAX: usize = 8 << 20;

/// Frames of one audience, in order.
#[derive(Debug, Default)]
struct Text {
    /// The event's id and where its frame ends.
    ends: Vec<(i64, usize)>,
    bytes: Bytes,
}

/// Events that were read together.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) last: i64,
    all: Text,
    /// Of projects that have own events in it, with the public ones in their places.
    projects: HashMap<String, Text>,
    /// What every other project hears.
    public: Text,
}

/// What of the events is at hand.
#[derive(Debug)]
pub(super) struct Ring {
    chunks: VecDeque<Arc<Chunk>>,
    len_bytes: usize,
    /// The event before the first chunk, and the last one of the last.
    begin: i64,
    end: i64,
}

/// What there is for a reader.
#[derive(Debug)]
pub(super) enum Next {
    /// It has seen everything.
    Nothing,
    /// The chunk that goes on from there.
    Chunk(Arc<Chunk>),
    /// What comes next for it is no longer at hand.
    Behind,
}

impl Text {
    fn of<'a>(frames: impl Iterator<Item = (i64, &'a str)>) -> Self {
        let (mut ends, mut text) = (Vec::new(), String::new());
        for (id, frame) in frames {
            text.push_str(frame);
            ends.push((id, text.len()));
        }
        ends.shrink_to_fit();
        Self {
            ends,
            bytes: Bytes::from(text),
        }
    }

    /// The frames after an event.
    fn after(&self, seen: i64) -> Bytes {
        let count = self.ends.partition_point(|(id, _)| *id <= seen);
        let start = count.checked_sub(1).map_or(0, |last| self.ends[last].1);
        self.bytes.slice(start..)
    }

    fn len_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<(i64, usize)>()
    }
}

impl Chunk {
    /// A chunk of events in their order; `None` of none.
    pub(super) fn of(events: &[Event]) -> Option<Self> {
        let last = events.last()?.id;
        let frames: Vec<String> = events.iter().map(frame).collect();
        let text =
            |is_heard: &dyn Fn(&Event) -> bool| {
                let both = events.iter().zip(&frames);
                Text::of(both.filter_map(|(event, frame)| {
                    is_heard(event).then_some((event.id, frame.as_str()))
                }))
            };
        let is_own = |event: &&Event| !event.audience.is_empty() && event.audience != EVERYBODY;
        let mut projects = HashMap::new();
        for event in events.iter().filter(is_own) {
            let project = &event.audience;
            if !projects.contains_key(project) {
                let ear = Ear::Project(project.clone());
                projects.insert(project.clone(), text(&|event| ear.hears(event)));
            }
        }
        Some(Self {
            last,
            all: text(&|_| true),
            projects,
            public: text(&|event| event.audience == EVERYBODY),
        })
    }

    /// What of it an ear has not heard yet; empty if nothing is for it.
    pub(super) fn after(&self, seen: i64, ear: &Ear) -> Bytes {
        let text = match ear {
            Ear::All => &self.all,
            Ear::Project(project) => self.projects.get(project).unwrap_or(&self.public),
        };
        text.after(seen)
    }

    fn len_bytes(&self) -> usize {
        let projects = self.projects.values().map(Text::len_bytes).sum::<usize>();
        self.all.len_bytes() + self.public.len_bytes() + projects
    }
}

impl Ring {
    /// An empty ring that goes on after an event.
    pub(super) fn from(begin: i64) -> Self {
        Self {
            chunks: VecDeque::new(),
            len_bytes: 0,
            begin,
            end: begin,
        }
    }

    /// Adds what was read next; drops the oldest that has no room.
    pub(super) fn push(&mut self, chunk: Chunk) {
        self.len_bytes += chunk.len_bytes();
        self.end = chunk.last;
        self.chunks.push_back(Arc::new(chunk));
        while self.len_bytes > RING_LEN_MAX {
            let Some(oldest) = self.chunks.pop_front() else {
                break;
            };
            self.len_bytes -= oldest.len_bytes();
            self.begin = oldest.last;
        }
    }

    /// What comes after the last event that a reader saw.
    pub(super) fn next(&self, seen: i64) -> Next {
        if seen >= self.end {
            return Next::Nothing;
        }
        if seen < self.begin {
            return Next::Behind;
        }
        let position = self.chunks.partition_point(|chunk| chunk.last <= seen);
        self.chunks
            .get(position)
            .map_or(Next::Nothing, |chunk| Next::Chunk(Arc::clone(chunk)))
    }

    /// The newest event in it.
    pub(super) fn end(&self) -> i64 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;

    fn event(id: i64, audience: &str) -> Event {
        Event {
            id,
            at: Time::from_stored("2026-11-22T00:00:00.000000".to_owned()),
            kind: "volume".to_owned(),
            object_id: "o".to_owned(),
            audience: audience.to_owned(),
            change: "changed".to_owned(),
            status: None,
        }
    }

    /// The ids in a text.
    fn ids(text: &Bytes) -> Vec<i64> {
        let text = std::str::from_utf8(text).unwrap();
        let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
        ids.map(|id| id.parse().unwrap()).collect()
    }

    #[test]
    fn each_ear_gets_its_own_from_where_it_was() {
        let events = [
            event(1, "p"),
            event(2, "q"),
            event(3, "*"),
            event(4, ""),
            event(5, "p"),
        ];
        let chunk = Chunk::of(&events).unwrap();
        let heard = |seen, ear: &Ear| ids(&chunk.after(seen, ear));
        assert_eq!(heard(0, &Ear::All), [1, 2, 3, 4, 5]);
        assert_eq!(heard(3, &Ear::All), [4, 5]);
        let of = |project: &str| Ear::Project(project.to_owned());
        assert_eq!(heard(0, &of("p")), [1, 3, 5]);
        assert_eq!(heard(1, &of("p")), [3, 5]);
        assert_eq!(heard(0, &of("q")), [2, 3]);
        assert_eq!(heard(0, &of("r")), [3]);
        assert_eq!(heard(5, &of("p")), [0i64; 0]);
        assert!(Chunk::of(&[]).is_none());
    }

    #[test]
    fn the_ring_is_bounded_and_knows_who_is_behind() {
        let mut ring = Ring::from(10);
        assert!(matches!(ring.next(10), Next::Nothing));
        assert!(matches!(ring.next(9), Next::Behind));
        let mut id = 10;
        let mut dropped = false;
        while !dropped {
            let events: Vec<Event> = (0..1000)
                .map(|_| {
                    id += 1;
                    event(id, "p")
                })
                .collect();
            ring.push(Chunk::of(&events).unwrap());
            assert!(ring.len_bytes <= RING_LEN_MAX);
            dropped = ring.begin > 10;
        }
        assert!(matches!(ring.next(10), Next::Behind));
        assert!(matches!(ring.next(id), Next::Nothing));
        let Next::Chunk(chunk) = ring.next(id - 1) else {
            panic!("the last one is there");
        };
        assert_eq!(ids(&chunk.after(id - 1, &Ear::All)), [id]);
        assert_eq!(ring.end(), id);
    }
}
