//! A route in words: what it does, what may be asked, what it may answer.

use super::schema::{integer, one_of, text, uuid};
use crate::api::filter::Kind;
use crate::api::page::Listing;
use serde_json::{Value, json};

/// A description of one route of the table.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) query: Vec<Parameter>,
    /// What stands for `{id}` and the like, where it is not a UUID or a key.
    pub(super) variables: Vec<(&'static str, Value)>,
    pub(super) body: Option<Value>,
    pub(super) answers: Vec<(u16, Option<Value>)>,
    /// What the 200 may be instead of JSON.
    pub(super) streams: Option<&'static str>,
    /// Refusals beyond those that every such route may give.
    pub(super) refusals: Vec<u16>,
}

/// A parameter of the query.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) schema: Value,
    pub(super) says: String,
}

/// `GET path`.
pub(super) fn get(path: &'static str, summary: &'static str) -> Described {
    described("get", path, summary)
}

/// `POST path`.
pub(super) fn post(path: &'static str, summary: &'static str) -> Described {
    described("post", path, summary)
}

/// `PUT path`.
pub(super) fn put(path: &'static str, summary: &'static str) -> Described {
    described("put", path, summary)
}

/// `DELETE path`.
pub(super) fn delete(path: &'static str, summary: &'static str) -> Described {
    described("delete", path, summary)
}

fn described(method: &'static str, path: &'static str, summary: &'static str) -> Described {
    Described {
        method,
        path,
        summary,
        query: Vec::new(),
        variables: Vec::new(),
        body: None,
        answers: Vec::new(),
        streams: None,
        refusals: Vec::new(),
    }
}

impl Described {
    /// It takes a JSON body.
    pub(super) fn body(mut self, schema: Value) -> Self {
        self.body = Some(schema);
        self
    }

    /// It may answer so.
    pub(super) fn answers(mut self, code: u16, schema: Value) -> Self {
        self.answers.push((code, Some(schema)));
        self
    }

    /// It may answer so, without a body.
    pub(super) fn answers_nothing(mut self, code: u16) -> Self {
        self.answers.push((code, None));
        self
    }

    /// Its 200 is a stream of this media type, unless JSON is asked for.
    pub(super) fn streams(self, media: &'static str) -> Self {
        Self {
            streams: Some(media),
            ..self
        }
    }

    /// It may refuse so, beyond what every such route may.
    pub(super) fn refuses(mut self, codes: &[u16]) -> Self {
        self.refusals.extend(codes);
        self
    }

    /// It takes a parameter.
    pub(super) fn query(mut self, name: &str, schema: Value, says: &str) -> Self {
        self.query.push(Parameter {
            name: name.to_owned(),
            schema,
            says: says.to_owned(),
        });
        self
    }

    /// What stands for a variable part of the path.
    pub(super) fn variable(mut self, name: &'static str, schema: Value) -> Self {
        self.variables.push((name, schema));
        self
    }

    /// It is a list: pages, sort keys, and the filters of its table.
    pub(super) fn lists(self, listing: &Listing, with_count: bool) -> Self {
        let keys = listing.sort.iter().map(|(wire, _)| *wire);
        let keys: Vec<&str> = keys.collect();
        let mut described = self
            .query(
                "limit",
                json!({"type": "integer", "minimum": 0, "maximum": i32::MAX}),
                "At most so many; a page has 1000 at most.",
            )
            .query(
                "marker",
                text(),
                "The id of the last one of the page before.",
            )
            .query(
                "offset",
                json!({"type": "integer", "minimum": 0, "maximum": i32::MAX}),
                "So many are left out at the beginning.",
            )
            .query("sort", text(), "Keys with directions: `key:asc,key:desc`.")
            .query("sort_key", one_of(&keys), "The older way to sort: the key.")
            .query(
                "sort_dir",
                one_of(&["asc", "desc"]),
                "The older way to sort: the direction.",
            );
        if listing.of_projects {
            described = described
                .query(
                    "all_tenants",
                    one_of(&["0", "1"]),
                    "Of all projects; heeded for administrators.",
                )
                .query("project_id", text(), "Of this project; for administrators.");
        }
        if with_count {
            described = described.query(
                "with_count",
                one_of(&["true", "false"]),
                "From 3.45: how many there are in all.",
            );
        }
        for rule in listing.filters {
            let whom = if rule.for_admins {
                "; for administrators"
            } else {
                ""
            };
            let says = format!("A filter, from 3.{}{whom}.", rule.since);
            described = described.query(rule.wire, word_of(rule.kind), &says);
        }
        described
    }

    /// The names in braces of its path.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let parts = self.path.split('/');
        parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The schema of a variable part of its path.
    pub(super) fn variable_schema(&self, name: &str) -> Value {
        let own = self.variables.iter().find(|(known, _)| *known == name);
        match (own, name) {
            (Some((_, schema)), _) => schema.clone(),
            (None, "id") => uuid(),
            (None, _) => json!({"type": "string", "pattern": "^[a-zA-Z0-9\\-_:.]{1,255}$"}),
        }
    }
}

/// What a filter takes.
fn word_of(kind: Kind) -> Value {
    match kind {
        Kind::Number => integer(),
        Kind::Boolean | Kind::AlwaysTrue => one_of(&["true", "false"]),
        Kind::Text | Kind::Pairs | Kind::Times | Kind::NoneHas | Kind::Ignored => text(),
    }
}
