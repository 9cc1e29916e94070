//! What comes into the console and what goes out of it: `update` turns one into the other, and nothing else does.

use serde_json::Value;

use super::change::Change;
use super::clock::Ms;
use super::data::Quota;
use super::item::{Item, Kind};
use super::key::Key;

/// Numbers what was asked, so that a late answer finds its question or nobody.
pub(crate) type Ticket = u64;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The window has this many columns and rows.
    Resize(u16, u16),
    /// The terminal got or lost the focus.
    Focus(bool),
    /// A time that was asked for has come.
    Wake,
    /// The event stream.
    Stream(Stream),
    /// An answer.
    Answer(Answer),
    /// A change was made, or refused.
    Changed(Ticket, Change, Result<Value, Trouble>),
    /// The session is being ended from outside.
    Terminate,
}

/// What the event stream says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stream {
    /// It is open; the newest id.
    Hello(u64),
    /// A sign of life.
    Beat,
    /// An object changed.
    Change {
        id: u64,
        kind: String,
        object_id: String,
        is_deleted: bool,
    },
    /// What was missed is no longer kept; it goes on from this id.
    Gap(u64),
    /// The daemon has no event stream (a plain Cinder, or an older ashlard).
    Absent,
    /// It ended.
    Lost(Trouble),
}

/// Who the console is for the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Whoami {
    pub(crate) user: String,
    pub(crate) project: String,
    pub(crate) role: String,
    pub(crate) version: String,
}

/// What would happen, as the daemon reckons it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    pub(crate) hash: String,
    pub(crate) is_blocked: bool,
    pub(crate) blocks: Vec<String>,
    pub(crate) lost: Vec<String>,
    pub(crate) breaks: Vec<String>,
    pub(crate) keeps: Vec<String>,
    pub(crate) frees_bytes: Option<u64>,
    pub(crate) level: String,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Who the console is.
    Whoami(Result<Whoami, Trouble>),
    /// Rows of a listing; `is_last` ends it.
    Page {
        kind: Kind,
        items: Vec<Item>,
        is_first: bool,
        is_last: bool,
    },
    /// A listing failed.
    NoPage(Kind, Trouble),
    /// One object, `None` when there is none.
    One(Kind, String, Result<Option<Item>, Trouble>),
    /// One object as the daemon tells it, in lines of YAML.
    Raw(Ticket, Result<Vec<String>, Trouble>),
    /// A plan; `None` when the daemon cannot plan.
    Plan(Ticket, Result<Option<Plan>, Trouble>),
    /// Where a volume would be placed, in words; `None` when the daemon cannot say.
    Placement(Ticket, Result<Option<String>, Trouble>),
    /// The quota of the caller's project.
    Quota(Result<Quota, Trouble>),
}

/// Why something did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The HTTP status; 0 when there was no answer.
    pub(crate) code: u16,
    /// The daemon's or the network's words, cleaned.
    pub(crate) why: String,
    /// The id to quote.
    pub(crate) request_id: String,
    /// How long the daemon asks to wait.
    pub(crate) retry_after_s: Option<u64>,
}

impl Trouble {
    /// No answer at all.
    pub(crate) fn lost(why: &str) -> Self {
        Self {
            code: 0,
            why: super::text::clean(why),
            request_id: String::new(),
            retry_after_s: None,
        }
    }

    /// Whether there was no answer.
    pub(crate) fn is_lost(&self) -> bool {
        self.code == 0
    }
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Open the event stream, from after this id.
    Connect { since: Option<u64> },
    /// Ask something.
    Ask(Ask),
    /// Change something: the only effect that does. The hash is of the plan that was shown.
    Change {
        ticket: Ticket,
        change: Change,
        plan_hash: Option<String>,
    },
    /// Put a text on the terminal's clipboard.
    Copy(String),
    /// Send `Event::Wake` at this time.
    WakeAt(Ms),
    /// Forget what is on the screen and draw everything.
    Redraw,
    /// End.
    Quit,
}

/// A question; none of them changes anything.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ask {
    Whoami,
    /// A whole listing, page by page.
    List(Kind),
    /// One object.
    One(Kind, String),
    /// One object as the daemon tells it.
    Raw(Ticket, Kind, String),
    /// What a change would do.
    Plan(Ticket, Change),
    /// Where a volume would be placed.
    Placement(Ticket, Change),
    Quota,
}
