//! Boxes that list: to pick from, to read, and the drawer of tasks.

use super::super::columns;
use super::super::item::{Item, Kind};
use super::super::layout::{Area, Layout};
use super::super::picker::{Line, Picker, Reading};
use super::super::rules;
use super::super::state::State;
use super::super::text;
use super::super::theme::Tone;
use super::canvas::{Canvas, cells};

/// Where a box of this many lines lies: low, over the list, and not over the hints.
fn place(parts: &Layout, lines: usize) -> Area {
    let width = parts
        .body
        .width
        .max(parts.preview.map_or(0, |area| area.x + area.width));
    let least = parts.top_rows;
    let height = cells(lines + 2)
        .min(parts.strip.saturating_sub(least))
        .max(3);
    let margin = if width > 90 { 6 } else { 0 };
    Area {
        x: margin,
        y: parts.strip.saturating_sub(height).max(least.min(1)),
        width: width - 2 * margin,
        height,
    }
}

/// A list to pick from.
pub(super) fn picker(canvas: &mut Canvas, picker: &Picker, parts: &Layout) {
    let room = usize::from(parts.strip.saturating_sub(parts.top_rows))
        .saturating_sub(3)
        .min(18);
    let area = place(parts, picker.shown.len().clamp(1, room) + 1);
    let inner = canvas.boxed(area, &picker.title);
    canvas.put(inner.x, inner.y, ":", Tone::Head, 1);
    canvas.typed(
        inner.x + 1,
        inner.y,
        &picker.input,
        inner.width.saturating_sub(1),
        true,
    );
    let rows = usize::from(inner.height.saturating_sub(1)).max(1);
    let top = picker.at.saturating_sub(rows - 1);
    let visible = picker.shown.iter().enumerate().skip(top).take(rows);
    for (y, (position, at)) in (inner.y + 1..inner.y + inner.height).zip(visible) {
        let Some(line) = picker.lines.get(*at) else {
            continue;
        };
        let mark = if position == picker.at { ">" } else { " " };
        picker_row(canvas, inner, y, line, mark);
        if position == picker.at {
            canvas.tint(inner.x, y, inner.width, Tone::Cursor);
        }
    }
    if picker.shown.is_empty() {
        canvas.put(
            inner.x + 2,
            inner.y + 1,
            "nothing matches",
            Tone::Off,
            inner.width,
        );
    }
    let keys = if area.width > 60 {
        "Enter runs  Tab completes  Esc  "
    } else {
        ""
    };
    let foot = format!(" {keys}{} of {} ", picker.shown.len(), picker.lines.len());
    let width = cells(foot.len());
    canvas.put(
        (area.x + area.width).saturating_sub(width + 2),
        area.y + area.height - 1,
        &foot,
        Tone::Off,
        width,
    );
}

/// One line to pick: its words, what it is about or why not now, its key.
fn picker_row(canvas: &mut Canvas, inner: Area, y: u16, line: &Line, mark: &str) {
    let label = usize::from(inner.width).min(28);
    canvas.put(
        inner.x,
        y,
        &format!("{mark} {}", text::left(&line.label, label - 2)),
        tone(line.reason.is_some()),
        cells(label),
    );
    let key_width = if inner.width > 60 { 12 } else { 6 };
    let rest = inner.width.saturating_sub(cells(label) + 1);
    let about = match &line.reason {
        Some(why) => format!("not now: {why}"),
        None => line.about.clone(),
    };
    let about_width = rest.saturating_sub(key_width + 1);
    canvas.put(
        inner.x + cells(label) + 1,
        y,
        &about,
        tone(line.reason.is_some()),
        about_width,
    );
    let key = text::right(&line.key, usize::from(key_width));
    canvas.put(
        (inner.x + inner.width).saturating_sub(key_width),
        y,
        &key,
        Tone::Off,
        key_width,
    );
}

fn tone(is_off: bool) -> Tone {
    if is_off { Tone::Off } else { Tone::Plain }
}

/// A text on the whole page.
pub(super) fn reading(canvas: &mut Canvas, reading: &Reading, area: Area) {
    let title = if reading.asked.is_some() {
        format!("{}  loading", reading.title)
    } else {
        reading.title.clone()
    };
    canvas.rule(area, &format!("{title}  Esc goes back"));
    let width = usize::from(area.width.saturating_sub(3));
    let rows = reading
        .lines
        .iter()
        .skip(reading.top)
        .flat_map(|line| wrapped(line, width));
    for (y, line) in (area.y + 1..area.y + area.height).zip(rows) {
        canvas.put(
            area.x + 2,
            y,
            &line,
            Tone::Plain,
            area.width.saturating_sub(2),
        );
    }
}

/// Lines of YAML keep their indent; long ones go on below.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    if text::width(line) <= width {
        vec![line.to_owned()]
    } else {
        text::wrap(line, width)
    }
}

/// What the daemon is doing, over any screen.
pub(super) fn tasks(canvas: &mut Canvas, state: &State, top: usize, parts: &Layout) {
    let mut rows: Vec<&Item> = state.data.of(Kind::Operation).rows().collect();
    rows.sort_by_key(|item| {
        (
            rules::is_over(&item.status),
            std::cmp::Reverse(item.created_at),
        )
    });
    let area = place(parts, rows.len().clamp(1, 14));
    let inner = canvas.boxed(area, "Tasks  7 lists them, T or Esc closes");
    let top = top.min(rows.len().saturating_sub(1));
    if rows.is_empty() {
        canvas.put(
            inner.x,
            inner.y,
            "The daemon has done nothing yet.",
            Tone::Plain,
            inner.width,
        );
    }
    for (y, item) in (inner.y..inner.y + inner.height).zip(rows.iter().skip(top)) {
        let tone = Tone::of_status(&item.status);
        let share = columns::share_done(item)
            .map(|share| format!("{share:>3.0}%"))
            .unwrap_or_else(|| "    ".to_owned());
        let error = item
            .operation()
            .map(|operation| operation.error.clone())
            .unwrap_or_default();
        let line = format!(
            "{} {} {} {share} {error}",
            canvas.theme.glyphs.state(tone),
            text::left(&columns::operation_title(item, &state.data), 36),
            text::left(&item.status, 9)
        );
        canvas.put(inner.x, y, &line, tone, inner.width);
    }
}
