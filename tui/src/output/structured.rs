//! Forms for programs: JSON, JSON lines, YAML, CSV. Each is valid also when the list comes in many pages.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::cells::{cell, field, number};
use super::{Columns, Kind, Sink, Style};
use crate::text::harmless_json;

/// The bytes in a GiB, whole.
const GIB_BYTES: u64 = 1 << 30;

/// The object as programs get it: what the server said, with sizes in bytes beside those in GiB; or, with `-c`, only
/// the fields that were chosen.
fn shaped(item: &Value, columns: &Columns) -> Value {
    let mut map = Map::new();
    if columns.is_chosen {
        for column in &columns.shown {
            let value = field(item, column.field).cloned().unwrap_or(Value::Null);
            map.insert(column.field.to_owned(), value);
        }
    } else if let Some(all) = item.as_object() {
        map = all.clone();
    } else {
        return item.clone();
    }
    let sizes = columns.known.iter().filter(|c| c.kind == Kind::Gib);
    for column in sizes {
        if let Some(bytes) = map.get(column.field).and_then(in_bytes) {
            map.insert(format!("{}_bytes", column.field), bytes);
        }
    }
    Value::Object(map)
}

/// GiB as bytes; a whole number stays one.
fn in_bytes(size_gib: &Value) -> Option<Value> {
    if let Some(whole) = size_gib.as_u64() {
        return Some(Value::from(whole.saturating_mul(GIB_BYTES)));
    }
    let bytes = number(size_gib)? * super::cells::GIB;
    serde_json::Number::from_f64(bytes.round()).map(Value::Number)
}

/// `{"schema":...,"items":[...]}`.
pub(super) struct Json {
    noun: String,
    is_begun: bool,
}

impl Json {
    pub(super) fn new(noun: &str) -> Self {
        Self {
            noun: noun.to_owned(),
            is_begun: false,
        }
    }
}

impl Sink for Json {
    fn page(
        &mut self,
        out: &mut dyn Write,
        items: &[Value],
        columns: &Columns,
        _: &Style,
    ) -> io::Result<()> {
        for item in items {
            let before = if self.is_begun {
                ",\n    ".to_owned()
            } else {
                head(&self.noun) + "\n    "
            };
            self.is_begun = true;
            // Pretty, since people read it too; two levels down.
            let text = serde_json::to_string_pretty(&shaped(item, columns))?;
            let text = harmless_json(&text).replace('\n', "\n    ");
            write!(out, "{before}{text}")?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write, _: &Columns, _: &Style) -> io::Result<()> {
        if self.is_begun {
            writeln!(out, "\n  ]\n}}")
        } else {
            writeln!(out, "{}]\n}}", head(&self.noun))
        }
    }
}

fn head(noun: &str) -> String {
    format!("{{\n  \"schema\": \"ashlar.{noun}/1\",\n  \"items\": [")
}

/// One object a line.
pub(super) struct Jsonl;

impl Sink for Jsonl {
    fn page(
        &mut self,
        out: &mut dyn Write,
        items: &[Value],
        columns: &Columns,
        _: &Style,
    ) -> io::Result<()> {
        items.iter().try_for_each(|item| {
            let line = shaped(item, columns).to_string();
            writeln!(out, "{}", harmless_json(&line))
        })
    }
}

/// The same document as JSON's, in YAML's block style.
pub(super) struct Yaml {
    noun: String,
    is_begun: bool,
}

impl Yaml {
    pub(super) fn new(noun: &str) -> Self {
        Self {
            noun: noun.to_owned(),
            is_begun: false,
        }
    }
}

impl Sink for Yaml {
    fn page(
        &mut self,
        out: &mut dyn Write,
        items: &[Value],
        columns: &Columns,
        _: &Style,
    ) -> io::Result<()> {
        for item in items {
            if !self.is_begun {
                self.is_begun = true;
                writeln!(out, "schema: \"ashlar.{}/1\"\nitems:", self.noun)?;
            }
            let mut text = String::new();
            yaml(&shaped(item, columns), 1, &mut text);
            write!(out, "- {}", harmless_json(text.trim_start()))?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write, _: &Columns, _: &Style) -> io::Result<()> {
        if self.is_begun {
            return Ok(());
        }
        writeln!(out, "schema: \"ashlar.{}/1\"\nitems: []", self.noun)
    }
}

/// Writes a value after what stands before it: scalars on the same line, the rest below. Text is always in JSON's
/// quotes, which YAML reads alike, so that `no`, `1e3` or a control character stays what it is.
fn yaml(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    if let Some(map) = value.as_object().filter(|map| !map.is_empty()) {
        for (key, value) in map {
            text.push_str(&format!("{indent}{}:", yaml_key(key)));
            yaml_below(value, depth, text);
        }
    } else if let Some(items) = value.as_array().filter(|items| !items.is_empty()) {
        for item in items {
            let mut below = String::new();
            yaml(item, depth + 1, &mut below);
            text.push_str(&format!("{indent}- {}", below.trim_start()));
        }
    } else {
        text.push_str(&format!("{indent}{value}\n"));
    }
}

fn yaml_below(value: &Value, depth: usize, text: &mut String) {
    let is_map = value.as_object().is_some_and(|map| !map.is_empty());
    if is_map || value.as_array().is_some_and(|items| !items.is_empty()) {
        text.push('\n');
        yaml(value, depth + 1, text);
    } else {
        text.push_str(&format!(" {value}\n"));
    }
}

fn yaml_key(key: &str) -> String {
    let is_plain = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(&key);
    if is_plain {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}

/// RFC 4180.
pub(super) struct Csv {
    is_begun: bool,
}

impl Csv {
    pub(super) fn new(is_bare: bool) -> Self {
        Self { is_begun: is_bare }
    }

    fn heads(&mut self, out: &mut dyn Write, columns: &Columns) -> io::Result<()> {
        if self.is_begun {
            return Ok(());
        }
        self.is_begun = true;
        let heads: Vec<String> = columns.shown.iter().map(|c| quoted(c.head)).collect();
        write!(out, "{}\r\n", heads.join(","))
    }
}

impl Sink for Csv {
    fn page(
        &mut self,
        out: &mut dyn Write,
        items: &[Value],
        columns: &Columns,
        style: &Style,
    ) -> io::Result<()> {
        self.heads(out, columns)?;
        // Nothing is nothing in a spreadsheet.
        let style = Style {
            is_exact: true,
            ..*style
        };
        for item in items {
            let cells = columns.shown.iter().map(|c| quoted(&cell(item, c, &style)));
            write!(out, "{}\r\n", cells.collect::<Vec<_>>().join(","))?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write, columns: &Columns, _: &Style) -> io::Result<()> {
        self.heads(out, columns)
    }
}

/// In quotes where it must be; a cell that a spreadsheet would take for a formula is kept from being one.
fn quoted(text: &str) -> String {
    let is_number = text.parse::<f64>().is_ok();
    let is_formula = text.starts_with(['=', '+', '-', '@']) && !is_number;
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}
