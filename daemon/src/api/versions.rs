//! The version documents: what a client reads first, without a token.

use super::error::{Body, multiple_choices, ok};
use super::links::Links;
use super::microversion::{self, Microversion};
use axum::http::Response;
use serde_json::{Value, json};

/// When Cinder's description of version 3 last changed; clients only print it.
const UPDATED: &str = "2026-01-01T00:00:00Z";

/// `GET /`: every version there is, with Cinder's code for it.
pub(super) fn all(links: &Links) -> Response<Body> {
    multiple_choices(&document(links))
}

/// `GET /v3/`: this version.
pub(super) fn this(links: &Links) -> Response<Body> {
    ok(&document(links))
}

fn document(links: &Links) -> Value {
    json!({"versions": [{
        "id": "v3.0",
        "status": "CURRENT",
        "version": microversion::maximum().to_string(),
        "min_version": Microversion::MIN.to_string(),
        "updated": UPDATED,
        "links": [
            {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
            {"rel": "self", "href": links.version()},
        ],
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.volume+json;version=3",
        }],
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_look_for() {
        let document = document(&Links::new(None, Some("h:1"), None));
        let version = &document["versions"][0];
        assert_eq!(version["status"], "CURRENT");
        assert_eq!(version["version"], microversion::maximum().to_string());
        assert_eq!(version["min_version"], "3.0");
        assert_eq!(version["links"][1]["href"], "http://h:1/v3/");
    }
}
