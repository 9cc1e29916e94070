//! Lists: filters, sort keys and markers, put together from fixed pieces into one query.
//!
//! Pages never differ by engine: text compares bytewise on both, a missing value sorts last in both directions, and
//! the id is always the last sort key, so that the order is total. A page goes on *after* the marker's values, which
//! are read first; an object that changed its values meanwhile may move, but none is shown twice without a change.

use super::batch::{Query, Row, StoreError, Value};
use super::{Store, like};

/// Sort direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// How a filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Not equal; a missing value is not equal to any.
    NotEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
    /// The text contains the value (microversion 3.34), case-sensitive.
    Contains,
    /// The object meets this fixed condition of its noun's own; the value stands where it has a `?`. The column is not
    /// looked at. A marker must meet it too: what a caller may not see is no marker either.
    Meets(&'static str),
}

/// One condition on one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// A column that the noun's [`Shape`] allows.
    pub column: &'static str,
    /// How it compares.
    pub comparison: Comparison,
    /// With what; several values mean any of them (only for `Equal`).
    pub values: Vec<Value>,
}

impl Filter {
    /// `column < value`.
    pub fn below(column: &'static str, value: impl Into<Value>) -> Self {
        Self {
            comparison: Comparison::Less,
            ..Self::equal(column, value)
        }
    }

    /// `column = value`.
    pub fn equal(column: &'static str, value: impl Into<Value>) -> Self {
        Self {
            column,
            comparison: Comparison::Equal,
            values: vec![value.into()],
        }
    }
}

/// What is asked of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// All must hold.
    pub filters: Vec<Filter>,
    /// Sort keys in order of weight; empty means newest first.
    pub sort: Vec<(&'static str, Direction)>,
    /// At most so many rows; the API has bounded it.
    pub limit: i64,
    /// So many rows are passed over.
    pub offset: i64,
    /// The id of the last object of the page before.
    pub marker: Option<String>,
}

/// What of a noun may be listed: fixed pieces, so that no text of a client ever becomes SQL.
#[derive(Debug)]
pub struct Shape {
    /// `SELECT columns FROM tables`, with the noun's table as `t`.
    pub select: &'static str,
    /// `SELECT COUNT(*) FROM table t`.
    pub count: &'static str,
    /// The columns that filters and sort keys may name.
    pub columns: &'static [&'static str],
}

/// Columns that are NOT NULL in every table that has them: an index can be walked by them as it is.
pub(super) const NEVER_NULL: &[&str] = &["id", "created_at", "project_id", "status", "volume_id"];

/// Why a list could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The marker is no object that the list could hold.
    #[error("marker {marker} could not be found")]
    NoSuchMarker {
        /// As asked.
        marker: String,
    },
    /// The record could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads a page.
pub async fn page(
    store: &Store,
    shape: &Shape,
    request: &ListRequest,
) -> Result<Vec<Row>, ListError> {
    let sort = total_order(&request.sort);
    let after = match &request.marker {
        None => None,
        Some(marker) => Some(marker_values(store, shape, request, &sort, marker).await?),
    };
    Ok(store
        .rows(page_query(shape, request, &sort, after.as_deref()))
        .await?)
}

/// Every object with this value in a column, the oldest first; for columns that few objects share.
pub async fn with(
    store: &Store,
    shape: &Shape,
    column: &'static str,
    value: impl Into<Value>,
) -> Result<Vec<Row>, StoreError> {
    let mut text = Text::new(shape.select);
    text.filters(&[Filter::equal(column, value)]);
    text.push(" ORDER BY t.created_at, t.id");
    store.rows(text.query()).await
}

/// The object with this value in a unique column.
pub async fn one(
    store: &Store,
    shape: &Shape,
    column: &'static str,
    value: impl Into<Value>,
) -> Result<Option<Row>, StoreError> {
    Ok(with(store, shape, column, value).await?.into_iter().next())
}

/// What `select` says of everything that the filters let through, with `last` at the end of the statement; both are
/// fixed pieces.
pub(super) async fn all(
    store: &Store,
    select: &str,
    request: &ListRequest,
    last: &str,
) -> Result<Vec<Row>, StoreError> {
    let mut text = Text::new(select);
    text.filters(&request.filters);
    text.push(last);
    store.rows(text.query()).await
}

/// How many objects the filters let through, whatever the page.
pub async fn count(store: &Store, shape: &Shape, request: &ListRequest) -> Result<i64, StoreError> {
    let mut text = Text::new(shape.count);
    text.filters(&request.filters);
    let row = store.row(text.query()).await?;
    row.map_or(Ok(0), |row| row.int(0))
}

pub(super) fn total_order(sort: &[(&'static str, Direction)]) -> Vec<(&'static str, Direction)> {
    let mut order = if sort.is_empty() {
        vec![("created_at", Direction::Descending)]
    } else {
        sort.to_vec()
    };
    if !order.iter().any(|(column, _)| *column == "id") {
        let last = order
            .last()
            .map_or(Direction::Descending, |(_, direction)| *direction);
        order.push(("id", last));
    }
    order
}

async fn marker_values(
    store: &Store,
    shape: &Shape,
    request: &ListRequest,
    sort: &[(&'static str, Direction)],
    marker: &str,
) -> Result<Vec<Value>, ListError> {
    // The marker must be one that the filters let through: a foreign project's id answers as one that does not exist.
    let columns: Vec<String> = sort
        .iter()
        .map(|(column, _)| format!("t.{column}"))
        .collect();
    let tables = shape
        .select
        .split_once(" FROM ")
        .map_or("", |(_, tables)| tables);
    let mut text = Text::new(&format!("SELECT {} FROM {tables}", columns.join(", ")));
    let project = request
        .filters
        .iter()
        .filter(|filter| {
            filter.column == "project_id" || matches!(filter.comparison, Comparison::Meets(_))
        })
        .cloned();
    text.filters(&project.collect::<Vec<_>>());
    text.filters(&[Filter::equal("id", marker)]);
    let row = store.row(text.query()).await?;
    row.map(|row| row.0).ok_or_else(|| ListError::NoSuchMarker {
        marker: marker.to_owned(),
    })
}

pub(super) fn page_query(
    shape: &Shape,
    request: &ListRequest,
    sort: &[(&'static str, Direction)],
    after: Option<&[Value]>,
) -> Query {
    let mut text = Text::new(shape.select);
    text.filters(&request.filters);
    if let Some(after) = after {
        text.after(sort, after);
    }
    text.push(" ORDER BY ");
    for (position, (column, direction)) in sort.iter().enumerate() {
        let word = match direction {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        };
        let comma = if position == 0 { "" } else { ", " };
        let nulls = if NEVER_NULL.contains(column) {
            ""
        } else {
            " NULLS LAST"
        };
        text.push(&format!("{comma}t.{column} {word}{nulls}"));
    }
    text.push(" LIMIT ");
    text.bind(Value::Int(request.limit));
    text.push(" OFFSET ");
    text.bind(Value::Int(request.offset));
    text.query()
}

/// A query being written: text and the values bound so far, numbered in order of appearance.
struct Text {
    text: String,
    values: Vec<Value>,
    conditions: usize,
}

impl Text {
    fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            values: Vec::new(),
            conditions: 0,
        }
    }

    fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
    }

    fn bind(&mut self, value: Value) {
        // A bare parameter has no type in PostgreSQL where nothing beside it has one.
        let cast = matches!(value, Value::Int(_));
        self.values.push(value);
        let number = self.values.len();
        if cast {
            self.text.push_str(&format!("CAST(${number} AS BIGINT)"));
        } else {
            self.text.push_str(&format!("${number}"));
        }
    }

    fn condition(&mut self) {
        self.push(if self.conditions == 0 {
            " WHERE "
        } else {
            " AND "
        });
        self.conditions += 1;
    }

    fn filters(&mut self, filters: &[Filter]) {
        for filter in filters {
            self.condition();
            self.filter(filter);
        }
    }

    fn filter(&mut self, filter: &Filter) {
        let column = filter.column;
        let operator = match filter.comparison {
            Comparison::Equal => return self.any_of(column, &filter.values),
            Comparison::Contains => return self.contains(column, &filter.values),
            Comparison::Meets(condition) => return self.meets(condition, &filter.values),
            Comparison::NotEqual => {
                self.push(&format!("(t.{column} IS NULL OR t.{column} <> "));
                self.bind(filter.values.first().cloned().unwrap_or(Value::Null));
                return self.push(")");
            }
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
        };
        self.push(&format!("t.{column} {operator} "));
        self.bind(filter.values.first().cloned().unwrap_or(Value::Null));
    }

    fn any_of(&mut self, column: &str, values: &[Value]) {
        if values == [Value::Null] {
            return self.push(&format!("t.{column} IS NULL"));
        }
        self.push(&format!("t.{column} IN ("));
        for (position, value) in values.iter().enumerate() {
            if position > 0 {
                self.push(", ");
            }
            self.bind(value.clone());
        }
        self.push(")");
    }

    fn meets(&mut self, condition: &str, values: &[Value]) {
        for (position, piece) in condition.split('?').enumerate() {
            if position > 0 {
                self.bind(values.first().cloned().unwrap_or(Value::Null));
            }
            self.push(piece);
        }
    }

    fn contains(&mut self, column: &str, values: &[Value]) {
        let Some(Value::Text(wanted)) = values.first() else {
            return self.push("1 = 0");
        };
        self.push(&format!("t.{column} LIKE "));
        self.bind(Value::Text(like::containing(wanted)));
        self.push(" ESCAPE '\\'");
    }

    /// Rows that come after `after` in the order of `sort`: equal in the first keys, beyond in the next.
    fn after(&mut self, sort: &[(&'static str, Direction)], after: &[Value]) {
        // Says nothing new, but lets an engine begin in the midst of an index instead of at its end.
        if let (Some((column, direction)), Some(first)) = (sort.first(), after.first())
            && NEVER_NULL.contains(column)
        {
            let operator = match direction {
                Direction::Ascending => ">=",
                Direction::Descending => "<=",
            };
            self.condition();
            self.push(&format!("t.{column} {operator} "));
            self.bind(first.clone());
        }
        self.condition();
        self.push("(1 = 0");
        for beyond in 0..sort.len() {
            let (column, direction) = sort[beyond];
            if after[beyond] == Value::Null {
                continue; // Missing values are last: nothing lies beyond.
            }
            self.push(" OR (");
            for (equal, (column, _)) in sort.iter().enumerate().take(beyond) {
                if after[equal] == Value::Null {
                    self.push(&format!("t.{column} IS NULL AND "));
                } else {
                    self.push(&format!("t.{column} = "));
                    self.bind(after[equal].clone());
                    self.push(" AND ");
                }
            }
            let operator = match direction {
                Direction::Ascending => ">",
                Direction::Descending => "<",
            };
            let or_null = if NEVER_NULL.contains(&column) {
                String::new()
            } else {
                format!("t.{column} IS NULL OR ")
            };
            self.push(&format!("({or_null}t.{column} {operator} "));
            self.bind(after[beyond].clone());
            self.push("))");
        }
        self.push(")");
    }

    fn query(self) -> Query {
        Query {
            text: self.text.into(),
            values: self.values,
        }
    }
}
