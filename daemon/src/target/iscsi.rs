//! Ashlar's own userspace iSCSI target.

pub mod backing;
pub mod chap;
pub mod frame;
pub mod limits;
pub mod live;
pub mod login;
pub mod lun;
pub mod negotiate;
pub mod pdu;
pub mod scsi;
pub mod text;
