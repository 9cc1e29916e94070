//! The hrefs in answers: where this request came in, or the configured public endpoint, and the project if the
//! request named one.

use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Display;

/// One entry of an object's `links`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Link {
    rel: &'static str,
    href: String,
}

/// What a request's links begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Links {
    /// `http://host:port` or the public endpoint, without a slash at its end.
    base: String,
    /// The project as in the request's path; `None` when the request left it out.
    project: Option<String>,
}

impl Links {
    /// From the public endpoint if there is one, else from the request's `Host`.
    pub(super) fn new(
        public_endpoint: Option<&str>,
        host: Option<&str>,
        project: Option<String>,
    ) -> Self {
        let base = match (public_endpoint, host) {
            (Some(endpoint), _) => endpoint.trim_end_matches('/').to_owned(),
            (None, host) => format!("http://{}", host.unwrap_or("localhost")),
        };
        Self { base, project }
    }

    /// The address of version 3, with the slash at its end that clients look for.
    pub(super) fn version(&self) -> String {
        format!("{}/v3/", self.base)
    }

    /// The `links` of an object.
    pub(super) fn of(&self, collection: &str, id: &dyn Display) -> [Link; 2] {
        let project = self.project_part();
        let link = |rel, version| Link {
            rel,
            href: format!("{}{version}{project}/{collection}/{id}", self.base),
        };
        [link("self", "/v3"), link("bookmark", "")]
    }

    /// The `<collection>_links` of a page that is not the last: the same question, from the last item on.
    pub(super) fn next(
        &self,
        collection: &str,
        query: &[(String, String)],
        last_id: &str,
    ) -> Value {
        let mut pairs: Vec<String> = query
            .iter()
            .filter(|(key, _)| key != "marker")
            .map(|(key, value)| format!("{}={}", escape(key), escape(value)))
            .collect();
        pairs.push(format!("marker={}", escape(last_id)));
        let href = format!(
            "{}/v3{}/{collection}?{}",
            self.base,
            self.project_part(),
            pairs.join("&")
        );
        json!([{"rel": "next", "href": href}])
    }

    fn project_part(&self) -> String {
        self.project
            .as_deref()
            .map(|project| format!("/{}", escape(project)))
            .unwrap_or_default()
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_request_named_it() {
        let links = Links::new(None, Some("h:8776"), Some("p".to_owned()));
        assert_eq!(links.version(), "http://h:8776/v3/");
        let of = json!(links.of("volumes", &"i"));
        assert_eq!(of[0]["href"], "http://h:8776/v3/p/volumes/i");
        assert_eq!(of[1]["href"], "http://h:8776/p/volumes/i");
        let bare = Links::new(Some("https://c.example/block/"), Some("h"), None);
        assert_eq!(
            json!(bare.of("volumes", &"i"))[0]["href"],
            "https://c.example/block/v3/volumes/i"
        );
    }

    #[test]
    fn the_next_page_asks_the_same() {
        let links = Links::new(None, Some("h"), None);
        let query = [
            ("limit".to_owned(), "2".to_owned()),
            ("marker".to_owned(), "old".to_owned()),
            ("name".to_owned(), "a b&c".to_owned()),
        ];
        let next = links.next("volumes/detail", &query, "new");
        assert_eq!(
            next[0]["href"],
            "http://h/v3/volumes/detail?limit=2&name=a%20b%26c&marker=new"
        );
    }
}
