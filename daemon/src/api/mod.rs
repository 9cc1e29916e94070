//! WIRE.
