//! Databases to measure, and how they are set.

use storage::Database;
use storage::rows::sql::query;
use storage::rows::{IfMissing, RowError};
use tempfile::TempDir;

/// An engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A server of its own on this machine.
    Postgres,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// As measurements are named.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// Where an empty database is, whose commits survive a power cut.
    pub fn place(self) -> Place {
        match self {
            Self::Sqlite => Place::File(tempfile::tempdir().expect("a folder")),
            Self::Postgres => {
                let settings = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];
                let server = peers::postgres::Server::with_settings(&settings);
                Place::Server(server.database())
            }
        }
    }
}

/// Where a database is. It is gone when this is dropped.
#[derive(Debug)]
pub enum Place {
    /// A folder with the file.
    File(TempDir),
    /// A database on a server.
    Server(peers::postgres::Database),
}

impl Place {
    /// As `database.url` has it.
    pub fn url(&self) -> String {
        match self {
            Self::File(folder) => format!("sqlite:{}", folder.path().join("nova.db").display()),
            Self::Server(database) => database.url(),
        }
    }

    /// Opens it, makes its tables, and prints how it is set.
    pub async fn open(&self) -> Database {
        let db = Database::open(&self.url(), IfMissing::Create).await;
        let db = db.expect("opens");
        db.migrate().await.expect("migrates");
        let settings = match self {
            Self::File(_) => sqlite_settings(&db).await,
            Self::Server(_) => postgres_settings(&db).await,
        };
        println!("\n{}", settings.expect("tells its settings"));
        db
    }
}

/// As the connection that writes has them: another might have others.
async fn sqlite_settings(db: &Database) -> Result<String, RowError> {
    let mut writer = db.write().await?;
    let (version,): (String,) = query("SELECT sqlite_version()").one(&mut writer).await?;
    let (journal,): (String,) = query("PRAGMA journal_mode").one(&mut writer).await?;
    let (synchronous,): (i64,) = query("PRAGMA synchronous").one(&mut writer).await?;
    let (checkpoint,): (i64,) = query("PRAGMA wal_autocheckpoint").one(&mut writer).await?;
    let (page,): (i64,) = query("PRAGMA page_size").one(&mut writer).await?;
    // https://sqlite.org/pragma.html#pragma_synchronous
    let synchronous = match synchronous {
        0 => "OFF".to_owned(),
        1 => "NORMAL".to_owned(),
        2 => "FULL".to_owned(),
        3 => "EXTRA".to_owned(),
        other => other.to_string(),
    };
    Ok(format!(
        "SQLite {version}, journal_mode={journal}, synchronous={synchronous}, \
         wal_autocheckpoint={checkpoint}, page_size={page}"
    ))
}

async fn postgres_settings(db: &Database) -> Result<String, RowError> {
    let mut writer = db.write().await?;
    let (version,): (String,) = query("SHOW server_version").one(&mut writer).await?;
    let mut text = format!("PostgreSQL {version}");
    for (name, show) in [
        ("fsync", "SHOW fsync"),
        ("synchronous_commit", "SHOW synchronous_commit"),
        ("full_page_writes", "SHOW full_page_writes"),
        ("wal_sync_method", "SHOW wal_sync_method"),
        ("shared_buffers", "SHOW shared_buffers"),
        ("listen_addresses", "SHOW listen_addresses"),
    ] {
        let (value,): (String,) = query(show).one(&mut writer).await?;
        text.push_str(&format!(", {name}={value}"));
    }
    Ok(text)
}
