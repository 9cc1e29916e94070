//! Ring 4: guests with a real kernel, under QEMU.
//!
//! The image is built once, booted once and frozen; every case starts from the frozen guest in seconds. A guest is a
//! storage node ([`storage`]) or a host with an initiator ([`host`]); a network of their own is between them. What a
//! machine cannot do is a reason to skip, in words, never a case that passed.

pub mod emulator;
pub mod flushes;
pub mod guest;
pub mod host;
pub mod image;
pub mod monitor;
pub mod shell;
pub mod storage;
pub mod tools;
pub mod traces;

use std::time::Duration;

/// Everything is ten to twenty times slower under emulation than on the machine itself.
pub const PATIENCE: Duration = Duration::from_secs(300);
