//! A list: heading, a window of its rows, and a word when it is empty.

use super::super::columns::{self, Column};
use super::super::data::Loaded;
use super::super::item::Kind;
use super::super::layout::Area;
use super::super::list::List;
use super::super::state::{Phase, State};
use super::super::text;
use super::super::theme::Tone;
use super::canvas::{Canvas, cells};

/// The cells before the first column: cursor or mark, and a space.
const MARGIN: u16 = 3;

/// A list in its area.
pub(super) fn list(canvas: &mut Canvas, state: &State, list: &List, area: Area) {
    let shown = fit(list.kind, area.width);
    heading(canvas, list, &shown, area);
    let page = usize::from(area.height.saturating_sub(1));
    let table = state.data.of(list.kind);
    let rows = list.order().iter().enumerate().skip(list.top).take(page);
    let rows = rows.filter_map(|(position, at)| Some((position, table.slot(*at)?)));
    for (y, (position, slot)) in (area.y + 1..).zip(rows) {
        let is_cursor = position == list.at;
        let is_marked = list.marks.contains(&slot.item.id);
        let mark = match (is_cursor, is_marked) {
            (true, true) => "#",
            (true, false) => ">",
            (false, true) => "+",
            (false, false) => " ",
        };
        canvas.put(area.x + 1, y, mark, Tone::Head, 1);
        let mut x = area.x + MARGIN;
        for (column, width) in &shown {
            let cell = (column.cell)(&slot.item, &state.data, state.now);
            let is_status = ["STATUS", "PHASE"].contains(&column.head);
            let (text, tone) = match (slot.is_gone, is_status) {
                (true, true) => ("(gone)".to_owned(), Tone::Off),
                (true, false) => (cell.text, Tone::Off),
                (false, true) => (
                    format!("{} {}", canvas.theme.glyphs.state(cell.tone), cell.text),
                    cell.tone,
                ),
                (false, false) => (cell.text, cell.tone),
            };
            let padded = if column.is_number {
                text::right(&text, *width)
            } else {
                text::left(&text, *width)
            };
            canvas.put(x, y, &padded, tone, cells(*width));
            x += cells(*width) + 1;
        }
        if is_cursor {
            canvas.tint(area.x, y, area.width, Tone::Cursor);
        } else if is_marked {
            canvas.tint(area.x, y, area.width, Tone::Mark);
        }
    }
    if list.order().is_empty() {
        empty(canvas, state, list, area);
    }
}

/// The columns that fit, with their widths: the highest leave first, and one takes what is left.
fn fit(kind: Kind, width: u16) -> Vec<(&'static Column, usize)> {
    let mut columns: Vec<&'static Column> = columns::of(kind).iter().collect();
    let room = usize::from(width.saturating_sub(MARGIN));
    let need = |columns: &[&Column]| columns.iter().map(|column| column.width + 1).sum::<usize>();
    while need(&columns) > room && columns.len() > 1 {
        let Some(leaver) = columns
            .iter()
            .enumerate()
            .max_by_key(|(at, column)| (column.leaves, *at))
        else {
            break;
        };
        let at = leaver.0;
        columns.remove(at.max(1));
    }
    let spare = room.saturating_sub(need(&columns)).min(40);
    columns
        .into_iter()
        .map(|column| {
            (
                column,
                if column.grows {
                    column.width + spare
                } else {
                    column.width
                },
            )
        })
        .collect()
}

fn heading(canvas: &mut Canvas, list: &List, shown: &[(&'static Column, usize)], area: Area) {
    let mut x = area.x + MARGIN;
    let sorted = columns::of(list.kind)
        .get(list.sort.0)
        .map(|column| column.head);
    for (column, width) in shown {
        let order = canvas.theme.glyphs.order(list.sort.1);
        let head = match sorted == Some(column.head) {
            true => format!("{}{order}", column.head),
            false => column.head.to_owned(),
        };
        let padded = if column.is_number {
            text::right(&head, *width)
        } else {
            text::left(&head, *width)
        };
        canvas.put(x, area.y, &padded, Tone::Head, cells(*width));
        x += cells(*width) + 1;
    }
}

/// Why nothing is there, and the next key.
fn empty(canvas: &mut Canvas, state: &State, list: &List, area: Area) {
    let table = state.data.of(list.kind);
    let lines: Vec<String> = match &table.loaded {
        Loaded::Refused(why) => vec![why.clone()],
        Loaded::Never => match &state.link.phase {
            Phase::Down { .. } => vec![
                "Nothing is known yet: there is no link to the daemon. r tries now.".to_owned(),
            ],
            Phase::Denied(why) => denied(why, area.width),
            Phase::Connecting | Phase::Live | Phase::Polling => vec!["loading".to_owned()],
        },
        Loaded::Coming => vec!["loading".to_owned()],
        Loaded::Whole if !list.filter.is_empty() => {
            vec![format!(
                "0 of {} match '{}'. Esc clears it.",
                table.count(),
                text::clean(&list.filter)
            )]
        }
        Loaded::Whole if list.only_problems => {
            vec!["Nothing has a problem. ! shows all again.".to_owned()]
        }
        Loaded::Whole => vec![no_objects(list.kind).to_owned()],
    };
    for (at, line) in (1..).zip(lines) {
        canvas.put(
            area.x + MARGIN,
            area.y + 1 + at,
            &line,
            Tone::Plain,
            area.width.saturating_sub(MARGIN),
        );
    }
}

/// Who is not let in is told what lets him in.
pub(super) fn denied(why: &str, width: u16) -> Vec<String> {
    let told = format!(
        "The daemon does not let this console in: {why} Start it anew with another token \
         (ASHLAR_TOKEN or --token-file); r tries again with this one."
    );
    text::wrap(&told, usize::from(width.saturating_sub(MARGIN + 1)))
}

fn no_objects(kind: Kind) -> &'static str {
    match kind {
        Kind::Pool => "No pool has reported yet.",
        Kind::Volume => "No volumes yet. n makes one.",
        Kind::Snapshot => "No snapshots yet. s on a volume (3) makes one.",
        Kind::Attachment => "Nothing is attached. a on a volume (3) attaches it.",
        Kind::Operation => "The daemon has done nothing yet.",
        Kind::Service => "No services have reported yet.",
        Kind::Type => "No volume types yet: `ashlar type create` makes one.",
        Kind::Session => "Nobody is logged in.",
    }
}
