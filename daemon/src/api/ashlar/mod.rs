//! Our own API beside Cinder's: who one is, what changes, what is being and was done, who is logged in, who may call, what
//! backup stores have, and backups by schedule.

pub(super) mod backup_calendar;
pub(super) mod backup_sets;
pub(super) mod backup_stores;
pub(super) mod backups;
pub(super) mod events;
pub(super) mod journal;
pub(super) mod operations;
pub(super) mod placement;
pub(super) mod plan;
pub(super) mod sessions;
pub(super) mod tokens;
pub(super) mod whoami;
