//! Operations from begin to end, with a worker, the fake driver and a target that only remembers.
#![cfg(test)]

mod cancel;
mod connections;
mod fixture;
mod manage;
mod messages;
mod quota;
mod resets;
mod retype;
mod transfers;
