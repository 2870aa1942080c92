//! What a file has, and whether it is taken.

use std::ptr;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::codec;
use ffmpeg_next::codec::packet::side_data;
use ffmpeg_next::ffi;
use ffmpeg_next::format::context::Input;
use media::{AacConfig, AvcConfig, Timestamp, TrackKind};

use super::reader::{MAX_STREAMS, PROBE_PACKETS, Reader};
use super::{Fault, refuse, refuse_sound};
use crate::annex_b;
use crate::source::{adts, file};
use crate::video::{ColourDescription, Rotation, SourceCodec, VideoSource};
use crate::vod::message::FileInfo;
use crate::{AudioSource, AudioTranscoder};

/// The longest side of a picture.
const MAX_SIDE: u32 = 8_192;
/// Pixels of a picture at most: 8K.
const MAX_PIXELS: u64 = 7_680 * 4_320;

/// What the file has.
pub(super) fn describe(reader: &Reader, name: &str) -> Result<FileInfo, Fault> {
    let streams = reader.input.nb_streams();
    if streams > MAX_STREAMS {
        return Err(refuse(format!(
            "it has {streams} streams, {MAX_STREAMS} at most are read"
        )));
    }
    let video = reader
        .stream(TrackKind::Video)
        .map(|stream| video_track(&reader.input, &stream))
        .transpose()?;
    let aac = reader
        .stream(TrackKind::Audio)
        .map(|stream| aac_of(name, &stream))
        .transpose()?;
    if video.is_none() && aac.is_none() {
        return Err(refuse("there is no video and no audio in it"));
    }
    Ok(FileInfo { video, aac })
}

fn video_track(input: &Input, stream: &ffmpeg::Stream<'_>) -> Result<VideoSource, Fault> {
    let parameters = stream.parameters();
    let name = parameters.id().name();
    let codec: SourceCodec = name
        .parse()
        .map_err(|_| refuse(format!("its video is {name}, which is not decoded")))?;
    // SAFETY: plain fields of parameters that are borrowed from an open input; the function
    // reads the two contexts, which are borrowed too, and writes nothing.
    let (width, height, aspect, tag, delay, colour) = unsafe {
        let raw = &*parameters.as_ptr();
        let colour = ColourDescription {
            primaries: u8::try_from(raw.color_primaries as i64).unwrap_or(2),
            transfer: u8::try_from(raw.color_trc as i64).unwrap_or(2),
            matrix: u8::try_from(raw.color_space as i64).unwrap_or(2),
            full_range: None,
        };
        // The container's word, where it has one.
        let aspect = ffi::av_guess_sample_aspect_ratio(
            input.as_ptr().cast_mut(),
            stream.as_ptr().cast_mut(),
            ptr::null_mut(),
        );
        (
            raw.width,
            raw.height,
            (aspect.num, aspect.den),
            raw.codec_tag,
            raw.video_delay,
            colour,
        )
    };
    let side = |given: i32| u32::try_from(given).unwrap_or_default();
    let (width, height) = (side(width), side(height));
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(refuse(
            "its picture has no size, or one that nobody decodes",
        ));
    }
    if width > MAX_SIDE || height > MAX_SIDE || pixels > MAX_PIXELS {
        return Err(refuse(format!(
            "its picture is {width}x{height}, at most {MAX_SIDE} pixels on a side and \
             {MAX_PIXELS} in all are taken"
        )));
    }
    let extradata = file::extradata(&parameters);
    let record = match parameters.id() {
        codec::Id::H264 if annex_b::is_byte_stream(&extradata) => {
            annex_b::decoder_configuration(&extradata)
                .ok_or_else(|| refuse("there are no parameter sets in its H.264 video"))?
        }
        _ => extradata,
    };
    if parameters.id() == codec::Id::H264 {
        AvcConfig::parse(record.clone()).map_err(|error| refuse(error.to_string()))?;
    }
    Ok(VideoSource {
        codec,
        record,
        width,
        height,
        sample_aspect: match aspect {
            (num @ 1.., den @ 1..) => Some((num.unsigned_abs(), den.unsigned_abs())),
            _ => None,
        },
        rotation: rotation(stream),
        reorder: u8::try_from(delay).unwrap_or_default(),
        colour,
        tag,
    })
}

/// The display matrix (ISO/IEC 14496-12 6.2.2), to the nearest quarter turn.
fn rotation(stream: &ffmpeg::Stream<'_>) -> Rotation {
    let mut sides = stream.side_data();
    let matrix = sides.find(|side| side.kind() == side_data::Type::DisplayMatrix);
    let Some(matrix) = matrix else {
        return Rotation::None;
    };
    let number = |at: usize| {
        let bytes = matrix.data().get(at * 4..at * 4 + 4)?;
        Some(i32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let mut numbers = [0; 9];
    for (at, slot) in numbers.iter_mut().enumerate() {
        let Some(number) = number(at) else {
            return Rotation::None;
        };
        *slot = number;
    }
    Rotation::from_matrix(numbers)
}

/// `AudioSpecificConfig` of what becomes of the sound.
fn aac_of(name: &str, stream: &ffmpeg::Stream<'_>) -> Result<Bytes, Fault> {
    if !passes(stream) {
        let source = audio_source(stream)?;
        let opened = AudioTranscoder::open(&source, Timestamp::default());
        return Ok(opened.map_err(refuse_sound)?.config().config.clone());
    }
    match file::extradata(&stream.parameters()) {
        extradata if extradata.is_empty() => first_adts_config(name, stream.index()),
        extradata => Ok(extradata),
    }
}

/// Whether something can be made of the sound. What has no sampling rate by now was
/// announced and has not come.
pub(super) fn is_taken(stream: &ffmpeg::Stream<'_>) -> bool {
    // SAFETY: a plain field of parameters that are borrowed from an open input.
    let rate = unsafe { (*stream.parameters().as_ptr()).sample_rate };
    let opens = |source| AudioTranscoder::open(&source, Timestamp::default()).is_ok();
    rate > 0 && (passes(stream) || audio_source(stream).is_ok_and(opens))
}

/// Whether the sound is AAC that players take as it is.
fn passes(stream: &ffmpeg::Stream<'_>) -> bool {
    let parameters = stream.parameters();
    let extradata = file::extradata(&parameters);
    parameters.id() == codec::Id::AAC
        && (extradata.is_empty() || AacConfig::parse(extradata).is_ok())
}

/// The sound, if it does not pass as it is.
pub(super) fn encoded_sound(reader: &Reader) -> Result<Option<AudioSource>, Fault> {
    reader
        .stream(TrackKind::Audio)
        .filter(|stream| !passes(stream))
        .map(|stream| audio_source(&stream))
        .transpose()
}

fn audio_source(stream: &ffmpeg::Stream<'_>) -> Result<AudioSource, Fault> {
    let parameters = stream.parameters();
    let name = parameters.id().name();
    // SAFETY: plain fields of parameters that are borrowed from an open input.
    let (rate, channels, tag, block, bits) = unsafe {
        let raw = &*parameters.as_ptr();
        (
            raw.sample_rate,
            raw.ch_layout.nb_channels,
            raw.codec_tag,
            raw.block_align,
            raw.bits_per_coded_sample,
        )
    };
    let number = |given: i32| u32::try_from(given).unwrap_or_default();
    Ok(AudioSource {
        codec: name
            .parse()
            .map_err(|_| refuse(format!("its sound is {name}, which is not decoded")))?,
        record: file::extradata(&parameters),
        sample_rate: number(rate),
        channels: number(channels),
        tag,
        block_align: number(block),
        bits_per_sample: number(bits),
    })
}

fn first_adts_config(name: &str, index: usize) -> Result<Bytes, Fault> {
    let mut reader = Reader::open(name)?;
    for _ in 0..PROBE_PACKETS {
        let Some(packet) = reader.next()? else { break };
        let header = packet.data().filter(|_| packet.stream() == index);
        if let Some(header) = header.and_then(adts::Header::read) {
            return Ok(header.config());
        }
    }
    Err(refuse("there is no ADTS header in its AAC audio"))
}
