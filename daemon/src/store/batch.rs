//! The words of the store: a statement with a name, a value, a guarded batch, a row, an error.
//!
//! Knows no engine's rules beyond the names of their errors. Fails nowhere: what is wrong with a batch is found when
//! it is written.

use std::fmt;
use std::sync::Arc;

/// An SQL text fit for both engines, with a name for logs and for the test that prepares every one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sql {
    /// `noun.verb`, unique.
    pub name: &'static str,
    /// The text; parameters `$1` to `$n` without a gap, anywhere and as often as wanted; no other `$`.
    pub text: &'static str,
}

/// A column's or parameter's value.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// No value.
    Null,
    /// BIGINT.
    Int(i64),
    /// TEXT.
    Text(String),
}

impl fmt::Debug for Value {
    // Rows hold secrets (CHAP, token hashes): a value never prints its text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Text(text) => write!(f, "text of {} bytes", text.len()),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// How many rows a statement must touch for its batch to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Any number.
    None,
    /// At least one, else the whole batch is undone and the write answers [`StoreError::Conflict`] with this name.
    AtLeastOne(&'static str),
}

/// One statement of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What is executed.
    pub sql: Sql,
    /// Its parameters.
    pub values: Vec<Value>,
    /// What it must achieve.
    pub guard: Guard,
}

/// Statements that commit together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// In order of execution.
    pub statements: Vec<Statement>,
    /// Whether it records the end of something that already runs: such a batch may use the reserve of a full disk.
    pub essential: bool,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a statement that may touch any number of rows.
    pub fn add(&mut self, sql: Sql, values: Vec<Value>) -> &mut Self {
        self.statements.push(Statement {
            sql,
            values,
            guard: Guard::None,
        });
        self
    }

    /// Adds a statement that must touch a row, or nothing of the batch happens.
    pub fn guard(&mut self, name: &'static str, sql: Sql, values: Vec<Value>) -> &mut Self {
        self.statements.push(Statement {
            sql,
            values,
            guard: Guard::AtLeastOne(name),
        });
        self
    }

    /// Lets the batch through on a full disk, on the reserve kept for it: for the end of work that already runs, and
    /// for deletes, never for new work.
    pub fn essential(&mut self) -> &mut Self {
        self.essential = true;
        self
    }

    /// Adds all of another batch; the sum is essential when either is.
    pub fn extend(&mut self, other: Batch) -> &mut Self {
        self.statements.extend(other.statements);
        self.essential |= other.essential;
        self
    }
}

/// One read: a fixed statement, or one put together from fixed pieces (lists with filters and sort keys).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The text; parameters as in [`Sql`].
    pub text: std::borrow::Cow<'static, str>,
    /// Its parameters.
    pub values: Vec<Value>,
}

impl Query {
    /// A read by a fixed statement.
    pub fn of(sql: Sql, values: Vec<Value>) -> Self {
        Self {
            text: sql.text.into(),
            values,
        }
    }
}

/// A row that was read; columns by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// A TEXT column that must be there.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Null | Value::Int(_)) | None => Err(StoreError::Unreadable { column }),
        }
    }

    /// A TEXT column that may be NULL.
    pub fn optional_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            Some(Value::Int(_)) | None => Err(StoreError::Unreadable { column }),
        }
    }

    /// A BIGINT column that must be there.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(number)) => Ok(*number),
            Some(Value::Null | Value::Text(_)) | None => Err(StoreError::Unreadable { column }),
        }
    }

    /// A BIGINT column that may be NULL.
    pub fn optional_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            Some(Value::Text(_)) | None => Err(StoreError::Unreadable { column }),
        }
    }

    /// A TEXT column that may be NULL, read by `parse`.
    pub fn optional_parsed<T>(
        &self,
        column: usize,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        match self.optional_text(column)? {
            None => Ok(None),
            Some(text) => parse(text)
                .map(Some)
                .ok_or(StoreError::Unreadable { column }),
        }
    }

    /// A TEXT column read by `parse`; `None` from it means that the record holds what this version cannot read.
    pub fn parsed<T>(
        &self,
        column: usize,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        parse(self.text(column)?).ok_or(StoreError::Unreadable { column })
    }
}

/// Why the record could not be read or written. Cheap to clone: one failure is told to many.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A guard touched no row; nothing of the batch happened.
    #[error("the guard {guard} was not met")]
    Conflict {
        /// The guard's name.
        guard: &'static str,
    },
    /// A unique key is taken; nothing of the batch happened.
    #[error("a key of {statement} is taken")]
    Taken {
        /// The statement's name.
        statement: &'static str,
    },
    /// The disk under the record is full: reads go on, writes are refused until there is room.
    #[error("the disk that holds the record is full")]
    Full(#[source] EngineError),
    /// The record cannot be trusted any more; the process must end.
    #[error("the record failed")]
    Broken(#[source] EngineError),
    /// The engine is busy, gone or slow; the same call may go through later.
    #[error("the record does not answer: {why}")]
    Unavailable {
        /// What was noticed.
        why: String,
    },
    /// The answer to a COMMIT did not come: the batch happened whole or not at all, and only a look tells which.
    #[error("it is not known whether the record was written: {why}; look before you repeat")]
    Uncertain {
        /// What was noticed.
        why: String,
    },
    /// What was opened is not a record of Ashlar's, or cannot hold one; it was left as it is.
    #[error("{place} cannot hold the record: {why}")]
    Unfit {
        /// The file or database.
        place: String,
        /// Why not and what to do.
        why: &'static str,
    },
    /// A statement was refused: a mistake in Ashlar.
    #[error("statement {statement} was refused")]
    Refused {
        /// The statement's name or text.
        statement: String,
        #[source]
        source: EngineError,
    },
    /// A row holds what this version cannot read.
    #[error("column {column} of a row cannot be read")]
    Unreadable {
        /// The column's position.
        column: usize,
    },
    /// The record was written by a newer version.
    #[error(
        "the record has schema {found}, this version knows {known}: run the newer version, or restore a copy made before the upgrade"
    )]
    TooNew {
        /// The schema found.
        found: i64,
        /// The newest schema known.
        known: i64,
    },
}

/// The engine's own error, kept as the cause.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// SQLite's.
    #[error(transparent)]
    Sqlite(Arc<rusqlite::Error>),
    /// PostgreSQL's.
    #[error(transparent)]
    Postgres(PostgresFault),
    /// The file system's, beside the engine.
    #[error(transparent)]
    Io(Arc<std::io::Error>),
    /// The parameters are not `$1` to `$n` with a value for each.
    #[error("the text has {wanted} parameters, numbered from $1 or not; {given} values were given")]
    Parameters {
        /// How many parameters the text has; 0 when their numbers have a gap.
        wanted: usize,
        /// How many values came with it.
        given: usize,
    },
    /// A text holds the character U+0000, which PostgreSQL cannot store.
    #[error("value ${position} holds the character U+0000")]
    Nul {
        /// The parameter, from 1.
        position: usize,
    },
    /// A column is neither TEXT nor BIGINT.
    #[error("column {column} is neither text nor a whole number")]
    Column {
        /// The column's position.
        column: usize,
    },
    /// A statement of a batch answers rows; a batch only writes.
    #[error("the statement answers rows")]
    Rows,
    /// More than one call may carry or answer.
    #[error("more than {limit} {what}")]
    TooMany {
        /// The limit.
        limit: usize,
        /// What was counted.
        what: &'static str,
    },
    /// A thread of the store ended by a panic.
    #[error("a thread of the store has ended")]
    ThreadGone,
}

/// What PostgreSQL said, without the DETAIL that quotes rows: rows hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (SQLSTATE {code})")]
pub struct PostgresFault {
    /// The SQLSTATE, or `none` when it was the connection that failed.
    pub code: String,
    /// The first sentence.
    pub message: String,
}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        EngineError::Sqlite(Arc::new(error))
    }
}

impl From<std::io::Error> for EngineError {
    fn from(error: std::io::Error) -> Self {
        EngineError::Io(Arc::new(error))
    }
}
