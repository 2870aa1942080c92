//! Access units in, pictures out.

use std::ffi::CString;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec::threading;
use ffmpeg_next::{ffi, frame, packet};
use media::Micros;

use super::signal::{self, Told};
use super::step;
use crate::engine::{EngineError, limits, threads};
use crate::{Latency, VideoSource};

/// One of libavcodec's decoders. Times are microseconds.
pub(super) struct Decoder(ffmpeg::decoder::Video);

impl Decoder {
    /// With `latency`, pictures are decoded on several threads, which holds some back.
    pub(super) fn open(source: &VideoSource, latency: Latency) -> Result<Self, EngineError> {
        let kind = match latency {
            // Threads by frames hold back as many frames as there are threads.
            Latency::None => threading::Type::Slice,
            Latency::LookAhead => threading::Type::Frame,
        };
        Self::open_with(source, kind, threads::for_decoding())
    }

    /// For a picture that stands alone: on one thread.
    pub(super) fn open_for_one(source: &VideoSource) -> Result<Self, EngineError> {
        Self::open_with(source, threading::Type::None, 1)
    }

    fn open_with(
        source: &VideoSource,
        kind: threading::Type,
        count: usize,
    ) -> Result<Self, EngineError> {
        let what = || format!("{} decoder", source.codec);
        limits::check_size(source.width, source.height)
            .map_err(|why| EngineError::Step { what: what(), why })?;
        let codec = find(source)
            .ok_or(ffmpeg::Error::DecoderNotFound)
            .map_err(step(what()))?;
        let mut context = ffmpeg::codec::Context::new_with_codec(codec);
        if !source.record.is_empty() {
            set_extradata(&mut context, &source.record).map_err(step(what()))?;
        }
        context.set_threading(threading::Config {
            kind,
            count,
            ..Default::default()
        });
        describe(&mut context, source);
        let mut decoder = context.decoder();
        decoder.set_packet_time_base((1, 1_000_000));
        let decoder = decoder
            .open_as(codec)
            .and_then(ffmpeg::decoder::Opened::video)
            .map_err(step(what()))?;
        Ok(Self(decoder))
    }

    /// What it knows before the first access unit.
    pub(super) fn told(&self) -> Told {
        signal::of_decoder(&self.0)
    }

    /// Feeds one access unit, decoded and shown at `(dts, pts)`.
    pub(super) fn send(
        &mut self,
        data: &[u8],
        (dts, pts): (Micros, Micros),
        key: bool,
    ) -> Result<(), ffmpeg::Error> {
        if data.is_empty() {
            // An empty packet would be the end of the stream.
            return Err(ffmpeg::Error::InvalidData);
        }
        let mut packet = ffmpeg::Packet::copy(data);
        packet.set_dts(Some(dts.as_micros()));
        packet.set_pts(Some(pts.as_micros()));
        if key {
            packet.set_flags(packet::Flags::KEY);
        }
        self.0.send_packet(&packet)
    }

    /// No more access units.
    pub(super) fn finish(&mut self) {
        // It fails only if it was said before.
        let _ = self.0.send_eof();
    }

    /// The access units that come next do not follow those before; pictures that are not
    /// taken out are lost.
    pub(super) fn flush(&mut self) {
        self.0.flush();
    }

    /// The next picture in the order they are shown, if one is ready.
    pub(super) fn receive(&mut self) -> Option<Result<frame::Video, ffmpeg::Error>> {
        let mut picture = frame::Video::empty();
        match self.0.receive_frame(&mut picture) {
            Ok(()) => Some(Ok(picture)),
            Err(ffmpeg::Error::Other {
                errno: ffmpeg::error::EAGAIN,
            })
            | Err(ffmpeg::Error::Eof) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// Tells the decoder what the container knows.
fn describe(context: &mut ffmpeg::codec::Context, source: &VideoSource) {
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(0);
    // SAFETY: writes fields of a context that is borrowed and not opened yet.
    unsafe {
        let context = &mut *context.as_mut_ptr();
        context.width = side(source.width);
        context.height = side(source.height);
        context.codec_tag = source.tag;
        context.has_b_frames = source.reorder.into();
        context.max_pixels = i64::from(limits::MAX_PIXELS);
    }
}

/// The decoder that libavcodec prefers for the source's codec.
fn find(source: &VideoSource) -> Option<ffmpeg::Codec> {
    let name = CString::new(source.codec.as_str()).ok()?;
    // SAFETY: the name is a C string; a descriptor lives as long as the library.
    let id = unsafe { ffi::avcodec_descriptor_get_by_name(name.as_ptr()).as_ref() }?.id;
    ffmpeg::decoder::find(id.into())
}

/// Gives the decoder its configuration record, which also tells it that NAL units
/// have length prefixes.
pub(super) fn set_extradata(
    context: &mut ffmpeg::codec::Context,
    record: &[u8],
) -> Result<(), ffmpeg::Error> {
    let size = i32::try_from(record.len()).map_err(|_| ffmpeg::Error::InvalidData)?;
    let padded = record.len() + ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
    // SAFETY: the buffer comes from av_mallocz with the padding that avcodec.h asks of
    // `extradata`, is filled within its size, and passes to the context, which frees it.
    unsafe {
        let buffer = ffi::av_mallocz(padded).cast::<u8>();
        if buffer.is_null() {
            return Err(ffmpeg::Error::Other {
                errno: ffmpeg::error::ENOMEM,
            });
        }
        buffer.copy_from_nonoverlapping(record.as_ptr(), record.len());
        let context = context.as_mut_ptr();
        (*context).extradata = buffer;
        (*context).extradata_size = size;
    }
    Ok(())
}
