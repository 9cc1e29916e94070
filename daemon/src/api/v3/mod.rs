//! Cinder's API: a file a resource, in each the request, the handlers and the view, in that order.
//!
//! Fields, codes and words are Cinder's; where a microversion changes them, its number stands beside.

pub(super) mod attachments;
mod connection;
pub(super) mod extra_specs;
pub(super) mod manageable;
pub(super) mod metadata;
pub(super) mod quota_sets;
pub(super) mod resource_filters;
pub(super) mod snapshot_actions;
pub(super) mod snapshots;
pub(super) mod types;
pub(super) mod volume_actions;
pub(super) mod volume_summary;
mod volume_view;
pub(super) mod volumes;
