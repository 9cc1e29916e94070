//! `GET /ashlar/v1/openapi/{document}`: the documents as they are checked in.

use crate::api::call::{Call, shown};
use crate::api::error::{Answer, Fault, ok_text};

/// By name: Cinder's API here, and our own.
pub(in crate::api) const DOCUMENTS: &[(&str, &str)] = &[
    (
        "cinder-v3.json",
        include_str!("../../../../docs/openapi/cinder-v3.json"),
    ),
    (
        "ashlar-v1.json",
        include_str!("../../../../docs/openapi/ashlar-v1.json"),
    ),
];

pub(in crate::api) async fn show(call: Call) -> Answer {
    let name = call.path("document");
    DOCUMENTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| ok_text(text))
        .ok_or_else(|| Fault::not_found("Document", &shown(name)))
}
