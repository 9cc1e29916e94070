//! The time of day, asked for in one place.

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the command line's one clock; the daemon's is model::time::Clock"
)]
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
