//! How an answer is shown: `table`, `json`, `value`, `id`. Pure.
//!
//! JSON is `{"schema":"ashlar.NOUN/1","items":[...]}` whatever the verb; fields are only ever added. A table is cut to
//! nothing: width is the reader's business, and a pipe must get all of it.

use serde_json::{Value, json};

use crate::client::text;
use crate::failure::Failure;
use crate::text::harmless;

/// A column: what its head says, and the field it shows (a dot goes one level down).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    /// The head, also what `-c` calls it.
    pub(crate) head: &'static str,
    /// The field of the object.
    pub(crate) field: &'static str,
}

/// What a verb has to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// One object, shown field by field.
    One(Value),
    /// Many, one a line.
    Many(Vec<Value>),
    /// Done, and quiet about it.
    Done,
}

/// The form asked for with `-o`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// The columns' values, tab-separated, without heads.
    Value,
    /// Ids only, one a line.
    Id,
}

impl Form {
    /// By its word.
    pub(crate) fn parse(word: &str) -> Result<Self, Failure> {
        match word {
            "table" => Ok(Form::Table),
            "json" => Ok(Form::Json),
            "value" => Ok(Form::Value),
            "id" => Ok(Form::Id),
            other => Err(Failure::usage(
                &format!("there is no output form `{other}`"),
                "use table, json, value or id",
            )),
        }
    }
}

/// The columns to show: all of the verb's, or those named by `-c` (by head or by field).
pub(crate) fn choose(columns: &[Column], wanted: Option<&str>) -> Result<Vec<Column>, Failure> {
    let Some(wanted) = wanted else {
        return Ok(columns.to_vec());
    };
    let heads = || {
        columns
            .iter()
            .map(|column| column.head)
            .collect::<Vec<_>>()
            .join(", ")
    };
    wanted
        .split(',')
        .map(|word| {
            let word = word.trim();
            columns
                .iter()
                .copied()
                .find(|column| column.head.eq_ignore_ascii_case(word) || column.field == word)
                .ok_or_else(|| {
                    Failure::usage(
                        &format!("there is no column `{word}` here"),
                        &format!("there are: {}", heads()),
                    )
                })
        })
        .collect()
}

/// The answer as text, ready to be written.
pub(crate) fn render(
    answer: &Answer,
    noun: &str,
    columns: &[Column],
    form: Form,
    is_terminal: bool,
) -> String {
    let items: Vec<&Value> = match answer {
        Answer::One(item) => vec![item],
        Answer::Many(items) => items.iter().collect(),
        Answer::Done => return String::new(),
    };
    match form {
        Form::Json => render_json(&items, noun),
        Form::Id => items
            .iter()
            .map(|item| harmless(&text(item, "id")) + "\n")
            .collect(),
        Form::Value => items
            .iter()
            .map(|item| cells(item, columns).join("\t") + "\n")
            .collect(),
        Form::Table => match answer {
            Answer::One(item) => render_fields(item, columns),
            _ if items.is_empty() && is_terminal => format!("No {noun}s.\n"),
            Answer::Many(_) | Answer::Done => render_table(&items, columns),
        },
    }
}

fn render_json(items: &[&Value], noun: &str) -> String {
    let document = json!({"schema": format!("ashlar.{noun}/1"), "items": items});
    // A Value is always printable; pretty, since people read it too.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn render_fields(item: &Value, columns: &[Column]) -> String {
    let width = columns
        .iter()
        .map(|column| column.head.len())
        .max()
        .unwrap_or(0);
    columns
        .iter()
        .map(|column| format!("{:width$}  {}\n", column.head, cell(item, column.field)))
        .collect()
}

fn render_table(items: &[&Value], columns: &[Column]) -> String {
    let heads: Vec<String> = columns
        .iter()
        .map(|column| column.head.to_uppercase())
        .collect();
    let rows: Vec<Vec<String>> = items.iter().map(|item| cells(item, columns)).collect();
    let width = |index: usize| {
        let cells = rows.iter().map(|row| row[index].chars().count());
        cells.chain([heads[index].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    std::iter::once(&heads)
        .chain(&rows)
        .map(|row| line(row))
        .collect()
}

fn cells(item: &Value, columns: &[Column]) -> Vec<String> {
    columns
        .iter()
        .map(|column| cell(item, column.field))
        .collect()
}

/// A secret that a host needs is in the JSON form only.
const HIDDEN: &[&str] = &["auth_password", "discovery_auth_password"];

fn cell(item: &Value, field: &str) -> String {
    let value = field.split('.').try_fold(item, |value, key| value.get(key));
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => harmless(text),
        Some(Value::Object(map)) if map.is_empty() => "-".to_owned(),
        Some(Value::Object(map)) => {
            let pairs = map.iter().map(|(key, value)| {
                if HIDDEN.contains(&key.as_str()) {
                    format!("{}=(-o json shows it)", harmless(key))
                } else {
                    format!("{}={}", harmless(key), scalar(value))
                }
            });
            pairs.collect::<Vec<_>>().join(", ")
        }
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => items.iter().map(scalar).collect::<Vec<_>>().join(", "),
        Some(other) => other.to_string(),
    }
}

fn scalar(value: &Value) -> String {
    match value.as_str() {
        Some(text) => harmless(text),
        None => harmless(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        Column {
            head: "name",
            field: "name",
        },
        Column {
            head: "size GiB",
            field: "size",
        },
        Column {
            head: "iqn",
            field: "connection_info.target_iqn",
        },
    ];

    fn two() -> Answer {
        Answer::Many(vec![
            json!({"id": "1", "name": "db", "size": 10, "connection_info": {"target_iqn": "iqn.x"}}),
            json!({"id": "2", "name": "a\u{1b}[31m", "size": null}),
        ])
    }

    #[test]
    fn a_table_has_heads_and_even_columns_and_no_control_characters() {
        let text = render(&two(), "volume", COLUMNS, Form::Table, true);
        assert_eq!(
            text,
            "NAME   SIZE GIB  IQN\ndb     10        iqn.x\na[31m  -         -\n"
        );
    }

    #[test]
    fn the_other_forms_are_for_programs() {
        assert_eq!(render(&two(), "volume", COLUMNS, Form::Id, false), "1\n2\n");
        let value = render(&two(), "volume", COLUMNS, Form::Value, false);
        assert_eq!(value, "db\t10\tiqn.x\na[31m\t-\t-\n");
        let text = render(&two(), "volume", COLUMNS, Form::Json, false);
        let parsed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["schema"], "ashlar.volume/1");
        assert_eq!(parsed["items"][1]["id"], "2");
    }

    #[test]
    fn nothing_is_a_sentence_on_a_terminal_and_heads_only_in_a_pipe() {
        let none = Answer::Many(Vec::new());
        assert_eq!(
            render(&none, "volume", COLUMNS, Form::Table, true),
            "No volumes.\n"
        );
        assert_eq!(
            render(&none, "volume", COLUMNS, Form::Table, false),
            "NAME  SIZE GIB  IQN\n"
        );
        assert_eq!(render(&none, "volume", COLUMNS, Form::Id, false), "");
        assert_eq!(
            render(&Answer::Done, "volume", COLUMNS, Form::Json, false),
            ""
        );
    }

    #[test]
    fn columns_are_chosen_by_head_or_field_in_the_order_named() {
        let chosen = choose(COLUMNS, Some("size,NAME")).unwrap();
        assert_eq!(chosen, [COLUMNS[1], COLUMNS[0]]);
        let failure = choose(COLUMNS, Some("colour")).unwrap_err();
        assert!(
            failure
                .to_string()
                .contains("there are: name, size GiB, iqn"),
            "{failure}"
        );
    }

    #[test]
    fn a_chap_secret_is_not_in_a_table() {
        let item = json!({"info": {"auth_password": "s3cret", "auth_username": "u"}});
        let columns = [Column {
            head: "info",
            field: "info",
        }];
        let text = render(
            &Answer::One(item),
            "attachment",
            &columns,
            Form::Table,
            true,
        );
        assert!(
            !text.contains("s3cret") && text.contains("auth_username=u"),
            "{text}"
        );
    }

    #[test]
    fn forms_have_words() {
        assert_eq!(Form::parse("json").unwrap(), Form::Json);
        assert!(Form::parse("yaml").is_err());
    }
}
