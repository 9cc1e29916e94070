//! Our own API beside Cinder's: who one is, what changes, what is being done, who may call.

pub(super) mod events;
pub(super) mod operations;
pub(super) mod tokens;
pub(super) mod whoami;
