//! What a handler gets: who asks, at which microversion, with which words. Put together at the door.

use super::body;
use super::error::{Body, Fault};
use super::links::Links;
use super::microversion::Microversion;
use crate::model::caller::Caller;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::str::FromStr;

/// A request that passed the door.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Who asks.
    pub(super) caller: Caller,
    /// At which version.
    pub(super) version: Microversion,
    /// What hrefs in the answer begin with.
    pub(super) links: Links,
    /// The query in its order, decoded.
    pub(super) query: Vec<(String, String)>,
    /// The header `If-Match`.
    if_match: Option<String>,
    /// The variable parts of the path, decoded.
    path: Vec<(String, String)>,
    /// The body, within its limit.
    body: Bytes,
    /// What the body is said to be.
    media: Media,
}

/// What the request says of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json`.
    Json,
    /// Nothing.
    Unsaid,
    /// Something else.
    Other,
}

impl Media {
    /// From the `Content-Type` header.
    pub(super) fn of(content_type: Option<&[u8]>) -> Self {
        match content_type {
            None => Media::Unsaid,
            Some(text) => {
                let essence = text.split(|byte| *byte == b';').next().unwrap_or_default();
                if essence
                    .trim_ascii()
                    .eq_ignore_ascii_case(b"application/json")
                {
                    Media::Json
                } else {
                    Media::Other
                }
            }
        }
    }
}

impl Call {
    /// A call whose path is not yet known.
    pub(super) fn new(
        caller: Caller,
        version: Microversion,
        links: Links,
        query: Vec<(String, String)>,
        body: Bytes,
        media: Media,
    ) -> Self {
        Self {
            caller,
            version,
            links,
            query,
            if_match: None,
            path: Vec::new(),
            body,
            media,
        }
    }

    /// With the condition that the request makes, if it makes one.
    pub(super) fn on_condition(mut self, if_match: Option<&HeaderValue>) -> Self {
        self.if_match =
            if_match.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        self
    }

    /// Whether what is there, by its tag, is what the request's `If-Match` names; so it is when there is none. Tags may
    /// come with quotes or, as Cinder gives them, without.
    pub(super) fn expects(&self, tag: &str) -> bool {
        self.if_match.as_ref().is_none_or(|said| {
            said.split(',').any(|one| {
                let one = one.trim();
                one == "*" || one.trim_start_matches("W/").trim_matches('"') == tag
            })
        })
    }

    /// A variable part of the path, as the route table names it.
    pub(super) fn path(&self, name: &str) -> &str {
        self.path
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }

    /// An id in the path; what is no UUID cannot exist, and answers as that.
    pub(super) fn id<T: FromStr>(&self, noun: &str) -> Result<T, Fault> {
        let text = self.path("id");
        text.parse()
            .map_err(|_| Fault::not_found(noun, &shown(text)))
    }

    /// A parameter of the query; the last one counts when it is given twice.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A parameter that switches something on; a word that says neither yes nor no is refused.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Fault> {
        self.parameter(name).map_or(Ok(false), |word| {
            body::boolean_of(word).ok_or_else(|| {
                Fault::bad_request(format!(
                    "Value '{}' for '{name}' is not a boolean.",
                    shown(word)
                ))
            })
        })
    }

    /// The body as a JSON object.
    pub(super) fn json(&self) -> Result<Map<String, Value>, Fault> {
        // A page of a browser can send a body of another type, or of none, across sites without asking first.
        match self.media {
            Media::Json => body::parse(&self.body),
            Media::Unsaid => Err(Fault::malformed_body()),
            Media::Other => Err(Fault::bad_media_type()),
        }
    }
}

/// A text of the client's, cut short for an answer.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(80)
        .collect()
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let mut call = parts.extensions.remove::<Call>().ok_or_else(Fault::erred)?;
        let path = RawPathParams::from_request_parts(parts, state)
            .await
            // Broken UTF-8 in the path: no object is called so.
            .map_err(|_| Fault::no_route())?;
        call.path = path
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Ok(call)
    }
}

/// What a request looks like before it passed the door.
pub(super) type Request = axum::http::Request<Body>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        assert_eq!(Media::of(None), Media::Unsaid);
        assert_eq!(Media::of(Some(b"application/json")), Media::Json);
        assert_eq!(
            Media::of(Some(b"Application/JSON; charset=utf-8")),
            Media::Json
        );
        assert_eq!(Media::of(Some(b"text/plain")), Media::Other);
        assert_eq!(Media::of(Some(b"\xff")), Media::Other);
    }
}
