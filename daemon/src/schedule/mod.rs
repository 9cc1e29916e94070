//! Which pool; pure.
