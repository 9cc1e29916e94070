//! How an answer is shown: `table`, `wide`, `json`, `jsonl`, `yaml`, `csv`, `value`, `id`.
//!
//! Must not know HTTP or any verb; writes to whatever it is given. JSON is `{"schema":"ashlar.NOUN/1","items":[...]}`
//! whatever the verb; fields are only ever added. A table is cut to the width of a terminal and only there: a pipe gets
//! all of it. Pages are written as they come.

mod cells;
mod structured;
mod table;

use std::io::{self, Write};

use serde_json::Value;

use crate::failure::{Exit, Failure};
pub(crate) use cells::{Column, GIB, Kind, Units, field, instant, number};

/// What a verb has to say.
pub(crate) enum Answer<'a> {
    /// One object, shown field by field.
    One(Value),
    /// Many, one a line.
    Many(Vec<Value>),
    /// Many, page by page as they come from the server.
    Pages(Pages<'a>),
    /// What would be done, object by object; nothing was.
    Planned(Vec<Value>),
    /// Text as it stands: a script, a table for people.
    Text(String),
    /// Done, and quiet about it.
    Done,
}

/// A list as it comes.
pub(crate) type Pages<'a> = Box<dyn Iterator<Item = Result<Vec<Value>, Failure>> + 'a>;

/// The form asked for with `-o`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Table,
    /// For people with room: all columns.
    Wide,
    /// For programs.
    Json,
    /// For programs that read line by line.
    Jsonl,
    /// For programs and people.
    Yaml,
    /// For spreadsheets (RFC 4180, with heads).
    Csv,
    /// The columns' values, tab-separated, without heads.
    Value,
    /// Ids only, one a line.
    Id,
}

/// The words of the forms, for the help.
pub(crate) const FORMS: &[(&str, Form)] = &[
    ("table", Form::Table),
    ("wide", Form::Wide),
    ("json", Form::Json),
    ("jsonl", Form::Jsonl),
    ("yaml", Form::Yaml),
    ("csv", Form::Csv),
    ("value", Form::Value),
    ("id", Form::Id),
];

impl Form {
    /// By its word.
    pub(crate) fn parse(word: &str) -> Result<Self, Failure> {
        let known = FORMS.iter().find(|(name, _)| *name == word);
        known.map(|(_, form)| *form).ok_or_else(|| {
            let all: Vec<&str> = FORMS.iter().map(|(name, _)| *name).collect();
            Failure::usage(
                &format!("there is no output form `{word}`"),
                &format!("use one of: {}", all.join(", ")),
            )
        })
    }

    /// Whether errors are JSON, too.
    pub(crate) fn is_json(self) -> bool {
        matches!(self, Form::Json | Form::Jsonl)
    }
}

/// How it is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// The form.
    pub(crate) form: Form,
    /// Without heads, tab-separated.
    pub(crate) is_bare: bool,
    /// Bytes and seconds as numbers, RFC 3339, nothing for nothing.
    pub(crate) is_exact: bool,
    /// How sizes are written.
    pub(crate) units: Units,
    /// The terminal's width; none in a pipe.
    pub(crate) width: Option<usize>,
}

/// The columns of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    /// What to show, in this order.
    pub(crate) shown: Vec<Column>,
    /// All that the noun has: sizes among them are also given in bytes.
    pub(crate) known: Vec<Column>,
    /// Whether they were chosen with `-c`, so that JSON too holds only them.
    pub(crate) is_chosen: bool,
}

impl Columns {
    /// The default columns, or those that `-c` names (by head or by field; `+NAME` adds one to the default).
    pub(crate) fn choose(
        default: &[Column],
        noun: &[Column],
        wanted: &[&str],
    ) -> Result<Self, Failure> {
        let mut known = default.to_vec();
        known.extend(noun.iter().filter(|column| !default.contains(column)));
        let mut this = Self {
            shown: default.to_vec(),
            known,
            is_chosen: false,
        };
        let words: Vec<&str> = wanted.iter().flat_map(|word| word.split(',')).collect();
        if words.iter().any(|word| !word.starts_with('+')) {
            this.shown.clear();
            this.is_chosen = true;
        }
        for word in words {
            let name = word.trim().trim_start_matches('+');
            let column = Column::named(&this.known, name).ok_or_else(|| {
                let mut heads: Vec<&str> = Vec::new();
                for column in &this.known {
                    if !heads.contains(&column.head) {
                        heads.push(column.head);
                    }
                }
                Failure::usage(
                    &format!("there is no column `{name}` here"),
                    &format!("there are: {}", heads.join(", ")),
                )
            })?;
            this.shown.push(column);
        }
        Ok(this)
    }
}

/// Writes the answer.
pub(crate) fn write(
    out: &mut dyn Write,
    answer: Answer<'_>,
    noun: &str,
    columns: &Columns,
    style: &Style,
) -> Result<(), Failure> {
    match answer {
        Answer::Done => Ok(()),
        Answer::Text(text) => out
            .write_all(text.as_bytes())
            .map_err(|error| unwritten(&error)),
        Answer::One(item) if matches!(style.form, Form::Table | Form::Wide) && !style.is_bare => {
            table::fields(out, &item, columns, style).map_err(|error| unwritten(&error))
        }
        Answer::One(item) => write_all(out, vec![Ok(vec![item])].into_iter(), noun, columns, style),
        Answer::Many(items) | Answer::Planned(items) => {
            write_all(out, vec![Ok(items)].into_iter(), noun, columns, style)
        }
        Answer::Pages(pages) => write_all(out, pages, noun, columns, style),
    }
}

fn write_all(
    out: &mut dyn Write,
    pages: impl Iterator<Item = Result<Vec<Value>, Failure>>,
    noun: &str,
    columns: &Columns,
    style: &Style,
) -> Result<(), Failure> {
    let mut sink: Box<dyn Sink> = match style.form {
        Form::Table | Form::Wide if style.is_bare => Box::new(table::Values),
        Form::Table | Form::Wide => Box::new(table::Table::new(noun)),
        Form::Value => Box::new(table::Values),
        Form::Id => Box::new(table::Ids),
        Form::Json => Box::new(structured::Json::new(noun)),
        Form::Jsonl => Box::new(structured::Jsonl),
        Form::Yaml => Box::new(structured::Yaml::new(noun)),
        Form::Csv => Box::new(structured::Csv::new(style.is_bare)),
    };
    for page in pages {
        let page = page?;
        sink.page(out, &page, columns, style)
            .map_err(|error| unwritten(&error))?;
        out.flush().map_err(|error| unwritten(&error))?;
    }
    sink.end(out, columns, style)
        .map_err(|error| unwritten(&error))
}

/// One form, fed page by page.
trait Sink {
    /// Writes a page.
    fn page(
        &mut self,
        out: &mut dyn Write,
        items: &[Value],
        columns: &Columns,
        style: &Style,
    ) -> io::Result<()>;

    /// Writes what comes after the last.
    fn end(&mut self, _: &mut dyn Write, _: &Columns, _: &Style) -> io::Result<()> {
        Ok(())
    }
}

/// `ashlar volume list | head` is no failure: the reader had enough.
pub(crate) fn unwritten(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::quiet();
    }
    Failure::new(
        Exit::Failed,
        "the answer could not be written to standard output",
        &error.to_string(),
    )
}

#[cfg(test)]
mod tests;
