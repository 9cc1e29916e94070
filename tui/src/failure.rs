//! How a command ends: exit codes, and the one shape of an error text.
//!
//! Must not know clap, HTTP libraries or any verb. The shape: what failed, why, what to do, the id to quote.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::text::harmless;

/// The exit codes. New ones may come: treat any non-zero as failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or nothing to do where that is allowed.
    Done = 0,
    /// Failed in a way not listed here.
    Failed = 1,
    /// The command line could not be understood.
    Usage = 2,
    /// No such object.
    NotFound = 3,
    /// A name that fits several objects.
    Ambiguous = 4,
    /// Wrong status, in use, or changed meanwhile.
    Conflict = 5,
    /// Over quota, or no space.
    Quota = 6,
    /// Some of several objects failed; each is listed.
    Partly = 7,
    /// `--wait` ran out; the operation goes on.
    TimedOut = 8,
    /// The daemon could not be reached.
    Unreachable = 9,
    /// A destructive verb without the confirmation it needs.
    Unconfirmed = 10,
    /// The operation that was waited for ended in an error.
    EndedInError = 11,
    /// Not logged in, or not allowed.
    NotAllowed = 12,
    /// Ctrl-C while waiting; the operation goes on.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// Its word, for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Exit::Done => "done",
            Exit::Failed => "failed",
            Exit::Usage => "usage",
            Exit::NotFound => "not_found",
            Exit::Ambiguous => "ambiguous",
            Exit::Conflict => "conflict",
            Exit::Quota => "quota",
            Exit::Partly => "partly",
            Exit::TimedOut => "timed_out",
            Exit::Unreachable => "unreachable",
            Exit::Unconfirmed => "unconfirmed",
            Exit::EndedInError => "ended_in_error",
            Exit::NotAllowed => "not_allowed",
            Exit::Interrupted => "interrupted",
        }
    }

    /// What a refusal of the server means. Cinder says 400 both for a malformed request and for a wrong status;
    /// only its sentence tells the two apart.
    pub(crate) fn of_answer(code: u16, message: &str) -> Self {
        match code {
            400 if speaks_of_status(message) => Exit::Conflict,
            401 | 403 => Exit::NotAllowed,
            404 => Exit::NotFound,
            409 | 412 => Exit::Conflict,
            413 | 507 => Exit::Quota,
            _ => Exit::Failed,
        }
    }
}

fn speaks_of_status(message: &str) -> bool {
    let message = message.to_lowercase();
    [
        "invalid volume:",
        "invalid snapshot:",
        "invalid attachment",
        "status",
        "attached",
    ]
    .iter()
    .any(|word| message.contains(word))
}

/// A command that did not end well.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// The kind of end.
    pub(crate) exit: Exit,
    what: String,
    why: String,
    hint: Option<String>,
    code: Option<u16>,
    request_id: Option<String>,
    /// Whether it is known that nothing was changed.
    is_unchanged: bool,
    more: Option<Box<More>>,
}

/// What few failures have.
#[derive(Debug, Clone, Default, PartialEq)]
struct More {
    would: Option<String>,
    parts: Vec<Failure>,
    done: Vec<Value>,
}

impl Failure {
    /// What failed and why.
    pub(crate) fn new(exit: Exit, what: &str, why: &str) -> Self {
        Self {
            exit,
            what: what.to_owned(),
            why: why.to_owned(),
            hint: None,
            code: None,
            request_id: None,
            is_unchanged: false,
            more: None,
        }
    }

    /// What would have been asked of the server; nothing was, and nothing failed.
    pub(crate) fn would(call: &str) -> Self {
        let more = More {
            would: Some(call.to_owned()),
            ..More::default()
        };
        Self {
            more: Some(Box::new(more)),
            ..Self::new(Exit::Done, "nothing was changed", "this was a dry run")
        }
    }

    /// Several objects, some of which failed.
    pub(crate) fn several(exit: Exit, why: &str, parts: Vec<Failure>, done: Vec<Value>) -> Self {
        let more = More {
            would: None,
            parts,
            done,
        };
        Self {
            more: Some(Box::new(more)),
            ..Self::new(exit, "not all was done", why)
        }
    }

    /// The call that a dry run did not send.
    pub(crate) fn call(&self) -> Option<&str> {
        self.more.as_ref()?.would.as_deref()
    }

    /// What came of the objects that did not fail.
    pub(crate) fn done(&self) -> &[Value] {
        self.more.as_ref().map_or(&[], |more| &more.done)
    }

    /// The failures of single objects.
    fn parts(&self) -> &[Failure] {
        self.more.as_ref().map_or(&[], |more| &more.parts)
    }

    /// The same, and nothing was changed.
    pub(crate) fn unchanged(self) -> Self {
        Self {
            is_unchanged: true,
            ..self
        }
    }

    /// The same as JSON, for programs.
    pub(crate) fn json(&self) -> Value {
        let mut error = json!({
            "code": self.exit.word(),
            "exit": self.exit as u8,
            "message": harmless(&format!("{}: {}", self.what, self.why)),
            "hint": self.hint.as_deref().map(harmless),
            "unchanged": self.is_unchanged,
            "status": self.code,
            "request_id": self.request_id,
        });
        if !self.parts().is_empty() {
            error["parts"] = self
                .parts()
                .iter()
                .map(|part| part.json()["error"].clone())
                .collect();
        }
        json!({"error": error})
    }

    /// Nothing to say and no failure: the reader of the output has gone.
    pub(crate) fn quiet() -> Self {
        Self::new(Exit::Done, "", "")
    }

    /// A command line that makes no sense.
    pub(crate) fn usage(why: &str, hint: &str) -> Self {
        Self::new(Exit::Usage, "the command was not understood", why).hint(hint)
    }

    /// The same with what to do about it.
    pub(crate) fn hint(self, hint: &str) -> Self {
        Self {
            hint: Some(hint.to_owned()),
            ..self
        }
    }

    /// The same with the HTTP status that the server gave.
    pub(crate) fn code(self, code: u16) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// The HTTP status that the server gave.
    pub(crate) fn status(&self) -> Option<u16> {
        self.code
    }

    /// The same with the id that the server's log knows this request by.
    pub(crate) fn request(self, request_id: Option<String>) -> Self {
        Self { request_id, ..self }
    }

    /// The same failure, told of what was being attempted.
    pub(crate) fn of(self, what: &str) -> Self {
        // Where the daemon was looked for must not be lost.
        let why = if self.exit == Exit::Unreachable {
            format!("{}: {}", self.what, self.why)
        } else {
            self.why
        };
        Self {
            what: what.to_owned(),
            why,
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.parts() {
            writeln!(f, "{part}")?;
        }
        // Names and messages come from others: nothing in them may move the cursor or colour the screen.
        write!(
            f,
            "ashlar: {}: {}",
            harmless(&self.what),
            harmless(&self.why)
        )?;
        match (&self.hint, self.is_unchanged) {
            (Some(hint), true) => write!(f, "\n  nothing was changed; {}", harmless(hint))?,
            (Some(hint), false) => write!(f, "\n  {}", harmless(hint))?,
            (None, true) => write!(f, "\n  nothing was changed")?,
            (None, false) => {}
        }
        if let Some(code) = self.code {
            write!(f, "\n  answer {code}")?;
        }
        if let Some(id) = &self.request_id {
            let before = if self.code.is_some() { ", " } else { "\n  " };
            write!(f, "{before}request {}", harmless(id))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_becomes_the_exit_code_that_scripts_test_for() {
        let state = "Invalid volume: Volume status must be available or error, but is in-use.";
        for (code, message, exit) in [
            (400, state, Exit::Conflict),
            (
                400,
                "Invalid input: size must be a positive integer",
                Exit::Failed,
            ),
            (401, "", Exit::NotAllowed),
            (403, "", Exit::NotAllowed),
            (404, "", Exit::NotFound),
            (409, "", Exit::Conflict),
            (413, "", Exit::Quota),
            (500, "", Exit::Failed),
            (503, "", Exit::Failed),
        ] {
            assert_eq!(Exit::of_answer(code, message), exit, "{code} {message}");
        }
    }

    #[test]
    fn the_text_says_what_why_what_to_do_and_the_id_and_holds_no_control_characters() {
        let failure = Failure::new(Exit::Conflict, "deleting \u{1b}[31mdb", "it has a snapshot")
            .hint("delete the snapshot first")
            .code(400)
            .request(Some("req-1".to_owned()));
        assert_eq!(
            failure.to_string(),
            "ashlar: deleting [31mdb: it has a snapshot\n  delete the snapshot first\n  answer 400, request req-1"
        );
    }
}
