//! The schema: its migrations, and whether a database has them.

use std::fmt;
use std::sync::LazyLock;

use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::{Row, SqlSafeStr};

use super::{Database, RowError};

/// Version, description, text. Once released, a line here and its file never change.
const SQLITE: [(i64, &str, &str); 1] = [(
    1,
    "accounts and streams",
    include_str!("../../migrations/sqlite/0001_accounts_and_streams.sql"),
)];

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let migration = |(version, description, sql): (i64, &'static str, &'static str)| {
        let kind = MigrationType::Simple;
        Migration::new(version, description.into(), kind, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(SQLITE.into_iter().map(migration).collect())
});

/// Something wrong with a database, found by [`Database::check`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// What `PRAGMA integrity_check` says.
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
        }
    }
}

impl Database {
    /// Applies the migrations that the database lacks. Safe to run again, and from
    /// several processes at once: they take turns, and the second finds nothing to do.
    pub async fn migrate(&self) -> Result<(), RowError> {
        let mut transaction = self.write().await?;
        MIGRATOR.run_direct(None, &mut *transaction, false).await?;
        Ok(transaction.commit().await?)
    }

    /// Everything that is wrong with the database; nothing, if it is sound. Reads all of
    /// it.
    pub async fn check(&self) -> Result<Vec<Fault>, RowError> {
        let mut faults = self.check_integrity().await?;
        faults.extend(self.check_migrations().await?);
        Ok(faults)
    }

    async fn check_integrity(&self) -> Result<Vec<Fault>, RowError> {
        let mut connection = self.reader().acquire().await?;
        let mut faults = Vec::new();
        // At most 100 lines, SQLite's default.
        let lines: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_all(&mut *connection)
            .await?;
        faults.extend(
            lines
                .into_iter()
                .filter(|line| line != "ok")
                .map(Fault::Damaged),
        );
        let dangling = sqlx::query(
            r#"SELECT "table" AS name, COUNT(*) AS count FROM pragma_foreign_key_check GROUP BY 1"#,
        )
        .fetch_all(&mut *connection)
        .await?;
        for row in dangling {
            let rows: i64 = row.try_get("count")?;
            faults.push(Fault::DanglingReference {
                table: row.try_get("name")?,
                rows: rows.unsigned_abs(),
            });
        }
        Ok(faults)
    }

    async fn check_migrations(&self) -> Result<Vec<Fault>, RowError> {
        let mut connection = self.reader().acquire().await?;
        let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = $1")
            .bind(&*MIGRATOR.table_name)
            .fetch_one(&mut *connection)
            .await?;
        let applied = match tables {
            0 => Vec::new(),
            _ => {
                connection
                    .list_applied_migrations(&MIGRATOR.table_name)
                    .await?
            }
        };
        let mut faults = Vec::new();
        for migration in MIGRATOR.iter() {
            match applied.iter().find(|a| a.version == migration.version) {
                None => faults.push(Fault::Pending(migration.version)),
                Some(a) if a.checksum != migration.checksum => {
                    faults.push(Fault::Altered(migration.version));
                }
                Some(_) => {}
            }
        }
        let unknown = applied
            .iter()
            .filter(|a| !MIGRATOR.version_exists(a.version));
        faults.extend(unknown.map(|a| Fault::NewerThanBinary(a.version)));
        Ok(faults)
    }
}
