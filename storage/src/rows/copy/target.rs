//! Writing to the target.

use std::collections::BTreeSet;

use media::Timestamp;
use uuid::Uuid;

use super::pages::{Cells, PageSize, Side};
use super::plan::Pair;
use super::{CopyError, Limits, MARKER, Progress, cells};
use crate::rows::catalogue::{self, Kind, quoted, quoted_list};
use crate::rows::migrate::table_exists;
use crate::rows::sql::{AssertSqlSafe, Engine, Query, Value, query};
use crate::rows::{Database, RowError, Transaction};

/// What was being copied to a database, if that was not finished.
pub(super) async fn marked(
    engine: Engine,
    transaction: &mut Transaction,
) -> Result<Option<String>, RowError> {
    if !table_exists(engine, &mut *transaction, MARKER).await? {
        return Ok(None);
    }
    let row: Option<(String,)> = query(AssertSqlSafe(format!("SELECT source FROM {MARKER}")))
        .optional(transaction)
        .await?;
    Ok(row.map(|(source,)| source))
}

/// Gives a database without tables those of this version, and one with a part of `source`
/// what that lacks. Any other is left as it is: whoever named it may have meant another.
pub(super) async fn prepare(database: &Database, source: &str) -> Result<(), CopyError> {
    let mut snapshot = database.snapshot().await?;
    if is_copy_of(database.engine(), &mut snapshot, source).await? {
        drop(snapshot);
        database.apply_migrations().await?;
        return Ok(());
    }
    let tables = catalogue::tables(database.engine(), &mut snapshot).await?;
    for name in tables.keys() {
        refuse_rows(&mut snapshot, name).await?;
    }
    drop(snapshot);
    if tables.is_empty() {
        database.apply_migrations().await?;
        return Ok(());
    }
    match database.check_migrations().await?.into_iter().next() {
        Some(fault) => Err(CopyError::Target(fault)),
        None => Ok(()),
    }
}

/// Whether a database has a part of `source`. An error, if it has a part of another.
async fn is_copy_of(
    engine: Engine,
    transaction: &mut Transaction,
    source: &str,
) -> Result<bool, CopyError> {
    match marked(engine, transaction).await? {
        Some(unfinished) if unfinished == source => Ok(true),
        Some(unfinished) => Err(CopyError::OfAnother {
            unfinished,
            source_name: source.to_owned(),
        }),
        None => Ok(false),
    }
}

async fn refuse_rows(transaction: &mut Transaction, table: &str) -> Result<(), CopyError> {
    let text = format!("SELECT 1 FROM {} LIMIT 1", quoted(table));
    if query(AssertSqlSafe(text)).exists(transaction).await? {
        return Err(CopyError::NotEmpty(table.to_owned()));
    }
    Ok(())
}

async fn count(pair: &Pair, on: &mut Transaction) -> Result<u64, RowError> {
    let text = format!("SELECT COUNT(*) FROM {}", quoted(&pair.name));
    let (count,) = query(AssertSqlSafe(text)).one(on).await?;
    Ok(count)
}

/// A database that is being copied to.
#[derive(Debug)]
pub(super) struct Target<'a>(&'a Database);

impl<'a> Target<'a> {
    /// Marks an empty database as a copy of `source`, or finds that it is one.
    pub(super) async fn claim(
        database: &'a Database,
        plan: &[Pair],
        source: &str,
        now: Timestamp,
    ) -> Result<Self, CopyError> {
        let mut transaction = database.write().await?;
        if is_copy_of(database.engine(), &mut transaction, source).await? {
            return Ok(Self(database));
        }
        for pair in plan {
            refuse_rows(&mut transaction, &pair.name).await?;
        }
        query(AssertSqlSafe(format!(
            "CREATE TABLE {MARKER} (source TEXT NOT NULL PRIMARY KEY, started_at BIGINT NOT NULL)"
        )))
        .execute(&mut transaction)
        .await?;
        query(AssertSqlSafe(format!(
            "INSERT INTO {MARKER} (source, started_at) VALUES ($1, $2)"
        )))
        .bind(source)
        .bind(now)
        .execute(&mut transaction)
        .await?;
        transaction.commit().await?;
        Ok(Self(database))
    }

    /// The rows are all there: the database is one like any other.
    pub(super) async fn release(self) -> Result<(), CopyError> {
        let mut transaction = self.0.write().await?;
        query(AssertSqlSafe(format!("DROP TABLE {MARKER}")))
            .execute(&mut transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Copies what the target lacks of a table.
    ///
    /// Rows that refer to rows of their own table which are not there yet are left out at
    /// first: a clock that was behind gives an answer a lower key than what it answers. The
    /// table is read again until none is left.
    pub(super) async fn copy_table(
        &self,
        pair: &Pair,
        source_engine: Engine,
        source: &mut Transaction,
        limits: Limits,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), CopyError> {
        let total = count(pair, source).await?;
        let (mut rows, last) = self.state(pair, source_engine).await?;
        let mut size = PageSize::within(limits);
        let mut tell = |rows| {
            progress(Progress::Copied {
                table: &pair.name,
                rows,
                total,
            });
        };
        tell(rows);
        let (mut after, mut is_whole) = (last.clone(), last.is_none());
        loop {
            let (before, mut left_out) = (rows, None);
            loop {
                let page = pair
                    .page(Side::Source, source, after.as_deref(), &mut size)
                    .await?;
                let Some(last) = page.last() else { break };
                after = Some(pair.key_of(last).into_iter().cloned().collect());
                let (inserted, waiting) = self.insert(pair, page).await?;
                left_out = left_out.or(waiting);
                rows += inserted;
                tell(rows);
            }
            // Rows that were left out by a run before this one are found by their number.
            if pair.own_references.is_empty() || rows >= total {
                return Ok(());
            }
            if is_whole && rows == before {
                return match left_out {
                    Some(key) => Err(CopyError::Dangling {
                        table: pair.name.clone(),
                        key,
                    }),
                    // The verification says what differs.
                    None => Ok(()),
                };
            }
            (after, is_whole) = (None, true);
        }
    }

    /// How many rows the target has, and the highest key of them as the source knows it.
    async fn state(
        &self,
        pair: &Pair,
        source_engine: Engine,
    ) -> Result<(u64, Option<Cells>), CopyError> {
        let mut snapshot = self.0.snapshot().await?;
        snapshot.without_time_limits().await?;
        let rows = count(pair, &mut snapshot).await?;
        let descending = pair
            .key_names()
            .map(|name| format!("{} DESC", quoted(name)));
        let descending: Vec<_> = descending.collect();
        let text = format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT 1",
            quoted_list(pair.key_names()),
            quoted(&pair.name),
            descending.join(", ")
        );
        let found = query(AssertSqlSafe(text)).rows(&mut snapshot).await?;
        let Some(row) = found.first() else {
            return Ok((rows, None));
        };
        let mut key = Vec::with_capacity(pair.key.len());
        for &place in &pair.key {
            let column = &pair.columns[place];
            let value = cells::read(row, &column.name, column.target)?;
            let value = cells::fit(value, column.source, source_engine)
                .map_err(|reason| value_error(pair, &[], column.name.clone(), reason))?;
            key.push(value);
        }
        Ok((rows, Some(key)))
    }

    /// Adds a page: how many rows were new, and the key of one that has to wait.
    async fn insert(
        &self,
        pair: &Pair,
        page: Vec<Cells>,
    ) -> Result<(u64, Option<String>), CopyError> {
        let mut rows = Vec::with_capacity(page.len());
        for row in page {
            rows.push(self.fit(pair, row)?);
        }
        let mut transaction = self.0.write().await?;
        let mut waiting = None;
        if !pair.own_references.is_empty() {
            let keys = rows.iter().filter_map(|row| cells::text(&row[pair.key[0]]));
            let there = self.present(pair, &mut transaction, keys.collect()).await?;
            rows.retain(|row| {
                cells::text(&row[pair.key[0]]).is_none_or(|key| !there.contains(&key))
            });
            waiting = self
                .leave_out_waiting(pair, &mut transaction, &mut rows)
                .await?;
        }
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok((0, waiting));
        };
        let shown = |row: &Cells| cells::shown(pair.key_of(row));
        let shown = format!("{} to {}", shown(first), shown(last));
        let inserted = insert_statement(pair, rows).execute(&mut transaction).await;
        let inserted = inserted.map_err(|error| match error {
            error @ RowError::Engine(sqlx::Error::Database(_)) => CopyError::Refused {
                table: pair.name.clone(),
                rows: shown,
                error: Box::new(error),
            },
            error => error.into(),
        })?;
        transaction.commit().await?;
        Ok((inserted, waiting))
    }

    fn fit(&self, pair: &Pair, row: Cells) -> Result<Cells, CopyError> {
        let key: Vec<_> = pair.key_of(&row).into_iter().cloned().collect();
        let columns = pair.columns.iter();
        let fitted = row.into_iter().zip(columns).map(|(value, column)| {
            cells::fit(value, column.target, self.0.engine())
                .map_err(|reason| value_error(pair, &key, column.name.clone(), reason))
        });
        fitted.collect()
    }

    /// Which of these keys the target has.
    async fn present(
        &self,
        pair: &Pair,
        transaction: &mut Transaction,
        keys: Vec<String>,
    ) -> Result<BTreeSet<String>, CopyError> {
        let key = &pair.columns[pair.key[0]];
        let text = format!(
            "SELECT {name} AS key FROM {table} WHERE {name} {list}",
            name = quoted(&key.name),
            table = quoted(&pair.name),
            list = self.0.engine().one_of("$1"),
        );
        let query = query(AssertSqlSafe(text));
        let query = match key.target {
            Kind::Uuid => query.bind(
                keys.iter()
                    .filter_map(|k| k.parse().ok())
                    .collect::<Vec<Uuid>>(),
            ),
            _ => query.bind(keys),
        };
        let mut present = BTreeSet::new();
        for row in query.rows(transaction).await? {
            present.extend(cells::text(&cells::read(&row, "key", key.target)?));
        }
        Ok(present)
    }

    /// Keeps the rows whose own references are in the target or among them; the key of one
    /// that is not kept.
    async fn leave_out_waiting(
        &self,
        pair: &Pair,
        transaction: &mut Transaction,
        rows: &mut Vec<Cells>,
    ) -> Result<Option<String>, CopyError> {
        let key = pair.key[0];
        let wanted = |row: &Cells| -> Vec<String> {
            let places = pair.own_references.iter();
            places
                .filter_map(|&place| cells::text(&row[place]))
                .collect()
        };
        let all: BTreeSet<_> = rows.iter().flat_map(wanted).collect();
        let mut there = self
            .present(pair, transaction, all.into_iter().collect())
            .await?;
        let own: Vec<_> = rows
            .iter()
            .filter_map(|row| cells::text(&row[key]))
            .collect();
        there.extend(own);
        let mut waiting = None;
        loop {
            let before = rows.len();
            let mut gone = Vec::new();
            rows.retain(|row| {
                let keeps = wanted(row).iter().all(|key| there.contains(key));
                if !keeps {
                    gone.extend(cells::text(&row[key]));
                }
                keeps
            });
            // What waits for a row that waits, waits too.
            for key in &gone {
                there.remove(key);
            }
            waiting = waiting.or(gone.into_iter().next().map(|key| format!("({key})")));
            if rows.len() == before {
                return Ok(waiting);
            }
        }
    }
}

fn value_error(pair: &Pair, key: &[Value], column: String, reason: &str) -> CopyError {
    CopyError::Value {
        table: pair.name.clone(),
        key: cells::shown(key),
        column,
        reason: reason.to_owned(),
    }
}

/// One statement for all rows.
fn insert_statement(pair: &Pair, rows: Vec<Cells>) -> Query {
    let width = pair.columns.len();
    let tuples = (0..rows.len()).map(|row| {
        let places = (1..=width).map(|column| format!("${}", row * width + column));
        format!("({})", places.collect::<Vec<_>>().join(", "))
    });
    let text = format!(
        "INSERT INTO {} ({}) VALUES {}",
        quoted(&pair.name),
        quoted_list(pair.columns.iter().map(|column| column.name.as_str())),
        tuples.collect::<Vec<_>>().join(", ")
    );
    let values = rows.into_iter().flatten();
    values.fold(query(AssertSqlSafe(text)), |query, value| query.bind(value))
}
