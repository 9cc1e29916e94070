//! udisks2 in Rust terms, and later Ashlar's own interface on the bus.
//!
//! This crate is the only place that may know D-Bus. It will hold a client for udisks2's LVM2 objects (bytes and
//! names in, no D-Bus types out), a small fake udisks that serves the tests over a socket pair, and the server side
//! of the interface by which a running `ashlard` can be introspected. It has never heard of a Cinder volume.
//!
//! It is empty on purpose: the LVM driver fills it. Nothing depends on it until then.
