//! Filters of lists: what a word of the query means for a column, by kind and by microversion.

use super::body::{boolean_of, is_key};
use super::call::{Call, shown};
use super::error::Fault;
use crate::model::caller::Role;
use crate::store::json::pair_text;
use crate::store::list::{Comparison, Filter};
use std::collections::BTreeMap;

/// From this minor version on a filter may ask for a part of a text (`name~`).
const LIKE_FROM: u16 = 34;

/// From this one a wrong word for a boolean is refused; before, everything but a no was a yes.
const STRICT_BOOLEAN_FROM: u16 = 2;

/// A filter compares at most so many times or pairs.
const PARTS_MAX: usize = 16;

/// What a filter's word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text, equal or (`~`) contained.
    Text,
    /// A whole number.
    Number,
    /// A boolean kept as 0 or 1.
    Boolean,
    /// A boolean that every object answers with yes.
    AlwaysTrue,
    /// Key-value pairs that must all be among the object's.
    Pairs,
    /// Times to compare with, `gt:...,lt:...`.
    Times,
    /// Something that no object has.
    NoneHas,
    /// What the noun's own file reads.
    Ignored,
}

/// A filter by its name on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Its name.
    pub(super) wire: &'static str,
    /// The column that it looks at.
    pub(super) column: &'static str,
    /// What its word is.
    pub(super) kind: Kind,
    /// From which minor version it is one; before, it is dropped.
    pub(super) since: u16,
    /// Whether only administrators may use it.
    pub(super) for_admins: bool,
}

/// What a filter comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// All must hold.
    Conditions(Vec<Filter>),
    /// No object can meet it.
    Nothing,
}

/// The meaning of `key=value`; `None` when `key` is no filter for this caller.
pub(super) fn read(
    rules: &[Rule],
    call: &Call,
    key: &str,
    value: &str,
) -> Result<Option<Meaning>, Fault> {
    let (name, is_like) = match key.strip_suffix('~') {
        Some(name) if call.version.at_least(LIKE_FROM) => (name, true),
        Some(_) | None => (key, false),
    };
    let may = |rule: &&Rule| !rule.for_admins || call.caller.role == Role::Admin;
    let Some(rule) = rules.iter().find(|rule| rule.wire == name).filter(may) else {
        return Ok(None);
    };
    if !call.version.at_least(rule.since) {
        return Ok(Some(Meaning::Conditions(Vec::new())));
    }
    if is_like && rule.kind == Kind::Text {
        let contains = Filter {
            column: rule.column,
            comparison: Comparison::Contains,
            values: vec![value.into()],
        };
        return Ok(Some(Meaning::Conditions(vec![contains])));
    }
    meaning(rule, call, value).map(Some)
}

fn meaning(rule: &Rule, call: &Call, value: &str) -> Result<Meaning, Fault> {
    let one = |filter| Ok(Meaning::Conditions(vec![filter]));
    match rule.kind {
        Kind::Text => one(Filter::equal(rule.column, value)),
        Kind::NoneHas => Ok(Meaning::Nothing),
        Kind::Ignored => Ok(Meaning::Conditions(Vec::new())),
        Kind::Number => value.parse::<i64>().map_or(Ok(Meaning::Nothing), |number| {
            one(Filter::equal(rule.column, number))
        }),
        Kind::Boolean => one(Filter::equal(
            rule.column,
            i64::from(boolean(rule, call, value)?),
        )),
        Kind::AlwaysTrue if boolean(rule, call, value)? => Ok(Meaning::Conditions(Vec::new())),
        Kind::AlwaysTrue => Ok(Meaning::Nothing),
        Kind::Pairs => pairs(rule, value),
        Kind::Times => times(rule, value),
    }
}

fn boolean(rule: &Rule, call: &Call, value: &str) -> Result<bool, Fault> {
    match boolean_of(value) {
        Some(flag) => Ok(flag),
        None if call.version.at_least(STRICT_BOOLEAN_FROM) => Err(Fault::bad_request(format!(
            "'{} = {}' is an invalid filter",
            rule.wire,
            shown(value)
        ))),
        None => Ok(true),
    }
}

fn pairs(rule: &Rule, value: &str) -> Result<Meaning, Fault> {
    let wanted = dictionary(value).ok_or_else(|| {
        Fault::bad_request(format!("Filter {} is not a dictionary of texts", rule.wire))
    })?;
    let contains = |(key, value): (&String, &String)| Filter {
        column: rule.column,
        comparison: Comparison::Contains,
        values: vec![pair_text(key, value).into()],
    };
    Ok(if wanted.keys().all(|key| is_key(key)) {
        Meaning::Conditions(wanted.iter().map(contains).collect())
    } else {
        Meaning::Nothing
    })
}

/// Reads what clients send for a dictionary: Python's spelling (`{'k': 'v'}`), or JSON's.
fn dictionary(text: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = text.trim().strip_prefix('{')?.trim_start();
    let mut found = BTreeMap::new();
    loop {
        if let Some(end) = rest.strip_prefix('}') {
            return (end.trim().is_empty() && found.len() <= PARTS_MAX).then_some(found);
        }
        let (key, after) = quoted(rest)?;
        let (value, after) = quoted(after.trim_start().strip_prefix(':')?.trim_start())?;
        found.insert(key, value);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.starts_with('}') => after,
            None => return None,
        };
    }
}

/// A text in either kind of quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text
        .strip_prefix('u')
        .filter(|rest| rest.starts_with(['\'', '"']))
        .unwrap_or(text);
    let quote = text
        .chars()
        .next()
        .filter(|first| matches!(first, '\'' | '"'))?;
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((position, character)) = characters.next() {
        match character {
            '\\' => content.push(characters.next()?.1),
            _ if character == quote => return Some((content, &text[position + 1..])),
            _ => content.push(character),
        }
    }
    None
}

fn times(rule: &Rule, value: &str) -> Result<Meaning, Fault> {
    let parts: Vec<&str> = value.split(',').collect();
    if parts.len() > PARTS_MAX {
        return Err(Fault::bad_request(format!(
            "Too many times in {}",
            rule.wire
        )));
    }
    let conditions = parts.into_iter().map(|part| {
        let (operator, time) = part
            .split_once(':')
            .ok_or_else(|| Fault::bad_request(format!("Invalid {} value", rule.wire)))?;
        let comparison = comparison(operator)
            .ok_or_else(|| Fault::bad_request(format!("Invalid {} operator", shown(operator))))?;
        let time = instant(time)
            .ok_or_else(|| Fault::bad_request(format!("Invalid {} value", shown(time))))?;
        Ok(Filter {
            column: rule.column,
            comparison,
            values: vec![time.into()],
        })
    });
    Ok(Meaning::Conditions(
        conditions.collect::<Result<_, Fault>>()?,
    ))
}

fn comparison(operator: &str) -> Option<Comparison> {
    match operator {
        "gt" => Some(Comparison::Greater),
        "gte" => Some(Comparison::GreaterOrEqual),
        "lt" => Some(Comparison::Less),
        "lte" => Some(Comparison::LessOrEqual),
        "eq" => Some(Comparison::Equal),
        "neq" => Some(Comparison::NotEqual),
        _ => None,
    }
}

/// A client's time, with an offset or naive in UTC, in the spelling that is stored and sorts.
pub(super) fn instant(text: &str) -> Option<String> {
    // A `+` of an offset arrives as a blank when the client did not escape it.
    let text = text.trim().replace(' ', "+");
    let timestamp: jiff::Timestamp = text
        .parse()
        .or_else(|_| format!("{text}Z").parse())
        .or_else(|_| format!("{text}T00:00:00Z").parse())
        .ok()?;
    Some(timestamp.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{self, Asks};
    use proptest::prelude::*;

    const RULES: &[Rule] = &[
        Rule {
            wire: "name",
            column: "name",
            kind: Kind::Text,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "bootable",
            column: "bootable",
            kind: Kind::Boolean,
            since: 0,
            for_admins: false,
        },
        Rule {
            wire: "metadata",
            column: "metadata",
            kind: Kind::Pairs,
            since: 22,
            for_admins: false,
        },
        Rule {
            wire: "created_at",
            column: "created_at",
            kind: Kind::Times,
            since: 60,
            for_admins: false,
        },
    ];

    fn ask(minor: u16, key: &str, value: &str) -> Result<Option<Meaning>, u16> {
        let call = testing::call(&Asks {
            minor,
            ..Asks::default()
        });
        read(RULES, &call, key, value).map_err(|fault| fault.code())
    }

    fn conditions(minor: u16, key: &str, value: &str) -> Vec<(Comparison, String)> {
        match ask(minor, key, value) {
            Ok(Some(Meaning::Conditions(filters))) => filters
                .into_iter()
                .map(|filter| match &filter.values[..] {
                    [crate::store::Value::Text(text)] => (filter.comparison, text.clone()),
                    other => panic!("{other:?}"),
                })
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn part_of_a_name_from_3_34() {
        assert_eq!(
            conditions(34, "name~", "x"),
            [(Comparison::Contains, "x".to_owned())]
        );
        assert_eq!(ask(33, "name~", "x"), Ok(None));
    }

    #[test]
    fn bootable_is_strict_from_3_2() {
        let yes = Ok(Some(Meaning::Conditions(vec![Filter::equal(
            "bootable", 1,
        )])));
        assert_eq!(ask(0, "bootable", "maybe"), yes);
        assert_eq!(ask(2, "bootable", "maybe"), Err(400));
        assert_eq!(ask(2, "bootable", "True"), yes);
    }

    #[test]
    fn pairs_in_pythons_and_jsons_spelling() {
        let wanted = [(Comparison::Contains, "\"k\":\"v\"".to_owned())];
        for text in [
            "{'k': 'v'}",
            "{\"k\":\"v\"}",
            "{u'k': u'v',}",
            " { 'k' :'v' } ",
        ] {
            assert_eq!(conditions(22, "metadata", text), wanted, "{text}");
        }
        assert_eq!(conditions(22, "metadata", "{}"), []);
        assert_eq!(
            ask(21, "metadata", "{"),
            Ok(Some(Meaning::Conditions(vec![])))
        );
        for bad in [
            "",
            "{",
            "{'k'}",
            "{'k': 1}",
            "{'k': 'v'} x",
            "{'k': 'v' 'l'}",
            "['k']",
            "{'k': 'v",
        ] {
            assert_eq!(ask(22, "metadata", bad), Err(400), "{bad}");
        }
        assert_eq!(
            ask(22, "metadata", "{'\u{e4}\"': 'v'}"),
            Ok(Some(Meaning::Nothing))
        );
    }

    #[test]
    fn times_are_compared_in_the_stored_spelling() {
        let stored = "2026-11-22T18:43:43.000000".to_owned();
        for text in [
            "gt:2026-11-22T18:43:43",
            "gt:2026-11-22T18:43:43Z",
            "gt:2026-11-22T19:43:43+01:00",
            "gt:2026-11-22T19:43:43 01:00",
        ] {
            assert_eq!(
                conditions(60, "created_at", text),
                [(Comparison::Greater, stored.clone())],
                "{text}"
            );
        }
        assert_eq!(
            conditions(60, "created_at", "gte:2026-01-01,lt:2027-01-01").len(),
            2
        );
        for bad in [
            "",
            "2026-11-22",
            "near:2026-11-22",
            "gt:",
            "gt:soon",
            "gt:2026-13-01T00:00:00",
        ] {
            assert_eq!(ask(60, "created_at", bad), Err(400), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_word_is_read_or_refused(value in "\\PC{0,60}", key in "name~?|bootable|metadata|created_at", minor in 0u16..68) {
            if let Err(code) = ask(minor, &key, &value) {
                prop_assert_eq!(code, 400);
            }
        }

        #[test]
        fn what_python_prints_is_read_back(key in "[a-z]{1,5}", value in "[a-z '\"]{0,8}") {
            let quoted = value.replace('\'', "\\'");
            let text = format!("{{'{key}': '{quoted}'}}");
            prop_assert_eq!(dictionary(&text), Some(BTreeMap::from([(key, value)])));
        }
    }
}
