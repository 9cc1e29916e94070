//! Holds answers to the description: a code, a field or a body that is not described fails the test that received it.

use super::describe::Described;
use super::document::{components, descriptions};
use super::faults;
use super::schema::{at, named};
use crate::api::place::{self, Place};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

/// Put together once: the tests ask thousands of times.
static ROUTES: LazyLock<Vec<Described>> = LazyLock::new(descriptions);
static COMPONENTS: LazyLock<Value> = LazyLock::new(components);
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// An answer, as far as its description goes.
#[derive(Debug)]
pub(in crate::api) struct Answered<'a> {
    pub(in crate::api) method: &'a str,
    /// As sent, without the query.
    pub(in crate::api) path: &'a str,
    /// The minor version that the answer echoes.
    pub(in crate::api) minor: u16,
    /// Whether an administrator asked.
    pub(in crate::api) is_admin: bool,
    pub(in crate::api) code: u16,
    /// What the answer says its body is.
    pub(in crate::api) media: Option<&'a str>,
    /// `None` when it was empty.
    pub(in crate::api) body: Option<&'a Value>,
}

/// Says what about an answer is not described.
pub(in crate::api) fn check(answered: &Answered<'_>) -> Result<(), String> {
    let (path, is_known) = match place::of(answered.path) {
        Place::V3 { path, .. } => (path, true),
        Place::Version => ("/v3/".to_owned(), true),
        Place::Versions | Place::Health | Place::Metrics | Place::Ashlar => {
            (answered.path.to_owned(), true)
        }
        Place::Nowhere => (String::new(), false),
    };
    let method = if answered.method == "HEAD" {
        "GET"
    } else {
        answered.method
    };
    let route = ROUTES
        .iter()
        .filter(|one| is_known && one.method.eq_ignore_ascii_case(method))
        .filter(|one| fits(one.path, &path))
        .min_by_key(|one| one.names().count());
    let schema = match route {
        Some(route) => allowed(route, answered)?,
        None => refusal_of_nothing(answered)?,
    };
    if answered.code == 200
        && route.is_some_and(|one| one.streams.is_some() && one.streams == answered.media)
    {
        return Ok(());
    }
    if answered.body.is_some() && answered.media != Some("application/json") {
        return Err(format!("a body that is said to be {:?}", answered.media));
    }
    match (schema, answered.body) {
        (None, None) => Ok(()),
        (Some(_), None) if answered.method == "HEAD" => Ok(()),
        (None, Some(body)) => Err(format!("a body where none is described: {body}")),
        (Some(_), None) => Err("no body where one is described".to_owned()),
        (Some(schema), Some(body)) => valid(&schema, answered, body),
    }
}

/// Whether a path is one of a route's; a word of the route wins over a variable, as in the router.
fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if one == other || one.starts_with('{') => {}
            (Some(_) | None, _) => return false,
        }
    }
}

fn allowed(route: &Described, answered: &Answered<'_>) -> Result<Option<Value>, String> {
    // An action among others may answer the same code with a body or without.
    let of_code = || {
        route
            .answers
            .iter()
            .filter(|(code, _)| *code == answered.code)
    };
    let has_body = answered.body.is_some();
    let fits = of_code().find(|(_, schema)| schema.is_some() == has_body);
    if let Some((_, schema)) = fits.or_else(|| of_code().next()) {
        return Ok(schema.clone());
    }
    if faults::of(route).contains(&answered.code) {
        return Ok(Some(named(&faults::name(answered.code))));
    }
    Err(format!(
        "{} {} is not described to answer {}",
        route.method, route.path, answered.code
    ))
}

/// What is asked of nothing is refused, in the form of refusals.
fn refusal_of_nothing(answered: &Answered<'_>) -> Result<Option<Value>, String> {
    let is_refusal = faults::FAULTS
        .iter()
        .any(|(code, _, _)| *code == answered.code);
    if is_refusal {
        Ok(Some(named(&faults::name(answered.code))))
    } else {
        Err("an answer to what is in no description".to_owned())
    }
}

fn valid(schema: &Value, answered: &Answered<'_>, body: &Value) -> Result<(), String> {
    let validator = validator(schema, answered.minor, answered.is_admin)?;
    let found: Vec<String> = validator
        .iter_errors(body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    if found.is_empty() {
        Ok(())
    } else {
        Err(format!("{}\nin {body:#}", found.join("\n")))
    }
}

fn validator(schema: &Value, minor: u16, is_admin: bool) -> Result<Arc<Validator>, String> {
    let key = format!("{minor} {is_admin} {schema}");
    let mut made = VALIDATORS.lock().unwrap();
    if let Some(validator) = made.get(&key) {
        return Ok(validator.clone());
    }
    let whole = at(
        &json!({"allOf": [schema], "components": *COMPONENTS}),
        minor,
        is_admin,
    );
    let validator = jsonschema::validator_for(&whole).map_err(|error| error.to_string())?;
    let validator = Arc::new(validator);
    made.insert(key, validator.clone());
    Ok(validator)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: u16, body: &Value) -> Result<(), String> {
        check(&Answered {
            method: "GET",
            path: "/v3/p/volumes",
            minor: 0,
            is_admin: false,
            code,
            media: Some("application/json"),
            body: Some(body),
        })
    }

    #[test]
    fn what_is_not_described_is_found() {
        assert_eq!(told(200, &json!({"volumes": []})), Ok(()));
        assert!(told(200, &json!({"volumes": [], "colour": 1})).is_err());
        assert!(told(200, &json!({"volumes": [], "count": 0})).is_err());
        assert!(told(201, &json!({"volumes": []})).is_err());
        assert!(told(404, &json!({"badRequest": {"code": 400, "message": "no"}})).is_err());
        assert_eq!(
            told(
                404,
                &json!({"itemNotFound": {"code": 404, "message": "no"}})
            ),
            Ok(())
        );
    }
}
