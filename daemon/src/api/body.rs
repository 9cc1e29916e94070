//! Reading a request's JSON: tolerant where Cinder is, and in Cinder's words where it is not.
//!
//! A body is bounded before it comes here (`door.rs`), and the parser bounds its depth. Nothing of the parser's own
//! text reaches a client. What is echoed of a value is cut short.

use super::error::Fault;
use crate::ops::set_metadata::PAIRS_MAX;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Names, descriptions, metadata keys and values: at most so many characters, as in Cinder's schemas.
pub(super) const TEXT_MAX: usize = 255;

/// Cinder's largest number: its columns are 32 bits wide.
pub(super) const NUMBER_MAX: i64 = i32::MAX as i64;

/// So many characters of a wrong value are echoed.
const ECHO_MAX: usize = 60;

/// Parses a whole body: a JSON object, or 400.
pub(super) fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_),
        )
        | Err(_) => Err(Fault::malformed_body()),
    }
}

/// A JSON object being read key by key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object<'a> {
    name: &'a str,
    map: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// The object at `name` of a whole body; every call of Cinder wraps what it says so.
    pub(super) fn within(body: &'a Map<String, Value>, name: &'a str) -> Result<Self, Fault> {
        match body.get(name) {
            None => Err(required(name)),
            Some(Value::Object(map)) => Ok(Self { name, map }),
            Some(
                other @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)),
            ) => Err(invalid(name, other, &not_of_type(other, "object"))),
        }
    }

    /// A whole body; a few calls of Cinder wrap nothing.
    pub(super) fn whole(body: &'a Map<String, Value>) -> Self {
        Self {
            name: "body",
            map: body,
        }
    }

    /// The same as [`Object::within`], where `null` and absence mean an object without keys.
    pub(super) fn within_or_empty(
        body: &'a Map<String, Value>,
        name: &'a str,
        empty: &'a Map<String, Value>,
    ) -> Result<Self, Fault> {
        match body.get(name) {
            None | Some(Value::Null) => Ok(Self { name, map: empty }),
            Some(_) => Self::within(body, name),
        }
    }

    /// Refuses keys beyond `allowed`.
    pub(super) fn only(&self, allowed: &[&str]) -> Result<(), Fault> {
        let unknown = self.map.keys().find(|key| !allowed.contains(&key.as_str()));
        unknown.map_or(Ok(()), |key| Err(unexpected(self.name, key)))
    }

    /// Whether the key is there, `null` or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// The value as it is; `null` counts as absent.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A text without the blanks around it, at most [`TEXT_MAX`] characters.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => text_of(key, value).map(|text| Some(text.trim().to_owned())),
        }
    }

    /// A text that must be there and say something.
    pub(super) fn required_text(&self, key: &str) -> Result<String, Fault> {
        let value = self.map.get(key).ok_or_else(|| required(key))?;
        let text = text_of(key, value)?.trim();
        if text.is_empty() {
            return Err(invalid(
                key,
                value,
                &format!("{} is too short", shown(value)),
            ));
        }
        Ok(text.to_owned())
    }

    /// A UUID.
    pub(super) fn id<T: FromStr>(&self, key: &str) -> Result<Option<T>, Fault> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => id_of(key, value).map(Some),
        }
    }

    /// A UUID that must be there.
    pub(super) fn required_id<T: FromStr>(&self, key: &str) -> Result<T, Fault> {
        id_of(key, self.map.get(key).ok_or_else(|| required(key))?)
    }

    /// A whole number from 1 to [`NUMBER_MAX`], also as digits in a string.
    pub(super) fn size(&self, key: &str) -> Result<Option<i64>, Fault> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => size_of(key, value).map(Some),
        }
    }

    /// Such a number that must be there.
    pub(super) fn required_size(&self, key: &str) -> Result<i64, Fault> {
        size_of(key, self.map.get(key).ok_or_else(|| required(key))?)
    }

    /// A boolean in any of Cinder's spellings.
    pub(super) fn boolean(&self, key: &str) -> Result<Option<bool>, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let read = match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(word) => boolean_of(word),
            Value::Number(number) => boolean_of(&number.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        read.map(Some)
            .ok_or_else(|| invalid(key, value, &format!("{} is not a boolean", shown(value))))
    }

    /// One of `words`.
    pub(super) fn word(&self, key: &str, words: &[&str]) -> Result<Option<&'a str>, Fault> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        value
            .as_str()
            .filter(|word| words.contains(word))
            .map(Some)
            .ok_or_else(|| {
                let why = format!("{} is not one of {words:?}", shown(value));
                invalid(key, value, &why)
            })
    }

    /// The whole object as key-value pairs.
    pub(super) fn all_pairs(&self) -> Result<BTreeMap<String, String>, Fault> {
        pairs_of(self.map)
    }

    /// Key-value pairs by Cinder's rules for metadata.
    pub(super) fn pairs(&self, key: &str) -> Result<Option<BTreeMap<String, String>>, Fault> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Object(map)) => pairs_of(map).map(Some),
            Some(
                other @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)),
            ) => Err(invalid(key, other, &not_of_type(other, "object"))),
        }
    }
}

/// Refuses keys of a whole body beyond `allowed`.
pub(super) fn only(body: &Map<String, Value>, allowed: &[&str]) -> Result<(), Fault> {
    Object::whole(body).only(allowed)
}

/// The one key of an action's body, and what stands under it; W13: that may be anything.
pub(super) fn action(body: &Map<String, Value>) -> Result<(&str, &Value), Fault> {
    let mut entries = body.iter();
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        (Some(_) | None, _) => Err(Fault::malformed_body()),
    }
}

/// Pairs by Cinder's rules: keys of a small alphabet, values that are texts of at most [`TEXT_MAX`] characters.
pub(super) fn pairs_of(map: &Map<String, Value>) -> Result<BTreeMap<String, String>, Fault> {
    if map.len() > PAIRS_MAX {
        return Err(Fault::bad_request(format!(
            "There may be at most {PAIRS_MAX} pairs."
        )));
    }
    map.iter()
        .map(|(key, value)| {
            if !is_key(key) {
                let why = format!(
                    "'{}' does not match any of the regexes: '^[a-zA-Z0-9-_:. /]{{1,255}}$'",
                    cut(key)
                );
                return Err(Fault::bad_request(why));
            }
            Ok((key.clone(), text_of(key, value)?.to_owned()))
        })
        .collect()
}

/// Whether a metadata key or extra spec key may be called so.
pub(super) fn is_key(key: &str) -> bool {
    (1..=TEXT_MAX).contains(&key.len())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_:. /".contains(&byte))
}

/// Cinder's spellings of a boolean, in any case.
pub(super) fn boolean_of(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" | "t" | "y" => Some(true),
        "false" | "0" | "off" | "no" | "f" | "n" => Some(false),
        _ => None,
    }
}

fn text_of<'a>(key: &str, value: &'a Value) -> Result<&'a str, Fault> {
    let text = value
        .as_str()
        .ok_or_else(|| invalid(key, value, &not_of_type(value, "string")))?;
    if text.trim().chars().count() > TEXT_MAX {
        return Err(invalid(
            key,
            value,
            &format!("{} is too long", shown(value)),
        ));
    }
    // One of the two engines cannot store it, and no terminal can show it.
    if text.contains('\0') {
        return Err(invalid(key, value, "it holds a NUL character"));
    }
    Ok(text)
}

fn id_of<T: FromStr>(key: &str, value: &Value) -> Result<T, Fault> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| invalid(key, value, &format!("{} is not a 'uuid'", shown(value))))
}

fn size_of(key: &str, value: &Value) -> Result<i64, Fault> {
    let number = match value {
        Value::Number(number) if number.is_f64() => {
            return Err(invalid(key, value, &not_of_type(value, "integer")));
        }
        Value::Number(number) => number.as_i64().unwrap_or(i64::MAX),
        Value::String(digits) if is_digits(digits) => digits.parse().unwrap_or(i64::MAX),
        Value::String(_) => {
            let why = format!("{} does not match '^[0-9]+$'", shown(value));
            return Err(invalid(key, value, &why));
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(invalid(
                key,
                value,
                &not_of_type(value, "integer', 'string"),
            ));
        }
    };
    if number < 1 {
        let why = format!("{} is less than the minimum of 1", shown(value));
        return Err(invalid(key, value, &why));
    }
    if number > NUMBER_MAX {
        let why = format!(
            "{} is greater than the maximum of {NUMBER_MAX}",
            shown(value)
        );
        return Err(invalid(key, value, &why));
    }
    Ok(number)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// 400 in the words of Cinder's validation.
pub(super) fn invalid(field: &str, value: &Value, why: &str) -> Fault {
    Fault::bad_request(format!(
        "Invalid input for field/attribute {}. Value: {}. {why}",
        cut(field),
        shown(value).trim_matches('\'')
    ))
}

fn required(key: &str) -> Fault {
    Fault::bad_request(format!("'{key}' is a required property"))
}

fn unexpected(name: &str, key: &str) -> Fault {
    Fault::bad_request(format!(
        "Invalid input for field/attribute {name}. Additional properties are not allowed ('{}' was unexpected)",
        cut(key)
    ))
}

fn not_of_type(value: &Value, wanted: &str) -> String {
    format!("{} is not of type '{wanted}'", shown(value))
}

/// A value as Cinder prints it, cut short.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => cut(&number.to_string()),
        Value::String(text) => format!("'{}'", cut(text)),
        Value::Array(_) => "[...]".to_owned(),
        Value::Object(_) => "{...}".to_owned(),
    }
}

fn cut(text: &str) -> String {
    let mut cut: String = text
        .chars()
        .take(ECHO_MAX)
        .filter(|character| !character.is_control())
        .collect();
    if text.chars().nth(ECHO_MAX).is_some() {
        cut.push_str("...");
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::VolumeId;
    use proptest::prelude::*;
    use serde_json::json;

    fn with<T>(
        value: &Value,
        read: impl FnOnce(Object<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let body = json!({ "volume": { "x": value } });
        let map = body.as_object().unwrap();
        read(Object::within(map, "volume").unwrap())
    }

    #[test]
    fn sizes_are_lenient_about_strings_only() {
        let size = |value: Value| with(&value, |object| object.required_size("x")).ok();
        assert_eq!(size(json!(3)), Some(3));
        assert_eq!(size(json!("3")), Some(3));
        assert_eq!(size(json!(NUMBER_MAX)), Some(NUMBER_MAX));
        for bad in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!(1.0),
            json!("1.5"),
            json!("-1"),
            json!(""),
            json!("three"),
            json!(null),
            json!(true),
            json!([1]),
            json!({}),
            json!(NUMBER_MAX + 1),
            json!("99999999999999999999999"),
            json!(1e300),
            json!("٣"),
        ] {
            assert_eq!(size(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn booleans_in_cinders_spellings() {
        let flag = |value: Value| with(&value, |object| object.boolean("x"));
        for yes in [
            json!(true),
            json!("True"),
            json!("YES"),
            json!("1"),
            json!(1),
            json!("y"),
        ] {
            assert_eq!(flag(yes.clone()), Ok(Some(true)), "{yes}");
        }
        for no in [json!(false), json!("off"), json!("N"), json!(0)] {
            assert_eq!(flag(no.clone()), Ok(Some(false)), "{no}");
        }
        assert_eq!(flag(Value::Null), Ok(None));
        for bad in [json!("maybe"), json!(2), json!([]), json!("")] {
            assert!(flag(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn texts_are_bounded_in_characters() {
        let text = |value: Value| with(&value, |object| object.text("x"));
        assert_eq!(text(json!("  a ")), Ok(Some("a".to_owned())));
        assert!(text(json!("é".repeat(255))).is_ok());
        assert!(text(json!("é".repeat(256))).is_err());
        assert!(text(json!("a\0b")).is_err());
        assert!(text(json!(7)).is_err());
        assert!(with(&json!(" "), |object| object.required_text("x")).is_err());
    }

    #[test]
    fn pairs_by_cinders_rules() {
        let pairs = |value: Value| with(&value, |object| object.pairs("x"));
        assert!(pairs(json!({"a b:c/d.e-f_g": "v"})).is_ok());
        for bad in [
            json!({"": "v"}),
            json!({"ä": "v"}),
            json!({"k": 1}),
            json!({"k": null}),
            json!([]),
            json!("x"),
            json!({"k": "v".repeat(256)}),
        ] {
            assert!(pairs(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_body_is_an_object() {
        for bad in [
            "",
            "[]",
            "1",
            "null",
            "{",
            "\u{feff}{}",
            "{\"a\":1}x",
            "{\"a\":\"\\ud800\"}",
        ] {
            assert_eq!(parse(bad.as_bytes()).unwrap_err().code(), 400, "{bad}");
        }
        assert!(parse(b"{\"a\": \"\xff\"}").is_err());
        let deep = "[".repeat(100_000);
        assert!(parse(format!("{{\"a\":{deep}").as_bytes()).is_err());
        assert!(parse(br#"{"a":1,"a":2}"#).is_ok());
    }

    #[test]
    fn words_are_cinders() {
        let fault = with(&json!("abc"), |object| object.required_size("x")).unwrap_err();
        assert_eq!(
            fault.message(),
            "Invalid input for field/attribute x. Value: abc. 'abc' does not match '^[0-9]+$'"
        );
        let body = json!({"volume": {"size": 1, "colour": "red"}});
        let object = Object::within(body.as_object().unwrap(), "volume").unwrap();
        assert!(
            object
                .only(&["size"])
                .unwrap_err()
                .message()
                .contains("('colour' was unexpected)")
        );
        assert!(
            object
                .required_id::<VolumeId>("id")
                .unwrap_err()
                .message()
                .contains("required property")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Err(fault) = parse(&bytes) {
                prop_assert_eq!(fault.code(), 400);
            }
        }

        #[test]
        fn an_echo_is_short(text in "\\PC{0,400}") {
            let fault = invalid("x", &Value::String(text), "no");
            prop_assert!(fault.message().chars().count() < 200);
        }
    }
}
