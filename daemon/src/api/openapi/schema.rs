//! JSON schemas in few words: what a field is, from which microversion it is there, and for whom.
//!
//! An object lists all its fields and takes no others. [`at`] turns a schema into the one that holds for a single
//! microversion and role, in which every field that must be there is required.

use serde_json::{Map, Value, json};

/// Marks a field that came with a microversion.
const SINCE: &str = "x-since-minor";
/// Marks a field that only administrators are shown.
const FOR_ADMINS: &str = "x-for-administrators";
/// Marks a field that may be left out whatever the version.
const OPTIONAL: &str = "x-optional";

/// A field of an object.
#[derive(Debug, Clone)]
pub(super) struct Field {
    name: &'static str,
    schema: Value,
    since: u16,
    is_for_admins: bool,
    is_optional: bool,
}

/// A field that is always there.
pub(super) fn field(name: &'static str, schema: Value) -> Field {
    Field {
        name,
        schema,
        since: 0,
        is_for_admins: false,
        is_optional: false,
    }
}

impl Field {
    /// From 3.`minor` on.
    pub(super) fn since(self, minor: u16) -> Self {
        Self {
            since: minor,
            ..self
        }
    }

    /// Only administrators see it.
    pub(super) fn for_admins(self) -> Self {
        Self {
            is_for_admins: true,
            ..self
        }
    }

    /// It may be left out.
    pub(super) fn optional(self) -> Self {
        Self {
            is_optional: true,
            ..self
        }
    }

    /// A sentence about it.
    pub(super) fn says(mut self, text: &str) -> Self {
        self.schema["description"] = json!(text);
        self
    }
}

/// An object of exactly these fields.
pub(super) fn object(fields: impl IntoIterator<Item = Field>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let mut schema = field.schema;
        if field.since > 0 {
            schema[SINCE] = json!(field.since);
        }
        if field.is_for_admins {
            schema[FOR_ADMINS] = json!(true);
        }
        if field.is_optional {
            schema[OPTIONAL] = json!(true);
        }
        if field.since == 0 && !field.is_for_admins && !field.is_optional {
            required.push(field.name);
        }
        properties.insert(field.name.to_owned(), schema);
    }
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    })
}

/// An object of one field, as Cinder wraps what it says.
pub(super) fn wrapped(name: &'static str, schema: Value) -> Value {
    object([field(name, schema)])
}

/// A schema of the document, by its name.
pub(super) fn named(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The same, or null.
pub(super) fn or_null(schema: Value) -> Value {
    match schema.get("type") {
        Some(Value::String(one)) if schema.get("enum").is_none() => {
            let both = json!([one, "null"]);
            let mut schema = schema;
            schema["type"] = both;
            schema
        }
        Some(_) | None => any_of([schema, null()]),
    }
}

pub(super) fn text() -> Value {
    json!({"type": "string"})
}

/// A text as bodies may say it: bounded, and without a NUL character, which not every database can keep.
pub(super) fn said_text() -> Value {
    json!({"type": "string", "maxLength": 255, "pattern": "^[^\\u0000]*$"})
}

pub(super) fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

/// A time as Cinder writes it: UTC, with microseconds, without a zone.
pub(super) fn time() -> Value {
    json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}$"})
}

pub(super) fn integer() -> Value {
    json!({"type": "integer"})
}

pub(super) fn boolean() -> Value {
    json!({"type": "boolean"})
}

pub(super) fn null() -> Value {
    json!({"type": "null"})
}

/// Anything at all.
pub(super) fn anything() -> Value {
    json!({})
}

/// One of these texts.
pub(super) fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// Exactly this value.
pub(super) fn exactly(value: impl Into<Value>) -> Value {
    json!({"const": value.into()})
}

pub(super) fn list(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

/// One of several schemas.
pub(super) fn any_of(schemas: impl IntoIterator<Item = Value>) -> Value {
    json!({"anyOf": schemas.into_iter().collect::<Vec<_>>()})
}

/// Pairs of texts.
pub(super) fn pairs() -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"}})
}

/// Pairs as bodies may say them.
pub(super) fn said_pairs() -> Value {
    json!({
        "type": "object", "maxProperties": 128, "additionalProperties": said_text(),
        "propertyNames": {"pattern": "^[a-zA-Z0-9\\-_:. /]{1,255}$"},
    })
}

/// A size in GiB as bodies say it: a number, or digits.
pub(super) fn said_size() -> Value {
    any_of([
        json!({"type": "integer", "minimum": 1, "maximum": i32::MAX}),
        json!({"type": "string", "pattern": "^[1-9][0-9]{0,8}$"}),
    ])
}

/// A boolean in the spellings that Cinder reads.
pub(super) fn said_boolean() -> Value {
    any_of([
        boolean(),
        json!({"type": "string", "pattern": "^([Tt]rue|[Ff]alse|0|1|on|off|yes|no)$"}),
    ])
}

/// The links of an object.
pub(super) fn links() -> Value {
    list(&object([field("rel", text()), field("href", text())]))
}

/// What holds at 3.`minor` for this role: fields that are not yet there, or not for it, are gone, the others must be.
pub(super) fn at(schema: &Value, minor: u16, is_admin: bool) -> Value {
    match schema {
        Value::Array(all) => all.iter().map(|one| at(one, minor, is_admin)).collect(),
        Value::Object(map) => {
            let mut turned: Map<String, Value> = map
                .iter()
                .filter(|(key, _)| ![SINCE, FOR_ADMINS, OPTIONAL].contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), at(value, minor, is_admin)))
                .collect();
            if map.get("additionalProperties") == Some(&Value::Bool(false)) {
                let (properties, required) = fields_at(map, minor, is_admin);
                turned.insert("properties".to_owned(), Value::Object(properties));
                turned.insert("required".to_owned(), json!(required));
            }
            Value::Object(turned)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

fn fields_at(
    object: &Map<String, Value>,
    minor: u16,
    is_admin: bool,
) -> (Map<String, Value>, Vec<String>) {
    let fields = object.get("properties").and_then(Value::as_object);
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, schema) in fields.into_iter().flatten() {
        let since = schema[SINCE].as_u64().unwrap_or(0);
        let is_there = u64::from(minor) >= since && (is_admin || schema.get(FOR_ADMINS).is_none());
        if !is_there {
            continue;
        }
        if schema.get(OPTIONAL).is_none() {
            required.push(name.clone());
        }
        properties.insert(name.clone(), at(schema, minor, is_admin));
    }
    (properties, required)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_with_their_version_and_role() {
        let schema = object([
            field("a", text()),
            field("b", text()).since(13),
            field("c", text()).since(21).for_admins(),
            field("d", text()).optional(),
        ]);
        assert_eq!(schema["required"], json!(["a"]));
        let required = |minor, is_admin| at(&schema, minor, is_admin)["required"].clone();
        assert_eq!(required(12, true), json!(["a"]));
        assert_eq!(required(13, false), json!(["a", "b"]));
        assert_eq!(required(67, true), json!(["a", "b", "c"]));
        let young = at(&schema, 12, true);
        assert!(young["properties"].get("c").is_none());
        assert!(young["properties"].get("d").is_some());
    }
}
