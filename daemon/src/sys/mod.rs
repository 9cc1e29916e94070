//! The few system calls that need `unsafe`, each with its SAFETY note; `unsafe` is denied everywhere else.

pub mod fiemap;
