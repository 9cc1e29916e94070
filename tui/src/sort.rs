//! `--sort used:desc,name`: by any column, numbers as numbers, nothing last. Pure.

use std::cmp::Ordering;

use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Column, Kind, field, number};

/// The keys, most important first.
pub(crate) struct Sort {
    keys: Vec<(Column, bool)>,
}

impl Sort {
    /// Reads `COLUMN[:asc|:desc],...`.
    pub(crate) fn parse(text: &str, columns: &[Column]) -> Result<Self, Failure> {
        let key = |word: &str| {
            let word = word.trim();
            // A field of Cinder's may hold a colon itself.
            let (name, is_descending) = match word.rsplit_once(':') {
                Some((name, "desc")) => (name, true),
                Some((name, "asc")) => (name, false),
                _ => (word, false),
            };
            match Column::named(columns, name) {
                Some(column) => Ok((column, is_descending)),
                None => {
                    let mut heads: Vec<&str> = columns.iter().map(|column| column.head).collect();
                    heads.sort_unstable();
                    heads.dedup();
                    Err(Failure::usage(
                        &format!("there is no column `{name}` to sort by"),
                        &format!("there are: {}", heads.join(", ")),
                    ))
                }
            }
        };
        let keys = text.split(',').map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// Sorts; equal ones keep their order.
    pub(crate) fn sort(&self, items: &mut [Value]) {
        items.sort_by(|a, b| {
            let mut orders = self.keys.iter().map(|(column, is_descending)| {
                compare(
                    column,
                    field(a, column.field),
                    field(b, column.field),
                    *is_descending,
                )
            });
            orders
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        });
    }
}

fn compare(column: &Column, a: Option<&Value>, b: Option<&Value>, is_descending: bool) -> Ordering {
    let is_there = |value: &&Value| !value.is_null() && value.as_str() != Some("");
    match (a.filter(is_there), b.filter(is_there)) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => {
            let is_text = matches!(column.kind, Kind::Text | Kind::Time) && a.is_string();
            let numbers = number(a).zip(number(b)).filter(|_| !is_text);
            let order = match numbers.and_then(|(a, b)| a.partial_cmp(&b)) {
                Some(order) => order,
                None => text(a).cmp(&text(b)),
            };
            if is_descending {
                order.reverse()
            } else {
                order
            }
        }
    }
}

fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_lowercase(),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COLUMNS: &[Column] = &[Column::text("name", "name"), Column::gib("size", "size")];

    fn sorted(keys: &str) -> String {
        let mut items = vec![
            json!({"name": "b", "size": 9}),
            json!({"name": "A", "size": 10}),
            json!({"name": "c", "size": null}),
            json!({"name": "d", "size": 9}),
        ];
        Sort::parse(keys, COLUMNS).unwrap().sort(&mut items);
        items
            .iter()
            .filter_map(|item| item["name"].as_str())
            .collect()
    }

    #[test]
    fn numbers_sort_as_numbers_and_nothing_comes_last_either_way() {
        assert_eq!(sorted("size"), "bdAc");
        assert_eq!(sorted("size:desc"), "Abdc");
        assert_eq!(sorted("size,name:desc"), "dbAc");
        assert_eq!(sorted("Name"), "Abcd");
    }

    #[test]
    fn an_unknown_column_is_refused_with_those_there_are() {
        let failure = Sort::parse("colour", COLUMNS).map(|_| ()).unwrap_err();
        assert!(failure.to_string().contains("name, size"), "{failure}");
    }
}
