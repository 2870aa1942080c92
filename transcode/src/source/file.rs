//! A media file's H.264 and AAC tracks, as they are.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::{codec, media as medium};
use media::timeline::WireFrame;
use media::{AacConfig, AvcConfig, Codec, Micros, Timestamp, TrackKind};

use super::test::wire_milliseconds;
use super::{AtEnd, Source, SourceError, adts};
use crate::annex_b;
use crate::engine::ffmpeg::initialize;

/// Packets read at most to find how the sound is coded.
const PROBE_PACKETS: usize = 2_000;

/// Packets read ahead at most to find the first decoding time.
const MAX_READ_AHEAD: usize = 64;

/// A pass counts as at least this long: a file of one frame must not repeat at once.
const SHORTEST_PASS: Micros = Micros::from_millis(10);

/// Reads a file of any container that libavformat knows.
pub struct FileSource {
    path: PathBuf,
    at_end: AtEnd,
    input: Input,
    codecs: Vec<Codec>,
    tracks: Vec<Track>,
    /// The file's own time of the first frame.
    origin: Option<Micros>,
    /// Where this pass through the file begins.
    pass_start: Micros,
    /// Packets of this pass that were read ahead.
    packets: VecDeque<ffmpeg::Packet>,
    ahead: Option<(Micros, WireFrame)>,
}

/// A stream that is published.
struct Track {
    index: usize,
    kind: TrackKind,
    time_base: ffmpeg::Rational,
    /// As the container has it, and not as we want it: a byte stream, or ADTS.
    wrapped: bool,
    pass: Option<Pass>,
}

/// What a track has of this pass through the file.
#[derive(Clone, Copy)]
struct Pass {
    /// Decoding time of its first frame and its last one.
    first: Micros,
    last: Micros,
    /// From the last but one frame to the last one.
    step: Micros,
}

impl FileSource {
    /// Opens a file and reads its first frame.
    pub fn open(path: &Path, at_end: AtEnd) -> Result<Self, SourceError> {
        initialize();
        let input = open(path)?;
        let mut codecs = Vec::new();
        let mut tracks = Vec::new();
        for kind in [TrackKind::Video, TrackKind::Audio] {
            let Some(stream) = find(&input, kind) else {
                continue;
            };
            let (codec, wrapped) = match kind {
                TrackKind::Video => video(path, &stream)?,
                TrackKind::Audio => audio(path, &stream)?,
            };
            codecs.push(codec);
            tracks.push(Track {
                index: stream.index(),
                kind,
                time_base: stream.time_base(),
                wrapped,
                pass: None,
            });
        }
        if tracks.is_empty() {
            return Err(fault(path, "no video and no audio in it"));
        }
        let mut source = Self {
            path: path.to_owned(),
            at_end,
            input,
            codecs,
            tracks,
            origin: None,
            pass_start: Micros::ZERO,
            packets: VecDeque::new(),
            ahead: None,
        };
        source.begin_pass()?;
        source.ahead = source.read()?;
        Ok(source)
    }

    /// The next frame and when it is due.
    fn read(&mut self) -> Result<Option<(Micros, WireFrame)>, SourceError> {
        loop {
            let packet = match self.packets.pop_front() {
                Some(packet) => Some(packet),
                None => self.read_packet()?,
            };
            match packet {
                Some(packet) => {
                    if let Some(frame) = self.frame(&packet) {
                        return Ok(Some(frame));
                    }
                }
                None if self.at_end == AtEnd::Stop => return Ok(None),
                None => {
                    let Some(length) = self.pass_length() else {
                        return Ok(None);
                    };
                    self.pass_start += length;
                    self.input = open(&self.path)?;
                    self.begin_pass()?;
                }
            }
        }
    }

    fn read_packet(&mut self) -> Result<Option<ffmpeg::Packet>, SourceError> {
        loop {
            let mut packet = ffmpeg::Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) => return Ok(Some(packet)),
                Err(ffmpeg::Error::InvalidData) => {}
                Err(ffmpeg::Error::Eof) => return Ok(None),
                Err(error) => return Err(fault(&self.path, error)),
            }
        }
    }

    /// The longest track's; `None` if no frame came at all.
    fn pass_length(&self) -> Option<Micros> {
        let passes = self.tracks.iter().filter_map(|track| track.pass);
        passes
            .map(|pass| (pass.last + pass.step - pass.first).max(SHORTEST_PASS))
            .max()
    }

    /// Some containers keep no decoding times, and the first frames have none until
    /// libavformat has seen the reordering: they are counted back from the first it has.
    fn begin_pass(&mut self) -> Result<(), SourceError> {
        self.origin = None;
        for track in &mut self.tracks {
            track.pass = None;
        }
        let video = self.tracks.iter().find(|t| t.kind == TrackKind::Video);
        let Some(video) = video.map(|track| track.index) else {
            return Ok(());
        };
        let mut known = None;
        while known.is_none() && self.packets.len() < MAX_READ_AHEAD {
            let Some(packet) = self.read_packet()? else {
                break;
            };
            known = packet.dts().filter(|_| packet.stream() == video);
            self.packets.push_back(packet);
        }
        let Some(mut dts) = known else {
            return Ok(());
        };
        let early = self.packets.iter_mut().rev();
        for packet in early.filter(|p| p.stream() == video && p.dts().is_none()) {
            dts -= packet.duration().max(1);
            packet.set_dts(Some(dts));
        }
        Ok(())
    }

    fn frame(&mut self, packet: &ffmpeg::Packet) -> Option<(Micros, WireFrame)> {
        let index = packet.stream();
        let track = self.tracks.iter_mut().find(|track| track.index == index)?;
        let data = packet.data().filter(|data| !data.is_empty())?;
        let data = match (track.wrapped, track.kind) {
            (false, _) => Bytes::copy_from_slice(data),
            (true, TrackKind::Video) => annex_b::to_length_prefixed(data),
            (true, TrackKind::Audio) => Bytes::copy_from_slice(adts::strip(data)),
        };
        let time = |ticks| micros(ticks, track.time_base);
        let dts = packet.dts().or(packet.pts()).map(time)?;
        let pts = packet.pts().map_or(dts, time);
        let origin = *self.origin.get_or_insert(dts);
        let due = (dts - origin).max(Micros::ZERO) + self.pass_start;
        track.pass = Some(match track.pass {
            None => Pass {
                first: due,
                last: due,
                step: Micros::ZERO,
            },
            Some(pass) => Pass {
                first: pass.first,
                last: due,
                step: (due - pass.last).max(Micros::ZERO),
            },
        });
        let shown = (pts - origin).max(Micros::ZERO) + self.pass_start;
        let offset = shown.as_micros().div_euclid(1_000) - due.as_micros().div_euclid(1_000);
        let frame = WireFrame {
            track: track.kind,
            timestamp: wire_milliseconds(due),
            composition_offset: i32::try_from(offset).unwrap_or(0),
            key: track.kind == TrackKind::Audio || packet.is_key(),
            data,
        };
        Some((due, frame))
    }
}

impl Source for FileSource {
    fn codecs(&self) -> &[Codec] {
        &self.codecs
    }

    fn due(&self) -> Option<Micros> {
        self.ahead.as_ref().map(|(due, _)| *due)
    }

    fn next(&mut self, _now: Timestamp) -> Result<Vec<WireFrame>, SourceError> {
        let Some((_, frame)) = self.ahead.take() else {
            return Ok(Vec::new());
        };
        self.ahead = self.read()?;
        Ok(vec![frame])
    }
}

fn fault(path: &Path, why: impl ToString) -> SourceError {
    SourceError::File {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

fn open(path: &Path) -> Result<Input, SourceError> {
    // libavformat takes a C string, and `http:x.mp4` for an address.
    let name = path
        .to_str()
        .filter(|name| !name.contains('\0'))
        .ok_or_else(|| fault(path, "its name is not UTF-8"))?;
    ffmpeg::format::input(&format!("file:{name}")).map_err(|error| fault(path, error))
}

/// The first stream of a kind that is not a cover picture.
fn find(input: &Input, kind: TrackKind) -> Option<ffmpeg::Stream<'_>> {
    let wanted = match kind {
        TrackKind::Video => medium::Type::Video,
        TrackKind::Audio => medium::Type::Audio,
    };
    input.streams().find(|stream| {
        stream.parameters().medium() == wanted
            && !stream.disposition().contains(Disposition::ATTACHED_PIC)
    })
}

fn video(path: &Path, stream: &ffmpeg::Stream<'_>) -> Result<(Codec, bool), SourceError> {
    let parameters = stream.parameters();
    expect(path, &parameters, codec::Id::H264, "video", "H.264")?;
    let header = extradata(&parameters);
    let wrapped = annex_b::is_byte_stream(&header);
    let record = if wrapped {
        annex_b::decoder_configuration(&header)
            .ok_or_else(|| fault(path, "no parameter sets in its H.264 video"))?
    } else {
        header
    };
    Ok((Codec::Avc(AvcConfig::parse(record)?), wrapped))
}

fn audio(path: &Path, stream: &ffmpeg::Stream<'_>) -> Result<(Codec, bool), SourceError> {
    let parameters = stream.parameters();
    expect(path, &parameters, codec::Id::AAC, "audio", "AAC")?;
    let config = extradata(&parameters);
    if !config.is_empty() {
        return Ok((Codec::Aac(AacConfig::parse(config)?), false));
    }
    let config = first_adts_header(path, stream.index())?.config();
    Ok((Codec::Aac(AacConfig::parse(config)?), true))
}

fn expect(
    path: &Path,
    parameters: &codec::Parameters,
    wanted: codec::Id,
    medium: &'static str,
    expected: &'static str,
) -> Result<(), SourceError> {
    match parameters.id() {
        id if id == wanted => Ok(()),
        id => Err(SourceError::Unsupported {
            path: path.to_owned(),
            medium,
            codec: id.name().to_owned(),
            expected,
        }),
    }
}

fn first_adts_header(path: &Path, index: usize) -> Result<adts::Header, SourceError> {
    open(path)?
        .packets()
        .take(PROBE_PACKETS)
        .filter(|(stream, _)| stream.index() == index)
        .find_map(|(_, packet)| adts::Header::read(packet.data()?))
        .ok_or_else(|| fault(path, "no ADTS header in its AAC audio"))
}

pub(crate) fn extradata(parameters: &codec::Parameters) -> Bytes {
    // SAFETY: `extradata` is null or holds `extradata_size` bytes, as long as the
    // parameters are borrowed.
    unsafe {
        let parameters = &*parameters.as_ptr();
        match usize::try_from(parameters.extradata_size) {
            Ok(size) if !parameters.extradata.is_null() => {
                Bytes::copy_from_slice(std::slice::from_raw_parts(parameters.extradata, size))
            }
            _ => Bytes::new(),
        }
    }
}

pub(crate) fn micros(ticks: i64, time_base: ffmpeg::Rational) -> Micros {
    let numerator = i128::from(time_base.numerator().max(1));
    let denominator = i128::from(time_base.denominator().max(1));
    let micros = i128::from(ticks) * numerator * 1_000_000 / denominator;
    Micros::new(micros.clamp(i128::from(i64::MIN / 4), i128::from(i64::MAX / 4)) as i64)
}
