//! Who is logged in, as the kernel tells it in the `info` of an initiator's entry.

use crate::model::id::{SessionId, VolumeId};
use sha2::{Digest as _, Sha256};

/// A session that the kernel tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Counts up from the kernel's start.
    pub(super) number: String,
    /// The initiator's own part of its id.
    pub(super) isid: String,
    /// `LOGGED_IN` while it is.
    pub(super) state: String,
    /// Where it comes from.
    pub(super) peer: String,
}

/// Reads an `info` (the kernel's `lio_target_nacl_info_show`); `None` when nobody is logged in.
pub(super) fn read(info: &str) -> Option<Told> {
    let after = |key: &str| {
        let rest = info.split_once(key)?.1;
        rest.split_whitespace().next().map(str::to_owned)
    };
    let state = after("Session State:").or_else(|| after("SessionState:"))?;
    Some(Told {
        number: after("LIO Session ID:")?,
        isid: after("ISID:").unwrap_or_default(),
        state: state.trim_start_matches("TARG_SESS_STATE_").to_owned(),
        peer: after("Address ").unwrap_or_default(),
    })
}

/// A name for this session and for no other: the kernel counts sessions anew after each boot.
pub(super) fn id(boot_id: &str, volume: VolumeId, initiator: &str, told: &Told) -> SessionId {
    let mut hash = Sha256::new();
    for part in [
        boot_id,
        &volume.to_string(),
        initiator,
        &told.number,
        &told.isid,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(hash.finalize()) {
        *byte = from;
    }
    SessionId::from(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As read from Linux 6.1.
    pub(super) const LOGGED_IN: &str = "InitiatorName: iqn.1993-08.org.debian:01:abc\nInitiatorAlias: lab\nLIO Session ID: 7   ISID: 0x00 02 3d 00 00 00  TSIH: 5  SessionType: Normal\nSession State: TARG_SESS_STATE_LOGGED_IN\n---------------------[iSCSI Session Values]-----------------------\n  CmdSN/WR  :  CmdSN/WC  :  ExpCmdSN  :  MaxCmdSN  :     ITT    :     TTT\n 0x00000010   0x00000010   0x0000001a   0x00000099   0x00000000   0x00000006\n----------------------[iSCSI Connections]-------------------------\nCID: 0  Connection State: TARG_CONN_STATE_LOGGED_IN\n   Address 192.168.77.2 TCP  StatSN: 0x2b4c1cd2\n";

    #[test]
    fn what_the_kernel_tells_is_read() {
        let told = read(LOGGED_IN).unwrap();
        assert_eq!(
            (told.number.as_str(), told.state.as_str()),
            ("7", "LOGGED_IN")
        );
        assert_eq!(told.peer, "192.168.77.2");
        assert_eq!(
            read("No active iSCSI Session for Initiator Endpoint: iqn.x"),
            None
        );
    }

    #[test]
    fn every_login_is_another_session() {
        let told = read(LOGGED_IN).unwrap();
        let volume = VolumeId::random();
        let of = |boot: &str, told: &Told| id(boot, volume, "iqn.x", told);
        assert_eq!(of("b", &told), of("b", &told));
        let later = Told {
            number: "8".to_owned(),
            ..told.clone()
        };
        assert_ne!(of("b", &told), of("b", &later));
        assert_ne!(of("b", &told), of("c", &told));
    }
}
