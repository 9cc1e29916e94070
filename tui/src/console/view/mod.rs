//! `view(state, theme) -> Buffer`: pure, and made of visible rows only.

mod boxes;
mod canvas;
mod dash;
mod detail;
mod dialogs;
mod frame;
mod popups;
mod table;

use ratatui::buffer::Buffer;

use super::keymap::Screen;
use super::layout::{Area, Frame, Layout, layout};
use super::state::{Overlay, State};
use super::theme::{Theme, Tone};
use canvas::Canvas;

/// No text that is looked at is scrolled further.
pub(crate) const MOST_LINES: usize = 10_000;

/// The whole screen.
pub(crate) fn view(state: &State, theme: &Theme) -> Buffer {
    let mut canvas = Canvas::new(state.size, *theme);
    let parts = layout(state.size, state.has_preview);
    if parts.frame == Frame::Line {
        frame::one_line(&mut canvas, state);
        return canvas.done();
    }
    frame::top(&mut canvas, state, &parts);
    match state.overlays.last() {
        Some(Overlay::Detail { kind, id, top }) => {
            let area = whole(&parts, state.size.0);
            canvas.is_stale = state.is_stale();
            detail::page(&mut canvas, state, (*kind, id), *top, area);
        }
        Some(Overlay::Reading(reading)) => {
            boxes::reading(&mut canvas, reading, whole(&parts, state.size.0))
        }
        _ => body(&mut canvas, state, &parts),
    }
    canvas.is_stale = false;
    frame::strip(&mut canvas, state, &parts);
    frame::hints(&mut canvas, state, &parts);
    for overlay in &state.overlays {
        match overlay {
            Overlay::Picker(picker) => boxes::picker(&mut canvas, picker, &parts),
            Overlay::Form(form) => popups::form(&mut canvas, state, form, &parts),
            Overlay::Dialog(dialog) => dialogs::dialog(&mut canvas, state, dialog, &parts),
            Overlay::Tasks { top } => boxes::tasks(&mut canvas, state, *top, &parts),
            Overlay::Reading(_) | Overlay::Detail { .. } => {}
        }
    }
    canvas.done()
}

/// Body and preview as one.
fn whole(parts: &Layout, width: u16) -> Area {
    Area {
        x: 0,
        y: parts.top_rows,
        width,
        height: parts.strip.saturating_sub(parts.top_rows),
    }
}

fn body(canvas: &mut Canvas, state: &State, parts: &Layout) {
    canvas.is_stale = state.is_stale();
    let all = whole(parts, state.size.0);
    match state.screen {
        Screen::Dash => dash::page(canvas, state, all),
        Screen::Backups => {
            absent(
                canvas,
                all,
                &[
                    "This screen comes with a later version; `ashlar backup` has them all.",
                    "Snapshots are on 4; s on a volume makes one.",
                ],
            );
        }
        Screen::Quotas => dash::quotas(canvas, state, all),
        Screen::Pools
        | Screen::Volumes
        | Screen::Snapshots
        | Screen::Attachments
        | Screen::Tasks
        | Screen::Nodes
        | Screen::Types => {
            let Some(list) = state.list() else { return };
            table::list(canvas, state, list, parts.body);
            if let Some(area) = parts.preview {
                detail::preview(canvas, state, area);
            }
        }
    }
}

fn absent(canvas: &mut Canvas, area: Area, lines: &[&str]) {
    for (at, line) in (1..).zip(lines) {
        canvas.put(
            area.x + 2,
            area.y + at,
            line,
            Tone::Plain,
            area.width.saturating_sub(3),
        );
    }
}
