//! One picture: read, turned, cut or fitted, scaled, written. Pure; it takes time and memory.

use std::io::Cursor;

use bytes::Bytes;
use image::buffer::ConvertBuffer;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use image::codecs::webp::WebPDecoder;
use image::error::LimitErrorKind;
use image::imageops::{self, FilterType as Filter};
use image::metadata::Orientation;
use image::{
    DynamicImage, GenericImageView, ImageDecoder, ImageError, ImageFormat, ImageResult, Limits,
    RgbImage, RgbaImage,
};
use storage::rows::images::MediaType;

use super::{MAX_SIDE, MEMORY, POSTED_BYTES, POSTED_SIDE, PREVIEW_SIDE, SIDE, jpeg, webp};

/// Of 100: beyond it a picture of this size grows and looks no better.
const JPEG_QUALITY: u8 = 88;

/// Bytes that reading the chunks of a PNG takes: its lines, and profiles that grow when they are
/// read.
const OF_CHUNKS: u64 = 16 * 1024 * 1024;

/// Bytes that a coefficient of a JPEG takes: each of a pixel's components has one.
const OF_COEFFICIENT: u64 = 2;

/// Bytes that reading a WebP takes for a pixel, beside those of the picture: its planes, and the
/// alpha channel, which is a picture of its own.
const OF_PLANES: u64 = 7;

/// Bytes that the tables of a WebP without loss take, at worst, for a byte of it: 60 say that
/// there are five of 4 KiB each.
const OF_TABLES: u64 = 350;

/// What reading takes, beside the picture itself.
#[derive(Debug, Clone, Copy, Default)]
struct Beside {
    /// Bytes for each pixel.
    a_pixel: u64,
    /// Bytes, however many pixels there are.
    in_all: u64,
}

impl Beside {
    /// Whether it and a picture of so many pixels, which are `bytes`, are within [`MEMORY`].
    fn fits(self, pixels: u64, bytes: u64) -> bool {
        bytes + self.a_pixel * pixels + self.in_all <= MEMORY
    }
}

impl From<&jpeg::Outline> for Beside {
    fn from(outline: &jpeg::Outline) -> Self {
        Self {
            a_pixel: OF_COEFFICIENT * u64::from(outline.collected),
            in_all: 0,
        }
    }
}

/// A picture made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remade {
    /// Its file.
    pub data: Bytes,
    /// What it is.
    pub media_type: MediaType,
}

/// A picture made anew for a post: as large as it is kept, and small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Its file.
    pub full: Bytes,
    /// That of the small one, which has its shape.
    pub preview: Bytes,
    /// What both are.
    pub media_type: MediaType,
    /// Pixels of a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

/// What a picture is written as: PNG where one can see through it.
fn right_for(picture: &RgbaImage) -> MediaType {
    match picture.pixels().any(|pixel| pixel.0[3] != u8::MAX) {
        true => MediaType::Png,
        false => MediaType::Jpeg,
    }
}

/// Why nothing is made of a picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is none of the formats that are taken, whatever it is called.
    #[error("expected a PNG, JPEG or WebP picture, and the file is none of them")]
    Format,
    /// A side is too long.
    #[error("expected at most {MAX_SIDE} pixels a side, and the picture has {width}x{height}")]
    Sides {
        /// Pixels of a line.
        width: u32,
        /// Lines.
        height: u32,
    },
    /// Reading it takes too much.
    #[error(
        "expected a smaller picture: to read this one takes more than {} MiB",
        MEMORY >> 20
    )]
    Memory,
    /// It has several frames.
    #[error("expected a picture that stands still, and this one is animated")]
    Animated,
    /// It ends before its end, or is damaged.
    #[error("the picture cannot be read: {0}")]
    Broken(String),
}

/// Makes a picture anew: what `given` shows, upright, its centred square, at most [`SIDE`]
/// pixels a side, without metadata.
pub fn remake(given: &[u8]) -> Result<Remade, Unusable> {
    let (decoded, orientation) = decode(given)?;
    let mut square = DynamicImage::ImageRgba8(scaled_square(&decoded));
    // It is large, and is needed no more.
    drop(decoded);
    // The square in the middle is the same, whichever side is up.
    square.apply_orientation(orientation);
    let square = square.into_rgba8();
    let media_type = right_for(&square);
    let data = write(&square, media_type).map_err(broken)?;
    Ok(Remade { data, media_type })
}

/// Makes a picture anew for a post: all of what `given` shows, upright, at most [`POSTED_SIDE`]
/// pixels a side and [`POSTED_BYTES`], without metadata; and once more with [`PREVIEW_SIDE`] at most.
pub fn remake_for_post(given: &[u8]) -> Result<Posted, Unusable> {
    let (decoded, orientation) = decode(given)?;
    let mut full = DynamicImage::ImageRgba8(fitted(&decoded));
    drop(decoded);
    full.apply_orientation(orientation);
    let full = full.into_rgba8();
    let media_type = right_for(&full);
    let (full, data) = light(full, media_type).map_err(broken)?;
    let (width, height) = full.dimensions();
    let preview = match fitting(width, height, PREVIEW_SIDE) {
        Some((width, height)) => imageops::resize(&full, width, height, Filter::CatmullRom),
        None => full,
    };
    let (_, preview) = light(preview, media_type).map_err(broken)?;
    Ok(Posted {
        preview,
        full: data,
        media_type,
        width,
        height,
    })
}

/// The picture and its file, which is no larger than [`POSTED_BYTES`]: noise that one can see
/// through is several times as large at [`POSTED_SIDE`], and is scaled down.
fn light(mut picture: RgbaImage, media_type: MediaType) -> ImageResult<(RgbaImage, Bytes)> {
    loop {
        let data = write(&picture, media_type)?;
        if data.len() <= POSTED_BYTES {
            return Ok((picture, data));
        }
        let (width, height) = picture.dimensions();
        let less = |length: u32| (length * 3 / 4).max(1);
        picture = imageops::thumbnail(&picture, less(width), less(height));
    }
}

fn decode(given: &[u8]) -> Result<(DynamicImage, Orientation), Unusable> {
    let reader = Cursor::new(given);
    match image::guess_format(given) {
        Ok(ImageFormat::Png) => {
            // A picture that is too large is told as such, below.
            let mut limits = Limits::no_limits();
            limits.max_alloc = Some(OF_CHUNKS);
            let decoder = PngDecoder::with_limits(reader, limits).map_err(broken)?;
            match decoder.is_apng().map_err(broken)? {
                true => Err(Unusable::Animated),
                false => read(decoder, Beside::default()),
            }
        }
        Ok(ImageFormat::Jpeg) => {
            let outline = jpeg::Outline::of(given)?;
            if !outline.has_end {
                return Err(cut_off());
            }
            read(JpegDecoder::new(reader).map_err(broken)?, (&outline).into())
        }
        Ok(ImageFormat::WebP) => decode_webp(given),
        _ => Err(Unusable::Format),
    }
}

fn decode_webp(given: &[u8]) -> Result<(DynamicImage, Orientation), Unusable> {
    let outline = webp::Outline::of(given).ok_or_else(cut_off)?;
    if outline.is_animated {
        return Err(Unusable::Animated);
    }
    let decoder = WebPDecoder::new(Cursor::new(outline.picture)).map_err(broken)?;
    if decoder.has_animation() {
        return Err(Unusable::Animated);
    }
    let sizes = outline.lossy.map(|size| size == decoder.dimensions());
    if sizes == Some(false) {
        let contradiction = "it says of itself that it has two sizes";
        return Err(Unusable::Broken(contradiction.to_owned()));
    }
    let beside = Beside {
        a_pixel: OF_PLANES,
        in_all: OF_TABLES * outline.lossless,
    };
    read(decoder, beside)
}

fn cut_off() -> Unusable {
    Unusable::Broken("it ends before its end".to_owned())
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MEMORY);
    limits
}

/// Reads the pixels, if the picture is no larger than may be, and takes no more with what is
/// `beside` it.
fn read(
    mut decoder: impl ImageDecoder,
    beside: Beside,
) -> Result<(DynamicImage, Orientation), Unusable> {
    let (width, height) = decoder.dimensions();
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(Unusable::Sides { width, height });
    }
    let pixels = u64::from(width) * u64::from(height);
    if !beside.fits(pixels, decoder.total_bytes()) {
        return Err(Unusable::Memory);
    }
    decoder.set_limits(limits()).map_err(broken)?;
    let orientation = decoder.orientation().map_err(broken)?;
    let decoded = DynamicImage::from_decoder(decoder).map_err(broken)?;
    Ok((decoded, orientation))
}

/// The square in the middle. Small pictures stay as small as they are.
fn scaled_square(picture: &DynamicImage) -> RgbaImage {
    let (width, height) = picture.dimensions();
    let side = width.min(height);
    let view = picture.view((width - side) / 2, (height - side) / 2, side, side);
    if side <= 2 * SIDE {
        let scaled = side.min(SIDE);
        return imageops::resize(&*view, scaled, scaled, Filter::CatmullRom);
    }
    // The means of whole areas first: each pixel is looked at once.
    let twice = imageops::thumbnail(&*view, 2 * SIDE, 2 * SIDE);
    imageops::resize(&twice, SIDE, SIDE, Filter::CatmullRom)
}

/// All of the picture. Small ones stay as small as they are.
fn fitted(picture: &DynamicImage) -> RgbaImage {
    let (width, height) = picture.dimensions();
    match fitting(width, height, POSTED_SIDE) {
        // The means of areas: each pixel is looked at once, and nothing is kept beside.
        Some((width, height)) => imageops::thumbnail(picture, width, height),
        None => picture.to_rgba8(),
    }
}

/// The sides of the largest picture of this shape that has at most `side` pixels a side; `None`:
/// this one has.
fn fitting(width: u32, height: u32, side: u32) -> Option<(u32, u32)> {
    let longer = width.max(height);
    let scaled = |length: u32| {
        let exact = u64::from(length) * u64::from(side) + u64::from(longer) / 2;
        // No more than `side`: `length` is no more than `longer`.
        u32::try_from(exact / u64::from(longer)).map_or(side, |length| length.max(1))
    };
    (longer > side).then(|| (scaled(width), scaled(height)))
}

fn write(picture: &RgbaImage, media_type: MediaType) -> ImageResult<Bytes> {
    let mut data = Vec::new();
    match media_type {
        MediaType::Png => {
            let (compression, filter) = (CompressionType::Default, FilterType::Adaptive);
            let encoder = PngEncoder::new_with_quality(&mut data, compression, filter);
            picture.write_with_encoder(encoder)?;
        }
        MediaType::Jpeg => {
            let encoder = JpegEncoder::new_with_quality(&mut data, JPEG_QUALITY);
            let opaque: RgbImage = picture.convert();
            opaque.write_with_encoder(encoder)?;
        }
    }
    Ok(data.into())
}

fn broken(error: ImageError) -> Unusable {
    match error {
        ImageError::Limits(error) => match error.kind() {
            LimitErrorKind::InsufficientMemory => Unusable::Memory,
            _ => Unusable::Broken(error.to_string()),
        },
        error => Unusable::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
