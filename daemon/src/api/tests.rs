//! The whole API in one process, from the door to a record in a fresh directory.

mod attachments;
mod door;
pub(super) mod fixture;
mod manageable;
mod types;
mod volumes;
