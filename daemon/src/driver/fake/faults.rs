//! Faults that can be put into the fake driver: set from a line of configuration, or at run time by a test.
//!
//! `create=enospc,extend=hang,stats=delay:50ms,snapshot=eio*1`: method, fault, and how often (always, when not said).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A delay longer than this is a mistake in the configuration.
const DELAY_MAX: Duration = Duration::from_secs(3600);

/// A method of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// `stats`.
    Stats,
    /// `create`.
    Create,
    /// `extend`.
    Extend,
    /// `snapshot`.
    Snapshot,
    /// `revert`.
    Revert,
    /// `wipe`.
    Wipe,
    /// `remove`.
    Remove,
    /// `device`.
    Device,
    /// `objects`.
    Objects,
    /// `manageable`.
    Manageable,
    /// `measure`.
    Measure,
    /// `adopt`.
    Adopt,
    /// `release`.
    Release,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 13] = [
        Self::Stats,
        Self::Create,
        Self::Extend,
        Self::Snapshot,
        Self::Revert,
        Self::Wipe,
        Self::Remove,
        Self::Device,
        Self::Objects,
        Self::Manageable,
        Self::Measure,
        Self::Adopt,
        Self::Release,
    ];

    /// Its name in the trait and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stats => "stats",
            Self::Create => "create",
            Self::Extend => "extend",
            Self::Snapshot => "snapshot",
            Self::Revert => "revert",
            Self::Wipe => "wipe",
            Self::Remove => "remove",
            Self::Device => "device",
            Self::Objects => "objects",
            Self::Manageable => "manageable",
            Self::Measure => "measure",
            Self::Adopt => "adopt",
            Self::Release => "release",
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full.
    NoSpace,
    /// The disk does not read or write.
    Io,
    /// Nothing happens until the work is cancelled, the fault is taken away, or ten minutes went by.
    Hang,
    /// It takes longer, and then goes well.
    Delay(Duration),
}

/// The line of configuration is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "fault {part:?} is not understood: {why}; write method=enospc|eio|hang|delay:50ms, with *N for the first N calls"
)]
pub struct BadFault {
    /// The part of the line.
    pub part: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The faults in force; a handle that can be shared with the driver it was given to.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    armed: Arc<Mutex<BTreeMap<Method, Armed>>>,
}

#[derive(Debug, Clone, Copy)]
struct Armed {
    fault: Fault,
    /// `None` means always.
    calls_left: Option<u32>,
}

impl Faults {
    /// Reads a line of configuration; the empty one means none.
    pub fn parse(line: &str) -> Result<Self, BadFault> {
        let faults = Self::default();
        for part in line
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (method, armed) = parse_part(part).map_err(|why| BadFault {
                part: part.to_owned(),
                why,
            })?;
            faults.arm(method, armed);
        }
        Ok(faults)
    }

    /// From now on `method` does this.
    pub fn set(&self, method: Method, fault: Fault) {
        self.arm(
            method,
            Armed {
                fault,
                calls_left: None,
            },
        );
    }

    /// The next `calls` calls of `method` do this.
    pub fn set_for(&self, method: Method, fault: Fault, calls: u32) {
        let calls_left = Some(calls);
        self.arm(method, Armed { fault, calls_left });
    }

    /// `method` goes well again; hanging calls of it go on.
    pub fn clear(&self, method: Method) {
        self.lock().remove(&method);
    }

    /// What is armed for `method` now.
    pub fn get(&self, method: Method) -> Option<Fault> {
        self.lock().get(&method).map(|armed| armed.fault)
    }

    /// What this call of `method` does; counts it.
    pub(super) fn take(&self, method: Method) -> Option<Fault> {
        let mut armed = self.lock();
        let entry = armed.get_mut(&method)?;
        let fault = entry.fault;
        match &mut entry.calls_left {
            None => {}
            Some(0 | 1) => drop(armed.remove(&method)),
            Some(calls) => *calls -= 1,
        }
        Some(fault)
    }

    fn arm(&self, method: Method, armed: Armed) {
        if armed.calls_left == Some(0) {
            self.clear(method);
        } else {
            self.lock().insert(method, armed);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Method, Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse_part(part: &str) -> Result<(Method, Armed), &'static str> {
    let (method, rest) = part.split_once('=').ok_or("there is no =")?;
    let method = Method::ALL
        .into_iter()
        .find(|known| known.as_str() == method.trim())
        .ok_or("the driver has no such method")?;
    let (fault, calls_left) = match rest.split_once('*') {
        None => (rest, None),
        Some((fault, calls)) => {
            let calls = calls.trim().parse().map_err(|_| "after * comes a number")?;
            (fault, Some(calls))
        }
    };
    let fault = match fault.trim().split_once(':') {
        None if fault.trim() == "enospc" => Fault::NoSpace,
        None if fault.trim() == "eio" => Fault::Io,
        None if fault.trim() == "hang" => Fault::Hang,
        Some(("delay", span)) => Fault::Delay(parse_span(span)?),
        None | Some(_) => return Err("there is no such fault"),
    };
    Ok((method, Armed { fault, calls_left }))
}

fn parse_span(span: &str) -> Result<Duration, &'static str> {
    let number = |digits: &str| digits.parse().map_err(|_| "a delay is like 50ms or 2s");
    let span = match (span.strip_suffix("ms"), span.strip_suffix('s')) {
        (Some(digits), _) => Duration::from_millis(number(digits)?),
        (None, Some(digits)) => Duration::from_secs(number(digits)?),
        (None, None) => return Err("a delay is like 50ms or 2s"),
    };
    if span > DELAY_MAX {
        return Err("a delay is one hour at most");
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_understood_or_refused() {
        let faults =
            Faults::parse("create=enospc, extend=hang,stats=delay:50ms,wipe=eio*2").unwrap();
        assert_eq!(faults.get(Method::Create), Some(Fault::NoSpace));
        assert_eq!(faults.get(Method::Extend), Some(Fault::Hang));
        let delay = Fault::Delay(Duration::from_millis(50));
        assert_eq!(faults.get(Method::Stats), Some(delay));
        assert_eq!(faults.get(Method::Remove), None);
        for _ in 0..2 {
            assert_eq!(faults.take(Method::Wipe), Some(Fault::Io));
        }
        assert_eq!(faults.take(Method::Wipe), None);
        assert_eq!(faults.take(Method::Create), Some(Fault::NoSpace));
        assert_eq!(faults.take(Method::Create), Some(Fault::NoSpace));
        assert!(Faults::parse("").unwrap().get(Method::Stats).is_none());
        for bad in [
            "create",
            "create=",
            "make=eio",
            "create=eio*x",
            "create=delay:5",
            "create=delay:99999s",
            "create=slow:5s",
        ] {
            assert!(Faults::parse(bad).is_err(), "{bad}");
        }
    }
}
