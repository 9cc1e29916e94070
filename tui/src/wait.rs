//! `--wait`: until an object has come to rest, with a deadline and with progress on standard error.
//!
//! The operation belongs to the daemon: when the wait runs out or is interrupted it goes on, and the text says how to
//! look again.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Session;
use crate::client::text;
use crate::failure::{Exit, Failure};
use crate::find;
use crate::output::Form;
use crate::places::{Api, Place};
use crate::size;

/// The first pause between two looks; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// The longest pause: a person sees the end at once, the daemon hears one request a second.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A pause is cut into pieces of this length, so that Ctrl-C is heard.
const PAUSE_PIECE: Duration = Duration::from_millis(100);
/// Work shorter than this needs no progress.
const PROGRESS_AFTER: Duration = Duration::from_secs(2);
/// How often a pipe hears of it.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// How wide the bar is.
const BAR_WIDTH: u64 = 30;

/// Statuses in which nothing more happens by itself.
const AT_REST: &[&str] = &[
    "available",
    "in-use",
    "reserved",
    "attached",
    "attaching",
    "detached",
    "awaiting-transfer",
    "maintenance",
];

/// What `--wait` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wait {
    /// How long at most.
    pub(crate) timeout: Duration,
    /// For which status; for any that lasts when not said.
    pub(crate) status: Option<String>,
}

/// The object once it is at rest; as it is at once when `--wait` was not given.
pub(crate) fn settled(session: &Session, place: &Place, item: Value) -> Result<Value, Failure> {
    let id = text(&item, "id");
    let Some(wait) = &session.wait else {
        tell(session, place, &item);
        return Ok(item);
    };
    poll(session, place, &id, wait.timeout, || {
        let item = find::show(session, place, &id)?;
        let status = text(&item, "status");
        let is_it = match &wait.status {
            Some(wanted) => status == *wanted,
            None => AT_REST.contains(&status.as_str()),
        };
        if !is_it && status.starts_with("error") {
            return Err(ended_badly(session, place, &id, &status));
        }
        Ok(is_it.then_some(item))
    })
}

/// Until the object is gone; at once when `--wait` was not given.
pub(crate) fn gone(session: &Session, place: &Place, id: &str) -> Result<(), Failure> {
    let Some(wait) = &session.wait else {
        return Ok(());
    };
    poll(session, place, id, wait.timeout, || {
        match find::show(session, place, id) {
            Err(failure) if failure.exit == Exit::NotFound => Ok(Some(())),
            Err(failure) => Err(failure),
            Ok(item) => {
                let status = text(&item, "status");
                if status.starts_with("error") {
                    return Err(ended_badly(session, place, id, &status));
                }
                Ok(None)
            }
        }
    })
}

/// Until `look` finds it, with progress of what is being done to the object `id`.
pub(crate) fn poll<T>(
    session: &Session,
    place: &Place,
    id: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let interrupt = interrupt();
    let mut progress = Progress::new(session, id);
    let began = Instant::now();
    let mut pause = PAUSE_MIN;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        let again = format!("look again with `ashlar {} show {id}`", place.noun);
        let what = format!("waiting for the {} {id}", place.noun);
        let left = timeout.saturating_sub(began.elapsed());
        if left.is_zero() {
            let why = format!(
                "it is still busy after {} s; the operation goes on",
                timeout.as_secs()
            );
            return Err(Failure::new(Exit::TimedOut, &what, &why).hint(&again));
        }
        progress.show(began.elapsed());
        if sleep(pause.min(left), &interrupt) {
            let why = "interrupted; the operation goes on";
            return Err(Failure::new(Exit::Interrupted, &what, why).hint(&again));
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether Ctrl-C was pressed. From the first call on it no longer ends the program at once; the caller looks. The
/// second one does.
pub(crate) fn interrupt() -> Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let register = || {
        let flag = Arc::new(AtomicBool::new(false));
        let signal = signal_hook::consts::SIGINT;
        // If it cannot be registered, Ctrl-C ends the program as it always did.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag));
        let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
        flag
    };
    Arc::clone(FLAG.get_or_init(register))
}

/// Pauses; true when it was interrupted.
#[expect(
    clippy::disallowed_methods,
    reason = "the one pause between two looks, under a deadline"
)]
pub(crate) fn sleep(pause: Duration, interrupt: &AtomicBool) -> bool {
    let until = Instant::now() + pause;
    loop {
        if interrupt.load(Ordering::Relaxed) {
            return true;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(PAUSE_PIECE));
    }
}

fn ended_badly(session: &Session, place: &Place, id: &str, status: &str) -> Failure {
    let what = format!("waiting for the {} {id}", place.noun);
    let why = match reason(session, id) {
        Some(reason) => format!("it ended in status {status}: {reason}"),
        None => format!("it ended in status {status}"),
    };
    Failure::new(Exit::EndedInError, &what, &why)
        .hint(&format!("`ashlar operation list --object {id}` says more"))
}

/// Why the last operation on the object failed: Ashlar's own words, else Cinder's message.
fn reason(session: &Session, id: &str) -> Option<String> {
    let own = session.client.get(
        Api::Ashlar,
        "/operations",
        &[("object_id", id), ("limit", "1")],
    );
    let own = own
        .ok()
        .map(|answer| text(&answer["operations"][0], "error"));
    let cinders = || {
        let query = [("resource_uuid", id), ("limit", "1")];
        let answer = session.client.get(Api::Cinder, "/messages", &query).ok()?;
        Some(text(&answer["messages"][0], "user_message"))
    };
    own.filter(|text| !text.is_empty())
        .or_else(cinders)
        .filter(|text| !text.is_empty())
}

/// Tells a person at a terminal how to follow what was begun.
fn tell(session: &Session, place: &Place, item: &Value) {
    let status = text(item, "status");
    let is_busy = !AT_REST.contains(&status.as_str()) && !status.starts_with("error");
    if is_busy && session.may_ask && session.form == Form::Table {
        let id = text(item, "id");
        let _ = writeln!(
            std::io::stderr(),
            "the {} is {status}; `ashlar operation list --object {id}` follows it",
            place.noun
        );
    }
}

/// What is being done to an object, told now and then.
struct Progress<'a> {
    session: &'a Session,
    id: &'a str,
    is_terminal: bool,
    next: Duration,
    has_bar: bool,
}

impl<'a> Progress<'a> {
    fn new(session: &'a Session, id: &'a str) -> Self {
        Self {
            session,
            id,
            is_terminal: std::io::stderr().is_terminal(),
            next: PROGRESS_AFTER,
            has_bar: false,
        }
    }

    fn show(&mut self, elapsed: Duration) {
        if elapsed < self.next {
            return;
        }
        let is_live = self.is_terminal && self.session.form != Form::Jsonl;
        self.next = elapsed + if is_live { PAUSE_MAX } else { PROGRESS_EVERY };
        let query = [("object_id", self.id), ("limit", "1"), ("live", "true")];
        let Ok(answer) = self.session.client.get(Api::Ashlar, "/operations", &query) else {
            // A plain Cinder has none; the wait goes on without progress.
            return;
        };
        let operation = &answer["operations"][0];
        let mut err = std::io::stderr().lock();
        if self.session.form == Form::Jsonl {
            let _ = writeln!(err, "{}", json!({"progress": operation}));
        } else if is_live {
            self.has_bar = true;
            let _ = write!(err, "\r\u{1b}[K{}", bar(operation, elapsed));
            let _ = err.flush();
        } else {
            let _ = writeln!(err, "{}", bar(operation, elapsed));
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.has_bar {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

/// One line: what, how far, how long. Percent only where bytes are counted.
fn bar(operation: &Value, elapsed: Duration) -> String {
    let verb = text(operation, "verb");
    let verb = if verb.is_empty() { "waiting" } else { &verb };
    let seconds = elapsed.as_secs();
    let done = operation["bytes_done"].as_u64();
    let total = operation["bytes_total"].as_u64().filter(|total| *total > 0);
    let Some((done, total)) = done.zip(total) else {
        return format!("{verb}  {seconds} s");
    };
    let part = |of: u64| u128::from(done.min(total)) * u128::from(of) / u128::from(total);
    let full = "#".repeat(usize::try_from(part(BAR_WIDTH)).unwrap_or(0));
    let width = usize::try_from(BAR_WIDTH).unwrap_or(0);
    format!(
        "{verb} [{full:.<width$}] {}%  {} of {}  {seconds} s",
        part(100),
        size::in_words(done),
        size::in_words(total)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::VOLUME;

    #[test]
    fn a_wait_ends_with_the_thing_or_with_exit_8() {
        let session = Session::for_tests();
        let mut looks = 0;
        let found = poll(&session, &VOLUME, "x", Duration::from_secs(60), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.unwrap(), 3);
        let late = poll::<()>(&session, &VOLUME, "x", Duration::ZERO, || Ok(None)).unwrap_err();
        assert_eq!(late.exit, Exit::TimedOut);
        assert!(late.to_string().contains("goes on"), "{late}");
    }

    #[test]
    fn progress_has_percent_only_where_bytes_are_counted() {
        let elapsed = Duration::from_secs(4);
        let copy = json!({"verb": "create_volume", "bytes_done": 512, "bytes_total": 1024});
        assert_eq!(
            bar(&copy, elapsed),
            "create_volume [###############...............] 50%  512 B of 1 KiB  4 s"
        );
        assert_eq!(
            bar(&json!({"verb": "delete_volume"}), elapsed),
            "delete_volume  4 s"
        );
        assert_eq!(bar(&Value::Null, elapsed), "waiting  4 s");
    }
}
