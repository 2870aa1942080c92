//! Captions on GStreamer's buffers. libav's decoders put them there, x264enc writes them;
//! a picture that is deinterlaced has lost them.

use std::ops::ControlFlow;

use gstreamer as gst;
use gstreamer::buffer::BufferMetaForeachAction;
use gstreamer::prelude::*;
use gstreamer_video::{VideoCaptionMeta, VideoCaptionType};

/// The picture's captions, which it has no more then.
pub(super) fn take_off(picture: &mut gst::Buffer) -> Vec<u8> {
    let is_captions = VideoCaptionMeta::meta_api();
    let mut found = None;
    for captions in picture.iter_meta::<VideoCaptionMeta>() {
        if captions.caption_type() == VideoCaptionType::Cea708Raw {
            found.get_or_insert_with(|| captions.data().to_vec());
        }
    }
    let Some(captions) = found else {
        return Vec::new();
    };
    picture.make_mut().foreach_meta_mut(|meta| {
        ControlFlow::Continue(if meta.api() == is_captions {
            BufferMetaForeachAction::Remove
        } else {
            BufferMetaForeachAction::Keep
        })
    });
    captions
}

/// Gives a picture captions.
pub(super) fn put_on(picture: &mut gst::Buffer, captions: &[u8]) {
    if !captions.is_empty() {
        VideoCaptionMeta::add(picture.make_mut(), VideoCaptionType::Cea708Raw, captions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_picture_has_can_be_taken_off_and_put_on() {
        gst::init().unwrap();
        let mut picture = gst::Buffer::from_slice([0_u8; 4]);
        assert!(take_off(&mut picture).is_empty());
        put_on(&mut picture, &[0xfc, 1, 2]);
        let mut other = picture.clone();
        assert_eq!(take_off(&mut other), [0xfc, 1, 2]);
        assert!(take_off(&mut other).is_empty());
        assert_eq!(take_off(&mut picture), [0xfc, 1, 2], "its own");
    }
}
