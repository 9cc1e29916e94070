//! The table of verbs, whole, noun by noun. A new verb is one row in its noun's file.

mod attachment;
mod operation;
mod snapshot;
mod token;
mod tui;
mod version;
mod volume;
mod volume_type;

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::grammar::Verb;

/// Every verb.
pub(crate) const TABLE: &[&Verb] = &[
    &volume_type::CREATE,
    &volume_type::LIST,
    &volume_type::SHOW,
    &volume_type::SET,
    &volume_type::DELETE,
    &volume::CREATE,
    &volume::LIST,
    &volume::SHOW,
    &volume::EXTEND,
    &volume::REVERT,
    &volume::DELETE,
    &snapshot::CREATE,
    &snapshot::LIST,
    &snapshot::SHOW,
    &snapshot::DELETE,
    &attachment::CREATE,
    &attachment::UPDATE,
    &attachment::COMPLETE,
    &attachment::LIST,
    &attachment::SHOW,
    &attachment::DELETE,
    &operation::LIST,
    &operation::SHOW,
    &operation::CANCEL,
    &token::CREATE,
    &token::LIST,
    &token::REVOKE,
    &tui::TUI,
    &version::VERSION,
];

/// `K=V` words as a JSON object.
fn pairs(words: &[&str]) -> Result<Value, Failure> {
    let mut map = Map::new();
    for word in words {
        let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::usage(
                &format!("`{word}` is not KEY=VALUE"),
                "write it as a=b",
            ));
        };
        map.insert(key.to_owned(), Value::from(value));
    }
    Ok(Value::Object(map))
}

/// Puts `value` under `key` when there is one.
fn put(body: &mut Value, key: &str, value: Option<&str>) {
    if let (Some(map), Some(value)) = (body.as_object_mut(), value) {
        map.insert(key.to_owned(), Value::from(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pairs_keep_later_equals_signs_and_refuse_what_has_none() {
        assert_eq!(
            pairs(&["a=b=c", "d="]).unwrap(),
            json!({"a": "b=c", "d": ""})
        );
        assert!(pairs(&["a"]).is_err());
        assert!(pairs(&["=a"]).is_err());
    }
}
