//! The loop: takes the terminal, draws, then begins to ask; ends only when its user ends it.

use std::io::IsTerminal as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::clock::{self, Ms};
use super::edge::{Edge, Http, Threads};
use super::event::{Effect, Event};
use super::state::{Settings, State};
use super::terminal::{self, Terminal};
use super::theme::{Glyphs, Theme};
use super::update::{begin, update};
use super::view::view;
use crate::failure::{Exit, Failure};

pub(crate) use super::edge::Place;

/// Keys and answers that wait for the loop; more make their senders wait.
const EVENTS_MAX: usize = 1024;
/// So many events at once are one frame.
const FRAME_EVENTS_MAX: usize = 256;
/// Events of the daemon are drawn so often at most; a key is drawn at once.
const FRAME_MS: Ms = 100;

/// What was asked for on the command line.
pub(crate) struct Wish {
    /// Where the daemon is.
    pub(crate) place: Place,
    /// The endpoint, for people.
    pub(crate) endpoint: String,
    /// Nothing may be changed.
    pub(crate) is_read_only: bool,
    /// Only ASCII is drawn.
    pub(crate) is_ascii: bool,
}

/// Opens the console and stays until its user leaves.
pub(crate) fn open(wish: Wish) -> Result<(), Failure> {
    let term = std::env::var_os("TERM").unwrap_or_default();
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !is_terminal || term.is_empty() || term == "dumb" {
        let why = "the console needs a terminal";
        return Err(Failure::usage(
            why,
            "every verb of it is on the command line: `ashlar --help`",
        ));
    }
    let theme = theme(wish.is_ascii);
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, what, &error.to_string())
    };
    let settings = Settings {
        endpoint: super::text::clean(&wish.endpoint),
        is_read_only: wish.is_read_only,
    };
    let mut state = State::new(settings, Terminal::size(), clock::now());
    give_back_on_panic();
    let mut terminal =
        Terminal::enter().map_err(|error| failed("taking the terminal over", &error))?;
    // The first frame comes before the first byte from the network (law 10).
    terminal
        .draw(view(&state, &theme))
        .map_err(|error| failed("drawing", &error))?;
    let (events, inbox) = sync_channel(EVENTS_MAX);
    listen(&events).map_err(|error| failed("listening to the terminal", &error))?;
    let http = Http::new(wish.place).map_err(|error| failed("starting the HTTP client", &error))?;
    let mut edge = Threads::start(http, events);
    let effects = begin(&state);
    let ended = turn(
        &mut state,
        &theme,
        &mut terminal,
        &mut edge,
        &inbox,
        effects,
    );
    drop(terminal);
    let (live, _) = state.tasks();
    if live > 0 {
        let line =
            format!("{live} operations go on in the daemon; `ashlar operation list` shows them");
        let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("{line}\n").as_bytes());
    }
    ended.map_err(|error| failed("writing to the terminal", &error))
}

fn turn(
    state: &mut State,
    theme: &Theme,
    terminal: &mut Terminal,
    edge: &mut dyn Edge,
    inbox: &Receiver<Event>,
    effects: Vec<Effect>,
) -> std::io::Result<()> {
    let mut wake_at = None;
    let mut drawn_at = 0;
    let mut is_due = false;
    carry_out(effects, terminal, edge, &mut wake_at)?;
    loop {
        let now = clock::now();
        let until = if is_due {
            Some(drawn_at + FRAME_MS)
        } else {
            wake_at
        };
        let wait = until.map_or(60_000, |at: Ms| (at - now).max(0));
        let event =
            match inbox.recv_timeout(Duration::from_millis(u64::try_from(wait).unwrap_or(0))) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => Event::Wake,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
        let mut is_urgent = false;
        let mut is_looked_at = state.is_focused;
        let mut next = Some(event);
        for _ in 0..FRAME_EVENTS_MAX {
            let Some(event) = next.take() else { break };
            // A storm of changes must not hold up a key, nor be drawn one by one.
            is_urgent |= matches!(
                event,
                Event::Key(_)
                    | Event::Paste(_)
                    | Event::Resize(..)
                    | Event::Focus(_)
                    | Event::Wake
                    | Event::Changed(..)
            );
            // Losing the focus is drawn once, so that the window says that it stands still.
            is_looked_at |= matches!(
                event,
                Event::Key(_) | Event::Paste(_) | Event::Resize(..) | Event::Focus(_)
            );
            let effects = update(state, clock::now(), event);
            if effects.contains(&Effect::Quit) {
                return Ok(());
            }
            carry_out(effects, terminal, edge, &mut wake_at)?;
            next = inbox.try_recv().ok();
        }
        if let Some(event) = next {
            // What was taken out of the queue is not lost.
            let effects = update(state, clock::now(), event);
            if effects.contains(&Effect::Quit) {
                return Ok(());
            }
            carry_out(effects, terminal, edge, &mut wake_at)?;
        }
        let now = clock::now();
        is_due = is_looked_at && !is_urgent && now - drawn_at < FRAME_MS;
        if is_looked_at && !is_due {
            terminal.draw(view(state, theme))?;
            drawn_at = now;
        }
    }
}

fn carry_out(
    effects: Vec<Effect>,
    terminal: &mut Terminal,
    edge: &mut dyn Edge,
    wake_at: &mut Option<Ms>,
) -> std::io::Result<()> {
    for effect in effects {
        match effect {
            Effect::WakeAt(at) => *wake_at = Some(at),
            Effect::Copy(text) => terminal.copy(&text)?,
            Effect::Redraw => terminal.forget(),
            Effect::Quit => {}
            effect @ (Effect::Connect { .. } | Effect::Ask(_) | Effect::Change { .. }) => {
                edge.carry_out(effect)
            }
        }
    }
    Ok(())
}

/// Keys and signals, each on a thread of its own.
fn listen(events: &SyncSender<Event>) -> std::io::Result<()> {
    let keys = events.clone();
    std::thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || {
            loop {
                match terminal::read() {
                    Ok(Some(event)) => {
                        if keys.send(event).is_err() {
                            return;
                        }
                    }
                    Ok(None) => {}
                    Err(_) => {
                        // Nobody can type any more.
                        let _ = keys.send(Event::Terminate);
                        return;
                    }
                }
            }
        })?;
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP, SIGINT])?;
    let ends = events.clone();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                if ends.send(Event::Terminate).is_err() {
                    return;
                }
            }
        })?;
    Ok(())
}

/// A panic of the loop gives the terminal back before its words are written.
fn give_back_on_panic() {
    let before = std::panic::take_hook();
    let ours = std::thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        // A worker's panic must not write over the screen; what it was asked stays without answer.
        if std::thread::current().id() == ours {
            terminal::give_back();
            before(info);
        }
    }));
}

/// Glyphs and colours by the environment.
fn theme(is_ascii: bool) -> Theme {
    let variable = |name: &str| {
        std::env::var_os(name)
            .map(|value| value.to_string_lossy().into_owned())
            .filter(|value| !value.is_empty())
    };
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| variable(name))
        .unwrap_or_default()
        .to_lowercase();
    let is_utf8 = locale.contains("utf-8") || locale.contains("utf8");
    let term = variable("TERM").unwrap_or_default();
    let is_poor = term == "linux" || term.starts_with("vt");
    let glyphs = if is_ascii || !is_utf8 || is_poor {
        Glyphs::Ascii
    } else {
        Glyphs::Unicode
    };
    Theme {
        glyphs,
        has_colour: variable("NO_COLOR").is_none() && !term.starts_with("vt"),
    }
}
