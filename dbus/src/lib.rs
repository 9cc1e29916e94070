//! udisks2 in Rust terms, and later Ashlar's own interface on the bus.
//!
//! This crate is the only place that knows D-Bus. [`udisks`] is a client for udisks2's LVM2 objects: names and bytes
//! in, no D-Bus types out. It has never heard of a Cinder volume.
//!
//! What udisks2 publishes lies behind what LVM has done: it reads every volume group anew at each event of the kernel.
//! So an act is complete when LVM says so, and whoever has LVM's own report need not wait for udisks' answer: each act
//! is a future that may be dropped, and udisks goes on with what it was asked.

pub mod error;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod path;
mod proxies;
pub mod udisks;

pub use error::UdisksError;
pub use udisks::Udisks;
