//! Which examples there must be: for every route that the daemon says it has, and every action that its own OpenAPI
//! document names, one of each kind that can apply.
//!
//! What cannot apply follows from the route: what reads has no wrong state, what names no object finds it always, what
//! takes neither body nor query cannot be asked wrongly. Other exceptions stand with their reason in the nouns' files.

use serde_json::Value;

use super::example::{Examples, Kind};

/// A route, or an action of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `METHOD /path/{id}`.
    pub route: String,
    /// The action, if the body names one.
    pub action: Option<String>,
    /// Whether there is a body or a query to be wrong.
    takes_input: bool,
}

/// The endpoints of a document of the daemon's, and what is in `routes` only.
pub fn endpoints(document: &Value) -> Vec<Endpoint> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let route = format!("{} {path}", method.to_uppercase());
            let queries = operation["parameters"].as_array().into_iter().flatten();
            let has_query = queries.filter(|one| one["in"] == "query").count() > 0;
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let endpoint = Endpoint {
                route,
                action: None,
                takes_input: has_query || !body.is_null(),
            };
            if path.ends_with("/action") {
                found.extend(actions(body).into_iter().map(|action| Endpoint {
                    action: Some(action),
                    ..endpoint.clone()
                }));
            } else {
                found.push(endpoint);
            }
        }
    }
    found
}

/// The names under which a body's schema takes actions.
fn actions(schema: &Value) -> Vec<String> {
    let any = schema["anyOf"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![schema.clone()]);
    let names = any
        .iter()
        .filter_map(|one| one["required"][0].as_str().map(str::to_owned));
    names.collect()
}

impl Endpoint {
    fn can_show(&self, kind: Kind) -> bool {
        let reads = self.route.starts_with("GET ");
        match kind {
            Kind::Success => true,
            Kind::WrongState => !reads,
            // Of a list everybody gets their own; without credentials nobody gets any, which is replayed for each.
            Kind::Forbidden => !reads || self.route.contains('{'),
            Kind::NotFound => self.route.contains('{'),
            Kind::BadInput => self.takes_input,
        }
    }

    fn title(&self) -> String {
        match &self.action {
            Some(action) => format!("{} {action}", self.route),
            None => self.route.clone(),
        }
    }
}

/// What is missing, and exceptions that say nothing; empty when all is well.
pub fn complaints(endpoints: &[Endpoint], examples: &Examples) -> Vec<String> {
    let mut found = Vec::new();
    for endpoint in endpoints {
        for kind in Kind::ALL {
            let shown = examples.all.iter().any(|one| {
                one.kind == kind && one.route == endpoint.route && one.action == endpoint.action
            });
            let excused = examples.cannot.iter().any(|one| {
                one.kind == kind
                    && one.route == endpoint.route
                    && (one.action.is_none() || one.action == endpoint.action)
            });
            if endpoint.can_show(kind) && !shown && !excused {
                found.push(format!(
                    "{}: no example of {}",
                    endpoint.title(),
                    kind.as_str()
                ));
            }
            if excused && shown && endpoint.action.is_none() {
                found.push(format!(
                    "{}: {} is excused and shown",
                    endpoint.title(),
                    kind.as_str()
                ));
            }
        }
    }
    let is_known = |route: &str, action: Option<&String>| {
        endpoints
            .iter()
            .any(|one| one.route == route && (action.is_none() || one.action.as_ref() == action))
    };
    for one in &examples.all {
        if !is_known(&one.route, one.action.as_ref()) {
            found.push(format!("{}: there is no such route or action", one.title()));
        }
    }
    for one in &examples.cannot {
        if !is_known(&one.route, one.action.as_ref()) {
            found.push(format!("an exception for {}, which is no route", one.route));
        }
    }
    found
}
