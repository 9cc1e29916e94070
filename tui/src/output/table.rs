//! Forms made of cells: the table, an object field by field, tab-separated values, ids.

use std::io::{self, Write};

use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::cells::{cell, field};
use super::{Column, Columns, Sink, Style};
use crate::text::harmless;

/// Blanks between two columns.
const GAP: usize = 2;
/// A column is not cut narrower than this to make a table fit.
const CUT_WIDTH_MIN: usize = 8;
/// What stands where a cell was cut.
const CUT: &str = "...";

/// One object, a line a field.
pub(super) fn fields(
    out: &mut dyn Write,
    item: &Value,
    columns: &Columns,
    style: &Style,
) -> io::Result<()> {
    let heads = columns.shown.iter().map(|column| column.head.len());
    let width = heads.max().unwrap_or(0);
    for column in &columns.shown {
        let cell = cell(item, column, style);
        writeln!(out, "{:width$}  {cell}", column.head)?;
    }
    Ok(())
}

/// A table. Its widths come from the first page: a list longer than that is read by programs.
pub(super) struct Table {
    noun: String,
    widths: Option<Vec<usize>>,
    count: usize,
}

impl Table {
    pub(super) fn new(noun: &str) -> Self {
        Self {
            noun: noun.to_owned(),
            widths: None,
            count: 0,
        }
    }
}

impl Sink for Table {
    fn page(
        &mut self,
        out: &mut dyn Write,
        items: &[Value],
        columns: &Columns,
        style: &Style,
    ) -> io::Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        self.count += items.len();
        let rows: Vec<Vec<String>> = items.iter().map(|item| row(item, columns, style)).collect();
        if self.widths.is_none() {
            let heads = heads(columns);
            let widths = widths(&heads, &rows, style.width);
            line(out, &heads, &widths, &columns.shown)?;
            self.widths = Some(widths);
        }
        let widths = self.widths.as_deref().unwrap_or_default();
        for row in &rows {
            line(out, row, widths, &columns.shown)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write, columns: &Columns, style: &Style) -> io::Result<()> {
        if self.count > 0 {
            return Ok(());
        }
        if style.width.is_some() {
            return writeln!(out, "No {}s.", self.noun);
        }
        let heads = heads(columns);
        let widths = widths(&heads, &[], None);
        line(out, &heads, &widths, &columns.shown)
    }
}

fn heads(columns: &Columns) -> Vec<String> {
    let heads = columns.shown.iter();
    heads.map(|column| column.head.to_uppercase()).collect()
}

fn row(item: &Value, columns: &Columns, style: &Style) -> Vec<String> {
    let shown = columns.shown.iter();
    shown.map(|column| cell(item, column, style)).collect()
}

/// What each column takes. On a terminal that is too narrow the widest columns give way.
fn widths(heads: &[String], rows: &[Vec<String>], room: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> = (0..heads.len())
        .map(|index| {
            let cells = rows.iter().map(|row| row[index].width());
            cells.chain([heads[index].width()]).max().unwrap_or(0)
        })
        .collect();
    let Some(room) = room else {
        return widths;
    };
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > room {
        let widest = (0..widths.len()).max_by_key(|index| widths[*index]);
        match widest {
            Some(index) if widths[index] > CUT_WIDTH_MIN => widths[index] -= 1,
            _ => break,
        }
    }
    widths
}

fn line(
    out: &mut dyn Write,
    cells: &[String],
    widths: &[usize],
    columns: &[Column],
) -> io::Result<()> {
    let mut text = String::new();
    for ((cell, width), column) in cells.iter().zip(widths).zip(columns) {
        if !text.is_empty() {
            text.push_str("  ");
        }
        let cell = cut(cell, *width);
        let blanks = " ".repeat(width.saturating_sub(cell.width()));
        if column.is_right() {
            text.push_str(&blanks);
            text.push_str(&cell);
        } else {
            text.push_str(&cell);
            text.push_str(&blanks);
        }
    }
    writeln!(out, "{}", text.trim_end())
}

/// The cell, no wider than its column. Only a terminal makes columns narrower than their cells.
fn cut(cell: &str, width: usize) -> String {
    if cell.width() <= width || width < CUT_WIDTH_MIN {
        return cell.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in cell.chars() {
        let next = used + c.width().unwrap_or(0);
        if next > width - CUT.len() {
            break;
        }
        used = next;
        kept.push(c);
    }
    kept + CUT
}

/// The columns' values, tab-separated.
pub(super) struct Values;

impl Sink for Values {
    fn page(
        &mut self,
        out: &mut dyn Write,
        items: &[Value],
        columns: &Columns,
        style: &Style,
    ) -> io::Result<()> {
        items
            .iter()
            .try_for_each(|item| writeln!(out, "{}", row(item, columns, style).join("\t")))
    }
}

/// Ids, one a line.
pub(super) struct Ids;

impl Sink for Ids {
    fn page(
        &mut self,
        out: &mut dyn Write,
        items: &[Value],
        columns: &Columns,
        _: &Style,
    ) -> io::Result<()> {
        // A noun without ids is told apart by its first column.
        let first = columns.known.first().map_or("id", |column| column.field);
        for item in items {
            let id = field(item, "id").or_else(|| field(item, first));
            let text = match id {
                Some(Value::String(text)) => harmless(text),
                Some(other) => other.to_string(),
                None => continue,
            };
            writeln!(out, "{text}")?;
        }
        Ok(())
    }
}
