//! A pool: what one backend offers, as it last said of itself.

use super::service::Service;
use super::time::Time;
use std::collections::BTreeMap;

/// A pool's report, in the terms of Cinder's `get_pools`.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolReport {
    /// The pool's name within its backend.
    pub pool: String,
    /// What is there in all, bytes.
    pub total_bytes: u64,
    /// What is physically free now, bytes.
    pub free_bytes: u64,
    /// Percent of the total that is kept free.
    pub reserved_percentage: u8,
    /// How far virtual sizes may exceed the pool (Cinder's `max_over_subscription_ratio`).
    pub max_over_subscription_ratio: f64,
    /// Whether volumes take space only as they are written.
    pub thin_provisioning_support: bool,
    /// Whether volumes can take all their space at once.
    pub thick_provisioning_support: bool,
    /// Whether an attached volume can grow.
    pub online_extend_support: bool,
    /// Whether volumes may be attached to several hosts.
    pub multiattach: bool,
    /// Further capabilities by name, matched by extra specs (`volume_backend_name`, `vendor_name`, ...).
    pub capabilities: BTreeMap<String, String>,
}

/// A pool as the scheduler sees it: the last report plus what the record adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// `host@backend#pool`.
    pub address: String,
    /// The availability zone of the service that runs it.
    pub availability_zone: String,
    /// What it last said of itself.
    pub report: PoolReport,
    /// The sum of the sizes of the volumes and snapshots recorded in it, GiB; from rows, never a counter that drifts.
    pub provisioned_gib: i64,
    /// The sum of the sizes of the volumes alone, GiB.
    pub allocated_gib: i64,
    /// How many volumes are recorded in it.
    pub total_volumes: i64,
    /// When it last reported; an old one is down.
    pub reported_at: Time,
    /// Whether that report is recent enough to use.
    pub is_up: bool,
    /// The service that runs it; `None` only until that service was heard for the first time.
    pub service: Option<Service>,
}
