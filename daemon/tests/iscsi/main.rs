//! Ashlar's own iSCSI target, end to end: the target in this process, spoken to over TCP and over
//! its control socket by a raw initiator, and by real ones where they are installed.
#![cfg(test)]

mod commands;
mod control;
mod login;
mod mutated;
mod peers;
mod rig;
