//! Forms and dialogs: what is asked, what will be, and the command line that does the same.

use super::super::dialog::{Dialog, Focus, Outcome, Planned, Target};
use super::super::event::Plan;
use super::super::form::{Entry, Form};
use super::super::layout::{Area, Layout};
use super::super::state::State;
use super::super::text;
use super::super::theme::Tone;
use super::super::units;
use super::canvas::{Canvas, cells};

/// How many objects a dialog tells of one by one.
const TOLD_MAX: usize = 6;

type Line = (String, String, Tone);

fn place(state: &State, parts: &Layout, lines: usize) -> Area {
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
fn buttons(canvas: &mut Canvas, inner: Area, go: &str, on_cancel: bool, on_go: bool) {
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

/// A dialog.
pub(super) fn dialog(canvas: &mut Canvas, state: &State, dialog: &Dialog, parts: &Layout) {
    let width = usize::from(state.size.0.min(104)).saturating_sub(14);
    let lines = told(state, dialog);
    let rows: Vec<Line> = lines
        .into_iter()
        .flat_map(|(label, line, tone)| {
            text::wrap(&line, width)
                .into_iter()
                .enumerate()
                .map(move |(at, row)| {
                    (
                        if at == 0 {
                            label.clone()
                        } else {
                            String::new()
                        },
                        row,
                        tone,
                    )
                })
        })
        .collect();
    let must_type = dialog.must_type();
    let title = match dialog.targets.as_slice() {
        [one] => format!("{} {} {}", dialog.verb, dialog.noun, one.title),
        many => format!("{} {} {}s", dialog.verb, many.len(), dialog.noun),
    };
    let area = place(
        state,
        parts,
        rows.len() + usize::from(must_type.is_some()) + 1,
    );
    let inner = canvas.boxed(area, &title);
    // What is lost is never scrolled out for what is typed: the foot takes two rows, the rest is told.
    let foot = 1 + u16::from(must_type.is_some());
    let room = usize::from(inner.height.saturating_sub(foot));
    for (y, (label, row, tone)) in (inner.y..).zip(rows.iter().take(room)) {
        canvas.put(inner.x, y, label, Tone::Head, 9);
        canvas.put(inner.x + 10, y, row, *tone, inner.width.saturating_sub(10));
    }
    if let Some(word) = must_type {
        let y = inner.y + inner.height.saturating_sub(2);
        let ask = format!(
            "Type  {}  to arm the button: ",
            text::cut(&word, usize::from(inner.width / 2))
        );
        let x = canvas.put(inner.x, y, &ask, Tone::Plain, inner.width);
        canvas.typed(
            x,
            y,
            &dialog.typed,
            (inner.x + inner.width).saturating_sub(x),
            dialog.focus == Focus::Typed,
        );
    }
    let go = match dialog.in_the_way() {
        None => format!("[ {} ]", dialog.verb),
        Some(why) => format!(
            "( {}: {} )",
            dialog.verb,
            text::cut(&why, usize::from(inner.width / 2))
        ),
    };
    buttons(
        canvas,
        inner,
        &go,
        dialog.focus == Focus::Cancel,
        dialog.focus == Focus::Go,
    );
}

/// What a dialog tells of its objects, and of itself.
fn told(state: &State, dialog: &Dialog) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for target in dialog.targets.iter().take(TOLD_MAX) {
        lines.extend(of_target(state, target, dialog.is_light));
    }
    if dialog.targets.len() > TOLD_MAX {
        lines.push((
            String::new(),
            format!("and {} more", dialog.targets.len() - TOLD_MAX),
            Tone::Plain,
        ));
    }
    if dialog.targets.len() > 1 {
        lines.extend(sums(dialog));
    }
    if let Some(cascade) = dialog.cascade {
        let tick = if cascade { "[x]" } else { "[ ]" };
        let tone = if dialog.focus == Focus::Cascade {
            Tone::Cursor
        } else {
            Tone::Plain
        };
        lines.push((
            "ALSO".to_owned(),
            format!("{tick} delete the snapshots too (Space)"),
            tone,
        ));
    }
    let command = dialog
        .targets
        .first()
        .map(|target| target.change.command())
        .unwrap_or_default();
    lines.push(("COMMAND".to_owned(), command, Tone::Off));
    if let Some(notice) = &dialog.notice {
        lines.push(("!".to_owned(), notice.clone(), Tone::Warn));
    }
    lines
}

fn of_target(state: &State, target: &Target, is_light: bool) -> Vec<Line> {
    let known = target
        .change
        .object()
        .and_then(|(kind, id)| state.data.get(kind, id));
    let mut head = target.title.clone();
    if let Some(item) = known {
        head.push_str(&format!("   {}", item.status));
        if let Some(size_gib) = item.size_gib {
            head.push_str(&format!("   {}", units::gib(size_gib)));
        }
        head.push_str(&format!("   id {}", item.short_id()));
    }
    let (note, tone) = match &target.outcome {
        Outcome::Unsent => (String::new(), Tone::Plain),
        Outcome::Sent(_) => ("   sent".to_owned(), Tone::Busy),
        Outcome::Done => ("   accepted".to_owned(), Tone::Plain),
        Outcome::Failed(why) => (format!("   {why}"), Tone::Bad),
    };
    let mut lines = vec![(String::new(), head + &note, tone)];
    match &target.planned {
        _ if is_light => {}
        Planned::Asked(_) => lines.push((
            String::new(),
            "asking the daemon what this would do".to_owned(),
            Tone::Busy,
        )),
        Planned::Failed(why) => lines.push(("X".to_owned(), why.clone(), Tone::Bad)),
        Planned::Known(plan) => lines.extend(of_plan(plan)),
        Planned::Unplanned(plan) => {
            lines.extend(of_plan(plan));
            let word = "this daemon has no plan: this is only what the console sees".to_owned();
            lines.push(("!".to_owned(), word, Tone::Warn));
        }
    }
    lines
}

fn of_plan(plan: &Plan) -> Vec<Line> {
    let parts = [
        ("BLOCKS", &plan.blocks, Tone::Bad),
        ("LOST", &plan.lost, Tone::Warn),
        ("BREAKS", &plan.breaks, Tone::Warn),
        ("KEPT", &plan.keeps, Tone::Plain),
    ];
    let mut lines: Vec<Line> = Vec::new();
    for (label, texts, tone) in parts {
        let told = if texts.is_empty() {
            "nothing".to_owned()
        } else {
            texts.join("; ")
        };
        let tone = if texts.is_empty() { Tone::Off } else { tone };
        lines.push((label.to_owned(), told, tone));
    }
    if let Some(frees) = plan.frees_bytes {
        lines.push((
            "AFTER".to_owned(),
            format!("frees {}", units::short(frees)),
            Tone::Plain,
        ));
    }
    lines
}

fn sums(dialog: &Dialog) -> Vec<Line> {
    let plans = dialog
        .targets
        .iter()
        .filter_map(|target| match &target.planned {
            Planned::Known(plan) | Planned::Unplanned(plan) => Some(plan),
            Planned::Asked(_) | Planned::Failed(_) => None,
        });
    let (mut blocked, mut frees) = (0, 0_u64);
    for plan in plans {
        blocked += usize::from(plan.is_blocked);
        frees = frees.saturating_add(plan.frees_bytes.unwrap_or(0));
    }
    let mut line = format!("{} of {} blocked", blocked, dialog.targets.len());
    if frees > 0 {
        line.push_str(&format!(", {} freed", units::short(frees)));
    }
    vec![("ALL".to_owned(), line, Tone::Head)]
}
