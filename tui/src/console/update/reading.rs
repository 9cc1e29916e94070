//! Keys in texts that are looked at: scrolling, closing, and acts on the object that is looked at.

use super::super::key::{Code, Key};
use super::super::keymap::{self, Act};
use super::super::layout::layout;
use super::super::picker::Reading;
use super::super::state::{Effects, Overlay, State};
use super::super::view::MOST_LINES;
use super::keys;

/// Keys of texts; `None` when the key is the view's.
pub(super) fn key(state: &mut State, key: Key) -> Option<Effects> {
    let page = isize::try_from(layout(state.size, false).page()).unwrap_or(1);
    let by = match (key.code, key.ctrl) {
        (Code::Down | Code::Char('j'), false) => 1,
        (Code::Up | Code::Char('k'), false) => -1,
        (Code::PageDown, _) | (Code::Char('f'), true) | (Code::Char(' '), false) => page,
        (Code::PageUp, _) | (Code::Char('b'), true) => -page,
        (Code::Home | Code::Char('g'), false) => isize::MIN,
        (Code::End | Code::Char('G'), false) => isize::MAX,
        (Code::Esc | Code::Enter | Code::Char('q'), false) => {
            state.overlays.pop();
            return Some(Effects::new());
        }
        (Code::Char('T'), false)
            if matches!(state.overlays.last(), Some(Overlay::Tasks { .. })) =>
        {
            state.overlays.pop();
            return Some(Effects::new());
        }
        // Acts on the object that is looked at work from here; everything that opens a view closes this one first.
        _ => return act(state, key),
    };
    let most = match state.overlays.last() {
        Some(Overlay::Reading(reading)) => reading.lines.len().saturating_sub(1),
        _ => MOST_LINES,
    };
    if let Some(
        Overlay::Reading(Reading { top, .. })
        | Overlay::Detail { top, .. }
        | Overlay::Tasks { top },
    ) = state.overlays.last_mut()
    {
        *top = top.saturating_add_signed(by).min(most);
    }
    Some(Effects::new())
}

fn act(state: &mut State, key: Key) -> Option<Effects> {
    let act = keymap::find(key, state.screen)?;
    let stays = [
        Act::Palette,
        Act::Help,
        Act::Refresh,
        Act::Redraw,
        Act::Quit,
        Act::Copy,
        Act::Yaml,
        Act::CopyCommand,
        Act::Actions,
    ];
    if !stays.contains(&act) && !act.is_mutating() {
        state.overlays.pop();
    }
    Some(keys::run(state, act))
}
