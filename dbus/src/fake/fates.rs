//! What is to befall which act: failures, silence and death, at a place that a test names.

use super::groups::Refused;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// What befalls an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It fails without having changed anything.
    Fails,
    /// It is done, and then called a failure.
    FailsDone,
    /// Nothing is done before [`Fates::go_on`].
    Waits,
    /// It is done, and not answered before [`Fates::go_on`].
    WaitsDone,
    /// Who was to do it is killed before.
    Dies,
    /// Who did it is killed before it could say so.
    DiesDone,
}

/// Why an act was not answered well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// LVM refused, or a test wanted it so.
    Refused(String),
    /// Who was to answer is dead.
    Killed,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.0)
    }
}

/// What a test has planned.
#[derive(Debug, Default)]
struct Plan {
    count: u64,
    next: Option<(u64, Fate)>,
}

/// The acts of everybody who changes the groups, counted, and what befalls one of them.
#[derive(Debug)]
pub struct Fates {
    plan: Mutex<Plan>,
    met: watch::Sender<bool>,
    goes_on: watch::Sender<bool>,
}

impl Default for Fates {
    fn default() -> Self {
        Self {
            plan: Mutex::default(),
            met: watch::channel(false).0,
            goes_on: watch::channel(true).0,
        }
    }
}

impl Fates {
    /// From now on acts are counted from 0; `fate` befalls that with number `at`.
    pub fn plan(&self, at: u64, fate: Fate) {
        self.met.send_replace(false);
        self.goes_on.send_replace(false);
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Plan {
            count: 0,
            next: Some((at, fate)),
        };
    }

    /// Nothing more is to happen; what waits goes on.
    pub fn go_on(&self) {
        self.plan
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next = None;
        self.goes_on.send_replace(true);
    }

    /// Whether what was planned has happened; a waiting act waits by then.
    pub fn is_met(&self) -> bool {
        *self.met.borrow()
    }

    /// Returns when it has.
    pub async fn met(&self) {
        // The sender is our own.
        let _ = self.met.subscribe().wait_for(|met| *met).await;
    }

    /// Does `act`, unless something else is planned for it.
    pub async fn act<T>(&self, act: impl FnOnce() -> Result<T, Refused>) -> Result<T, Failure> {
        let planned = Err(Failure::Refused("it was to fail in this test".to_owned()));
        match self.next() {
            None => Ok(act()?),
            Some(Fate::Fails) => self.meet(planned),
            Some(Fate::FailsDone) => {
                act()?;
                self.meet(planned)
            }
            Some(Fate::Dies) => self.meet(Err(Failure::Killed)),
            Some(Fate::DiesDone) => {
                act()?;
                self.meet(Err(Failure::Killed))
            }
            Some(Fate::Waits) => {
                self.meet(Ok(()))?;
                self.wait().await;
                Ok(act()?)
            }
            Some(Fate::WaitsDone) => {
                let done = act();
                self.meet(Ok(()))?;
                self.wait().await;
                Ok(done?)
            }
        }
    }

    fn next(&self) -> Option<Fate> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let number = plan.count;
        plan.count += 1;
        let (_, fate) = plan.next.take_if(|(at, _)| *at == number)?;
        Some(fate)
    }

    fn meet<T>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        self.met.send_replace(true);
        answer
    }

    async fn wait(&self) {
        let _ = self.goes_on.subscribe().wait_for(|goes_on| *goes_on).await;
    }
}
