//! Posters, thumbnails and storyboards: what the origin asks for, `transcode` makes.

use std::io;
use std::sync::Arc;

use media::Sheet;
use packager::PictureMaker;
use packager::pictures::{PictureError, PictureFuture};
use transcode::pictures::{Pictures, PicturesCommand, PicturesError};
use transcode::{EngineName, all_engines};

use crate::config;

/// A maker of pictures; `None` where nothing is transcoded, or this build cannot decode.
pub fn maker(config: &config::Transcode) -> io::Result<Option<Arc<dyn PictureMaker>>> {
    if !config.enabled || !all_engines().contains(&EngineName::Ffmpeg) {
        return Ok(None);
    }
    let command = PicturesCommand::this_program()?;
    Ok(Some(Arc::new(Maker(Pictures::new(command)))))
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
