//! A file on this machine while a job reads it.

use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use media::VideoId;
use packager::object_key;
use storage::ObjectStore;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::fault::Fault;

/// A copy of a video's original, which goes when this does.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

/// Removes what a killed process has left behind. The folder is this process's alone.
pub(super) async fn clear(folder: &Path) -> std::io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Scratch {
    /// Fetches the original.
    pub(super) async fn fetch(
        objects: &dyn ObjectStore,
        folder: &Path,
        video: VideoId,
        attempt: u32,
    ) -> Result<Self, Fault> {
        tokio::fs::create_dir_all(folder).await?;
        let folder = tokio::fs::canonicalize(folder).await?;
        let scratch = Self(folder.join(format!("{video}-{attempt}")));
        let mut file = File::create(&scratch.0).await?;
        let mut body = objects
            .get_stream(&object_key::video_original(video))
            .await?;
        while let Some(piece) = body.chunks.try_next().await? {
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        Ok(scratch)
    }

    /// Its name, as a demuxer is told.
    pub(super) fn name(&self) -> Result<&str, Fault> {
        let name = self.0.to_str();
        name.ok_or_else(|| {
            Fault::Scratch(std::io::Error::other(
                "the data directory's name is not UTF-8",
            ))
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(file = %self.0.display(), %error, "scratch was not removed");
        }
    }
}
