//! OpenAPI 3.1 of both APIs: every route of the table described as data, a file a noun; the documents are printed from
//! it into `docs/openapi/` by the tests, and what is checked in is what the daemon serves.
//!
//! The descriptions are compiled for tests only: they tell of handlers and do nothing. Tests hold them to the code from
//! both sides: a route without a description fails, and so does every answer of the API's own tests that its
//! description does not allow (`check.rs`). A new noun is a file here and its line in `document::nouns`.

pub(super) mod serve;

#[cfg(test)]
mod ashlar;
#[cfg(test)]
mod attachments;
#[cfg(test)]
mod backup_sets;
#[cfg(test)]
mod backup_stores;
#[cfg(test)]
mod backups;
#[cfg(test)]
pub(super) mod check;
#[cfg(test)]
mod describe;
#[cfg(test)]
mod document;
#[cfg(test)]
mod events;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod manageable;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod qos_specs;
#[cfg(test)]
mod quota_sets;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod services;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod transfers;
#[cfg(test)]
mod type_access;
#[cfg(test)]
mod types;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod volume_actions;
#[cfg(test)]
mod volumes;
