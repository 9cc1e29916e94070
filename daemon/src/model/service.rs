//! A service: one role of a daemon as Cinder's clients know it, and what the administrator decided about it.
//!
//! The role `scheduler` is one service on its host; the role `volume` is one on each `host@backend`, the role `backup` one
//! on each `host@store`. A service is up
//! while its process says so; being disabled or frozen is the administrator's word and has nothing to do with that.

use super::backup::StoreKind;
use super::id::ServiceId;
use super::time::Time;

/// Which part of Cinder a service stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Binary {
    /// Chooses pools.
    Scheduler,
    /// Makes volumes in one backend.
    Volume,
    /// Keeps backups in one store.
    Backup,
}

impl Binary {
    /// Every one.
    pub const ALL: [Binary; 3] = [Binary::Scheduler, Binary::Volume, Binary::Backup];

    /// Cinder's name for the program, on the wire and in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Binary::Scheduler => "cinder-scheduler",
            Binary::Volume => "cinder-volume",
            Binary::Backup => "cinder-backup",
        }
    }

    /// `None` for a program that Ashlar does not stand for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// A service as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its id; the `service_uuid` of the volumes that it has.
    pub id: ServiceId,
    /// What it is.
    pub binary: Binary,
    /// `host` of a scheduler, `host@backend` of a volume service, `host@store` of a backup service.
    pub host: String,
    /// The zone that it is in.
    pub availability_zone: String,
    /// Whether the administrator took it out of placement.
    pub is_disabled: bool,
    /// Why, in the administrator's words.
    pub disabled_reason: Option<String>,
    /// Whether nothing that it has may be changed.
    pub is_frozen: bool,
    /// When its process first said that it is there.
    pub created_at: Time,
    /// When its process last said so.
    pub heard_at: Time,
    /// When the administrator last decided something about it.
    pub changed_at: Option<Time>,
    /// Whether it was heard recently.
    pub is_up: bool,
    /// What the store of a backup service is, once its process said so.
    pub store_kind: Option<StoreKind>,
}

/// The service, `host@backend`, that has what lies at `host@backend#pool`.
pub fn service_host(address: &str) -> &str {
    address
        .split_once('#')
        .map_or(address, |(service, _)| service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cinders() {
        for binary in Binary::ALL {
            assert_eq!(Binary::parse(binary.as_str()), Some(binary));
        }
        assert_eq!(Binary::parse("cinder-api"), None);
        assert_eq!(service_host("h@b#p"), "h@b");
        assert_eq!(service_host("h@b"), "h@b");
    }
}
