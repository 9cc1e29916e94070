//! Compares an answer with what an example expects: exactly, but for the words in angle brackets.
//!
//! `<uuid>`, `<time>`, `<time or null>`, `<text>`, `<number>`, `<any>`; `<uuid as v>` also remembers the value under
//! the name `v`, and `{v}` in a text stands for what is remembered. In a list, `"<among others>"` as the first element
//! says that the rest must be there in this order, whatever else is; in an object the key `"<others>"` says the like.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use serde_json::Value;

use crate::Result;

/// What is remembered by name.
pub type Names = BTreeMap<String, String>;

/// The first element of a list that names only some.
const AMONG_OTHERS: &str = "<among others>";

/// A text with what is remembered filled in.
pub fn fill_text(text: &str, names: &Names) -> String {
    let mut filled = text.to_owned();
    for (name, value) in names {
        filled = filled.replace(&format!("{{{name}}}"), value);
    }
    filled
}

/// The same for every text and key in a value.
pub fn fill(value: &Value, names: &Names) -> Value {
    match value {
        Value::String(text) => Value::String(fill_text(text, names)),
        Value::Array(all) => all.iter().map(|one| fill(one, names)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (fill_text(key, names), fill(value, names)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// The key that says that an object may have other fields too: such as a limit for every type there happens to be.
const OTHERS: &str = "<others>";

/// Demands that `found` is as `wanted` says. `place` is where in the body this is.
pub fn compare(place: &str, wanted: &Value, found: &Value, names: &mut Names) -> Result<()> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let names_all = !wanted.contains_key(OTHERS);
            for (key, value) in found.iter().filter(|_| names_all) {
                ensure!(
                    wanted.keys().any(|known| fill_text(known, names) == *key),
                    "{place}.{key} is not expected: {value}"
                );
            }
            // What is remembered is remembered first: other fields may speak of it.
            let (first, rest): (Vec<_>, Vec<_>) = wanted
                .iter()
                .filter(|(key, _)| *key != OTHERS)
                .partition(|(_, value)| binds(value));
            for (key, value) in first.into_iter().chain(rest) {
                let key = fill_text(key, names);
                let Some(found) = found.get(&key) else {
                    bail!("{place}.{key} is missing");
                };
                compare(&format!("{place}.{key}"), value, found, names)?;
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(found)) => lists(place, wanted, found, names),
        (Value::String(text), found) => one(place, text, found, names),
        (wanted, found) => {
            ensure!(wanted == found, "{place} is {found}, not {wanted}");
            Ok(())
        }
    }
}

/// Whether a wanted value gives a name to what is found.
fn binds(wanted: &Value) -> bool {
    let text = wanted.as_str().unwrap_or_default();
    text.starts_with('<') && text.contains(" as ")
}

fn lists(place: &str, wanted: &[Value], found: &[Value], names: &mut Names) -> Result<()> {
    let Some((_, wanted)) = wanted
        .split_first()
        .filter(|(first, _)| **first == AMONG_OTHERS)
    else {
        ensure!(
            wanted.len() == found.len(),
            "{place} has {} elements, not {}",
            found.len(),
            wanted.len()
        );
        for (position, (wanted, found)) in wanted.iter().zip(found).enumerate() {
            compare(&format!("{place}[{position}]"), wanted, found, names)?;
        }
        return Ok(());
    };
    let mut rest = found.iter();
    for wanted in wanted {
        let mut tried = names.clone();
        let is_there = rest.any(|found| {
            tried = names.clone();
            compare(place, wanted, found, &mut tried).is_ok()
        });
        ensure!(is_there, "{place} has nothing like {wanted}");
        *names = tried;
    }
    Ok(())
}

fn one(place: &str, text: &str, found: &Value, names: &mut Names) -> Result<()> {
    let Some(word) = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
    else {
        let wanted = fill_text(text, names);
        ensure!(
            *found == Value::String(wanted.clone()),
            "{place} is {found}, not {wanted:?}"
        );
        return Ok(());
    };
    let (word, name) = match word.split_once(" as ") {
        Some((word, name)) => (word, Some(name)),
        None => (word, None),
    };
    ensure!(is(word, found)?, "{place} is {found}, not a {word}");
    if let Some(name) = name {
        let value = found
            .as_str()
            .map_or_else(|| found.to_string(), str::to_owned);
        names.insert(name.to_owned(), value);
    }
    Ok(())
}

fn is(word: &str, found: &Value) -> Result<bool> {
    Ok(match word {
        "any" => true,
        "text" => found.is_string(),
        "number" => found.is_i64(),
        "uuid" => found
            .as_str()
            .is_some_and(|text| uuid::Uuid::parse_str(text).is_ok()),
        "time" => found.as_str().is_some_and(is_time),
        "time or null" => found.is_null() || found.as_str().is_some_and(is_time),
        other => bail!("nobody knows what <{other}> is"),
    })
}

/// Cinder's form: microseconds, no zone.
fn is_time(text: &str) -> bool {
    let form = "0000-00-00T00:00:00.000000";
    text.len() == form.len()
        && text
            .bytes()
            .zip(form.bytes())
            .all(|(byte, like)| match like {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn same(wanted: &Value, found: &Value) -> bool {
        compare("body", wanted, found, &mut Names::new()).is_ok()
    }

    #[test]
    fn exactly_but_for_words() {
        let id = "11111111-2222-4333-8444-555555555555";
        assert!(same(&json!({"a": [1, null]}), &json!({"a": [1, null]})));
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
        assert!(!same(&json!({"a": 1, "b": 2}), &json!({"a": 1})));
        assert!(!same(&json!(1), &json!("1")));
        assert!(same(&json!("<uuid>"), &json!(id)));
        assert!(!same(&json!("<uuid>"), &json!("x")));
        assert!(same(&json!("<time>"), &json!("2026-11-22T18:43:43.000000")));
        assert!(!same(&json!("<time>"), &json!("2026-11-22T18:43:43Z")));
        assert!(same(
            &json!({"id": "<uuid as v>", "up": "/x/{v}"}),
            &json!({"id": id, "up": format!("/x/{id}")})
        ));
        assert!(!same(&json!("<colour>"), &json!("red")));
    }

    #[test]
    fn some_of_a_list() {
        let found = json!([{"n": 1}, {"n": 2}, {"n": 3}]);
        assert!(same(&json!(["<among others>", {"n": 1}, {"n": 3}]), &found));
        assert!(!same(
            &json!(["<among others>", {"n": 3}, {"n": 1}]),
            &found
        ));
        assert!(!same(&json!([{"n": 1}]), &found));
    }
}
