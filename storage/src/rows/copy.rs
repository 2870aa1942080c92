//! Copying every row from one database to another, of either engine.
//!
//! The source is read at one instant, in pages by primary key; a page is one statement
//! and one transaction in the target. Nothing but the rows says how far a copy has come:
//! each table goes on after the highest key that the target has. A table of the tool's
//! own, `_nova_copy`, stands in the target from the first row until everything was read
//! again and found equal; while it is there nobody else uses the target.

mod cells;
mod error;
mod numbers;
mod pages;
mod plan;
mod target;
mod verify;

use media::Timestamp;

pub use error::CopyError;
pub use verify::TableDigest;

use self::pages::{Rows, Side};
use self::target::Target;
use super::sql::{FromRow, Row, query};
use super::{Database, RowError, Transaction, catalogue, search};

/// Says that the rows of a database are a part of another's.
pub(super) const MARKER: &str = "_nova_copy";

/// How to copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// What the source is called, without a password. A copy that was interrupted is taken
    /// up under the same name.
    pub source_name: String,
    /// Copy also when somebody seems to write to the source.
    pub in_use_too: bool,
    /// How much at a time.
    pub limits: Limits,
}

/// How much is copied at a time, in one statement and one transaction, and held in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Rows. Fewer of a table with many columns.
    pub rows: usize,
    /// Bytes of their values. A page has one row at least.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 1_000,
            bytes: 8 * 1024 * 1024,
        }
    }
}

/// How far a copy has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress<'a> {
    /// So many rows of a table are in the target, of all that the source has.
    Copied {
        /// The table.
        table: &'a str,
        /// Rows in the target.
        rows: u64,
        /// Rows in the source.
        total: u64,
    },
    /// A table is the same in both.
    Verified {
        /// The table.
        table: &'a str,
        /// What it holds.
        digest: TableDigest,
    },
}

/// A copy that was found equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Copied {
    /// How many tables.
    pub tables: u64,
    /// How many rows they have.
    pub rows: u64,
}

/// Copies every row of `from`, whose migrations must be this version's, to `to`, which is
/// empty or has what an earlier call left there; any other is refused as it is. Interrupted at any point, the same call
/// goes on; nothing but what it copies may be written to `to` meanwhile. `now` is what
/// leases are compared with.
pub async fn copy(
    from: &Database,
    to: &Database,
    options: &Options,
    now: Timestamp,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<Copied, CopyError> {
    let limits = options.limits;
    refuse_unfinished(from).await?;
    if let Some(fault) = from.check_migrations().await?.into_iter().next() {
        return Err(CopyError::Source(fault));
    }
    let mut source = from.snapshot().await?;
    source.without_time_limits().await?;
    if !options.in_use_too
        && let Some(who) = in_use(&mut source, now).await?
    {
        return Err(CopyError::InUse(who));
    }
    target::prepare(to, &options.source_name).await?;
    let source_tables = catalogue::tables(from.engine(), &mut source).await?;
    let target_tables = catalogue::tables(to.engine(), &mut to.snapshot().await?).await?;
    let plan = plan::plan(&source_tables, &target_tables)?;
    let target = Target::claim(to, &plan, &options.source_name, now).await?;

    for pair in &plan {
        let copying = target.copy_table(pair, from.engine(), &mut source, limits, &mut progress);
        copying.await?;
    }
    for pair in &plan {
        numbers::go_on_after(pair, from.engine(), &mut source, to).await?;
    }
    let mut result = to.snapshot().await?;
    result.without_time_limits().await?;
    let mut copied = Copied::default();
    for pair in &plan {
        let table = &pair.name;
        let digest = verify::verify(pair, &mut source, &mut result, limits).await?;
        progress(Progress::Verified { table, digest });
        copied.tables += 1;
        copied.rows += digest.rows;
    }
    drop(result);
    // It is made of the rows, by whoever serves them.
    search::begin_again(to).await?;
    target.release().await?;
    Ok(copied)
}

/// What every table of a database holds, in short, by name: the same on both engines.
pub async fn digests(database: &Database) -> Result<Vec<(String, TableDigest)>, CopyError> {
    let mut snapshot = database.snapshot().await?;
    snapshot.without_time_limits().await?;
    let tables = catalogue::tables(database.engine(), &mut snapshot).await?;
    let mut digests = Vec::with_capacity(tables.len());
    for pair in plan::plan(&tables, &tables)? {
        let rows = Rows::of(&pair, Side::Source, &mut snapshot, Limits::default());
        let digest = verify::digest(rows).await?;
        digests.push((pair.name, digest));
    }
    digests.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(digests)
}

/// What was being copied to `database`, if that was not finished.
pub(super) async fn unfinished(database: &Database) -> Result<Option<String>, RowError> {
    let mut snapshot = database.snapshot().await?;
    target::marked(database.engine(), &mut snapshot).await
}

/// Nobody works with a part of the rows.
pub(super) async fn refuse_unfinished(database: &Database) -> Result<(), RowError> {
    match unfinished(database).await? {
        Some(source) => Err(RowError::UnfinishedCopy(source)),
        None => Ok(()),
    }
}

/// Who seems to write to the source: a holder of a lease, or a publisher. A publisher
/// whose server was killed seems to be there until that server has run again.
async fn in_use(source: &mut Transaction, now: Timestamp) -> Result<Option<String>, RowError> {
    let lease: Option<Holder> = query(
        "SELECT owner AS who, name AS what FROM leases WHERE expires_at > $1
         ORDER BY name LIMIT 1",
    )
    .bind(now)
    .optional(&mut *source)
    .await?;
    if let Some(Holder { who, what }) = lease {
        return Ok(Some(format!("{who} holds the lease {what}")));
    }
    let publisher: Option<(String,)> = query(
        "SELECT s.name FROM live_sessions l JOIN streams s ON s.id = l.stream_id
         WHERE l.ended_at IS NULL AND l.publisher_left_at IS NULL
         ORDER BY s.name LIMIT 1",
    )
    .optional(source)
    .await?;
    Ok(publisher.map(|(stream,)| format!("the stream {stream} is live")))
}

struct Holder {
    who: String,
    what: String,
}

impl FromRow for Holder {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            who: row.get("who")?,
            what: row.get("what")?,
        })
    }
}
