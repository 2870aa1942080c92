//! Database URLs.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use super::RowError;

/// What a database URL names.
#[derive(Clone, Debug)]
pub(super) enum DatabaseUrl {
    /// `sqlite:FILE`.
    Sqlite(PathBuf),
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=...`.
    Postgres(Box<PgConnectOptions>),
}

impl FromStr for DatabaseUrl {
    type Err = RowError;

    fn from_str(url: &str) -> Result<Self, RowError> {
        let invalid = |reason: &str| RowError::InvalidUrl {
            url: without_password(url),
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

/// A URL as it may be shown and logged: without the credentials before its host and
/// without a password among its parameters. Also of a URL that is not valid, since a
/// mistyped scheme must not print a password.
pub fn without_password(url: &str) -> String {
    let (front, query) = match url.split_once('?') {
        Some((front, query)) => (front, Some(query)),
        None => (url, None),
    };
    let mut shown = match (front.find("://"), front.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}://***{}", &front[..scheme], &front[at..])
        }
        _ => front.to_owned(),
    };
    for (index, parameter) in query.into_iter().flat_map(|q| q.split('&')).enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("password") => {
                shown.push_str(name);
                shown.push_str("=***");
            }
            _ => shown.push_str(parameter),
        }
    }
    shown
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
    fn a_shown_url_has_no_password() {
        for (url, shown) in [
            ("postgrse://nova:sec@ret@db/nova", "postgrse://***@db/nova"),
            (
                "postgres://db/nova?user=a&password=s",
                "postgres://db/nova?user=a&password=***",
            ),
            (
                "postgres://a:b@db/nova?PASSWORD=s&x",
                "postgres://***@db/nova?PASSWORD=***&x",
            ),
            ("sqlite:nova.db", "sqlite:nova.db"),
            ("file:a@b", "file:a@b"),
        ] {
            assert_eq!(without_password(url), shown);
        }
        let error = "postgrse://nova:secret@db/nova".parse::<DatabaseUrl>();
        assert!(!error.unwrap_err().to_string().contains("secret"));
    }
}
