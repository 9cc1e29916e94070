//! Actions of a snapshot: one key of the body says which.

use super::describe::{Described, post};
use super::schema::{anything, wrapped};

pub(super) fn routes() -> Vec<Described> {
    vec![
        post(
            "/v3/snapshots/{id}/action",
            "Does something with a snapshot.",
        )
        .body(wrapped("os-unmanage", anything()))
        .answers_nothing(202)
        .refuses(&[403, 409]),
    ]
}
