//! `--filter` over objects as the server gave them: fields are the noun's columns.

use std::borrow::Cow;

use serde_json::Value;

use crate::clock;
use crate::failure::Failure;
use crate::filter::{Datum, Filter, Subject, Word};
use crate::listing;
use crate::output::{Column, Kind, field, instant, number};
use crate::table::Given;

/// Fields by which people call an object; a bare word is looked for in them.
const TEXTS: &[&str] = &[
    "name",
    "id",
    "volume_id",
    "object_id",
    "resource_uuid",
    "host",
    "os-vol-host-attr:host",
    "os-vol-tenant-attr:tenant_id",
    "project_id",
    "initiator",
    "connection_info.target_iqn",
    "binary",
    "verb",
    "host_name",
    "zoneName",
];

/// A filter and what it needs to know of the noun.
pub(crate) struct Select {
    filter: Filter,
    columns: Vec<Column>,
    now: jiff::Timestamp,
}

impl Select {
    /// The command's `--filter`, if it has one.
    pub(crate) fn read(given: &Given<'_>) -> Result<Option<Self>, Failure> {
        let Some(text) = given.option("filter") else {
            return Ok(None);
        };
        let filter = Filter::parse(text).map_err(|bad| {
            Failure::usage(
                &format!("the filter `{text}`: {bad}"),
                "`ashlar explain filter` tells the language",
            )
        })?;
        let columns = listing::columns(given);
        for name in filter.fields() {
            if Column::named(&columns, name).is_none() && name != "age" && name != "backup" {
                let heads: Vec<&str> = given.columns(true).iter().map(|c| c.head).collect();
                return Err(Failure::usage(
                    &format!("the filter names the field `{name}`, which is not here"),
                    &format!("there are: age, {}", heads.join(", ")),
                ));
            }
        }
        if filter
            .words()
            .any(|word| matches!(word, Word::Marked | Word::Mine))
        {
            return Err(Failure::usage(
                "`marked` and `mine` mean something in the console only",
                "put the word in quotes to look for it as text",
            ));
        }
        Ok(Some(Self {
            filter,
            columns,
            now: clock::now(),
        }))
    }

    /// The same, taking what is only nearly meant.
    pub(crate) fn loosened(&self) -> Self {
        Self {
            filter: self.filter.loosened(),
            columns: self.columns.clone(),
            now: self.now,
        }
    }

    /// One of a text, for tests.
    #[cfg(test)]
    pub(crate) fn of(text: &str, columns: &[Column]) -> Self {
        Self {
            filter: Filter::parse(text).unwrap(),
            columns: columns.to_vec(),
            now: clock::now(),
        }
    }

    /// Whether the object is wanted.
    pub(crate) fn takes(&self, item: &Value) -> bool {
        self.filter.takes(&Item { item, select: self })
    }

    /// The one value that a field must have.
    pub(crate) fn equal_to(&self, field: &str) -> Option<String> {
        self.filter.equal_to(field).map(str::to_owned)
    }
}

struct Item<'a> {
    item: &'a Value,
    select: &'a Select,
}

impl Subject for Item<'_> {
    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        let texts = TEXTS.iter().filter_map(|path| field(self.item, path));
        texts.filter_map(Value::as_str).any(fits)
    }

    fn field(&self, name: &str) -> Datum<'_> {
        if name == "age" {
            return self.age();
        }
        let Some(column) = Column::named(&self.select.columns, name) else {
            return Datum::Absent;
        };
        let Some(value) = field(self.item, column.field) else {
            return Datum::Absent;
        };
        let counted = |datum: fn(f64) -> Datum<'static>, scale: f64| {
            number(value).map_or(Datum::Absent, |n| datum(n * scale))
        };
        match (column.kind, value) {
            (_, Value::Null) => Datum::Absent,
            (_, Value::Array(items)) if items.is_empty() => Datum::Absent,
            (Kind::Gib, _) => counted(Datum::Bytes, crate::output::GIB),
            (Kind::Bytes, _) => counted(Datum::Bytes, 1.0),
            (Kind::Seconds, _) => counted(Datum::Seconds, 1.0),
            (Kind::Number, _) => counted(Datum::Number, 1.0),
            (Kind::Text | Kind::Time, Value::String(text)) => Datum::Text(Cow::Borrowed(text)),
            (Kind::Text | Kind::Time, other) => Datum::Text(Cow::Owned(other.to_string())),
        }
    }

    fn is(&self, word: Word) -> bool {
        let has = |path| match field(self.item, path) {
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            _ => false,
        };
        let status = field(self.item, "status").and_then(Value::as_str);
        match word {
            Word::Attached => has("attachments") || matches!(status, Some("in-use" | "attached")),
            // In use by nobody, or an attachment that was never completed and serves no server.
            Word::Orphan if field(self.item, "attachments").is_some() => {
                status == Some("in-use") && !has("attachments")
            }
            Word::Orphan => status == Some("reserved") && !has("instance"),
            Word::Marked | Word::Mine => false,
        }
    }
}

impl Item<'_> {
    fn age(&self) -> Datum<'_> {
        let began = ["created_at", "at", "since", "attached_at"]
            .iter()
            .find_map(|path| field(self.item, path).and_then(instant));
        match began {
            Some(began) => Datum::Seconds(self.select.now.duration_since(began).as_secs_f64()),
            None => Datum::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COLUMNS: &[Column] = &[
        Column::gib("size", "size"),
        Column::text("status", "status"),
        Column::text("pool", "os-vol-host-attr:host"),
        Column::time("created", "created_at"),
        Column::text("attachments", "attachments"),
    ];

    #[test]
    fn fields_are_the_columns_of_the_noun() {
        let item = json!({"id": "1", "name": "pg-1", "size": 500, "status": "in-use", "attachments": [],
            "os-vol-host-attr:host": "a@b#c", "created_at": "2025-01-01T00:00:00.000000"});
        for (text, is_taken) in [
            ("pg", true),
            ("a@b", true),
            ("size=500", true),
            ("size>0.4T", true),
            ("size>500G", false),
            ("pool=a@b#c", true),
            ("created>2024", true),
            ("created<2024", false),
            ("age>1h", true),
            ("age<1h", false),
            ("attachments=never", true),
            ("orphan", true),
            ("attached", true),
            ("backup=never", true),
        ] {
            assert_eq!(Select::of(text, COLUMNS).takes(&item), is_taken, "{text}");
        }
    }
}
