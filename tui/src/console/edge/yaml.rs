//! An answer as lines of YAML, to be read by people; every text is cleaned.

use serde_json::Value;

use super::super::text::clean;

/// No object of the API is longer.
const LINES_MAX: usize = 5000;

/// The lines.
pub(super) fn lines(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    write(value, 0, "", &mut lines);
    lines.truncate(LINES_MAX);
    lines
}

fn write(value: &Value, depth: usize, head: &str, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth.min(40));
    match value {
        Value::Object(map) if !map.is_empty() => {
            let below = if head.is_empty() { depth } else { depth + 1 };
            if !head.is_empty() {
                lines.push(format!("{indent}{head}"));
            }
            for (key, inner) in map {
                write(inner, below, &format!("{}:", clean(key)), lines);
            }
        }
        Value::Array(all) if !all.is_empty() => {
            if !head.is_empty() {
                lines.push(format!("{indent}{head}"));
            }
            for inner in all {
                write(inner, depth + 1, "-", lines);
            }
        }
        plain @ Value::Null
        | plain @ Value::Bool(_)
        | plain @ Value::Number(_)
        | plain @ Value::String(_)
        | plain @ Value::Array(_)
        | plain @ Value::Object(_) => lines.push(
            format!("{indent}{head} {}", scalar(plain))
                .trim_end()
                .to_owned(),
        ),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "''".to_owned(),
        Value::String(text) => clean(text),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_and_lists_are_indented_and_cleaned() {
        let value = json!({"a": 1, "b": {"c": ["x", {"d": null}], "e": []}, "f": "y\u{1b}z"});
        assert_eq!(
            lines(&value),
            [
                "a: 1",
                "b:",
                "  c:",
                "    - x",
                "    -",
                "      d: null",
                "  e: []",
                "f: y<1b>z"
            ]
        );
    }
}
