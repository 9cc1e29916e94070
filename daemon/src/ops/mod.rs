//! VERBS.

/// TEMPORARY until it lands.
pub struct Ctx {
    /// The record.
    pub store: crate::store::Store,
}
