//! The schema: its migrations, and whether a database has them.

use std::fmt;
use std::sync::LazyLock;

use sqlx::migrate::{AppliedMigration, Migrate, Migration, MigrationType, Migrator};
use sqlx::{Connection, PgPool, SqlSafeStr};

use super::connect::Pools;
use super::sql::{Engine, On, query};
use super::transaction::{OfEngine, WITHOUT_TIME_LIMITS};
use super::{Database, Fault, RowError, Transaction, copy, postgres};

/// The migrations of one engine. Once released, a line here and its file never change.
macro_rules! migrations {
    ($engine:literal) => {
        [
            migration!($engine, 1, "accounts_and_streams"),
            migration!($engine, 2, "operations"),
            migration!($engine, 3, "people_and_posts"),
            migration!($engine, 4, "videos"),
            migration!($engine, 5, "ladders"),
            migration!($engine, 6, "encodings"),
            migration!($engine, 7, "edge"),
            migration!($engine, 8, "usage"),
            migration!($engine, 9, "prewarm"),
            migration!($engine, 10, "0010", "origins"),
            migration!($engine, 11, "0011", "registrations_and_keys"),
            migration!($engine, 12, "0012", "feeds"),
            migration!($engine, 13, "0013", "search"),
            migration!($engine, 14, "0014", "attachments"),
            migration!($engine, 15, "0015", "stream_control"),
            migration!($engine, 16, "0016", "chat"),
            migration!($engine, 17, "0017", "notifications"),
            migration!($engine, 18, "0018", "measured"),
            migration!($engine, 19, "0019", "told_again"),
            migration!($engine, 20, "0020", "viewers_of_one"),
            migration!($engine, 21, "0021", "live_pages"),
            migration!($engine, 22, "0022", "owned_videos"),
        ]
    };
}

/// Version, description, text. From 10 on also the version as the file has it.
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
    ($engine:literal, $version:literal, $number:literal, $name:literal) => {
        (
            $version,
            $name,
            include_str!(concat!(
                "../../migrations/",
                $engine,
                "/",
                $number,
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

/// A migration that [`Database::migrate`] has applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migrated {
    /// Its number.
    pub version: i64,
    /// What it brings.
    pub description: String,
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version, self.description)
    }
}

impl Database {
    /// Applies the migrations that the database lacks, and tells which. Safe to run again,
    /// and from several processes at once: they take turns, and the second finds nothing
    /// to do. [`RowError::UnfinishedCopy`] when only a part of the rows is there.
    pub async fn migrate(&self) -> Result<Vec<Migrated>, RowError> {
        copy::refuse_unfinished(self).await?;
        self.apply_migrations().await
    }

    /// As [`Database::migrate`], also of a database that is being copied to.
    pub(super) async fn apply_migrations(&self) -> Result<Vec<Migrated>, RowError> {
        let migrator = migrator_of(self.engine());
        let before = match self.pools() {
            Pools::Sqlite { .. } => {
                let mut transaction = self.write().await?;
                let before = applied(self.engine(), &mut transaction).await?;
                if let OfEngine::Sqlite(connection) = transaction.of_engine() {
                    migrator.run_direct(None, &mut **connection, false).await?;
                }
                transaction.commit().await?;
                before
            }
            Pools::Postgres(pool) => migrate_server(pool, migrator).await?,
        };
        let new = |migration: &&Migration| before.iter().all(|a| a.version != migration.version);
        let migrated = |migration: &Migration| Migrated {
            version: migration.version,
            description: migration.description.to_string(),
        };
        Ok(migrator.iter().filter(new).map(migrated).collect())
    }

    /// How the migrations that were applied differ from those of this version.
    pub async fn check_migrations(&self) -> Result<Vec<Fault>, RowError> {
        let migrator = migrator_of(self.engine());
        let mut snapshot = self.snapshot().await?;
        let applied = applied(self.engine(), &mut snapshot).await?;
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

fn migrator_of(engine: Engine) -> &'static Migrator {
    match engine {
        Engine::Sqlite => &SQLITE,
        Engine::Postgres => &POSTGRES,
    }
}

/// In a transaction of sqlx's own, because its migrator makes savepoints in one. The
/// connection is closed afterwards: nobody else gets what a cancelled call leaves of it.
async fn migrate_server(
    pool: &PgPool,
    migrator: &Migrator,
) -> Result<Vec<AppliedMigration>, RowError> {
    let mut connection = pool.acquire().await?;
    connection.close_on_drop();
    let mut transaction = connection.begin_with(postgres::WRITE).await?;
    // An index of a large table takes its time, and so does waiting for another process
    // that makes one.
    sqlx::raw_sql(WITHOUT_TIME_LIMITS)
        .execute(&mut *transaction)
        .await?;
    // Until the commit: the migrator's own lock ends before it.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('nova migrations'))")
        .execute(&mut *transaction)
        .await?;
    let table = &*migrator.table_name;
    let before = match table_exists(Engine::Postgres, &mut *transaction, table).await? {
        true => transaction.list_applied_migrations(table).await?,
        false => Vec::new(),
    };
    migrator.run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    Ok(before)
}

/// What was applied to a database, of which nothing need be there.
async fn applied(
    engine: Engine,
    transaction: &mut Transaction,
) -> Result<Vec<AppliedMigration>, RowError> {
    let table = &*migrator_of(engine).table_name;
    if !table_exists(engine, &mut *transaction, table).await? {
        return Ok(Vec::new());
    }
    Ok(match transaction.of_engine() {
        OfEngine::Sqlite(connection) => connection.list_applied_migrations(table).await?,
        OfEngine::Postgres(connection) => connection.list_applied_migrations(table).await?,
    })
}

pub(super) async fn table_exists(
    engine: Engine,
    on: impl Into<On<'_>>,
    table: &str,
) -> Result<bool, RowError> {
    let text = match engine {
        Engine::Sqlite => "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1",
        Engine::Postgres => {
            "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1"
        }
    };
    query(text).bind(table).exists(on).await
}
