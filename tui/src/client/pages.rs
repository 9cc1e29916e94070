//! A list, page by page as it is read, so that its length is not held in memory.

use serde_json::Value;

use super::{Client, text};
use crate::failure::{Exit, Failure};
use crate::places::{Api, Place};

/// What a page of a list may hold (Cinder's own limit).
const PAGE_MAX: usize = 1000;
/// A million objects; they are written as they come, so this only ends a server that never ends its list.
const PAGES_MAX: usize = 1000;

/// A list as it is read from the server.
pub(crate) struct Pages<'a> {
    client: &'a Client,
    api: Api,
    list: String,
    collection: &'static str,
    id: &'static str,
    is_paged: bool,
    query: Vec<(String, String)>,
    marker: Option<String>,
    left: Option<usize>,
    pages_left: usize,
    is_over: bool,
}

impl<'a> Pages<'a> {
    /// Nothing is read yet.
    pub(super) fn new(
        client: &'a Client,
        place: &Place,
        list: &str,
        query: Vec<(String, String)>,
        limit: Option<usize>,
        marker: Option<&str>,
    ) -> Self {
        Self {
            client,
            api: place.api,
            list: list.to_owned(),
            collection: place.collection,
            id: place.id,
            is_paged: place.is_paged,
            query,
            marker: marker.map(str::to_owned),
            left: limit,
            pages_left: PAGES_MAX,
            is_over: false,
        }
    }

    fn read(&mut self) -> Result<Vec<Value>, Failure> {
        let collection = self.collection;
        let failed = |why: &str| Failure::new(Exit::Failed, &format!("listing {collection}"), why);
        if self.pages_left == 0 {
            return Err(failed("it is too long to show").hint("narrow it with a filter"));
        }
        self.pages_left -= 1;
        let size = self.left.unwrap_or(PAGE_MAX).min(PAGE_MAX).to_string();
        let mut query: Vec<(&str, &str)> = self
            .query
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        if self.is_paged {
            query.push(("limit", &size));
            if let Some(marker) = &self.marker {
                query.push(("marker", marker));
            }
        }
        let answer = self.client.get(self.api, &self.list, &query)?;
        let page = answer.get(collection).and_then(Value::as_array).cloned();
        let mut page =
            page.ok_or_else(|| failed(&format!("the answer holds no `{collection}`")))?;
        if let Some(left) = &mut self.left {
            page.truncate(*left);
            *left -= page.len();
        }
        // Cinder says with a link that there is more; Ashlar's own lists say it with a full page.
        let has_more = match self.api {
            Api::Cinder => answer.get(format!("{collection}_links")).is_some(),
            Api::Ashlar | Api::Local => page.len() >= PAGE_MAX,
        };
        self.is_over = !self.is_paged || page.is_empty() || !has_more || self.left == Some(0);
        self.marker = page.last().map(|item| text(item, self.id));
        Ok(page)
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Vec<Value>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let page = self.read();
        self.is_over |= page.is_err();
        Some(page)
    }
}
