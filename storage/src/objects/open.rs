//! The store that a configuration names, with what every store needs around it.

use std::path::Path;
use std::sync::Arc;

use super::keys::shortened;
use super::s3::parse_url;
use super::{
    Credentials, Durability, ErrorKind, FileStore, Layer, Metrics, ObjectError, ObjectStore, Retry,
    S3Config, S3Store, Timeout,
};
use crate::without_credentials;

/// Which store, and how to reach it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ObjectsConfig {
    /// `file:DIR` or `s3://BUCKET/PREFIX`.
    pub url: String,
    /// `http://HOST:PORT` or `https://HOST` of an S3 service other than AWS.
    pub s3_endpoint: Option<String>,
    /// The S3 region; see [`S3Config::region`].
    pub s3_region: Option<String>,
    /// Whether the bucket stands in the path instead of the host name.
    pub s3_path_style: bool,
    /// Who asks S3.
    pub s3_credentials: Credentials,
    /// What a put into files survives.
    pub durability: Durability,
}

/// Opens the store that `config` names, and tries it: whatever is wrong with it is told
/// here, in one sentence that says what to do. A disk that is full is no fault of the store:
/// it is opened, and [`health`](ObjectStore::health) tells [`ErrorKind::Full`] until there is
/// room.
///
/// S3 gets a [`Timeout`] for each try, a [`Retry`] around it, and [`Metrics`] around that.
/// Files get [`Metrics`] only: a disk's error does not pass by itself, and a thread that
/// waits for a disk cannot be called back.
pub async fn open(config: &ObjectsConfig) -> Result<Arc<dyn ObjectStore>, ObjectError> {
    match config.url.split_once(':') {
        Some(("file", directory)) if !directory.is_empty() => open_files(directory, config).await,
        Some(("s3", _)) => open_s3(config).await,
        _ => Err(ObjectError::InvalidUrl(shortened(&without_credentials(
            &config.url,
        )))),
    }
}

/// Whether `url` names a store, without opening it.
pub fn check_url(url: &str) -> Result<(), ObjectError> {
    match url.split_once(':') {
        Some(("file", directory)) if !directory.is_empty() => Ok(()),
        Some(("s3", _)) => parse_url(url).map(drop),
        _ => Err(ObjectError::InvalidUrl(shortened(&without_credentials(
            url,
        )))),
    }
}

async fn open_files(
    directory: &str,
    config: &ObjectsConfig,
) -> Result<Arc<dyn ObjectStore>, ObjectError> {
    let (root, durability) = (Path::new(directory).to_owned(), config.durability);
    let opening = tokio::task::spawn_blocking(move || FileStore::open_with(&root, durability));
    try_files(opening.await.map_err(ObjectError::task)??).await
}

async fn try_files(files: FileStore) -> Result<Arc<dyn ObjectStore>, ObjectError> {
    match files.health().await {
        // What is there can be read, and deleted; a put says so again.
        Err(error) if error.kind() == ErrorKind::Full => {
            tracing::warn!(%error, "nothing is stored")
        }
        health => health?,
    }
    Ok(Metrics { store: "file" }.around(Arc::new(files)))
}

async fn open_s3(config: &ObjectsConfig) -> Result<Arc<dyn ObjectStore>, ObjectError> {
    let s3 = S3Store::connect(&S3Config {
        url: config.url.clone(),
        endpoint: config.s3_endpoint.clone(),
        region: config.s3_region.clone(),
        path_style: config.s3_path_style,
        credentials: config.s3_credentials.clone(),
    })
    .await?;
    let timed = Timeout::default().around(Arc::new(s3));
    timed.health().await?;
    let retried = Retry::default().around(timed);
    Ok(Metrics { store: "s3" }.around(retried))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn urls_of_no_store_are_refused() {
        for bad in [
            "",
            "file:",
            "/var/lib/nova",
            "gs://bucket",
            "s3:bucket",
            "s3://",
        ] {
            let config = ObjectsConfig {
                url: bad.to_owned(),
                ..ObjectsConfig::default()
            };
            let error = open(&config).await.unwrap_err();
            assert!(
                matches!(error, ObjectError::InvalidUrl(_)),
                "{bad}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let full = FileStore::open_but(directory.path(), |_| u64::MAX).unwrap();
        let store = try_files(full).await.unwrap();
        assert_eq!(store.health().await.unwrap_err().kind(), ErrorKind::Full);
        std::fs::write(directory.path().join("a"), "data").unwrap();
        assert_eq!(store.get("a").await.unwrap(), "data");
        store.delete("a").await.unwrap();
    }

    #[tokio::test]
    async fn a_password_in_a_url_is_not_shown() {
        for url in ["http://user:secret@host/bucket", "s3://id:secret@bucket/a"] {
            let config = ObjectsConfig {
                url: url.to_owned(),
                ..ObjectsConfig::default()
            };
            let error = open(&config).await.unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
