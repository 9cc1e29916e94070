//! NOUNS: what Ashlar stores and talks about, and which status may follow which.
//!
//! Knows std, uuid and time; nothing of HTTP, SQL, JSON or any edge. The wire spelling of a status is a method
//! here, not a derive, so that a renamed variant can never change what a client reads.

pub mod attachment;
pub mod backup;
pub mod backup_run;
pub mod backup_set;
pub mod backup_store;
pub mod caller;
pub mod cron;
pub mod id;
pub mod message;
pub mod operation;
pub mod pool;
pub mod qos;
pub mod retention;
pub mod service;
pub mod size;
pub mod snapshot;
pub mod status;
pub mod time;
pub mod transfer;
pub mod volume;
pub mod volume_type;
