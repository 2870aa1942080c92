//! The schema: its migrations, and whether a database has them.

use std::fmt;
use std::sync::LazyLock;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};

use super::connect::Pools;
use super::sql::{Engine, query};
use super::transaction::OfEngine;
use super::{Database, RowError};

/// The migrations of one engine. Once released, a line here and its file never change.
macro_rules! migrations {
    ($engine:literal) => {
        [
            migration!($engine, 1, "accounts_and_streams"),
            migration!($engine, 2, "operations"),
            migration!($engine, 3, "people_and_posts"),
        ]
    };
}

/// Version, description, text.
macro_rules! migration {
    ($engine:literal, $version:literal, $name:literal) => {
        (
            $version,
            $name,
            include_str!(concat!(
                "../../migrations/",
                $engine,
                "/000",
                $version,
                "_",
                $name,
                ".sql"
            )),
        )
    };
}

static SQLITE: LazyLock<Migrator> = LazyLock::new(|| migrator(&migrations!("sqlite")));
static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| migrator(&migrations!("postgres")));

fn migrator(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migration = |&(version, name, sql): &(i64, &'static str, &'static str)| {
        let (description, kind) = (name.replace('_', " ").into(), MigrationType::Simple);
        Migration::new(version, description, kind, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(migrations.iter().map(migration).collect())
}

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
        match transaction.of_engine() {
            OfEngine::Sqlite(connection) => {
                SQLITE.run_direct(None, &mut **connection, false).await?;
            }
            OfEngine::Postgres(connection) => {
                // Until the commit: the migrator's own lock ends before it.
                sqlx::query("SELECT pg_advisory_xact_lock(hashtext('nova migrations'))")
                    .execute(&mut **connection)
                    .await?;
                POSTGRES.run_direct(None, &mut **connection, false).await?;
            }
        }
        transaction.commit().await
    }

    /// Everything that is wrong with the database itself; nothing, if it is sound. Reads
    /// all of it.
    pub async fn check(&self) -> Result<Vec<Fault>, RowError> {
        let mut faults = match self.engine() {
            Engine::Sqlite => self.check_file().await?,
            Engine::Postgres => self.check_server().await?,
        };
        faults.extend(self.check_migrations().await?);
        Ok(faults)
    }

    async fn check_file(&self) -> Result<Vec<Fault>, RowError> {
        let mut faults = Vec::new();
        // At most 100 lines, SQLite's default.
        let lines: Vec<(String,)> = query("PRAGMA integrity_check").all(self).await?;
        let damages = lines.into_iter().map(|(line,)| line);
        faults.extend(damages.filter(|line| line != "ok").map(Fault::Damaged));
        let dangling = query(
            r#"SELECT "table" AS name, COUNT(*) AS count FROM pragma_foreign_key_check GROUP BY 1"#,
        );
        for (table, rows) in dangling.all::<(String, u64)>(self).await? {
            faults.push(Fault::DanglingReference { table, rows });
        }
        Ok(faults)
    }

    /// PostgreSQL keeps its references whole and its pages checked; what an administrator
    /// or a broken build can leave behind is an index or a constraint that is not in force.
    async fn check_server(&self) -> Result<Vec<Fault>, RowError> {
        let mut faults = Vec::new();
        let broken = query(
            "SELECT 'index ' || c.relname AS what
             FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
             WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace
             UNION ALL
             SELECT 'constraint ' || conname
             FROM pg_constraint
             WHERE NOT convalidated AND connamespace = current_schema()::regnamespace",
        );
        for (what,) in broken.all::<(String,)>(self).await? {
            faults.push(Fault::Damaged(format!("{what} is not in force")));
        }
        let (encoding,): (String,) = query("SELECT current_setting('server_encoding')")
            .one(self)
            .await?;
        if encoding != "UTF8" {
            faults.push(Fault::Damaged(format!(
                "the database is encoded as {encoding}, not UTF8"
            )));
        }
        Ok(faults)
    }

    async fn check_migrations(&self) -> Result<Vec<Fault>, RowError> {
        let (migrator, exists) = match self.engine() {
            Engine::Sqlite => (
                &SQLITE,
                "SELECT COUNT(*) FROM sqlite_master WHERE name = $1",
            ),
            Engine::Postgres => (
                &POSTGRES,
                "SELECT COUNT(*) FROM pg_tables
                 WHERE schemaname = current_schema() AND tablename = $1",
            ),
        };
        let table = &*migrator.table_name;
        let (tables,): (u64,) = query(exists).bind(table).one(self).await?;
        let applied = match (tables, self.pools()) {
            (0, _) => Vec::new(),
            (_, Pools::Sqlite { reader, .. }) => {
                reader
                    .acquire()
                    .await?
                    .list_applied_migrations(table)
                    .await?
            }
            (_, Pools::Postgres(pool)) => {
                pool.acquire().await?.list_applied_migrations(table).await?
            }
        };
        let mut faults = Vec::new();
        for migration in migrator.iter() {
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
            .filter(|a| !migrator.version_exists(a.version));
        faults.extend(unknown.map(|a| Fault::NewerThanBinary(a.version)));
        Ok(faults)
    }
}
