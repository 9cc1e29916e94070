//! Maps in a TEXT column: canonical JSON (sorted keys, no spaces), so that equal maps are equal texts and one pair
//! can be found by its text: keys hold no quotes (rule W12), so `"key":"value"` matches nothing but that pair.

use std::collections::BTreeMap;

/// A map as it is stored.
pub fn map_text(map: &BTreeMap<String, String>) -> String {
    let object = map
        .iter()
        .map(|(key, value)| (key.clone(), serde_json::Value::String(value.clone())))
        .collect();
    serde_json::Value::Object(object).to_string()
}

/// A stored map; `None` when the text is not one.
pub fn read_map(text: &str) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(text).ok()
}

/// The text of one pair within [`map_text`], for a `Contains` filter.
pub fn pair_text(key: &str, value: &str) -> String {
    let quoted = |text: &str| serde_json::Value::String(text.to_owned()).to_string();
    format!("{}:{}", quoted(key), quoted(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_round_trip_and_pairs_are_found() {
        let map: BTreeMap<String, String> = [("b", "2\"x"), ("a", "\u{1f980} _%")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let text = map_text(&map);
        assert_eq!(read_map(&text), Some(map));
        assert!(text.starts_with("{\"a\":"));
        assert!(text.contains(&pair_text("b", "2\"x")));
        assert!(!text.contains(&pair_text("b", "2")));
        assert_eq!(read_map("[]"), None);
    }
}
