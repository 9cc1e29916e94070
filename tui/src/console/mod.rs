//! The console: `ashlar` on a terminal.
//!
//! `update` turns state and event into state and effects, `view` turns state into a screen; both are pure. Effects are
//! carried out behind one edge (`edge`), which alone knows HTTP; `terminal` alone writes to the terminal. Keys, hints,
//! help and palette are made from one table (`keymap`), and `change` is the whole list of calls that change anything.

mod attention;
mod bindings;
mod cell;
mod change;
mod clock;
mod columns;
mod data;
mod dialog;
mod edge;
mod event;
mod figures;
mod form;
mod input;
mod item;
mod key;
mod keymap;
mod layout;
mod list;
mod picker;
mod rules;
mod run;
mod screen;
mod state;
mod subject;
mod terminal;
mod text;
mod theme;
mod units;
mod update;
mod view;

#[cfg(test)]
mod tests;

use crate::client::{Endpoint, Token};
use crate::failure::Failure;

/// Opens the console on a daemon and stays until its user leaves.
pub(crate) fn open(
    endpoint: &Endpoint,
    token: Option<&Token>,
    project: Option<String>,
    is_read_only: bool,
    is_ascii: bool,
) -> Result<(), Failure> {
    let (socket, base) = match endpoint {
        Endpoint::Unix(path) => (Some(path.clone()), "http://localhost".to_owned()),
        Endpoint::Http(base) => (None, base.clone()),
    };
    run::open(run::Wish {
        place: run::Place {
            socket,
            base,
            token: token.map(Token::reveal),
            project,
        },
        endpoint: endpoint.to_string(),
        is_read_only,
        is_ascii,
    })
}
