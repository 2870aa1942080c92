//! A query and the values bound to it.

use std::ops::ControlFlow;

use futures_util::TryStreamExt;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Either, PgPool, Postgres, SqlSafeStr, SqlStr, Sqlite, SqlitePool};
use uuid::Uuid;

use super::recorded::note;
use super::row::Inner;
use super::slow::Watch;
use super::{Bind, FromRow, Row, Value};
use crate::rows::connect::Pools;
use crate::rows::transaction::OfEngine;
use crate::rows::{Database, RowError, Transaction};

type SqliteQuery = sqlx::query::Query<'static, Sqlite, SqliteArguments>;
type PostgresQuery = sqlx::query::Query<'static, Postgres, PgArguments>;

/// A query: its text, which no value is ever written into, and the values of its
/// placeholders in their order. Text made at run time is wrapped in
/// [`AssertSqlSafe`](super::AssertSqlSafe) by whoever has read it.
#[derive(Debug)]
#[must_use = "a query does nothing until it runs"]
pub struct Query {
    text: SqlStr,
    values: Vec<Value>,
}

/// A query with this text.
pub fn query(text: impl SqlSafeStr) -> Query {
    Query {
        text: text.into_sql_str(),
        values: Vec::new(),
    }
}

/// What a query runs on: a [`Database`], to read, or a [`Transaction`].
#[derive(Debug)]
pub struct On<'a> {
    target: Target<'a>,
    /// The transaction's note that a statement of it failed, or was given up.
    has_failed: Option<&'a mut bool>,
}

impl<'a> On<'a> {
    fn alone(target: Target<'a>) -> Self {
        Self {
            target,
            has_failed: None,
        }
    }
}

#[derive(Debug)]
enum Target<'a> {
    SqlitePool(&'a SqlitePool),
    PostgresPool(&'a PgPool),
    Sqlite(&'a mut sqlx::SqliteConnection),
    Postgres(&'a mut sqlx::PgConnection),
}

impl Target<'_> {
    fn is_transaction(&self) -> bool {
        matches!(self, Self::Sqlite(_) | Self::Postgres(_))
    }
}

impl<'a> From<&'a Database> for On<'a> {
    fn from(database: &'a Database) -> Self {
        Self::alone(match database.pools() {
            Pools::Sqlite { reader, .. } => Target::SqlitePool(reader),
            Pools::Postgres(pool) => Target::PostgresPool(pool),
        })
    }
}

/// A connection of PostgreSQL that is nobody else's.
impl<'a> From<&'a mut sqlx::PgConnection> for On<'a> {
    fn from(connection: &'a mut sqlx::PgConnection) -> Self {
        Self::alone(Target::Postgres(connection))
    }
}

impl<'a> From<&'a mut Transaction> for On<'a> {
    fn from(transaction: &'a mut Transaction) -> Self {
        let (of_engine, has_failed) = transaction.parts();
        Self {
            target: match of_engine {
                OfEngine::Sqlite(transaction) => Target::Sqlite(transaction),
                OfEngine::Postgres(transaction) => Target::Postgres(transaction),
            },
            has_failed: Some(has_failed),
        }
    }
}

/// Runs one of sqlx's methods on whatever the target is: left is SQLite's result.
macro_rules! run {
    ($query:ident, $on:ident, $method:ident) => {{
        let On { target, has_failed } = $on.into();
        let attempt = Attempt::of(has_failed);
        let _watch = Watch::over(&$query.text);
        note(
            $query.text.as_str(),
            &$query.values,
            target.is_transaction(),
        );
        let done = match target {
            Target::SqlitePool(pool) => Either::Left($query.sqlite()?.$method(pool).await?),
            Target::Sqlite(one) => Either::Left($query.sqlite()?.$method(one).await?),
            Target::PostgresPool(pool) => Either::Right($query.postgres()?.$method(pool).await?),
            Target::Postgres(one) => Either::Right($query.postgres()?.$method(one).await?),
        };
        attempt.succeeded();
        done
    }};
}

/// As `run`, with the stream of rows that both pools and connections give.
macro_rules! run_stream {
    ($query:ident, $target:ident) => {
        match $target {
            Target::SqlitePool(pool) => Either::Left($query.sqlite()?.fetch(pool)),
            Target::Sqlite(one) => Either::Left($query.sqlite()?.fetch(one)),
            Target::PostgresPool(pool) => Either::Right($query.postgres()?.fetch(pool)),
            Target::Postgres(one) => Either::Right($query.postgres()?.fetch(one)),
        }
    };
}

impl Query {
    /// Binds the next placeholder.
    pub fn bind(mut self, value: impl Bind) -> Self {
        self.values.push(value.value());
        self
    }

    /// Runs it; how many rows it changed.
    pub async fn execute<'a>(self, on: impl Into<On<'a>>) -> Result<u64, RowError> {
        Ok(match run!(self, on, execute) {
            Either::Left(done) => done.rows_affected(),
            Either::Right(done) => done.rows_affected(),
        })
    }

    /// Every row. The text says how many at most.
    pub async fn all<'a, T: FromRow>(self, on: impl Into<On<'a>>) -> Result<Vec<T>, RowError> {
        self.rows(on).await?.iter().map(T::from_row).collect()
    }

    /// The first row, if there is one.
    pub async fn optional<'a, T: FromRow>(
        self,
        on: impl Into<On<'a>>,
    ) -> Result<Option<T>, RowError> {
        self.row(on).await?.as_ref().map(T::from_row).transpose()
    }

    /// The first row, which the text makes sure of.
    pub async fn one<'a, T: FromRow>(self, on: impl Into<On<'a>>) -> Result<T, RowError> {
        let row = self.row(on).await?;
        T::from_row(&row.ok_or(RowError::Engine(sqlx::Error::RowNotFound))?)
    }

    /// Whether there is a row.
    pub async fn exists<'a>(self, on: impl Into<On<'a>>) -> Result<bool, RowError> {
        Ok(self.row(on).await?.is_some())
    }

    /// Every row as it is.
    pub async fn rows<'a>(self, on: impl Into<On<'a>>) -> Result<Vec<Row>, RowError> {
        Ok(match run!(self, on, fetch_all) {
            Either::Left(rows) => rows.into_iter().map(|r| Row(Inner::Sqlite(r))).collect(),
            Either::Right(rows) => rows.into_iter().map(|r| Row(Inner::Postgres(r))).collect(),
        })
    }

    /// Gives row after row to `each`, without keeping them, until it breaks off.
    pub(in crate::rows) async fn for_each<'a>(
        self,
        on: impl Into<On<'a>>,
        mut each: impl FnMut(Row) -> Result<ControlFlow<()>, RowError>,
    ) -> Result<(), RowError> {
        let On { target, has_failed } = on.into();
        let attempt = Attempt::of(has_failed);
        let _watch = Watch::over(&self.text);
        note(self.text.as_str(), &self.values, target.is_transaction());
        match run_stream!(self, target) {
            Either::Left(mut rows) => {
                while let Some(row) = rows.try_next().await? {
                    if each(Row(Inner::Sqlite(row)))?.is_break() {
                        break;
                    }
                }
            }
            Either::Right(mut rows) => {
                while let Some(row) = rows.try_next().await? {
                    if each(Row(Inner::Postgres(row)))?.is_break() {
                        break;
                    }
                }
            }
        }
        attempt.succeeded();
        Ok(())
    }

    async fn row<'a>(self, on: impl Into<On<'a>>) -> Result<Option<Row>, RowError> {
        Ok(match run!(self, on, fetch_optional) {
            Either::Left(row) => row.map(|row| Row(Inner::Sqlite(row))),
            Either::Right(row) => row.map(|row| Row(Inner::Postgres(row))),
        })
    }

    fn sqlite(self) -> Result<SqliteQuery, RowError> {
        let mut query = sqlx::query(self.text);
        for value in self.values {
            query = match value {
                Value::BigInt(number) => query.bind(number),
                Value::Boolean(truth) => query.bind(truth),
                Value::Text(text) => query.bind(text),
                Value::Blob(bytes) => query.bind(bytes),
                Value::Uuid(id) => query.bind(id.as_ref().map(Uuid::to_string)),
                Value::BigInts(list) => query.bind(json(&list)?),
                Value::Texts(list) => query.bind(json(&list)?),
                Value::Uuids(list) => {
                    let list: Vec<String> = list.iter().map(Uuid::to_string).collect();
                    query.bind(json(&list)?)
                }
                Value::OutOfRange(value) => return Err(RowError::OutOfRange(value)),
            };
        }
        Ok(query)
    }

    fn postgres(self) -> Result<PostgresQuery, RowError> {
        let mut query = sqlx::query(self.text);
        for value in self.values {
            query = match value {
                Value::BigInt(number) => query.bind(number),
                Value::Boolean(truth) => query.bind(truth),
                Value::Text(text) => query.bind(text),
                Value::Blob(bytes) => query.bind(bytes),
                Value::Uuid(id) => query.bind(id),
                Value::BigInts(list) => query.bind(list),
                Value::Texts(list) => query.bind(list),
                Value::Uuids(list) => query.bind(list),
                Value::OutOfRange(value) => return Err(RowError::OutOfRange(value)),
            };
        }
        Ok(query)
    }
}

/// A statement that runs. Unless it succeeds, its transaction has failed: also when it is
/// given up half-way, for nobody has heard then whether it did.
struct Attempt<'a> {
    has_failed: Option<&'a mut bool>,
    failed_before: bool,
}

impl<'a> Attempt<'a> {
    fn of(mut has_failed: Option<&'a mut bool>) -> Self {
        let failed = has_failed.as_deref_mut();
        let failed_before = failed.is_some_and(|failed| std::mem::replace(failed, true));
        Self {
            has_failed,
            failed_before,
        }
    }

    fn succeeded(self) {
        if let Some(has_failed) = self.has_failed {
            *has_failed = self.failed_before;
        }
    }
}

/// A list as `json_each` reads it.
fn json(list: &impl serde::Serialize) -> Result<String, RowError> {
    serde_json::to_string(list).map_err(|error| RowError::Engine(sqlx::Error::Encode(error.into())))
}
