//! One connection to PostgreSQL: prepared statements, values in and out, what errors mean.
//!
//! Knows nothing of pools and batches. An error never carries PostgreSQL's DETAIL, which quotes rows.

use std::collections::HashMap;
use std::error::Error;
use std::pin::pin;

use bytes::BytesMut;
use futures_util::TryStreamExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Statement};

use crate::store::batch::{EngineError, PostgresFault, Query, Row, StoreError, Value};
use crate::store::{MAX_ROWS, parameters};

/// Statements kept prepared by a connection: all fixed ones and the usual lists.
const STATEMENT_CACHE: usize = 256;

/// A connection and what it has prepared.
pub(super) struct Session {
    client: Client,
    statements: HashMap<String, Statement>,
}

/// What happened to a statement.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server refused it; nothing of the transaction will commit.
    Told(StoreError),
    /// Another transaction was in the way; the whole transaction may be repeated.
    Clash(StoreError),
    /// The connection is gone.
    Lost(PostgresFault),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Told(error)
    }
}

impl Session {
    /// A session on a connection that was just made.
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            statements: HashMap::new(),
        }
    }

    /// Whether the connection is known to be gone.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a fixed text without parameters: BEGIN and its kind, and migrations.
    pub(super) async fn run(&self, text: &str, name: &str) -> Result<(), Failure> {
        let done = self.client.batch_execute(text).await;
        done.map_err(|error| failure(&error, name))
    }

    /// Executes a statement that answers no rows; gives how many rows it touched.
    pub(super) async fn execute(
        &mut self,
        text: &str,
        values: &[Value],
        name: &str,
    ) -> Result<u64, Failure> {
        let statement = self.prepared(text, values, name).await?;
        if !statement.columns().is_empty() {
            return Err(refused(name, EngineError::Rows).into());
        }
        let done = self.client.execute_raw(&statement, values).await;
        done.map_err(|error| failure(&error, name))
    }

    /// Answers one query.
    pub(super) async fn select(&mut self, query: &Query) -> Result<Vec<Row>, Failure> {
        let name = &*query.text;
        let statement = self.prepared(name, &query.values, name).await?;
        let unfit = |column: &tokio_postgres::Column| !reads(column.type_());
        if let Some(column) = statement.columns().iter().position(unfit) {
            return Err(refused(name, EngineError::Column { column }).into());
        }
        let failed = |error| failure(&error, name);
        let found = self
            .client
            .query_raw(&statement, &query.values)
            .await
            .map_err(failed)?;
        let mut found = pin!(found);
        let mut rows = Vec::new();
        while let Some(row) = found.try_next().await.map_err(failed)? {
            if rows.len() == MAX_ROWS {
                let cause = EngineError::TooMany {
                    limit: MAX_ROWS,
                    what: "rows",
                };
                return Err(refused(name, cause).into());
            }
            let values = (0..row.len())
                .map(|column| row.try_get(column))
                .collect::<Result<_, _>>();
            rows.push(Row(values.map_err(failed)?));
        }
        Ok(rows)
    }

    /// The types of a text's parameters and columns.
    #[cfg(test)]
    pub(super) async fn types(&self, text: &str) -> Result<Vec<Type>, Failure> {
        let statement = self
            .client
            .prepare(text)
            .await
            .map_err(|error| failure(&error, ""))?;
        let columns = statement
            .columns()
            .iter()
            .map(|column| column.type_().clone());
        Ok(statement.params().iter().cloned().chain(columns).collect())
    }

    /// The statement of a text, prepared once, with a value for each of its parameters.
    pub(super) async fn prepared(
        &mut self,
        text: &str,
        values: &[Value],
        name: &str,
    ) -> Result<Statement, Failure> {
        let wanted = parameters(text);
        if wanted != Some(values.len()) {
            let cause = EngineError::Parameters {
                wanted: wanted.unwrap_or(0),
                given: values.len(),
            };
            return Err(refused(name, cause).into());
        }
        let statement = match self.statements.get(text) {
            Some(statement) => statement.clone(),
            None => {
                let made = self.client.prepare(text).await;
                let made = made.map_err(|error| failure(&error, name))?;
                if self.statements.len() >= STATEMENT_CACHE {
                    self.statements.clear();
                }
                self.statements.insert(text.to_owned(), made.clone());
                made
            }
        };
        Ok(statement)
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(number) if *ty == Type::INT8 => number.to_sql(ty, out),
            Value::Int(number) if *ty == Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
            Value::Text(text) if <&str as ToSql>::accepts(ty) => text.to_sql(ty, out),
            Value::Int(_) | Value::Text(_) => {
                Err(format!("{self:?} was given for a parameter of type {ty}").into())
            }
        }
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match *ty {
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => Value::Int(bool::from_sql(ty, raw)?.into()),
            _ => Value::Text(String::from_sql(ty, raw)?),
        })
    }

    fn from_sql_null(_ty: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Value::Null)
    }

    fn accepts(ty: &Type) -> bool {
        reads(ty)
    }
}

/// Whether a column of that type can be read: TEXT, BIGINT, and what conditions and literals have.
pub(super) fn reads(ty: &Type) -> bool {
    *ty == Type::INT8
        || *ty == Type::INT4
        || *ty == Type::BOOL
        || <String as FromSql<'_>>::accepts(ty)
}

/// What an error of a named statement means.
pub(super) fn failure(error: &tokio_postgres::Error, name: &str) -> Failure {
    let fault = fault(error);
    let Some(code) = error.code() else {
        if error.is_closed() || is_of_the_line(error) {
            return Failure::Lost(fault);
        }
        return Failure::Told(refused(name, EngineError::Postgres(fault)));
    };
    if [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ]
    .contains(code)
    {
        return Failure::Clash(unavailable(&fault));
    }
    // 57P01 and its siblings: the server ends the connection after saying so.
    if code.code().starts_with("57P") || code.code().starts_with("08") {
        return Failure::Lost(fault);
    }
    if *code == SqlState::UNIQUE_VIOLATION {
        // The name is put in by whoever knows it as a constant.
        return Failure::Told(StoreError::Taken { statement: "" });
    }
    if *code == SqlState::DISK_FULL {
        return Failure::Told(StoreError::Full(EngineError::Postgres(fault)));
    }
    if [
        SqlState::DATA_CORRUPTED,
        SqlState::INDEX_CORRUPTED,
        SqlState::IO_ERROR,
    ]
    .contains(code)
    {
        return Failure::Told(StoreError::Broken(EngineError::Postgres(fault)));
    }
    let waits = [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE].contains(code);
    if waits || code.code().starts_with("53") || code.code().starts_with("28") {
        return Failure::Told(unavailable(&fault));
    }
    Failure::Told(refused(name, EngineError::Postgres(fault)))
}

/// Whether it was the socket that failed, and not a value that could not be encoded or decoded.
fn is_of_the_line(error: &tokio_postgres::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What PostgreSQL said, without what it quotes.
pub(super) fn fault(error: &tokio_postgres::Error) -> PostgresFault {
    match error.as_db_error() {
        Some(told) => PostgresFault {
            code: told.code().code().to_owned(),
            message: told.message().to_owned(),
        },
        None => PostgresFault {
            code: "none".to_owned(),
            message: match error.source() {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            },
        },
    }
}

/// The server does not answer, for now.
pub(super) fn unavailable(fault: &PostgresFault) -> StoreError {
    StoreError::Unavailable {
        why: format!("PostgreSQL: {fault}"),
    }
}

/// A mistake in Ashlar.
pub(super) fn refused(name: &str, source: EngineError) -> StoreError {
    StoreError::Refused {
        statement: name.to_owned(),
        source,
    }
}
