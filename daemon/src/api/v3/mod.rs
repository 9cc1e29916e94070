//! Cinder's API: a file a resource, in each the request, the handlers and the view, in that order.
//!
//! Fields, codes and words are Cinder's; where a microversion changes them, its number stands beside.

mod admin_actions;
pub(super) mod attachments;
pub(super) mod availability_zones;
pub(super) mod backups;
pub(super) mod capabilities;
mod connection;
pub(super) mod extensions;
pub(super) mod extra_specs;
pub(super) mod hosts;
mod image_metadata;
pub(super) mod limits;
pub(super) mod manageable;
pub(super) mod messages;
pub(super) mod metadata;
pub(super) mod pools;
pub(super) mod qos_specs;
pub(super) mod quota_sets;
pub(super) mod resource_filters;
pub(super) mod services;
pub(super) mod snapshot_actions;
pub(super) mod snapshots;
pub(super) mod transfers;
pub(super) mod type_access;
pub(super) mod type_encryption;
pub(super) mod types;
pub(super) mod volume_actions;
pub(super) mod volume_summary;
mod volume_view;
pub(super) mod volumes;
