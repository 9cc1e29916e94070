//! Where an export's objects lie in the kernel's tree, and what they are called.
//!
//! Cinder's names: one target per volume, its IQN also the name of its backstore, portal group 1, LUN 0. The serial
//! number is the volume's id and nothing else, so that a host sees the same disk after every re-export.

use crate::model::id::VolumeId;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The prefix of backstores over block devices; each has a number of its own.
pub(super) const BACKSTORE: &str = "iblock_";

/// One export.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) iqn: String,
    volume: VolumeId,
}

impl Paths {
    pub(super) fn of(prefix: &str, volume: VolumeId) -> Self {
        Self {
            iqn: format!("{prefix}volume-{volume}"),
            volume,
        }
    }

    /// The export whose target is called `iqn`, if it has the form of ours.
    pub(super) fn read(prefix: &str, iqn: &str) -> Option<(VolumeId, Self)> {
        let id = iqn.strip_prefix(prefix)?.strip_prefix("volume-")?;
        let volume: VolumeId = id.parse().ok()?;
        Some((volume, Self::of(prefix, volume)))
    }

    pub(super) fn serial(&self) -> String {
        self.volume.to_string()
    }

    /// What links are called: rtslib's are ten letters of a random id.
    pub(super) fn alias(&self) -> String {
        let id = self.volume.to_string().replace('-', "");
        id.get(id.len().saturating_sub(10)..)
            .unwrap_or(&id)
            .to_owned()
    }

    pub(super) fn target(&self) -> PathBuf {
        Path::new("iscsi").join(&self.iqn)
    }

    pub(super) fn tpg(&self) -> PathBuf {
        self.target().join("tpgt_1")
    }

    pub(super) fn lun(&self) -> PathBuf {
        self.tpg().join("lun/lun_0")
    }

    pub(super) fn portals(&self) -> PathBuf {
        self.tpg().join("np")
    }

    pub(super) fn portal(&self, address: &SocketAddr) -> PathBuf {
        self.portals().join(address.to_string())
    }

    pub(super) fn acls(&self) -> PathBuf {
        self.tpg().join("acls")
    }

    pub(super) fn acl(&self, initiator: &str) -> PathBuf {
        self.acls().join(initiator.to_lowercase())
    }

    /// The backstore within its numbered parent.
    pub(super) fn backstore(&self, number: u32) -> PathBuf {
        parent(number).join(&self.iqn)
    }
}

pub(super) fn parent(number: u32) -> PathBuf {
    Path::new("core").join(format!("{BACKSTORE}{number}"))
}

/// Whether a name can be an object's: an initiator's comes from whoever attaches.
pub(super) fn is_possible(name: &str) -> bool {
    let is_allowed = |letter: char| letter.is_ascii_graphic() && letter != '/';
    (1..=223).contains(&name.len()) && name.chars().all(is_allowed) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_foreign_ones_are_not() {
        let (prefix, volume) = ("iqn.2010-10.org.openstack:", VolumeId::random());
        let paths = Paths::of(prefix, volume);
        assert_eq!(Paths::read(prefix, &paths.iqn).unwrap().0, volume);
        for foreign in [
            "iqn.2003-01.org.linux-iscsi:x",
            "iqn.2010-10.org.openstack:volume-1",
            "discovery_auth",
        ] {
            assert!(Paths::read(prefix, foreign).is_none(), "{foreign}");
        }
        assert_eq!(paths.alias().len(), 10);
        let address: SocketAddr = "[fe80::1]:3260".parse().unwrap();
        assert!(paths.portal(&address).ends_with("np/[fe80::1]:3260"));
    }

    #[test]
    fn an_initiators_name_leads_nowhere_else() {
        assert!(is_possible("iqn.1993-08.org.debian:01:abc"));
        for bad in ["", "..", ".", "a/b", "a b", "a\n", "ä"] {
            assert!(!is_possible(bad), "{bad:?}");
        }
    }
}
