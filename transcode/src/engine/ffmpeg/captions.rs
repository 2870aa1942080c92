//! Captions (`cc_data` of ATSC A/53 part 4, CEA-708) on their way past the scalers.
//!
//! They are taken off the source's pictures and put on what a rung's encoder is given:
//! scaled pictures come from a pool and have none. x264 writes them. Of x265 it depends on
//! the version of libavcodec.

use ffmpeg_next as ffmpeg;
use ffmpeg_next::frame;
use ffmpeg_next::frame::side_data::Type;

use super::step;
use crate::engine::EngineError;

/// The picture's captions, which it has no more then.
pub(super) fn take_off(picture: &mut frame::Video) -> Vec<u8> {
    let Some(captions) = picture.side_data(Type::A53CC) else {
        return Vec::new();
    };
    let captions = captions.data().to_vec();
    picture.remove_side_data(Type::A53CC);
    captions
}

/// Gives a picture captions.
pub(super) fn put_on(picture: &mut frame::Video, captions: &[u8]) -> Result<(), EngineError> {
    if captions.is_empty() {
        return Ok(());
    }
    let mut room = picture
        .new_side_data(Type::A53CC, captions.len())
        .ok_or(ffmpeg::Error::Other {
            errno: ffmpeg::error::ENOMEM,
        })
        .map_err(step("captions"))?;
    // SAFETY: the side data was made with this size, and nobody else has it yet.
    unsafe {
        let data = (*room.as_mut_ptr()).data;
        data.copy_from_nonoverlapping(captions.as_ptr(), captions.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_picture_has_can_be_taken_off_and_put_on() {
        let mut picture = super::super::picture::allocate(64, 32).unwrap();
        assert!(take_off(&mut picture).is_empty());
        put_on(&mut picture, &[0xfc, 1, 2]).unwrap();
        assert_eq!(take_off(&mut picture), [0xfc, 1, 2]);
        assert!(take_off(&mut picture).is_empty());
    }
}
