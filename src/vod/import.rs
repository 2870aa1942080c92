//! `nova vod import`: a file becomes an object, a row and a job.

use std::error::Error;
use std::io;
use std::num::NonZeroU32;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use media::{Clock, UserId, VideoId};
use packager::object_key;
use storage::objects::{Chunks, MAX_STREAM_BYTES, PutOptions};
use storage::rows::jobs::{self, NewJob};
use storage::rows::videos;
use storage::rows::videos::imports::{self, NewImport, QUEUE};
use storage::{Database, ObjectStore};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::job::Payload;

/// Bytes that are read of a file at once.
const PIECE: usize = 1 << 20;
/// Attempts that may fail, or fall silent, before a video is given up.
const MAX_ATTEMPTS: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Puts the file into the object store, then makes the video and its job in one transaction.
pub(super) async fn import(
    database: &Database,
    objects: &dyn ObjectStore,
    clock: &dyn Clock,
    file: &Path,
    owner: UserId,
    title: &str,
) -> Result<VideoId, Box<dyn Error>> {
    let name = file.display();
    let explain = |error: io::Error| format!("{name}: {error}");
    let open = File::open(file).await.map_err(explain)?;
    let metadata = open.metadata().await.map_err(explain)?;
    if !metadata.is_file() {
        return Err(format!("{name} is no file").into());
    }
    if metadata.len() == 0 {
        return Err(format!("{name} is empty").into());
    }
    if metadata.len() > MAX_STREAM_BYTES {
        return Err(format!("{name} has more than {MAX_STREAM_BYTES} bytes").into());
    }
    let id = VideoId::new();
    let key = object_key::video_original(id);
    let size = objects
        .put_stream(&key, pieces(open), PutOptions::default())
        .await?;
    let new = NewImport {
        id,
        owner,
        title,
        original_size: size,
    };
    if let Err(error) = enqueue(database, clock, new).await {
        // It may have been committed all the same: then its object is wanted.
        match videos::get(database, id).await {
            Ok(Some(_)) => return Ok(id),
            Ok(None) => objects.delete(&key).await?,
            Err(_) => {}
        }
        return Err(error);
    }
    Ok(id)
}

async fn enqueue(
    database: &Database,
    clock: &dyn Clock,
    new: NewImport<'_>,
) -> Result<(), Box<dyn Error>> {
    let now = clock.now();
    let video = new.id.to_string();
    let payload = serde_json::to_vec(&Payload {
        video: video.clone(),
    })?;
    let job = NewJob {
        queue: QUEUE,
        unique_key: Some(&video),
        payload: payload.into(),
        run_at: now,
        max_attempts: MAX_ATTEMPTS,
    };
    let mut transaction = database.write().await?;
    imports::create(&mut transaction, new, now).await?;
    jobs::enqueue(database, &mut transaction, &job, now).await?;
    transaction.commit().await?;
    Ok(())
}

fn pieces(file: File) -> Chunks<io::Error> {
    Box::pin(stream::try_unfold(file, |mut file| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        match file.read_buf(&mut piece).await? {
            0 => Ok(None),
            _ => Ok(Some((Bytes::from(piece), file))),
        }
    }))
}
