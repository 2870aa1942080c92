//! From any size, format and range to a rung's.

use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::software::scaling;
use ffmpeg_next::{color, ffi, frame};

use super::picture::{Pool, Shared, handle};
use super::signal::Signal;
use super::step;
use crate::engine::EngineError;

/// Makes pictures fit a rung: its size, 8 bits, 4:2:0, its range. Their colours are
/// what they were: a matrix is applied only to pictures of red, green and blue.
pub(super) struct Scaler {
    width: u32,
    height: u32,
    full_range: bool,
    matrix: u8,
    context: Option<Context>,
    pool: Pool,
}

/// What a picture is, as far as scaling cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Form {
    pub(super) format: Pixel,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) full_range: bool,
}

impl Scaler {
    pub(super) fn new(width: u32, height: u32, signal: &Signal) -> Self {
        Self {
            width,
            height,
            full_range: signal.full_range(),
            matrix: signal.matrix(),
            context: None,
            pool: Pool::new(width, height),
        }
    }

    /// The picture as the rung has it; itself, where it is that already.
    pub(super) fn scale(&mut self, picture: &Shared) -> Result<Shared, EngineError> {
        let form = Form::of(picture, self.full_range);
        if form.format == Pixel::YUV420P && form.full_range == self.full_range {
            if (form.width, form.height) == (self.width, self.height) {
                return Ok(Arc::clone(picture));
            }
            if form.width / 2 * 2 == self.width && form.height / 2 * 2 == self.height {
                return self.without_odd_edge(picture);
            }
        }
        let context = match &mut self.context {
            Some(context) if context.from == form => context,
            context => {
                let to = Form {
                    format: Pixel::YUV420P,
                    width: self.width,
                    height: self.height,
                    full_range: self.full_range,
                };
                context.insert(Context::new(form, to, self.matrix)?)
            }
        };
        self.pool.fill(|scaled| context.run(picture, scaled))
    }

    /// Shows all but an odd picture's last column and row, which 4:2:0 has no chroma
    /// sample of their own for.
    fn without_odd_edge(&self, picture: &Shared) -> Result<Shared, EngineError> {
        let mut cropped = handle(picture)?;
        cropped.set_width(self.width);
        cropped.set_height(self.height);
        Ok(Arc::new(cropped))
    }
}

impl Form {
    /// `or_else` is the range of a picture that does not tell its own.
    pub(super) fn of(picture: &frame::Video, or_else: bool) -> Self {
        let (format, is_full) = match picture.format() {
            Pixel::YUVJ420P => (Pixel::YUV420P, true),
            Pixel::YUVJ422P => (Pixel::YUV422P, true),
            Pixel::YUVJ444P => (Pixel::YUV444P, true),
            Pixel::YUVJ440P => (Pixel::YUV440P, true),
            Pixel::YUVJ411P => (Pixel::YUV411P, true),
            format => (format, false),
        };
        let full_range = match picture.color_range() {
            _ if is_full => true,
            color::Range::JPEG => true,
            color::Range::MPEG => false,
            color::Range::Unspecified => or_else,
        };
        Self {
            format,
            width: picture.width(),
            height: picture.height(),
            full_range,
        }
    }

    /// Whether it has colours that a matrix makes luma and chroma of.
    fn has_primaries(self) -> bool {
        let paints = (ffi::AV_PIX_FMT_FLAG_RGB | ffi::AV_PIX_FMT_FLAG_PAL) as u64;
        // SAFETY: a descriptor is null or lives as long as the library.
        unsafe { ffi::av_pix_fmt_desc_get(self.format.into()).as_ref() }
            .is_some_and(|descriptor| descriptor.flags & paints != 0)
    }
}

/// libswscale's, from one form of pictures to another.
pub(super) struct Context {
    from: Form,
    context: NonNull<ffi::SwsContext>,
}

// SAFETY: libswscale's contexts belong to no thread; this one is used by one at a time.
unsafe impl Send for Context {}

impl Context {
    /// `matrix` makes red, green and blue of luma and chroma, or the other way, where one
    /// form has the one and the other the other.
    pub(super) fn new(from: Form, to: Form, matrix: u8) -> Result<Self, EngineError> {
        // SAFETY: takes nothing; null comes back without memory.
        let context = unsafe { ffi::sws_alloc_context() };
        let context = NonNull::new(context)
            .ok_or(ffmpeg::Error::Other {
                errno: ffmpeg::error::ENOMEM,
            })
            .map_err(step("scaler"))?;
        let mut new = Self { from, context };
        // The ranges must be known when the context is made: with them libswscale
        // chooses how it converts, and does not choose again.
        for (name, number) in [
            (c"srcw", i64::from(from.width)),
            (c"srch", i64::from(from.height)),
            (c"src_format", ffi::AVPixelFormat::from(from.format) as i64),
            (c"src_range", from.full_range.into()),
            (c"dstw", to.width.into()),
            (c"dsth", to.height.into()),
            (c"dst_format", ffi::AVPixelFormat::from(to.format) as i64),
            (c"dst_range", to.full_range.into()),
            (c"sws_flags", flags(to).bits().into()),
        ] {
            new.set(name, number)?;
        }
        // SAFETY: the context is valid and has its options; null means no filters.
        let outcome = unsafe {
            ffi::sws_init_context(new.context.as_ptr(), ptr::null_mut(), ptr::null_mut())
        };
        if outcome < 0 {
            return Err(EngineError::Step {
                what: "scaler".into(),
                why: format!(
                    "cannot make {}x{} {:?} of {}x{} {:?}",
                    to.width, to.height, to.format, from.width, from.height, from.format
                ),
            });
        }
        if from.has_primaries() || to.has_primaries() {
            new.set_colours(to.full_range, matrix)?;
        }
        Ok(new)
    }

    fn set(&mut self, name: &CStr, number: i64) -> Result<(), EngineError> {
        // SAFETY: a context begins with its class, as av_opt_set_int asks; the name is a
        // C string.
        let outcome =
            unsafe { ffi::av_opt_set_int(self.context.as_ptr().cast(), name.as_ptr(), number, 0) };
        match outcome {
            0.. => Ok(()),
            error => Err(step(format!("scaler, {}", name.to_string_lossy()))(
                ffmpeg::Error::from(error),
            )),
        }
    }

    fn set_colours(&mut self, full_range: bool, matrix: u8) -> Result<(), EngineError> {
        const UNITY: i32 = 1 << 16;
        // SAFETY: the context is valid; the tables are the library's own and constant.
        let outcome = unsafe {
            let table = ffi::sws_getCoefficients(i32::from(matrix));
            ffi::sws_setColorspaceDetails(
                self.context.as_ptr(),
                table,
                self.from.full_range.into(),
                table,
                full_range.into(),
                0,
                UNITY,
                UNITY,
            )
        };
        match outcome {
            0.. => Ok(()),
            error => Err(step("scaler colours")(ffmpeg::Error::from(error))),
        }
    }

    pub(super) fn run(
        &mut self,
        from: &frame::Video,
        to: &mut frame::Video,
    ) -> Result<(), EngineError> {
        // SAFETY: `from` is of the form the context was made for, `to` of the size and
        // format; both have the planes that their formats have.
        let lines = unsafe {
            let (from, to) = (&*from.as_ptr(), &mut *to.as_mut_ptr());
            ffi::sws_scale(
                self.context.as_ptr(),
                from.data.as_ptr().cast(),
                from.linesize.as_ptr(),
                0,
                from.height,
                to.data.as_ptr(),
                to.linesize.as_ptr(),
            )
        };
        match lines {
            1.. => Ok(()),
            error => Err(step("scaler")(ffmpeg::Error::from(error))),
        }
    }
}

fn flags(to: Form) -> scaling::Flags {
    match to.has_primaries() {
        // Else each row's chroma is that of a neighbour, and sums are cut off.
        true => {
            scaling::Flags::BICUBIC | scaling::Flags::ACCURATE_RND | scaling::Flags::FULL_CHR_H_INT
        }
        false => scaling::Flags::BICUBIC,
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it came from sws_alloc_context and is freed once.
        unsafe { ffi::sws_freeContext(self.context.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of one luma level and no colour.
    fn flat(format: Pixel, (width, height): (u32, u32), luma: u16, range: color::Range) -> Shared {
        let mut picture = frame::Video::new(format, width, height);
        picture.set_color_range(range);
        for plane in 0..3 {
            let level = if plane == 0 { luma } else { 128 };
            if format == Pixel::YUV420P10LE {
                for sample in picture.data_mut(plane).chunks_exact_mut(2) {
                    sample.copy_from_slice(&(level * 4).to_le_bytes());
                }
            } else {
                picture.data_mut(plane).fill(level as u8);
            }
        }
        Arc::new(picture)
    }

    #[test]
    fn the_range_is_converted_at_every_size_and_depth() {
        const SIZE: (u32, u32) = (64, 32);
        for format in [Pixel::YUV420P, Pixel::YUV420P10LE] {
            for from in [SIZE, (128, 64), (50, 30)] {
                for (range, luma, expected) in [
                    (color::Range::JPEG, 255, 235),
                    (color::Range::JPEG, 0, 16),
                    (color::Range::MPEG, 235, 235),
                    (color::Range::MPEG, 16, 16),
                ] {
                    let mut scaler = Scaler::new(SIZE.0, SIZE.1, &Signal::BT709);
                    let scaled = scaler.scale(&flat(format, from, luma, range)).unwrap();
                    let middle = scaled.data(0)[16 * scaled.stride(0) + 32];
                    let what = format!("{luma} of {range:?}, {format:?} {from:?}: {middle}");
                    assert!(middle.abs_diff(expected) <= 1, "{what}");
                    assert_eq!(scaled.data(1)[8 * scaled.stride(1) + 16], 128, "{what}");
                }
            }
        }
    }
}
