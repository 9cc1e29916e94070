//! The frame: who, where, the link, the screens, the title of the view, tasks and flashes, hints.

use super::super::clock::{self};
use super::super::columns;
use super::super::data::{Loaded, OPERATIONS_MAX};
use super::super::item::Kind;
use super::super::keymap::{self, Screen};
use super::super::layout::{Frame, Layout};
use super::super::list::List;
use super::super::rules;
use super::super::state::{Phase, State};
use super::super::text;
use super::super::theme::Tone;
use super::super::units;
use super::canvas::{Canvas, cells};

/// A window with room for one line.
pub(super) fn one_line(canvas: &mut Canvas, state: &State) {
    let (word, tone) = link(state);
    let x = canvas.put(0, 0, &format!("{} ", word), tone, state.size.0);
    canvas.put(
        x,
        0,
        &format!("{} {}", state.screen.title(), counted(state)),
        Tone::Plain,
        state.size.0,
    );
}

/// The rows on top.
pub(super) fn top(canvas: &mut Canvas, state: &State, parts: &Layout) {
    match parts.frame {
        Frame::Whole => {
            identity(canvas, state);
            screens(canvas, state);
            let x = canvas.put(1, 2, state.screen.title(), Tone::Head, state.size.0);
            canvas.put(
                x,
                2,
                &title(state),
                Tone::Plain,
                state.size.0.saturating_sub(x),
            );
        }
        Frame::Line | Frame::Small | Frame::Medium => {
            let mode = if state.only_reads() { "RO" } else { "RW" };
            let x = canvas.put(1, 0, &format!("ashlar {mode} "), Tone::Head, state.size.0);
            let x = canvas.put(
                x,
                0,
                &format!("[{}]", state.screen.title()),
                Tone::Plain,
                state.size.0,
            );
            let x = canvas.put(
                x,
                0,
                &title(state),
                Tone::Plain,
                state.size.0.saturating_sub(x),
            );
            let (word, tone) = link(state);
            let room = usize::from(state.size.0.saturating_sub(x));
            if text::width(&word) + 2 < room {
                canvas.put_right(0, &word, tone);
            } else {
                canvas.put_right(
                    0,
                    &format!(" {}", word.split(' ').next().unwrap_or_default()),
                    tone,
                );
            }
        }
    }
}

fn identity(canvas: &mut Canvas, state: &State) {
    let mode = if state.only_reads() { "RO" } else { "RW" };
    let (user, project) = match &state.whoami {
        Some(who) => (who.user.as_str(), who.project.as_str()),
        None => ("?", "?"),
    };
    let width = state.size.0;
    let x = canvas.put(1, 0, "ashlar", Tone::Head, width);
    let x = canvas.put(
        x + 2,
        0,
        mode,
        if state.only_reads() {
            Tone::Warn
        } else {
            Tone::Plain
        },
        width,
    );
    let project: String = project.chars().take(16).collect();
    let endpoint = text::cut(&state.settings.endpoint, usize::from(width / 3));
    let x = canvas.put(
        x + 2,
        0,
        &format!("project:{project}  {}@{endpoint}", text::cut(user, 16)),
        Tone::Plain,
        width,
    );
    let (word, tone) = link(state);
    let (live, failed) = state.tasks();
    let problems = super::super::attention::items(state).len();
    let stale = state.is_stale() || state.link.phase == Phase::Connecting;
    let right = match stale {
        true => "tasks ?   ! ?".to_owned(),
        false if failed > 0 => format!("tasks {live} ({failed} FAIL)   ! {problems}"),
        false => format!("tasks {live}   ! {problems}"),
    };
    let room = usize::from(width.saturating_sub(x + 4)).saturating_sub(text::width(&right));
    canvas.put(x + 2, 0, &text::cut(&word, room), tone, width);
    canvas.put_right(
        0,
        &right,
        if failed > 0 && !stale {
            Tone::Bad
        } else {
            Tone::Plain
        },
    );
}

/// The state of the link in words.
fn link(state: &State) -> (String, Tone) {
    match &state.link.phase {
        // Nothing is drawn until the focus is back: what stands here may be old.
        Phase::Live | Phase::Polling if !state.is_focused => ("PAUSED".to_owned(), Tone::Warn),
        Phase::Connecting => ("connecting".to_owned(), Tone::Busy),
        Phase::Live => ("LIVE".to_owned(), Tone::Plain),
        Phase::Polling => ("POLLING, no event stream".to_owned(), Tone::Plain),
        Phase::Denied(why) => (format!("DENIED {why}"), Tone::Bad),
        Phase::Down {
            since,
            tries,
            next_at,
            ..
        } => {
            let since_s = (state.now - since).max(0) / 1000;
            let next_s = (next_at - state.now).max(0) / 1000;
            let next = if state.link.is_connecting {
                "now".to_owned()
            } else {
                format!("in {next_s}s")
            };
            (
                format!("DOWN {since_s}s, try {} {next} (r now)", tries + 1),
                Tone::Bad,
            )
        }
    }
}

fn screens(canvas: &mut Canvas, state: &State) {
    let mut x = 1;
    for (screen, digit, _, short) in Screen::ALL {
        let (label, tone) = match *screen == state.screen {
            true => (format!("[{digit} {short}]"), Tone::Head),
            false => (format!(" {digit} {short} "), Tone::Plain),
        };
        x = canvas.put(x, 1, &label, tone, state.size.0);
    }
}

/// How many are shown, and of how many.
fn counted(state: &State) -> String {
    let Some(list) = state.list() else {
        return String::new();
    };
    let table = state.data.of(list.kind);
    if table.loaded == Loaded::Never
        || (matches!(table.loaded, Loaded::Refused(_)) && table.count() == 0)
    {
        return "?".to_owned();
    }
    let (shown, all) = (list.order().len(), table.count());
    let group = |count: usize| units::grouped(u64::try_from(count).unwrap_or(u64::MAX));
    if list.filter.is_empty() && !list.only_problems || shown > all {
        let is_cut = list.kind == Kind::Operation && all >= OPERATIONS_MAX;
        let word = if is_cut { "the newest " } else { "" };
        format!("{word}{}", group(all))
    } else {
        format!("{} of {}", group(shown), group(all))
    }
}

/// The title of the view: counts, filter, sort, marks, how fresh.
fn title(state: &State) -> String {
    let mut parts = vec![counted(state)];
    if let Some(list) = state.list() {
        parts.extend(list_words(state, list));
    }
    if let Phase::Down { since, why, .. } = &state.link.phase {
        parts.push(format!(
            "DATA FROM {}, {} old  {why}",
            clock::time_of_day(*since),
            clock::span((state.now - since) / 1000 * 1000)
        ));
    }
    let words: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!(" {}", words.join("  "))
}

fn list_words(state: &State, list: &List) -> Vec<String> {
    let mut words = Vec::new();
    if let Some((input, _)) = &state.typing {
        words.push(format!("/{}_", text::clean(&input.text())));
    } else if !list.filter.is_empty() {
        words.push(format!("/{}", text::clean(&list.filter)));
    }
    if let Some(fault) = &list.fault {
        words.push(format!("? {fault}"));
    } else if list.is_fuzzy {
        words.push("(nothing has it as it stands: by letters)".to_owned());
    }
    if list.only_problems {
        words.push("! only problems".to_owned());
    }
    if list.sort != List::new(list.kind).sort {
        let head = columns::of(list.kind)
            .get(list.sort.0)
            .map_or("", |column| column.head);
        words.push(format!("sort {head}"));
    }
    if !list.marks.is_empty() {
        let sizes = list
            .marks
            .iter()
            .filter_map(|id| state.data.get(list.kind, id)?.size_gib);
        let sum: u64 = sizes.sum();
        let sum = if sum > 0 {
            format!(" ({})", units::gib(sum))
        } else {
            String::new()
        };
        words.push(format!("marked {}{sum}", list.marks.len()));
    }
    if list.range_from.is_some() {
        words.push("range: v marks to here".to_owned());
    }
    if state.data.of(list.kind).loaded == super::super::data::Loaded::Coming {
        words.push("loading".to_owned());
    }
    words
}

/// The row of what was said last, or of what the daemon is doing.
pub(super) fn strip(canvas: &mut Canvas, state: &State, parts: &Layout) {
    let width = state.size.0;
    if let Some(flash) = &state.flash {
        let mark = canvas.theme.glyphs.state(flash.tone);
        let lines = text::wrap(&flash.text, usize::from(width.saturating_sub(4)));
        // A long word on a failure takes rows from the view rather than being cut.
        let count = cells(lines.len())
            .min(parts.strip.saturating_sub(parts.top_rows))
            .max(1);
        for (at, line) in (0..count).zip(&lines) {
            let y = parts.strip + 1 + at - count;
            canvas.put(0, y, &" ".repeat(usize::from(width)), Tone::Plain, width);
            if at == 0 && flash.tone != Tone::Plain {
                canvas.put(1, y, mark, flash.tone, 2);
            }
            canvas.put(3, y, line, flash.tone, width.saturating_sub(4));
        }
        return;
    }
    let live: Vec<_> = state
        .data
        .of(Kind::Operation)
        .rows()
        .filter(|item| !rules::is_over(&item.status))
        .collect();
    if live.is_empty() {
        return;
    }
    let mut x = 1;
    let glyph = canvas.theme.glyphs.state(Tone::Busy);
    for item in live.iter().take(2) {
        let share = columns::share_done(item)
            .map(|share| format!(" {share:.0}%"))
            .unwrap_or_default();
        let line = format!(
            "{glyph} {}{share}   ",
            text::cut(&columns::operation_title(item, &state.data), 40)
        );
        x = canvas.put(x, parts.strip, &line, Tone::Busy, width.saturating_sub(x));
    }
    if live.len() > 2 {
        canvas.put(
            x,
            parts.strip,
            &format!("+{}", live.len() - 2),
            Tone::Busy,
            width.saturating_sub(x),
        );
    }
    if x + 10 < width {
        canvas.put_right(parts.strip, "T tasks", Tone::Off);
    }
}

/// The hints, from the table; what cannot be done now is dim.
pub(super) fn hints(canvas: &mut Canvas, state: &State, parts: &Layout) {
    if parts.hints == 0 {
        return;
    }
    let width = usize::from(state.size.0);
    let rows = usize::from(parts.hints);
    let help = "? help";
    let hints = keymap::hints(state.screen, width * rows - help.len() - 4);
    let (mut x, mut y) = (1, parts.strip + 1);
    for (binding, hint) in hints
        .iter()
        .filter(|(binding, _)| binding.act != keymap::Act::Help)
    {
        let wide = cells(text::width(hint));
        let is_last_row = y + 1 == state.size.1;
        let room = if is_last_row {
            state.size.0.saturating_sub(cells(help.len()) + 3)
        } else {
            state.size.0
        };
        if x + wide > room {
            if is_last_row {
                break;
            }
            x = 1;
            y += 1;
        }
        let is_off = binding.act.is_mutating() && super::super::update::cannot(state, binding.act);
        canvas.put(
            x,
            y,
            hint,
            if is_off { Tone::Off } else { Tone::Plain },
            state.size.0,
        );
        x += wide + 2;
    }
    canvas.put_right(state.size.1 - 1, help, Tone::Plain);
}
