//! The request's id: made at the door, on every answer, in every log line and on the operation that it began.

use super::error::{Body, set_header};
use axum::http::{Response, header::HeaderName};
use uuid::Uuid;

/// A fresh id in the form that OpenStack clients know: `req-<uuid>`.
pub(super) fn fresh() -> String {
    format!("req-{}", Uuid::new_v4())
}

/// Puts the id on an answer, under both names: cinderclient reads the one, the SDK the other.
pub(super) fn put(response: &mut Response<Body>, request_id: &str) {
    for name in ["x-compute-request-id", "x-openstack-request-id"] {
        set_header(response, HeaderName::from_static(name), request_id);
    }
}
