//! Database URLs.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use super::RowError;
use crate::without_credentials;

/// What a database URL names.
#[derive(Clone, Debug)]
pub(super) enum DatabaseUrl {
    /// `sqlite:FILE`.
    Sqlite(PathBuf),
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=...`.
    Postgres(Box<PgConnectOptions>),
}

/// Whether `url` names a database, without opening it.
pub fn check_url(url: &str) -> Result<(), RowError> {
    url.parse::<DatabaseUrl>().map(drop)
}

impl FromStr for DatabaseUrl {
    type Err = RowError;

    fn from_str(url: &str) -> Result<Self, RowError> {
        let invalid = |reason: &str| RowError::InvalidUrl {
            url: without_credentials(url),
            reason: reason.to_owned(),
        };
        match url.split_once(':') {
            Some(("sqlite", file)) => {
                // Neither is a file that another process could share.
                if file.is_empty() || file.starts_with(':') {
                    return Err(invalid("it names no file"));
                }
                Ok(Self::Sqlite(Path::new(file).to_owned()))
            }
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                // sqlx's reasons do not repeat what they could not read.
                let options =
                    PgConnectOptions::from_str(url).map_err(|error| invalid(&error.to_string()))?;
                Ok(Self::Postgres(Box::new(options)))
            }
            _ => Err(invalid("its scheme is neither sqlite: nor postgres://")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_engines() {
        let url = "sqlite:/var/lib/nova.db".parse().unwrap();
        assert!(matches!(url, DatabaseUrl::Sqlite(file) if file == Path::new("/var/lib/nova.db")));
        for url in [
            "postgres://nova:secret@db.example:5433/nova?sslmode=require",
            "postgresql://db/nova",
        ] {
            assert!(matches!(url.parse(), Ok(DatabaseUrl::Postgres(_))), "{url}");
        }
        for bad in [
            "",
            "sqlite:",
            "sqlite::memory:",
            "nova.db",
            "mysql://h/d",
            "postgres:nova",
            "postgres://h:port/d",
            "postgres://h/d?sslmode=perhaps",
        ] {
            let error = bad.parse::<DatabaseUrl>().unwrap_err();
            assert!(matches!(error, RowError::InvalidUrl { .. }), "{bad}");
        }
    }

    #[test]
    fn a_refusal_shows_no_password() {
        for url in ["postgrse://nova:secret@db/nova", "postgres:nova:secret@db"] {
            let error = url.parse::<DatabaseUrl>().unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
