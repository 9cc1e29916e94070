//! In place of the crate `dirs`, of which rustic_core wants one function, for a cache that Ashlar does not use. The real
//! one brings a licence (MPL-2.0) that `deny.toml` does not allow.

use std::path::PathBuf;

/// Where caches lie: nowhere, so that none is made.
pub fn cache_dir() -> Option<PathBuf> {
    None
}
