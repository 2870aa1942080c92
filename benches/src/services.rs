//! The services in this process, without a server around them.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use media::{SystemClock, Timestamp};
use social::mail::{Mail, Post, PostError};
use social::settings::Settings;
use social::streams::{InvalidLadder, MediaPlane, PlaybackBase, Viewing};
use social::{Parts, ServiceError, Services};
use storage::Database;
use storage::events::LocalBus;
use storage::objects::MemoryStore;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Limits that are in nobody's way.
const UNLIMITED: u32 = 1_000_000;

/// Nobody is sent anything.
#[derive(Debug)]
struct NoPost;

impl Post for NoPost {
    fn send<'a>(
        &'a self,
        _: &'a Mail,
    ) -> Pin<Box<dyn Future<Output = Result<(), PostError>> + Send + 'a>> {
        Box::pin(ready(Ok(())))
    }
}

/// Nothing is encoded or played.
#[derive(Debug)]
struct NoMedia;

impl MediaPlane for NoMedia {
    fn ladder(&self, _: &str) -> Result<String, InvalidLadder> {
        Err(InvalidLadder("nothing is encoded here".to_owned()))
    }

    fn playback_path(
        &self,
        path: &str,
        _: &Viewing,
        _: bool,
        _: Timestamp,
    ) -> Result<String, ServiceError> {
        Ok(path.to_owned())
    }
}

/// Starts them on a database. What goes on beside requests ends when the guard is dropped.
pub async fn start(db: &Database) -> Result<(Services, DropGuard), ServiceError> {
    let mut settings = Settings::default();
    settings.limits.requests_per_minute = UNLIMITED;
    settings.limits.writes_per_minute = UNLIMITED;
    settings.limits.posts_per_hour = UNLIMITED;
    let parts = Parts {
        database: db.clone(),
        clock: Arc::new(SystemClock),
        bus: Arc::new(LocalBus::new()),
        objects: Arc::new(MemoryStore::default()),
        post: Arc::new(NoPost),
        settings,
        playback_base: PlaybackBase::same_origin(),
        media: Arc::new(NoMedia),
        caches: None,
    };
    let (services, upkeep) = Services::start(parts).await?;
    let shutdown = CancellationToken::new();
    tokio::spawn(upkeep.run(shutdown.clone()));
    Ok((services, shutdown.drop_guard()))
}
