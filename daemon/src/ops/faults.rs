//! Faults at step boundaries, for the crash harness: die by SIGKILL, fail, or repeat at a named point.
//!
//! Only a build with the feature `faults` can do any of it; in the build that people run [`Faults`] is an empty type
//! and [`Faults::at`] is nothing.

use crate::model::operation::Verb;

/// The instants at which a step can be interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// Its intent is committed, nothing is done.
    BeforeEffect,
    /// It is done, but not recorded.
    AfterEffect,
    /// It is recorded.
    AfterRecord,
}

impl Point {
    /// The spelling in the configuration.
    #[cfg(feature = "faults")]
    fn as_str(self) -> &'static str {
        match self {
            Point::BeforeEffect => "before-effect",
            Point::AfterEffect => "after-effect",
            Point::AfterRecord => "after-record",
        }
    }
}

/// What a step is to do at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Go on.
    Nothing,
    /// Fail as if the edge had.
    Fail,
    /// Do the step once more.
    Repeat,
}

#[cfg(not(feature = "faults"))]
mod injected {
    /// No faults: this build cannot inject any.
    #[derive(Debug, Default)]
    pub struct Faults;

    impl Faults {
        pub(in crate::ops) fn at(&self, _: super::Verb, _: &str, _: super::Point) -> super::Order {
            super::Order::Nothing
        }
    }
}

#[cfg(feature = "faults")]
mod injected {
    use super::{Order, Point, Verb};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What happens at a point.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Action {
        Kill,
        Fail,
        Repeat,
    }

    /// One fault, which fires once in the life of the process.
    #[derive(Debug, Default)]
    pub struct Faults {
        fault: Option<(String, Action)>,
        /// At which arrival at the point it fires, 1 being the first.
        fires_at: usize,
        arrivals: AtomicUsize,
    }

    impl Faults {
        /// The fault `action` at `operation/step/point`, or at the n-th arrival there (`operation/step/point#n`);
        /// `None` when the action is no known word or n no number.
        pub fn new(at: &str, action: &str) -> Option<Self> {
            let action = match action {
                "kill" => Action::Kill,
                "fail" => Action::Fail,
                "repeat" => Action::Repeat,
                _ => return None,
            };
            let (at, fires_at) = match at.split_once('#') {
                None => (at, 1),
                Some((at, number)) => (at, number.parse().ok()?),
            };
            Some(Self {
                fault: Some((at.to_owned(), action)),
                fires_at,
                arrivals: AtomicUsize::new(0),
            })
        }

        pub(in crate::ops) fn at(&self, verb: Verb, step: &str, point: Point) -> Order {
            let Some((at, action)) = &self.fault else {
                return Order::Nothing;
            };
            if *at != format!("{}/{step}/{}", verb.as_str(), point.as_str())
                || self.arrivals.fetch_add(1, Ordering::Relaxed) + 1 != self.fires_at
            {
                return Order::Nothing;
            }
            tracing::warn!(%at, ?action, "injected fault");
            match action {
                Action::Kill => die(),
                Action::Fail => Order::Fail,
                Action::Repeat => Order::Repeat,
            }
        }
    }

    fn die() -> Order {
        let own = rustix::process::getpid();
        let _never_returns = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        Order::Nothing
    }
}

pub use injected::Faults;
