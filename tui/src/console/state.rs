//! The whole state of the console: a value, without a handle to anything.

use std::collections::{BTreeSet, VecDeque};

use super::clock::{Ms, SECOND};
use super::data::Data;
use super::dialog::Dialog;
use super::event::{Effect, Ticket, Trouble, Whoami};
use super::form::Form;
use super::input::Input;
use super::item::{Item, Kind};
use super::keymap::Screen;
use super::list::List;
use super::picker::{Picker, Reading};
use super::theme::Tone;

/// How many messages are kept.
const MESSAGES_MAX: usize = 500;
/// How many views one can go back.
const HISTORY_MAX: usize = 50;
/// How long a flash stays.
const FLASH_MS: Ms = 15 * SECOND;

/// What does not change while the console runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    /// The endpoint, for people.
    pub(crate) endpoint: String,
    /// Whether it begins read-only.
    pub(crate) is_read_only: bool,
}

/// The state of the link to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not yet an answer.
    Connecting,
    /// By the event stream.
    Live,
    /// By asking again and again: the daemon has no event stream.
    Polling,
    /// No answer since then.
    Down {
        since: Ms,
        tries: u32,
        next_at: Ms,
        why: String,
    },
    /// The daemon does not let us in: why.
    Denied(String),
}

/// The link to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its state.
    pub(crate) phase: Phase,
    /// When the daemon was last heard.
    pub(crate) heard_at: Option<Ms>,
    /// The last event seen.
    pub(crate) event_id: Option<u64>,
    /// How often connecting failed in a row.
    pub(crate) tries: u32,
    /// Whether a connect is under way.
    pub(crate) is_connecting: bool,
    /// When to ask again, when polling.
    pub(crate) poll_at: Option<Ms>,
}

/// What lies over the view.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Overlay {
    Picker(Picker),
    Form(Box<Form>),
    Dialog(Box<Dialog>),
    Reading(Reading),
    /// Everything about one object.
    Detail {
        kind: Kind,
        id: String,
        top: usize,
    },
    /// What the daemon is doing.
    Tasks {
        top: usize,
    },
}

/// A line that tells how the last act went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flash {
    /// What it says.
    pub(crate) text: String,
    /// How it looks.
    pub(crate) tone: Tone,
    /// Until when it stays.
    pub(crate) until: Ms,
}

/// What is being asked, so that nothing is asked twice at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Fetches {
    /// Listings under way.
    pub(crate) listing: BTreeSet<Kind>,
    /// Listings to be made again when the one under way ends.
    pub(crate) again: BTreeSet<Kind>,
    /// Objects being asked for.
    pub(crate) one: BTreeSet<(Kind, String)>,
    /// Objects that changed since they were last asked for.
    pub(crate) dirty: BTreeSet<(Kind, String)>,
    /// Whether something changed that counts against the quota since that was asked for.
    pub(crate) is_quota_old: bool,
    /// When to ask for them.
    pub(crate) dirty_at: Option<Ms>,
}

/// The state.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// What does not change.
    pub(crate) settings: Settings,
    /// Columns and rows.
    pub(crate) size: (u16, u16),
    /// The time of the last event.
    pub(crate) now: Ms,
    /// Who the console is for the daemon.
    pub(crate) whoami: Option<Whoami>,
    /// The link.
    pub(crate) link: Link,
    /// The objects.
    pub(crate) data: Data,
    /// What is being asked.
    pub(crate) fetches: Fetches,
    /// The screen.
    pub(crate) screen: Screen,
    /// Screens before and after.
    pub(crate) before: Vec<Screen>,
    pub(crate) after: Vec<Screen>,
    /// A list a kind.
    pub(crate) lists: Vec<List>,
    /// The cursor on the dashboard.
    pub(crate) dash_at: usize,
    /// What lies over the view, topmost last.
    pub(crate) overlays: Vec<Overlay>,
    /// The filter being typed, with what it was before.
    pub(crate) typing: Option<(Input, String)>,
    /// The last word on the last act.
    pub(crate) flash: Option<Flash>,
    /// Every flash, oldest first.
    pub(crate) messages: VecDeque<(Ms, String)>,
    /// When a key came last.
    pub(crate) key_at: Ms,
    /// Whether nothing may be changed.
    pub(crate) is_read_only: bool,
    /// Whether the preview is shown.
    pub(crate) has_preview: bool,
    /// Whether the terminal has the focus.
    pub(crate) is_focused: bool,
    /// When the placement or detail under the cursor is to be asked for.
    pub(crate) rest_at: Option<Ms>,
    /// Whether a first ^C was refused because a form is unsent.
    pub(crate) is_quit_asked: bool,
    /// The form that was left unsent, to be taken up again.
    pub(crate) draft: Option<Box<Form>>,
    /// The next ticket.
    pub(crate) next_ticket: Ticket,
    /// Whether the console is to end.
    pub(crate) is_over: bool,
}

impl State {
    /// Before anything happened.
    pub(crate) fn new(settings: Settings, size: (u16, u16), now: Ms) -> Self {
        Self {
            is_read_only: settings.is_read_only,
            settings,
            size,
            now,
            whoami: None,
            link: Link {
                phase: Phase::Connecting,
                heard_at: None,
                event_id: None,
                tries: 0,
                is_connecting: true,
                poll_at: None,
            },
            data: Data::default(),
            fetches: Fetches::default(),
            screen: Screen::Dash,
            before: Vec::new(),
            after: Vec::new(),
            lists: Kind::ALL.iter().map(|kind| List::new(*kind)).collect(),
            dash_at: 0,
            overlays: Vec::new(),
            typing: None,
            flash: None,
            messages: VecDeque::new(),
            key_at: now - FLASH_MS,
            has_preview: true,
            is_focused: true,
            rest_at: None,
            is_quit_asked: false,
            draft: None,
            next_ticket: 1,
            is_over: false,
        }
    }

    /// The list of the screen.
    pub(crate) fn list(&self) -> Option<&List> {
        self.lists.get(self.screen.kind()?.index())
    }

    /// The same, to be changed, with the data beside it.
    pub(crate) fn list_mut(&mut self) -> Option<(&mut List, &mut Data)> {
        let kind = self.screen.kind()?;
        Some((self.lists.get_mut(kind.index())?, &mut self.data))
    }

    /// Puts something over the view; one of each sort at most, so that Esc soon leads to the root.
    pub(crate) fn cover(&mut self, overlay: Overlay) {
        let sort = std::mem::discriminant(&overlay);
        self.overlays
            .retain(|other| std::mem::discriminant(other) != sort);
        self.overlays.push(overlay);
    }

    /// The caller's own project, once it is known.
    pub(crate) fn project(&self) -> String {
        self.whoami
            .as_ref()
            .map(|who| who.project.clone())
            .unwrap_or_default()
    }

    /// The live object under the cursor.
    pub(crate) fn under_cursor(&self) -> Option<(Kind, &Item)> {
        let list = self.list()?;
        let item = self.data.get(list.kind, list.cursor.as_deref()?)?;
        Some((list.kind, item))
    }

    /// A new ticket.
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket - 1
    }

    /// Tells how the last act went, and keeps it.
    pub(crate) fn say(&mut self, text: &str, tone: Tone) {
        self.flash = Some(Flash {
            text: text.to_owned(),
            tone,
            until: self.now + FLASH_MS,
        });
        self.messages.push_back((self.now, text.to_owned()));
        while self.messages.len() > MESSAGES_MAX {
            self.messages.pop_front();
        }
    }

    /// Tells of a refusal: what, why, what is unchanged, the id to quote.
    pub(crate) fn refuse(&mut self, what: &str, trouble: &Trouble) {
        self.say(&refusal(what, trouble), Tone::Bad);
    }

    /// Goes to a screen.
    pub(crate) fn go(&mut self, screen: Screen) {
        if screen == Screen::Dash {
            // The root: from here on, back is out.
            self.before.clear();
            self.after.clear();
            self.screen = screen;
        } else if screen != self.screen {
            self.before.push(self.screen);
            if self.before.len() > HISTORY_MAX {
                self.before.remove(0);
            }
            self.after.clear();
            self.screen = screen;
        }
    }

    /// Whether what is shown may be old.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self.link.phase, Phase::Down { .. } | Phase::Denied(_))
    }

    /// Whether the quota is on the screen.
    pub(crate) fn shows_quota(&self) -> bool {
        let has_form = self
            .overlays
            .iter()
            .any(|overlay| matches!(overlay, Overlay::Form(_)));
        self.screen == Screen::Quotas || has_form
    }

    /// Whether nothing may be changed: this console was told so, or the caller's role is to read.
    pub(crate) fn only_reads(&self) -> bool {
        self.is_read_only || self.is_reader()
    }

    fn is_reader(&self) -> bool {
        self.whoami.as_ref().is_some_and(|who| who.role == "reader")
    }

    /// Why nothing can be changed at present, if so.
    pub(crate) fn cannot_change(&self) -> Option<String> {
        if self.is_read_only {
            return Some("this console is read-only: ^R lifts it".to_owned());
        }
        if self.is_reader() {
            return Some("your role is reader: it changes nothing".to_owned());
        }
        match &self.link.phase {
            Phase::Live | Phase::Polling => None,
            Phase::Connecting => Some("not sent: no answer from the daemon yet".to_owned()),
            Phase::Denied(why) => Some(format!("not sent: {why}")),
            Phase::Down { since, .. } => Some(format!(
                "not sent: no link for {}",
                super::clock::span(self.now - since)
            )),
        }
    }

    /// How many operations have not ended, and how many ended badly.
    pub(crate) fn tasks(&self) -> (usize, usize) {
        let rows = || self.data.of(Kind::Operation).rows();
        let live = rows()
            .filter(|item| !super::rules::is_over(&item.status))
            .count();
        let failed = rows().filter(|item| item.status == "failed").count();
        (live, failed)
    }

    /// When the loop must wake the console, if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Ms> {
        let mut times: Vec<Ms> = Vec::new();
        times.extend(self.flash.as_ref().map(|flash| flash.until));
        times.extend(self.fetches.dirty_at);
        times.extend(self.rest_at);
        times.extend(self.link.poll_at);
        times.extend(self.form_ask_at());
        match &self.link.phase {
            Phase::Down { next_at, .. } => times.push((*next_at).min(self.now + SECOND)),
            Phase::Live => {
                times.extend(self.link.heard_at.map(|at| at + super::update::SILENCE_MS))
            }
            Phase::Connecting | Phase::Polling | Phase::Denied(_) => {}
        }
        let is_old = self.list().is_some_and(|list| list.is_old(&self.data));
        if is_old {
            times.push(self.key_at + super::update::FROZEN_MS);
        }
        // Ages change their words on the minute; nothing is written when none did.
        times.push((self.now / 60_000 + 1) * 60_000);
        times.into_iter().min()
    }

    fn form_ask_at(&self) -> Option<Ms> {
        self.overlays.iter().find_map(|overlay| {
            if let Overlay::Form(form) = overlay {
                form.ask_at
            } else {
                None
            }
        })
    }
}

/// What failed, on what, why, what is unchanged, and the id to quote.
pub(crate) fn refusal(what: &str, trouble: &Trouble) -> String {
    let why = if trouble.why.is_empty() {
        "the daemon gave no reason"
    } else {
        trouble.why.as_str()
    };
    let next = match trouble.code {
        0 => " It may or may not have arrived: look before doing it again.",
        401 => " Nothing was changed. A new token is needed: ASHLAR_TOKEN or --token-file.",
        403 => " Nothing was changed. Your role does not allow it.",
        404 => " It is gone.",
        409 => " Nothing was changed.",
        412 => " Nothing was changed: look again, something is different now.",
        413 => " Nothing was changed: 0 shows the quota.",
        429 | 503 => " Nothing was changed: try again in a while.",
        _ => "",
    };
    let why = why.trim_end_matches('.');
    let mut text = format!("{what} failed: {why}.{next}");
    if let Some(retry_after_s) = trouble.retry_after_s {
        text.push_str(&format!(" Asked to wait {retry_after_s} s."));
    }
    if !trouble.request_id.is_empty() {
        text.push_str(&format!(" {}", trouble.request_id));
    }
    text
}

/// Effects in the making.
pub(crate) type Effects = Vec<Effect>;
