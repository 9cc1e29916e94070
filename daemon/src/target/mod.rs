//! EDGE: how a host reaches the bytes. The contract that every target keeps.
//!
//! A target knows exports: a device, a name that hosts log in to, and which initiators may. It knows no status, no
//! row and no HTTP. The same rules as for drivers hold: every method may be repeated, what is already so is no error,
//! and only exports whose volume id `ops` has recorded are touched.
//!
//! One target per volume, LUN 0. The serial number and NAA id come from the volume's id and from nothing else, so
//! that a host sees the same disk after a detach, a restart or a restore.

pub mod configfs;
pub mod iscsi;
pub mod lio;

use crate::driver::{Device, Done, LiveWrites};
use crate::model::id::{SessionId, VolumeId};
use crate::model::time::Time;
use async_trait::async_trait;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

/// CHAP credentials that an initiator must prove. Lengths as Cinder's: user 20 characters, secret 16.
#[derive(Debug, Clone)]
pub struct Chap {
    /// The user name; no secret.
    pub user: String,
    /// The secret.
    pub secret: SecretString,
    /// What the target proves in turn, to an initiator that asks for it (mutual CHAP); `None`: it proves nothing.
    pub mutual: Option<Credentials>,
}

/// A user name and the secret that proves it.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user name; no secret.
    pub user: String,
    /// The secret; never that of the other direction, or an answer to one could be had from the other.
    pub secret: SecretString,
}

/// One initiator's right to one export.
#[derive(Debug, Clone)]
pub struct Access {
    /// The initiator's IQN, lower case.
    pub initiator: String,
    /// What it must prove, and what is proved to it; there is no access without.
    pub chap: Chap,
    /// Whether writes are refused.
    pub read_only: bool,
}

/// An export as it is to be.
#[derive(Debug, Clone)]
pub struct Export {
    /// The volume; names, serial number and NAA id are derived from it.
    pub volume_id: VolumeId,
    /// What is served.
    pub device: Device,
}

/// How a host reaches an export: the data of Cinder's iSCSI `connection_info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The target's IQN.
    pub iqn: String,
    /// `ip:port`, IPv6 in brackets; at least one.
    pub portals: Vec<String>,
    /// The LUN.
    pub lun: u32,
}

/// A host that is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Names this session and never another one, also not after a restart of the target.
    pub id: SessionId,
    /// The volume it uses.
    pub volume_id: VolumeId,
    /// Who it is.
    pub initiator: String,
    /// Where it comes from, `ip:port`.
    pub peer: String,
    /// When it logged in; `None` where the target does not know.
    pub since: Option<Time>,
    /// Whether its writes are refused.
    pub read_only: bool,
    /// Reads that it was answered; `None` where the target does not count them.
    pub reads: Option<u64>,
    /// Writes that it was answered; those that move no data (WRITE SAME, UNMAP) too. `None` likewise.
    pub writes: Option<u64>,
    /// Bytes it has read.
    pub read_bytes: u64,
    /// Bytes it has written.
    pub written_bytes: u64,
    /// When it last read or wrote; `None` if never, or where the target does not know.
    pub last_io_at: Option<Time>,
    /// For how long it has neither read nor written; `None` where the target does not know.
    pub quiet: Option<Duration>,
}

/// An export as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportState {
    /// The volume.
    pub volume_id: VolumeId,
    /// What is served.
    pub device: Device,
    /// Which initiators may log in.
    pub initiators: Vec<String>,
}

/// A target's methods; the module's text states the rules that hold for all of them.
#[async_trait]
pub trait Target: Send + Sync {
    /// Makes `export` reachable; nobody may log in yet. If it exists with another device, the device is changed.
    async fn export(&self, export: &Export) -> Result<Done, TargetError>;

    /// Ends every session and takes the export away. On return no host can write to the device any more.
    async fn unexport(&self, volume: VolumeId) -> Result<Done, TargetError>;

    /// Lets an initiator in. If it is let in already with other credentials, the new ones count from now on.
    async fn allow(&self, volume: VolumeId, access: &Access) -> Result<Done, TargetError>;

    /// Shuts an initiator out and ends its sessions. On return it can write no more.
    async fn deny(&self, volume: VolumeId, initiator: &str) -> Result<Done, TargetError>;

    /// The device has grown to `len_bytes`; logged-in hosts are told (unit attention), and the export serves it.
    /// Already so when the volume is not exported.
    async fn resize(&self, volume: VolumeId, len_bytes: u64) -> Result<Done, TargetError>;

    /// How a host reaches the volume's export, whether it exists yet or not.
    fn address(&self, volume: VolumeId) -> Address;

    /// Every export of ours, as it is now.
    async fn exports(&self) -> Result<Vec<ExportState>, TargetError>;

    /// Who is logged in now.
    async fn sessions(&self) -> Result<Vec<Session>, TargetError>;

    /// Who is logged in to one volume now.
    async fn sessions_of(&self, volume: VolumeId) -> Result<Vec<Session>, TargetError> {
        let all = self.sessions().await?;
        Ok(all
            .into_iter()
            .filter(|one| one.volume_id == volume)
            .collect())
    }

    /// Ends one session and nothing else: whoever is let in may log in again. Already so when there is none of this id.
    /// On return it can write no more.
    async fn kick(&self, session: SessionId) -> Result<Done, TargetError>;

    /// The handle by which a driver sees and holds hosts' writes; `None` when the target has none, or when the volume
    /// is not exported and so nobody can be writing.
    async fn live_writes(
        &self,
        volume: VolumeId,
    ) -> Result<Option<Arc<dyn LiveWrites>>, TargetError>;
}

/// Why a target could not.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The target does not answer: not started, ended, or too slow.
    #[error("the target does not answer while {doing}")]
    Unavailable {
        /// What was asked of it.
        doing: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// The export that was to be changed does not exist.
    #[error("volume {volume_id} is not exported")]
    NotExported {
        /// The volume.
        volume_id: VolumeId,
    },
    /// The target answered that it could not end a session.
    #[error("the target refused to end session {session}: {why}")]
    NotKicked {
        /// The session.
        session: SessionId,
        /// Its reason.
        why: String,
    },
    /// The target answered that it could not.
    #[error("the target refused {doing} for volume {volume_id}: {why}")]
    Refused {
        /// What was asked of it.
        doing: &'static str,
        /// The volume.
        volume_id: VolumeId,
        /// Its reason.
        why: String,
    },
}
