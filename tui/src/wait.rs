//! `--wait`: until an object has come to rest, with a deadline.
//!
//! The operation belongs to the daemon: when the wait runs out it goes on, and the text says how to look again.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Session;
use crate::client::text;
use crate::failure::{Exit, Failure};
use crate::find::{self, Place};

/// The first pause between two looks; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause: a person sees the end at once, the daemon hears one request a second.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Statuses in which nothing more happens by itself.
const AT_REST: &[&str] = &[
    "available",
    "in-use",
    "reserved",
    "attached",
    "attaching",
    "detached",
    "awaiting-transfer",
];

/// The object once it is at rest; as it is at once when `--wait` was not given.
pub(crate) fn settled(session: &Session, place: &Place, item: Value) -> Result<Value, Failure> {
    let Some(timeout) = session.wait else {
        return Ok(item);
    };
    let id = text(&item, "id");
    poll(place, &id, timeout, || {
        let item = find::show(session, place, &id)?;
        let status = text(&item, "status");
        if status.starts_with("error") {
            return Err(Failure::new(
                Exit::EndedInError,
                &format!("waiting for the {} {id}", place.noun),
                &format!("it ended in status {status}"),
            )
            .hint(&format!("`ashlar operation list --object {id}` says why")));
        }
        Ok(AT_REST.contains(&status.as_str()).then_some(item))
    })
}

/// Until the object is gone; at once when `--wait` was not given.
pub(crate) fn gone(session: &Session, place: &Place, id: &str) -> Result<(), Failure> {
    let Some(timeout) = session.wait else {
        return Ok(());
    };
    poll(place, id, timeout, || {
        match find::show(session, place, id) {
            Err(failure) if failure.exit == Exit::NotFound => Ok(Some(())),
            Err(failure) => Err(failure),
            Ok(item) if text(&item, "status").starts_with("error") => Err(Failure::new(
                Exit::EndedInError,
                &format!("waiting for the end of the {} {id}", place.noun),
                &format!("it is in status {}", text(&item, "status")),
            )),
            Ok(_) => Ok(None),
        }
    })
}

fn poll<T>(
    place: &Place,
    id: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let deadline = Instant::now() + timeout;
    let mut pause = PAUSE_MIN;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::new(
                Exit::TimedOut,
                &format!("waiting for the {} {id}", place.noun),
                &format!(
                    "it is still busy after {} s; the operation goes on",
                    timeout.as_secs()
                ),
            )
            .hint(&format!(
                "look again with `ashlar {} show {id}`",
                place.noun
            )));
        }
        sleep(pause.min(left));
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one pause between two looks, under a deadline"
)]
fn sleep(pause: Duration) {
    std::thread::sleep(pause);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_thing_or_with_exit_8() {
        let mut looks = 0;
        let found = poll(&find::VOLUME, "x", Duration::from_secs(60), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.unwrap(), 3);
        let late = poll::<()>(&find::VOLUME, "x", Duration::ZERO, || Ok(None)).unwrap_err();
        assert_eq!(late.exit, Exit::TimedOut);
        assert!(late.to_string().contains("goes on"), "{late}");
    }
}
