//! Picture memory and scaling.

use ffmpeg_next as ffmpeg;
use ffmpeg_next::software::scaling;
use ffmpeg_next::{format, frame};

use super::step;
use crate::engine::EngineError;

/// A picture of 8 bits and 4:2:0 with memory behind it.
pub(crate) fn allocate(width: u32, height: u32) -> Result<frame::Video, EngineError> {
    let picture = frame::Video::new(format::Pixel::YUV420P, width, height);
    // SAFETY: reads whether the frame that was just made has a buffer.
    if unsafe { picture.is_empty() } {
        return Err(step("picture memory")(ffmpeg::Error::Other {
            errno: ffmpeg::error::ENOMEM,
        }));
    }
    Ok(picture)
}

/// Makes pictures of any size and format fit an encoder.
pub(super) struct Scaler {
    width: u32,
    height: u32,
    context: Option<scaling::Context>,
}

impl Scaler {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            context: None,
        }
    }

    pub(super) fn scale(&mut self, picture: &frame::Video) -> Result<frame::Video, EngineError> {
        let given = scaling::context::Definition {
            format: picture.format(),
            width: picture.width(),
            height: picture.height(),
        };
        let context = match &mut self.context {
            Some(context) if *context.input() == given => context,
            context => context.insert(
                scaling::Context::get(
                    given.format,
                    given.width,
                    given.height,
                    format::Pixel::YUV420P,
                    self.width,
                    self.height,
                    scaling::Flags::BILINEAR,
                )
                .map_err(step("scaler"))?,
            ),
        };
        let mut scaled = allocate(self.width, self.height)?;
        context.run(picture, &mut scaled).map_err(step("scaler"))?;
        Ok(scaled)
    }
}
