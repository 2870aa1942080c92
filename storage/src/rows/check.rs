//! Whether a database is sound.

use std::fmt;

use super::catalogue::{self, Reference, Table, quoted};
use super::sql::{AssertSqlSafe, Engine, query};
use super::{Database, RowError, Transaction, copy};

/// Something wrong with a database, found by [`Database::check`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// What the engine says of its file, or of its indexes and constraints.
    Damaged(String),
    /// Rows of this table refer to rows that are not there.
    DanglingReference {
        /// The table.
        table: String,
        /// How many of its rows.
        rows: u64,
    },
    /// A migration of this version has not been applied: `nova db migrate` does.
    Pending(i64),
    /// A migration has been applied that this version does not know.
    NewerThanBinary(i64),
    /// A migration was applied with another text than this version's.
    Altered(i64),
    /// A copy of what is named was interrupted: `nova db copy` again goes on.
    UnfinishedCopy(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(what) => write!(f, "damaged: {what}"),
            Self::DanglingReference { table, rows } => {
                write!(f, "{rows} rows of {table} refer to rows that are not there")
            }
            Self::Pending(version) => write!(f, "migration {version} has not been applied"),
            Self::NewerThanBinary(version) => {
                write!(f, "migration {version} is not known to this version")
            }
            Self::Altered(version) => write!(
                f,
                "migration {version} was applied with another text than this version's"
            ),
            Self::UnfinishedCopy(source) => {
                write!(f, "the copy of {source} to here was not finished")
            }
        }
    }
}

impl Database {
    /// The engine and its version, as a person would say it.
    pub async fn version(&self) -> Result<String, RowError> {
        let (name, text) = match self.engine() {
            Engine::Sqlite => ("SQLite", "SELECT sqlite_version()"),
            Engine::Postgres => ("PostgreSQL", "SELECT current_setting('server_version')"),
        };
        let (version,): (String,) = query(text).one(self).await?;
        Ok(format!("{name} {version}"))
    }

    /// Everything that is wrong with the database itself; nothing, if it is sound. Reads
    /// all of it.
    pub async fn check(&self) -> Result<Vec<Fault>, RowError> {
        let mut faults = Vec::new();
        let mut snapshot = self.snapshot().await?;
        match self.engine() {
            Engine::Sqlite => check_file(&mut snapshot, &mut faults).await?,
            Engine::Postgres => check_server(&mut snapshot, &mut faults).await?,
        }
        drop(snapshot);
        faults.extend(self.check_migrations().await?);
        if let Some(source) = copy::unfinished(self).await? {
            faults.push(Fault::UnfinishedCopy(source));
        }
        Ok(faults)
    }
}

async fn check_file(snapshot: &mut Transaction, faults: &mut Vec<Fault>) -> Result<(), RowError> {
    // At most 100 lines, SQLite's default.
    let lines: Vec<(String,)> = query("PRAGMA integrity_check").all(&mut *snapshot).await?;
    let damages = lines.into_iter().map(|(line,)| line);
    faults.extend(damages.filter(|line| line != "ok").map(Fault::Damaged));
    let dangling = query(
        r#"SELECT "table" AS name, COUNT(*) AS count FROM pragma_foreign_key_check GROUP BY 1"#,
    );
    for (table, rows) in dangling.all::<(String, u64)>(snapshot).await? {
        faults.push(Fault::DanglingReference { table, rows });
    }
    Ok(())
}

/// PostgreSQL checks its pages itself. What an administrator or a broken build can leave
/// behind is an index or a constraint that is not in force, and rows from when it was not.
async fn check_server(snapshot: &mut Transaction, faults: &mut Vec<Fault>) -> Result<(), RowError> {
    snapshot.without_time_limits().await?;
    let broken = query(
        "SELECT 'index ' || c.relname AS what
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace
         UNION ALL
         SELECT 'constraint ' || conname
         FROM pg_constraint
         WHERE NOT convalidated AND connamespace = current_schema()::regnamespace",
    );
    for (what,) in broken.all::<(String,)>(&mut *snapshot).await? {
        faults.push(Fault::Damaged(format!("{what} is not in force")));
    }
    let (encoding,): (String,) = query("SELECT current_setting('server_encoding')")
        .one(&mut *snapshot)
        .await?;
    if encoding != "UTF8" {
        faults.push(Fault::Damaged(format!(
            "the database is encoded as {encoding}, not UTF8"
        )));
    }
    for table in catalogue::tables(Engine::Postgres, &mut *snapshot)
        .await?
        .values()
    {
        let mut dangling = 0;
        for reference in &table.references {
            let (rows,): (u64,) = query(AssertSqlSafe(count_dangling(table, reference)))
                .one(&mut *snapshot)
                .await?;
            dangling += rows;
        }
        if dangling > 0 {
            faults.push(Fault::DanglingReference {
                table: table.name.clone(),
                rows: dangling,
            });
        }
    }
    Ok(())
}

fn count_dangling(table: &Table, reference: &Reference) -> String {
    let join = |pairs: Vec<String>| pairs.join(" AND ");
    let pairs = reference.columns.iter();
    let is_set = pairs
        .clone()
        .map(|(here, _)| format!("c.{} IS NOT NULL", quoted(here)));
    let equal = pairs.map(|(here, there)| format!("p.{} = c.{}", quoted(there), quoted(here)));
    format!(
        "SELECT COUNT(*) FROM {} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})",
        quoted(&table.name),
        join(is_set.collect()),
        quoted(&reference.table),
        join(equal.collect()),
    )
}
