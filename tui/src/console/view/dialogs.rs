//! Dialogs before what destroys: what stands in the way first, then what is lost; nothing of it is left out in silence.

use super::super::dialog::{Dialog, Focus, Outcome, Planned, Target};
use super::super::event::Plan;
use super::super::layout::{Area, Layout};
use super::super::state::State;
use super::super::text;
use super::super::theme::Tone;
use super::super::units;
use super::canvas::{Canvas, cells};
use super::popups::{Line, buttons, place};

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
    let foot = 1 + usize::from(must_type.is_some()) + usize::from(dialog.cascade.is_some());
    let area = place(state, parts, rows.len() + foot);
    let inner = canvas.boxed(area, &title);
    let room = usize::from(inner.height).saturating_sub(foot);
    body(canvas, inner, &rows, dialog.top, room);
    let mut y = inner.y + cells(room);
    if let Some(cascade) = dialog.cascade {
        let tick = if cascade { "[x]" } else { "[ ]" };
        let tone = match dialog.focus {
            Focus::Cascade => Tone::Cursor,
            Focus::Cancel | Focus::Typed | Focus::Go => Tone::Plain,
        };
        canvas.put(inner.x, y, "ALSO", Tone::Head, 9);
        let line = format!("{tick} delete the snapshots too (Tab, Space)");
        canvas.put(inner.x + 10, y, &line, tone, inner.width.saturating_sub(10));
        y += 1;
    }
    if let Some(word) = must_type {
        // Where it is narrow, the room is for what is typed.
        let ask = match inner.width {
            0..60 => format!("Type {word}: "),
            _ => format!("Type  {word}  to arm the button: "),
        };
        let x = canvas.put(inner.x, y, &ask, Tone::Plain, inner.width);
        let has_focus = dialog.focus == Focus::Typed;
        let left = (inner.x + inner.width).saturating_sub(x);
        canvas.typed(x, y, &dialog.typed, left, has_focus);
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

/// What is told, as far as it fits; what does not is counted, and a key shows it.
fn body(canvas: &mut Canvas, inner: Area, rows: &[Line], top: usize, room: usize) {
    if room == 0 {
        return;
    }
    // One page less a line to read on from, and the line that counts the rest.
    let is_long = rows.len() > room;
    let shown = if is_long { room - 1 } else { room };
    let top = top.saturating_mul(shown.saturating_sub(1).max(1));
    let top = top.min(rows.len().saturating_sub(shown));
    for (y, (label, row, tone)) in (inner.y..).zip(rows.iter().skip(top).take(shown)) {
        canvas.put(inner.x, y, label, Tone::Head, 9);
        canvas.put(inner.x + 10, y, row, *tone, inner.width.saturating_sub(10));
    }
    if is_long {
        let below = rows.len().saturating_sub(top + shown);
        let word = match below {
            0 => "PgUp: from the top".to_owned(),
            below => format!("{below} more lines: PgDn shows them"),
        };
        let y = inner.y + cells(room - 1);
        canvas.put(inner.x, y, &word, Tone::Warn, inner.width);
    }
}

/// What a dialog tells of its objects, and of itself.
fn told(state: &State, dialog: &Dialog) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    if let Some(notice) = &dialog.notice {
        lines.push(("!".to_owned(), notice.clone(), Tone::Warn));
    }
    let is_one = dialog.targets.len() == 1;
    if !is_one {
        lines.extend(sums(dialog));
    }
    // What is in the way comes first: among many it must not be looked for.
    let mut targets: Vec<&Target> = dialog.targets.iter().collect();
    targets.sort_by_key(|target| !target.is_in_the_way());
    for target in targets {
        let of_it = of_target(state, target, dialog.is_light);
        lines.extend(
            of_it
                .into_iter()
                .filter(|(.., row, _)| is_one || row.as_str() != NOTHING),
        );
    }
    let command = dialog.targets.first().map(|target| target.change.command());
    let mut command = command.unwrap_or_default();
    if !is_one {
        command.push_str(&format!(
            "   and so for {} more",
            dialog.targets.len().saturating_sub(1)
        ));
    }
    lines.push(("COMMAND".to_owned(), command, Tone::Off));
    lines
}

/// What a part of a plan says that is empty.
const NOTHING: &str = "nothing";

fn of_target(state: &State, target: &Target, is_light: bool) -> Vec<Line> {
    let known = target
        .change
        .object()
        .and_then(|(kind, id)| state.data.get(kind, id));
    let mut head = target.title.clone();
    if let Some(item) = known {
        if head == item.short_id() {
            head = item.title();
        }
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
            NOTHING.to_owned()
        } else {
            texts.join("; ")
        };
        let tone = if texts.is_empty() { Tone::Off } else { tone };
        lines.push((label.to_owned(), told, tone));
    }
    if let Some(frees) = plan.frees_bytes.filter(|frees| *frees > 0) {
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
