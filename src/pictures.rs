//! Posters, thumbnails and storyboards: what the origin asks for, `transcode` makes.

use std::sync::Arc;

use media::Sheet;
use packager::PictureMaker;
use packager::pictures::{PictureError, PictureFuture};
use transcode::pictures::{Pictures, PicturesCommand, PicturesError};
use transcode::{EngineName, all_engines};

use crate::config;

/// A maker of pictures; `None` where nothing is transcoded, or this build cannot decode.
pub fn maker(config: &config::Transcode) -> Option<Arc<dyn PictureMaker>> {
    if !config.enabled || !all_engines().contains(&EngineName::Ffmpeg) {
        return None;
    }
    let command = PicturesCommand::this_program();
    let command = command.inspect_err(|error| tracing::warn!("no pictures: {error}"));
    Some(Arc::new(Maker(Pictures::new(command.ok()?))))
}

#[derive(Debug)]
struct Maker(Pictures);

impl PictureMaker for Maker {
    fn make(&self, sheet: Sheet) -> PictureFuture<'_> {
        Box::pin(async move {
            let made = self.0.make(sheet).await;
            made.map_err(|error| match error {
                PicturesError::Undecodable(reason) => PictureError::Undecodable(reason),
                PicturesError::Busy => PictureError::Busy(error.into()),
                error => PictureError::Failed(error.into()),
            })
        })
    }
}
