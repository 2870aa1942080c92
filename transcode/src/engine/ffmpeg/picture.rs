//! Picture memory: shared between threads, used again, never copied.

use std::sync::Arc;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::{ffi, format, frame};

use super::step;
use crate::engine::EngineError;

/// A picture that several threads read.
pub(super) type Shared = Arc<frame::Video>;

/// Pictures that a pool keeps at most. A rung's queue, its encoder and the rungs scaled
/// from it hold fewer at a time.
const MAX_POOLED: usize = 12;

/// A picture of 8 bits and 4:2:0 with memory behind it.
pub(crate) fn allocate(width: u32, height: u32) -> Result<frame::Video, EngineError> {
    allocate_as(format::Pixel::YUV420P, width, height)
}

/// A picture with memory behind it.
pub(super) fn allocate_as(
    format: format::Pixel,
    width: u32,
    height: u32,
) -> Result<frame::Video, EngineError> {
    let picture = frame::Video::new(format, width, height);
    // SAFETY: reads whether the frame that was just made has a buffer.
    if unsafe { picture.is_empty() } {
        return Err(step("picture memory")(ffmpeg::Error::Other {
            errno: ffmpeg::error::ENOMEM,
        }));
    }
    Ok(picture)
}

/// Another handle on a picture's memory, with times and a type of its own.
pub(super) fn handle(picture: &frame::Video) -> Result<frame::Video, EngineError> {
    let mut handle = frame::Video::empty();
    // SAFETY: both are frames; the new one is empty, as av_frame_ref asks.
    let outcome = unsafe { ffi::av_frame_ref(handle.as_mut_ptr(), picture.as_ptr()) };
    if outcome < 0 {
        return Err(step("picture memory")(ffmpeg::Error::from(outcome)));
    }
    Ok(handle)
}

/// Pictures of one size. One that nobody reads any more is filled again: fresh memory
/// for every picture would cost the kernel a page fault every 4 KiB.
pub(super) struct Pool {
    width: u32,
    height: u32,
    pictures: Vec<Shared>,
}

impl Pool {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            pictures: Vec::new(),
        }
    }

    /// A picture that `fill` has filled.
    pub(super) fn fill(
        &mut self,
        fill: impl FnOnce(&mut frame::Video) -> Result<(), EngineError>,
    ) -> Result<Shared, EngineError> {
        let free = self.pictures.iter_mut().position(is_free);
        let mut picture = match free {
            Some(free) => self.pictures.swap_remove(free),
            None => Arc::new(allocate(self.width, self.height)?),
        };
        if let Some(picture) = Arc::get_mut(&mut picture) {
            fill(picture)?;
        }
        if self.pictures.len() < MAX_POOLED {
            self.pictures.push(Arc::clone(&picture));
        }
        Ok(picture)
    }
}

/// Whether nobody else has the picture, nor a handle on its memory.
fn is_free(picture: &mut Shared) -> bool {
    // SAFETY: the frame has buffers, which av_frame_is_writable only counts users of.
    Arc::get_mut(picture)
        .is_some_and(|one| unsafe { ffi::av_frame_is_writable(one.as_mut_ptr()) } > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_when_nobody_reads_it() {
        let mut pool = Pool::new(64, 32);
        let address = |picture: &frame::Video| picture.data(0).as_ptr();
        let first = pool.fill(|_| Ok(())).unwrap();
        let second = pool.fill(|_| Ok(())).unwrap();
        assert_ne!(address(&first), address(&second));
        let kept = handle(&first).unwrap();
        let (first_at, second_at) = (address(&first), address(&second));
        drop(first);
        drop(second);
        let third = pool.fill(|_| Ok(())).unwrap();
        assert_eq!(address(&third), second_at, "a handle is still on the first");
        drop(kept);
        let fourth = pool.fill(|_| Ok(())).unwrap();
        assert_eq!(address(&fourth), first_at);
        assert_eq!(pool.pictures.len(), 2);
    }
}
