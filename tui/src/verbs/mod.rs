//! The table of verbs, whole, noun by noun. A new noun is a file with its columns and rows, and a line here; a verb that
//! only lists, shows, deletes or sends one of Cinder's actions needs no code beyond its row (`rows.rs`).

mod attachment;
mod backup;
mod backup_set;
mod backup_store;
mod completion;
mod connect;
mod context;
mod encryption;
mod event;
mod explain;
mod host;
mod journal;
mod limits;
mod man;
mod message;
mod operation;
mod placement;
mod pool;
mod qos;
mod quota;
pub(crate) mod rows;
mod service;
mod session;
mod snapshot;
mod token;
mod transfer;
mod tui;
mod version;
mod volume;
mod volume_acts;
mod volume_type;
mod zone;

use crate::table::{Noun, Verb};

/// Every noun, in the order of the help.
pub(crate) static NOUNS: &[&Noun] = &[
    &volume::NOUN,
    &snapshot::NOUN,
    &backup::NOUN,
    &backup_set::NOUN,
    &backup_store::NOUN,
    &attachment::NOUN,
    &transfer::NOUN,
    &volume_type::NOUN,
    &encryption::NOUN,
    &qos::NOUN,
    &quota::NOUN,
    &limits::NOUN,
    &pool::NOUN,
    &placement::NOUN,
    &service::NOUN,
    &host::NOUN,
    &zone::NOUN,
    &message::NOUN,
    &operation::NOUN,
    &session::NOUN,
    &event::NOUN,
    &journal::NOUN,
    &token::NOUN,
    &tui::NOUN,
    &context::NOUN,
    &explain::NOUN,
    &completion::NOUN,
    &man::NOUN,
    &version::NOUN,
];

/// Every verb with its noun.
pub(crate) fn all() -> impl Iterator<Item = (&'static Noun, &'static Verb)> {
    NOUNS
        .iter()
        .flat_map(|noun| noun.verbs.iter().map(move |verb| (*noun, verb)))
}

/// What `ashlar explain` knows.
pub(crate) fn topics() -> &'static [&'static str] {
    explain::TOPICS
}

#[cfg(test)]
mod tests;
