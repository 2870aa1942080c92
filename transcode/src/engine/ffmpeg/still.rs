//! Single pictures: key frames in, a JPEG out.
//!
//! A JPEG has the colours of BT.601 over the full range (JFIF 1.02), a source may have others:
//! they meet in red, green and blue. Wide gamuts and high dynamic ranges are not mapped.

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::{self, threading};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::{color, ffi, frame};
use media::{Micros, VideoShape};

use super::decoder::Decoder;
use super::picture::allocate_as;
use super::scaler::{Context, Form};
use super::signal::{self, Signal};
use super::step;
use super::upright::Upright;
use crate::VideoSource;
use crate::engine::EngineError;
use crate::pictures::Layout;

/// `MatrixCoefficients` of a JPEG: BT.601 with 625 lines, as with 525.
const JPEG_MATRIX: u8 = 5;
/// libavcodec's quantizer scale, from 2 (best) to 31.
const QUANTIZER: i32 = 4;
/// Bytes of a pixel of the canvas.
const PIXEL: usize = 3;

/// A sheet in the making: black where nothing is painted.
pub(crate) struct Canvas {
    layout: Layout,
    /// Red, green and blue.
    picture: frame::Video,
}

impl Canvas {
    pub(crate) fn new(layout: Layout) -> Result<Self, EngineError> {
        let Layout {
            columns,
            rows,
            tile,
        } = layout;
        let (width, height) = (
            u32::from(columns) * tile.width,
            u32::from(rows) * tile.height,
        );
        let mut picture = allocate_as(Pixel::RGB24, width, height)?;
        picture.data_mut(0).fill(0);
        Ok(Self { layout, picture })
    }

    /// Paints the picture of a key frame into the tile at `index`, row by row: as large as
    /// it fits, in the middle.
    pub(crate) fn paint(
        &mut self,
        index: u16,
        source: &VideoSource,
        key_frame: &[u8],
    ) -> Result<(), EngineError> {
        let Layout { columns, tile, .. } = self.layout;
        if index >= self.layout.tiles() {
            return Err(EngineError::Step {
                what: format!("tile {index}"),
                why: format!("the sheet has {}", self.layout.tiles()),
            });
        }
        let (picture, signal) = decode(source, key_frame)?;
        let scaled = scale(&picture, signal, tile)?;
        let (column, row) = (u32::from(index % columns), u32::from(index / columns));
        let x = column * tile.width + (tile.width - scaled.width()) / 2;
        let y = row * tile.height + (tile.height - scaled.height()) / 2;
        self.place(&scaled, x as usize, y as usize);
        Ok(())
    }

    fn place(&mut self, scaled: &frame::Video, x: usize, y: usize) {
        let (width, stride) = (PIXEL * scaled.width() as usize, self.picture.stride(0));
        let lines = scaled.data(0).chunks(scaled.stride(0));
        let canvas = self.picture.data_mut(0).chunks_mut(stride).skip(y);
        for (to, from) in canvas.zip(lines.take(scaled.height() as usize)) {
            to[PIXEL * x..][..width].copy_from_slice(&from[..width]);
        }
    }

    /// What was painted.
    pub(crate) fn jpeg(&self) -> Result<Bytes, EngineError> {
        let form = Form::of(&self.picture, true);
        let jpeg = Form {
            format: Pixel::YUV420P,
            ..full_range(form)
        };
        let mut picture = allocate_as(Pixel::YUVJ420P, form.width, form.height)?;
        Context::new(full_range(form), jpeg, JPEG_MATRIX)?.run(&self.picture, &mut picture)?;
        picture.set_color_range(color::Range::JPEG);
        encode(&mut picture)
    }
}

fn full_range(form: Form) -> Form {
    Form {
        full_range: true,
        ..form
    }
}

/// The one picture in an access unit.
fn decode(source: &VideoSource, key_frame: &[u8]) -> Result<(frame::Video, Signal), EngineError> {
    let what = || format!("{} key frame", source.codec);
    let mut decoder = Decoder::open_for_one(source)?;
    let sent = decoder.send(key_frame, (Micros::ZERO, Micros::ZERO), true);
    let picture = sent.and_then(|()| {
        decoder.finish();
        decoder.receive().unwrap_or(Err(ffmpeg::Error::InvalidData))
    });
    let picture = picture.map_err(|error| out_of_memory(source).unwrap_or(step(what())(error)))?;
    if is_damaged(&picture) {
        return Err(step(what())(ffmpeg::Error::InvalidData));
    }
    let signal = signal::read(source, decoder.told());
    let mut upright = Upright::new(source.rotation);
    upright.push(picture)?;
    upright.finish()?;
    let picture = upright.pop().ok_or(ffmpeg::Error::InvalidData);
    Ok((picture.map_err(step(what()))?, signal))
}

/// Whether there is no memory for a picture of the source's size. A decoder that has none
/// says that the data are invalid.
fn out_of_memory(source: &VideoSource) -> Option<EngineError> {
    let another = allocate_as(Pixel::YUV444P, source.width, source.height);
    let is_memory = |error: &EngineError| matches!(error, EngineError::Memory { .. });
    another.err().filter(is_memory)
}

/// Whether the decoder had to guess some of it. It is not asked to refuse what is merely
/// against a standard: that plays everywhere.
fn is_damaged(picture: &frame::Video) -> bool {
    // SAFETY: plain fields of a frame that is borrowed.
    let (flags, errors) = unsafe {
        let picture = &*picture.as_ptr();
        (picture.flags, picture.decode_error_flags)
    };
    errors != 0 || flags & ffi::AV_FRAME_FLAG_CORRUPT != 0
}

/// A picture in red, green and blue, as large as it fits a tile.
fn scale(
    picture: &frame::Video,
    signal: Signal,
    tile: VideoShape,
) -> Result<frame::Video, EngineError> {
    let from = Form::of(picture, signal.full_range());
    let (width, height) = fitted((from.width, from.height), signal.aspect(), tile);
    let to = Form {
        format: Pixel::RGB24,
        width,
        height,
        full_range: true,
    };
    let mut scaled = allocate_as(to.format, width, height)?;
    Context::new(from, to, signal.matrix())?.run(picture, &mut scaled)?;
    Ok(scaled)
}

/// Sides of a picture with pixels of this shape, scaled to fill the tile's width or height.
/// What is short of the other by rounding alone is as long.
fn fitted((width, height): (u32, u32), (across, down): (u32, u32), tile: VideoShape) -> (u32, u32) {
    const ROUNDING: u32 = 2;
    // As products, so that nothing is lost: shown, it is `wide` to `high`.
    let wide = u64::from(width.max(1)) * u64::from(across.max(1));
    let high = u64::from(height.max(1)) * u64::from(down.max(1));
    let nearest = |side: u32, by: u64, to: u64| {
        let scaled = (u128::from(side) * u128::from(by) + u128::from(to / 2)) / u128::from(to);
        u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
    };
    let snapped = |side: u32, full: u32| match full.saturating_sub(side) {
        ..=ROUNDING => full,
        _ => side,
    };
    let filling_width = nearest(tile.width, high, wide);
    if filling_width <= tile.height.saturating_add(ROUNDING) {
        (tile.width, snapped(filling_width, tile.height))
    } else {
        let filling_height = nearest(tile.height, wide, high);
        (snapped(filling_height, tile.width), tile.height)
    }
}

fn encode(picture: &mut frame::Video) -> Result<Bytes, EngineError> {
    const WHAT: &str = "mjpeg encoder";
    let quality = QUANTIZER * ffi::FF_QP2LAMBDA;
    let codec = ffmpeg::encoder::find(codec::Id::MJPEG)
        .ok_or(ffmpeg::Error::EncoderNotFound)
        .map_err(step(WHAT))?;
    let mut context = codec::Context::new_with_codec(codec);
    // Without it, the library's version would be in every JPEG.
    context.set_flags(codec::Flags::QSCALE | codec::Flags::BITEXACT);
    context.set_threading(threading::Config {
        kind: threading::Type::None,
        count: 1,
        ..Default::default()
    });
    let mut encoder = context.encoder().video().map_err(step(WHAT))?;
    encoder.set_width(picture.width());
    encoder.set_height(picture.height());
    encoder.set_format(Pixel::YUVJ420P);
    encoder.set_color_range(color::Range::JPEG);
    encoder.set_time_base((1, 1));
    encoder.set_global_quality(quality);
    let mut encoder = encoder.open_as(codec).map_err(step(WHAT))?;
    picture.set_pts(Some(0));
    // SAFETY: a plain field of a frame that is borrowed.
    unsafe { (*picture.as_mut_ptr()).quality = quality };
    encoder.send_frame(picture).map_err(step(WHAT))?;
    encoder.send_eof().map_err(step(WHAT))?;
    let mut packet = ffmpeg::Packet::empty();
    encoder.receive_packet(&mut packet).map_err(step(WHAT))?;
    let jpeg = packet.data().ok_or(ffmpeg::Error::InvalidData);
    Ok(Bytes::copy_from_slice(jpeg.map_err(step(WHAT))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_fill_a_tile_and_keep_their_shape() {
        const SQUARE: (u32, u32) = (1, 1);
        for (size, aspect, tile, expected) in [
            ((1_920, 1_080), SQUARE, (160, 90), (160, 90)),
            ((854, 480), SQUARE, (160, 90), (160, 90)),
            ((720, 576), (64, 45), (160, 90), (160, 90)),
            ((1_080, 1_920), SQUARE, (160, 90), (51, 90)),
            ((1_440, 1_080), SQUARE, (160, 90), (120, 90)),
            ((2_560, 1_080), SQUARE, (160, 90), (160, 68)),
            ((16_384, 1), SQUARE, (160, 90), (160, 1)),
            ((1, 16_384), SQUARE, (160, 90), (1, 90)),
            ((0, 0), (0, 0), (2, 2), (2, 2)),
        ] {
            let tile = VideoShape {
                width: tile.0,
                height: tile.1,
            };
            let (width, height) = fitted(size, aspect, tile);
            assert_eq!((width, height), expected, "{size:?} {aspect:?}");
            assert!(width <= tile.width && height <= tile.height);
        }
    }
}
