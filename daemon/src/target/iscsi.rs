//! Ashlar's own iSCSI target: serves volumes from userspace, unprivileged, where the kernel has no
//! LIO. It runs as a process of its own (`ashlard target`), so that the control process may die, be
//! restarted or be upgraded under running I/O; the two speak over a socket.
//!
//! In reading order: [`mod@serve`] (the process), [`registry`] (exports and sessions) and [`table`]
//! (what persists of them), [`control`], [`wire`] and [`client`] (the socket between the two),
//! [`login`] with [`chap`], [`text`] and [`negotiate`] (who gets in), [`session`] (commands and
//! their data), [`scsi`] on a [`lun`] with its [`backing`] and [`live`] writes. [`pdu`],
//! [`response`] and [`frame`] are pure; [`limits`] holds every bound.
//!
//! What it is not: no multiple connections a session, no error recovery above level 0, no iSER.
//! A host recovers from a lost connection or a restarted target by logging in again.

pub mod backing;
pub mod chap;
pub mod client;
pub mod control;
pub mod frame;
pub mod limits;
pub mod live;
pub mod login;
pub mod lun;
pub mod negotiate;
pub mod pdu;
pub mod registry;
pub mod response;
pub mod scsi;
pub mod serve;
pub mod session;
pub mod table;
pub mod text;
pub mod wire;

pub use client::IscsiTarget;
pub use serve::{IQN_PREFIX, TargetConfig, TargetServeError, serve};
