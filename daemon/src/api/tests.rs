//! The whole API in one process, from the door to a record in a fresh directory.

mod acts;
mod attachments;
mod backup_sets;
mod backup_stores;
mod backups;
mod door;
mod events;
pub(super) mod fixture;
mod journal;
mod manageable;
mod messages;
mod operations;
mod placement;
mod plan;
mod qos_specs;
mod quotas;
mod services;
mod sessions;
mod type_access;
mod types;
mod volumes;
