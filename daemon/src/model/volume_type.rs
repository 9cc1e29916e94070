//! A volume type: a name for what a volume should be; its extra specs steer the scheduler.

use super::id::VolumeTypeId;
use super::time::Time;
use std::collections::BTreeMap;

/// The type that volumes without one get; it always exists, as in Cinder.
pub const DEFAULT_TYPE_NAME: &str = "__DEFAULT__";

/// A volume type as recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeType {
    /// Its id.
    pub id: VolumeTypeId,
    /// Its unique name.
    pub name: String,
    /// The administrator's description.
    pub description: Option<String>,
    /// Whether every project may use it.
    pub is_public: bool,
    /// What a pool must offer, and what the volume will be.
    pub extra_specs: BTreeMap<String, String>,
    /// When its row was made.
    pub created_at: Time,
    /// When its row last changed.
    pub updated_at: Option<Time>,
}

impl VolumeType {
    /// Whether volumes of this type may be attached to several hosts (spec `multiattach`, Cinder's spelling).
    pub fn multiattach(&self) -> bool {
        self.extra_specs
            .get("multiattach")
            .is_some_and(|value| value.eq_ignore_ascii_case("<is> true"))
    }
}
