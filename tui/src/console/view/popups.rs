//! Forms: what is asked, what will be, and the command line that does the same; and what dialogs have in common with them.

use super::super::form::{Entry, Form};
use super::super::layout::{Area, Layout};
use super::super::state::State;
use super::super::text;
use super::super::theme::Tone;
use super::canvas::{Canvas, cells};

/// A label, what it says, and how it looks.
pub(super) type Line = (String, String, Tone);

/// Where a box of this many lines lies: in the middle, and not over the hints.
pub(super) fn place(state: &State, parts: &Layout, lines: usize) -> Area {
    let width = state.size.0.min(104);
    let height = cells(lines + 2)
        .min(parts.strip + 1 - parts.top_rows.min(1))
        .max(3);
    let y = (parts.strip + 1).saturating_sub(height) / 2;
    Area {
        x: (state.size.0 - width) / 2,
        y: y.max(parts.top_rows.min(1)),
        width,
        height,
    }
}

/// A form.
pub(super) fn form(canvas: &mut Canvas, state: &State, form: &Form, parts: &Layout) {
    let wrong = form.changes(&state.data).err();
    let below = below(state, form);
    let lines =
        form.fields.len() + usize::from(wrong.is_some() && form.is_edited) + below.len() + 3;
    let inner = {
        let area = place(state, parts, lines);
        canvas.boxed(area, &form.title)
    };
    let last = inner.y + inner.height;
    let mut y = inner.y;
    // A low window shows the fields from the one with the cursor on.
    let skip = form
        .focus
        .min(form.fields.len())
        .saturating_sub(usize::from(inner.height.saturating_sub(4)).max(1) - 1);
    for (at, field) in form.fields.iter().enumerate().skip(skip) {
        if y + 1 >= last {
            break;
        }
        field_row(canvas, inner, y, field, at == form.focus);
        y += 1;
        let fault = wrong
            .as_ref()
            .filter(|(label, _)| *label == field.label && form.is_edited);
        if let Some((_, why)) = fault.filter(|_| y + 1 < last) {
            canvas.put(
                inner.x + 13,
                y,
                &format!("! {why}"),
                Tone::Warn,
                inner.width.saturating_sub(13),
            );
            y += 1;
        }
    }
    for (label, row, tone) in below {
        if y + 1 >= last {
            break;
        }
        canvas.put(inner.x, y, &label, Tone::Head, 12);
        canvas.put(inner.x + 12, y, &row, tone, inner.width.saturating_sub(12));
        y += 1;
    }
    let go = match (&wrong, form.waiting.is_empty(), state.cannot_change()) {
        (_, false, _) => "( sent... )".to_owned(),
        (_, _, Some(_)) => "( not now )".to_owned(),
        (Some((label, _)), ..) => format!("( {label}? )"),
        (None, true, None) => "[ Do it ^S ]".to_owned(),
    };
    buttons(
        canvas,
        inner,
        &go,
        form.focus == form.fields.len(),
        form.focus == form.fields.len() + 1,
    );
}

/// What stands under the fields: what will be, the command line, what the daemon said.
fn below(state: &State, form: &Form) -> Vec<Line> {
    let command = form.changes(&state.data).map(|changes| {
        changes
            .iter()
            .map(super::super::change::Change::command)
            .collect::<Vec<_>>()
    });
    let width = usize::from(state.size.0.min(104)).saturating_sub(16);
    let mut below: Vec<Line> = Vec::new();
    let told = |label: &str, texts: &[String]| -> Vec<Line> {
        let rows = texts.iter().flat_map(|line| text::wrap(line, width));
        rows.enumerate()
            .map(|(at, row)| {
                (
                    if at == 0 {
                        label.to_owned()
                    } else {
                        String::new()
                    },
                    row,
                    Tone::Plain,
                )
            })
            .collect()
    };
    below.extend(told("AFTER", &form.after(&state.data)));
    if let Ok(commands) = &command {
        below.extend(told(
            "COMMAND",
            commands.get(..commands.len().min(3)).unwrap_or_default(),
        ));
    }
    if let Some(refused) = &form.refused {
        below.extend(
            told("X", std::slice::from_ref(refused))
                .into_iter()
                .map(|(label, row, _)| (label, row, Tone::Bad)),
        );
    }
    below
}

fn field_row(
    canvas: &mut Canvas,
    inner: Area,
    y: u16,
    field: &super::super::form::Field,
    has_focus: bool,
) {
    let tone = if has_focus { Tone::Head } else { Tone::Plain };
    canvas.put(inner.x, y, field.label, tone, 12);
    let room = inner.width.saturating_sub(13);
    let box_width = room.min(40);
    match &field.entry {
        Entry::Text(input) => {
            canvas.put(inner.x + 12, y, "[", tone, 1);
            canvas.typed(
                inner.x + 13,
                y,
                input,
                box_width.saturating_sub(2),
                has_focus,
            );
            canvas.put(inner.x + 11 + box_width, y, "]", tone, 1);
        }
        Entry::Choice(options, at) => {
            let chosen = options.get(*at).map_or("", String::as_str);
            let shown = format!(
                "< {} >",
                text::cut(chosen, usize::from(box_width.saturating_sub(4)))
            );
            canvas.put(
                inner.x + 12,
                y,
                &shown,
                if has_focus { Tone::Cursor } else { Tone::Plain },
                box_width,
            );
        }
    }
    if room > box_width + 3 {
        canvas.put(
            inner.x + 14 + box_width,
            y,
            field.note,
            Tone::Off,
            room - box_width - 2,
        );
    }
}

/// Cancel and the button, on the last row.
pub(super) fn buttons(canvas: &mut Canvas, inner: Area, go: &str, on_cancel: bool, on_go: bool) {
    let y = inner.y + inner.height.saturating_sub(1);
    let cancel = "[ Cancel Esc ]";
    let width = cells(text::width(go) + cancel.len() + 2);
    let x = (inner.x + inner.width).saturating_sub(width).max(inner.x);
    let look = |is_on: bool| if is_on { Tone::Cursor } else { Tone::Plain };
    canvas.put(x, y, cancel, look(on_cancel), inner.width);
    canvas.put(
        x + cells(cancel.len()) + 2,
        y,
        go,
        look(on_go),
        inner.width.saturating_sub(cells(cancel.len()) + 2),
    );
}
