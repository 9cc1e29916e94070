//! A volume type: a name for what a volume should be; its extra specs steer the scheduler.

use super::id::{EncryptionId, QosSpecsId, VolumeTypeId};
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
    /// The quality of service that its volumes are to have.
    pub qos_specs_id: Option<QosSpecsId>,
    /// How its volumes would have to be encrypted; a type that says so can have none here.
    pub encryption: Option<Encryption>,
    /// When its row was made.
    pub created_at: Time,
    /// When its row last changed.
    pub updated_at: Option<Time>,
}

/// What a volume type says of encryption: a record for clients, since Ashlar does not encrypt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// Its id.
    pub id: EncryptionId,
    /// `luks`, `luks2` or a class name of a client's.
    pub provider: String,
    /// Who would encrypt.
    pub control_location: ControlLocation,
    /// The cipher, in dm-crypt's spelling.
    pub cipher: Option<String>,
    /// The key's size in bits.
    pub key_size_bits: Option<i64>,
    /// When it was recorded.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Option<Time>,
}

/// Who would encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlLocation {
    /// The host that attaches.
    FrontEnd,
    /// The backend.
    BackEnd,
}

impl ControlLocation {
    /// Every one's spelling.
    pub const WORDS: &'static [&'static str] = &["front-end", "back-end"];

    /// Cinder's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            ControlLocation::FrontEnd => "front-end",
            ControlLocation::BackEnd => "back-end",
        }
    }

    /// `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        [ControlLocation::FrontEnd, ControlLocation::BackEnd]
            .into_iter()
            .find(|one| one.as_str() == word)
    }
}

impl VolumeType {
    /// Whether volumes of this type may be attached to several hosts (spec `multiattach`, Cinder's spelling).
    pub fn multiattach(&self) -> bool {
        self.extra_specs
            .get("multiattach")
            .is_some_and(|value| value.eq_ignore_ascii_case("<is> true"))
    }

    /// Whether all space of its volumes is to be taken at once (spec `provisioning:type`).
    pub fn is_thick(&self) -> bool {
        let how = self.extra_specs.get("provisioning:type");
        how.is_some_and(|how| how == "thick")
    }
}
