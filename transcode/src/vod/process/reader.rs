//! An open file: its packets, with times, as they are wanted.

use std::collections::VecDeque;
use std::fs::File;

use bytes::Bytes;
use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::{codec, media as medium};
use media::{Micros, TrackKind};

use super::blame::blame;
use super::{Fault, describe, refuse};
use crate::annex_b;
use crate::source::{adts, file};

/// Containers that are read. Not among them: playlists and scripts, which would make
/// libavformat open what they name.
const CONTAINERS: &str = "mov,matroska,mpegts,mpeg,avi,flv,ogg,asf,wav,aac,mp3,flac";
/// Streams of a file at most.
pub(super) const MAX_STREAMS: u32 = 64;
/// Packets read at most to find how the sound is coded, and the first decoding time.
pub(super) const PROBE_PACKETS: usize = 2_000;

/// A file that is open.
pub(super) struct Reader {
    pub(super) input: Input,
    name: String,
    /// Where its pictures and its sound are.
    video: Option<usize>,
    audio: Option<usize>,
    /// Packets that were read ahead.
    ahead: VecDeque<ffmpeg::Packet>,
}

impl Reader {
    pub(super) fn open(name: &str) -> Result<Self, Fault> {
        if name.contains('\0') {
            return Err(refuse("its name has a zero in it"));
        }
        // Whatever keeps the system from opening it is not the file's fault.
        if let Err(error) = File::open(name) {
            return Err(Fault::Hindered(error.to_string()));
        }
        let mut options = ffmpeg::Dictionary::new();
        options.set("protocol_whitelist", "file");
        options.set("format_whitelist", CONTAINERS);
        options.set("fflags", "+genpts");
        options.set("max_streams", &MAX_STREAMS.to_string());
        // libavformat takes `http:x.mp4` for an address.
        let input = ffmpeg::format::input_with_dictionary(&format!("file:{name}"), options)
            .map_err(|error| blame(error, "it is no media file that can be read", name))?;
        Ok(Self {
            video: first(&input, medium::Type::Video, |_| true),
            // If none can be decoded, the first is refused by its name.
            audio: first(&input, medium::Type::Audio, describe::is_taken)
                .or_else(|| first(&input, medium::Type::Audio, |_| true)),
            name: name.to_owned(),
            input,
            ahead: VecDeque::new(),
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<ffmpeg::Packet>, Fault> {
        match self.ahead.pop_front() {
            Some(packet) => Ok(Some(packet)),
            None => self.read_packet(),
        }
    }

    /// Damaged packets are skipped: a decoder would do so too.
    fn read_packet(&mut self) -> Result<Option<ffmpeg::Packet>, Fault> {
        loop {
            let mut packet = ffmpeg::Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) => return Ok(Some(packet)),
                Err(ffmpeg::Error::InvalidData) => {}
                Err(ffmpeg::Error::Eof) => return Ok(None),
                Err(error) => return Err(blame(error, "it cannot be read on", &self.name)),
            }
        }
    }

    /// Some containers keep no decoding times, and the first packets have none until
    /// libavformat has seen the reordering: they are counted back from the first it has.
    pub(super) fn count_back(&mut self, track: Option<usize>) -> Result<(), Fault> {
        let Some(track) = track else { return Ok(()) };
        let mut known = None;
        while known.is_none() && self.ahead.len() < PROBE_PACKETS {
            let Some(packet) = self.read_packet()? else {
                break;
            };
            known = packet.dts().filter(|_| packet.stream() == track);
            self.ahead.push_back(packet);
        }
        let Some(mut dts) = known else { return Ok(()) };
        let early = self.ahead.iter_mut().rev();
        for packet in early.filter(|one| one.stream() == track && one.dts().is_none()) {
            dts -= packet.duration().max(1);
            packet.set_dts(Some(dts));
        }
        Ok(())
    }

    /// Decoding and presentation time.
    pub(super) fn times(&self, packet: &ffmpeg::Packet) -> Result<(Micros, Micros), Fault> {
        let base = self
            .input
            .stream(packet.stream())
            .map(|one| one.time_base());
        let base = base.ok_or_else(|| refuse("a packet of no stream"))?;
        let untimed = || refuse("its frames have no timestamps");
        let pts = packet.pts().or(packet.dts()).ok_or_else(untimed)?;
        let dts = packet.dts().map_or(pts, |dts| dts.min(pts));
        Ok((file::micros(dts, base), file::micros(pts, base)))
    }

    /// The key frame that is shown at `pts`; `None` if reading began behind it.
    pub(super) fn skip_to(
        &mut self,
        track: TrackKind,
        pts: Micros,
    ) -> Result<Option<ffmpeg::Packet>, Fault> {
        let index = self.index_of(track)?;
        self.count_back(Some(index))?;
        while let Some(packet) = self.next()? {
            if packet.stream() != index || packet.size() == 0 || !packet.is_key() {
                continue;
            }
            let (_, at) = self.times(&packet)?;
            if at == pts {
                return Ok(Some(packet));
            }
            if at > pts {
                return Ok(None);
            }
        }
        Ok(None)
    }

    pub(super) fn index_of(&self, track: TrackKind) -> Result<usize, Fault> {
        let stream = self.stream(track);
        let stream = stream.ok_or_else(|| refuse("a track that was there is gone"))?;
        Ok(stream.index())
    }

    /// The first stream of pictures, but for covers, or of sound that can be decoded.
    pub(super) fn stream(&self, track: TrackKind) -> Option<ffmpeg::Stream<'_>> {
        let index = match track {
            TrackKind::Video => self.video,
            TrackKind::Audio => self.audio,
        };
        self.input.stream(index?)
    }

    pub(super) fn wrapping(&self, track: TrackKind) -> Result<Wrapping, Fault> {
        let stream = self.stream(track);
        let parameters = stream
            .ok_or_else(|| refuse("a track is gone"))?
            .parameters();
        let extradata = file::extradata(&parameters);
        Ok(match parameters.id() {
            codec::Id::H264 if annex_b::is_byte_stream(&extradata) => Wrapping::AnnexB,
            codec::Id::AAC if extradata.is_empty() => Wrapping::Adts,
            _ => Wrapping::None,
        })
    }
}

/// How a container wraps access units.
#[derive(Clone, Copy)]
pub(super) enum Wrapping {
    None,
    /// H.264 as a byte stream.
    AnnexB,
    /// AAC with ADTS headers.
    Adts,
}

impl Wrapping {
    pub(super) fn unwrap(self, data: &[u8]) -> Bytes {
        match self {
            Self::None => Bytes::copy_from_slice(data),
            Self::AnnexB => annex_b::to_length_prefixed(data),
            Self::Adts => Bytes::copy_from_slice(adts::strip(data)),
        }
    }
}

/// The first stream of a kind that is not a cover picture and `is_good`.
fn first(
    input: &Input,
    kind: medium::Type,
    is_good: impl Fn(&ffmpeg::Stream<'_>) -> bool,
) -> Option<usize> {
    let mut streams = input.streams().filter(|stream| {
        stream.parameters().medium() == kind
            && !stream.disposition().contains(Disposition::ATTACHED_PIC)
    });
    streams.find(is_good).map(|stream| stream.index())
}
