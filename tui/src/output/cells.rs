//! One field of an object as a cell: sizes with their unit, times, maps on one line. Pure.
//!
//! Text comes from others and is made harmless here, the last place before a terminal.

use serde_json::Value;

use crate::failure::Failure;
use crate::text::harmless;

/// What a field holds, hence how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whatever it is.
    Text,
    /// A size that the wire counts in GiB.
    Gib,
    /// A size in bytes.
    Bytes,
    /// A point in time.
    Time,
    /// Seconds.
    Seconds,
    /// A count.
    Number,
}

/// A column: what its head says, the field it shows (a dot goes one level down), and what that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    /// The head, also what `-c`, `--sort` and `--filter` call it.
    pub(crate) head: &'static str,
    /// The field of the object.
    pub(crate) field: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
}

impl Column {
    /// Text.
    pub(crate) const fn text(head: &'static str, field: &'static str) -> Self {
        Self {
            head,
            field,
            kind: Kind::Text,
        }
    }

    /// A size in GiB.
    pub(crate) const fn gib(head: &'static str, field: &'static str) -> Self {
        Self {
            head,
            field,
            kind: Kind::Gib,
        }
    }

    /// A size in bytes.
    pub(crate) const fn bytes(head: &'static str, field: &'static str) -> Self {
        Self {
            head,
            field,
            kind: Kind::Bytes,
        }
    }

    /// A point in time.
    pub(crate) const fn time(head: &'static str, field: &'static str) -> Self {
        Self {
            head,
            field,
            kind: Kind::Time,
        }
    }

    /// Seconds.
    pub(crate) const fn seconds(head: &'static str, field: &'static str) -> Self {
        Self {
            head,
            field,
            kind: Kind::Seconds,
        }
    }

    /// A count.
    pub(crate) const fn number(head: &'static str, field: &'static str) -> Self {
        Self {
            head,
            field,
            kind: Kind::Number,
        }
    }

    /// The column of that name: its head (`_` and `-` stand for blanks, case does not matter) or its field.
    pub(crate) fn named(columns: &[Column], name: &str) -> Option<Column> {
        let same = |head: &str| {
            head.len() == name.len()
                && head
                    .bytes()
                    .zip(name.bytes())
                    .all(|(a, b)| a.eq_ignore_ascii_case(&b) || (a == b' ' && b"_-".contains(&b)))
        };
        let found = columns.iter().find(|column| same(column.head));
        found
            .or_else(|| columns.iter().find(|column| column.field == name))
            .copied()
    }

    /// Whether its cells stand at the right.
    pub(crate) fn is_right(&self) -> bool {
        !matches!(self.kind, Kind::Text | Kind::Time)
    }
}

/// How sizes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    /// Powers of 1024: `1.5T` is 1.5 TiB.
    Iec,
    /// Powers of 1000: `1.5TB`.
    Si,
    /// Bytes.
    Bytes,
}

impl Units {
    /// By its word.
    pub(crate) fn parse(word: &str) -> Result<Self, Failure> {
        match word {
            "iec" => Ok(Units::Iec),
            "si" => Ok(Units::Si),
            "b" => Ok(Units::Bytes),
            other => Err(Failure::usage(
                &format!("there are no units `{other}`"),
                "use iec (1.5T), si (1.6TB) or b (bytes)",
            )),
        }
    }
}

/// A field of an object; a dot goes one level down.
pub(crate) fn field<'a>(item: &'a Value, path: &str) -> Option<&'a Value> {
    // Cinder's own names hold dots nowhere, but colons; a key that is there as it stands wins.
    item.get(path).or_else(|| {
        path.split('.')
            .try_fold(item, |value, key| value.get(key))
            .filter(|_| path.contains('.'))
    })
}

/// The bytes in a GiB.
pub(crate) const GIB: f64 = 1_073_741_824.0;

/// A secret that a host needs is in the JSON form only.
const HIDDEN: &[&str] = &[
    "auth_password",
    "discovery_auth_password",
    "mutual_auth_password",
];

/// What stands in the cell.
pub(super) fn cell(item: &Value, column: &Column, style: &super::Style) -> String {
    let nothing = || {
        if style.is_exact {
            String::new()
        } else {
            "-".to_owned()
        }
    };
    let Some(value) = field(item, column.field) else {
        return nothing();
    };
    match (column.kind, value) {
        (_, Value::Null) => nothing(),
        (_, Value::String(text)) if text.is_empty() => nothing(),
        (_, Value::Array(items)) if items.is_empty() => nothing(),
        (_, Value::Object(map)) if map.is_empty() => nothing(),
        (Kind::Gib, _) => match number(value) {
            Some(size) => size_text(size * GIB, style),
            None => scalar(value),
        },
        (Kind::Bytes, _) => match number(value) {
            Some(size) => size_text(size, style),
            None => scalar(value),
        },
        (Kind::Time, _) => time_text(value, style.is_exact),
        (Kind::Seconds, Value::Number(_)) if !style.is_exact => {
            number(value).map_or_else(|| scalar(value), seconds_text)
        }
        (_, Value::Object(map)) => pairs(map),
        (_, Value::Array(items)) => items.iter().map(element).collect::<Vec<_>>().join(", "),
        (_, other) => scalar(other),
    }
}

/// `a=1, b=2`, without secrets.
fn pairs(map: &serde_json::Map<String, Value>) -> String {
    let pairs = map.iter().map(|(key, value)| {
        if HIDDEN.contains(&key.as_str()) {
            format!("{}=(-o json shows it)", harmless(key))
        } else {
            format!("{}={}", harmless(key), scalar(value))
        }
    });
    pairs.collect::<Vec<_>>().join(", ")
}

/// One of several: an attachment is told by its host, a verdict by its filter and why, others by what they hold.
fn element(value: &Value) -> String {
    let word = |key: &str| {
        let text = value.get(key).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(harmless)
    };
    if let (Some(filter), Some(why)) = (word("filter"), word("why")) {
        return format!("{filter}: {why}");
    }
    if let Some(told) = ["host_name", "attachment_id"].into_iter().find_map(word) {
        return told;
    }
    match value {
        Value::Object(map) => pairs(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            scalar(value)
        }
    }
}

/// A number, also one that Cinder wrote as text.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn scalar(value: &Value) -> String {
    match value.as_str() {
        Some(text) => harmless(text),
        None => harmless(&value.to_string()),
    }
}

/// A size as it is written: at most four digits and a unit.
fn size_text(bytes: f64, style: &super::Style) -> String {
    if style.is_exact || style.units == Units::Bytes {
        return format!("{bytes:.0}");
    }
    let (base, units): (f64, [&str; 6]) = match style.units {
        Units::Si => (1000.0, ["B", "kB", "MB", "GB", "TB", "PB"]),
        Units::Iec | Units::Bytes => (1024.0, ["B", "K", "M", "G", "T", "P"]),
    };
    let mut size = bytes;
    let mut unit = units[0];
    for next in &units[1..] {
        if size.abs() < base {
            break;
        }
        size /= base;
        unit = next;
    }
    // 1023.96 would be written 1024.0; one digit after the point only where it says something.
    if (size - size.round()).abs() < 0.05 || size.abs() >= 100.0 {
        format!("{size:.0}{unit}")
    } else {
        format!("{size:.1}{unit}")
    }
}

fn seconds_text(seconds: f64) -> String {
    let parts = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")];
    for (len, unit) in parts {
        if seconds >= len {
            return format!("{:.0}{unit}", (seconds / len).floor());
        }
    }
    if seconds < 10.0 && seconds.fract() > 0.0 {
        format!("{seconds:.1}s")
    } else {
        format!("{seconds:.0}s")
    }
}

/// A time without its fraction for people, RFC 3339 for programs. Cinder's times are UTC and do not say so.
fn time_text(value: &Value, is_exact: bool) -> String {
    let Some(text) = value.as_str() else {
        return scalar(value);
    };
    let text = harmless(text);
    if is_exact {
        let has_zone = text.ends_with('Z') || text.get(10..).is_some_and(|t| t.contains('+'));
        return if has_zone || !text.contains('T') {
            text
        } else {
            text + "Z"
        };
    }
    match text.split_once('.') {
        Some((whole, _)) => whole.to_owned(),
        None => text.trim_end_matches('Z').to_owned(),
    }
}

/// The point in time that a field holds, for ages and sorting.
pub(crate) fn instant(value: &Value) -> Option<jiff::Timestamp> {
    let text = value.as_str()?;
    text.parse()
        .ok()
        .or_else(|| format!("{text}Z").parse().ok())
}
