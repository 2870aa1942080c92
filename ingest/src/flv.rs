//! FLV audio and video tag bodies, as RTMP carries them (Adobe FLV 10.1, E.4.2 and
//! E.4.3; Enhanced RTMP v2), read into codecs and frames.

mod header;

use bytes::{Buf, Bytes};
use media::timeline::WireFrame;
use media::{AacConfig, AvcConfig, Codec, CodecError, TrackKind};

use header::{AudioHeader, Packet, VideoHeader};

/// What a tag carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tag {
    /// A sequence header.
    Codec(Codec),
    /// An access unit.
    Frame(WireFrame),
    /// Nothing to play.
    Ignored(Ignored),
}

/// Why a tag carries nothing to play. Encoders send all of these in good faith.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ignored {
    /// No body, an end of sequence, or metadata.
    NotMedia,
    /// A frame before its track's sequence header.
    NoSequenceHeader,
    /// An access unit without a NAL unit, or an empty audio frame.
    Empty,
    /// NAL unit lengths that do not add up to the access unit, or a tag cut short.
    Malformed,
    /// A further track of a multitrack message.
    ExtraTrack,
}

impl Ignored {
    /// A word for a metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotMedia => "not_media",
            Self::NoSequenceHeader => "no_sequence_header",
            Self::Empty => "empty",
            Self::Malformed => "malformed",
            Self::ExtraTrack => "extra_track",
        }
    }
}

/// Why a publication cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// A codec that is not taken.
    #[error("{kind} codec {codec} is not supported, use {instead}")]
    Unsupported {
        /// `audio` or `video`.
        kind: &'static str,
        /// The codec's name, or its four characters as printable ASCII.
        codec: String,
        /// What is.
        instead: &'static str,
    },
    /// A sequence header that configures no decoder.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Reads tags. Remembers what the sequence headers said, never what metadata claims.
#[derive(Debug, Default)]
pub struct FlvReader {
    nal_length_size: Option<usize>,
    has_audio: bool,
}

impl FlvReader {
    /// A reader that has seen no sequence header.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the body of a video message.
    pub fn video(&mut self, timestamp: u32, body: Bytes) -> Result<Tag, FlvError> {
        let mut body = body;
        let header = match VideoHeader::read(&mut body)? {
            Ok(header) => header,
            Err(ignored) => return Ok(Tag::Ignored(ignored)),
        };
        match header.packet {
            Packet::SequenceHeader if body.is_empty() => Ok(Tag::Ignored(Ignored::Empty)),
            Packet::SequenceHeader => {
                let avc = AvcConfig::parse(body)?;
                self.nal_length_size = Some(usize::from(avc.nal_length_size));
                Ok(Tag::Codec(Codec::Avc(avc)))
            }
            Packet::Frame { composition_offset } => {
                let Some(nal_length_size) = self.nal_length_size else {
                    return Ok(Tag::Ignored(Ignored::NoSequenceHeader));
                };
                let has_idr = match scan_nal_units(&body, nal_length_size) {
                    Ok(has_idr) => has_idr,
                    Err(ignored) => return Ok(Tag::Ignored(ignored)),
                };
                Ok(Tag::Frame(WireFrame {
                    track: TrackKind::Video,
                    timestamp,
                    composition_offset,
                    key: header.key || has_idr,
                    data: body,
                }))
            }
        }
    }

    /// Reads the body of an audio message.
    pub fn audio(&mut self, timestamp: u32, body: Bytes) -> Result<Tag, FlvError> {
        let mut body = body;
        let header = match AudioHeader::read(&mut body)? {
            Ok(header) => header,
            Err(ignored) => return Ok(Tag::Ignored(ignored)),
        };
        match header.packet {
            _ if body.is_empty() => Ok(Tag::Ignored(Ignored::Empty)),
            Packet::SequenceHeader => {
                self.has_audio = true;
                Ok(Tag::Codec(Codec::Aac(AacConfig::parse(body)?)))
            }
            Packet::Frame { .. } if !self.has_audio => Ok(Tag::Ignored(Ignored::NoSequenceHeader)),
            Packet::Frame { .. } => Ok(Tag::Frame(WireFrame {
                track: TrackKind::Audio,
                timestamp,
                composition_offset: 0,
                key: true,
                data: body,
            })),
        }
    }
}

/// Walks the NAL units of an access unit (ISO/IEC 14496-15 5.3.2): whether one is an
/// IDR slice. Some encoders do not flag those as key frames.
fn scan_nal_units(access_unit: &[u8], length_size: usize) -> Result<bool, Ignored> {
    const IDR_SLICE: u8 = 5;
    let mut rest = access_unit;
    let (mut any, mut idr) = (false, false);
    while !rest.is_empty() {
        if rest.len() < length_size {
            return Err(Ignored::Malformed);
        }
        let length = rest.get_uint(length_size);
        let nal_unit = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length))
            .ok_or(Ignored::Malformed)?;
        if let Some(first) = nal_unit.first() {
            any = true;
            idr |= first & 0x1F == IDR_SLICE;
        }
        rest = &rest[nal_unit.len()..];
    }
    if any { Ok(idr) } else { Err(Ignored::Empty) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 1280x720 High 3.1 from x264.
    const AVCC: &[u8] = &[
        0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40,
        0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0,
        0xf1, 0x83, 0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8,
        0xf8, 0x00,
    ];

    fn tag(parts: &[&[u8]]) -> Bytes {
        parts.concat().into()
    }

    fn configured() -> FlvReader {
        let mut reader = FlvReader::new();
        let sequence_header = tag(&[&[0x17, 0, 0, 0, 0], AVCC]);
        assert!(matches!(
            reader.video(0, sequence_header).unwrap(),
            Tag::Codec(Codec::Avc(_))
        ));
        let sequence_header = tag(&[&[0xAF, 0, 0x12, 0x10]]);
        assert!(matches!(
            reader.audio(0, sequence_header).unwrap(),
            Tag::Codec(Codec::Aac(_))
        ));
        reader
    }

    fn frame(tag: Tag) -> WireFrame {
        match tag {
            Tag::Frame(frame) => frame,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_avc_with_signed_composition_time() {
        let mut reader = configured();
        let access_unit = [0, 0, 0, 2, 0x41, 0x9A];
        let body = tag(&[&[0x27, 1, 0xFF, 0xFF, 0xD8], &access_unit]);
        let read = frame(reader.video(40, body).unwrap());
        assert_eq!(
            (read.timestamp, read.composition_offset, read.key),
            (40, -40, false)
        );
        assert_eq!(&read.data[..], access_unit);
    }

    #[test]
    fn reads_enhanced_avc_and_aac() {
        let mut reader = FlvReader::new();
        let sequence_header = tag(&[&[0x90], b"avc1", AVCC]);
        assert!(matches!(
            reader.video(0, sequence_header).unwrap(),
            Tag::Codec(_)
        ));
        let access_unit = [0, 0, 0, 2, 0x65, 0x88];
        let timed = tag(&[&[0x91], b"avc1", &[0, 0, 80], &access_unit]);
        let read = frame(reader.video(0, timed).unwrap());
        assert_eq!((read.composition_offset, read.key), (80, true));
        let untimed = tag(&[&[0x93], b"avc1", &access_unit]);
        assert_eq!(
            frame(reader.video(0, untimed).unwrap()).composition_offset,
            0
        );
        let modified = tag(&[&[0x97, 2, 1, 2, 3, 0x03], b"avc1", &access_unit]);
        assert!(frame(reader.video(0, modified).unwrap()).key);

        let sequence_header = tag(&[&[0x90], b"mp4a", &[0x12, 0x10]]);
        assert!(matches!(
            reader.audio(0, sequence_header).unwrap(),
            Tag::Codec(_)
        ));
        let body = tag(&[&[0x91], b"mp4a", &[1, 2, 3]]);
        assert_eq!(&frame(reader.audio(0, body).unwrap()).data[..], [1, 2, 3]);
    }

    #[test]
    fn an_idr_slice_is_a_key_frame_whatever_the_flag_says() {
        let mut reader = configured();
        let body = tag(&[&[0x27, 1, 0, 0, 0], &[0, 0, 0, 1, 0x09, 0, 0, 0, 1, 0x65]]);
        assert!(frame(reader.video(0, body).unwrap()).key);
    }

    #[test]
    fn r14_access_units_without_a_nal_unit_are_ignored() {
        let mut reader = configured();
        for (access_unit, why) in [
            (&[][..], Ignored::Empty),
            (&[0, 0, 0, 0], Ignored::Empty),
            (&[0, 0, 0], Ignored::Malformed),
            (&[0, 0, 0, 9, 1], Ignored::Malformed),
            (&[0xFF; 8], Ignored::Malformed),
        ] {
            let body = tag(&[&[0x17, 1, 0, 0, 0], access_unit]);
            assert_eq!(reader.video(0, body).unwrap(), Tag::Ignored(why));
        }
        let no_body = reader.video(0, Bytes::new()).unwrap();
        assert_eq!(no_body, Tag::Ignored(Ignored::NotMedia));
        let end_of_sequence = reader.video(0, tag(&[&[0x17, 2, 0, 0, 0]])).unwrap();
        assert_eq!(end_of_sequence, Tag::Ignored(Ignored::NotMedia));
    }

    #[test]
    fn an_empty_parameter_set_is_refused() {
        let mut reader = FlvReader::new();
        for record in [
            &[1, 0x64, 0, 0x1F, 0xFF, 0xE1, 0, 0][..],
            &[1, 0x64, 0, 0x1F, 0xFF, 0xE0, 1, 0, 0],
        ] {
            let body = tag(&[&[0x17, 0, 0, 0, 0], record]);
            let error = reader.video(0, body).unwrap_err().to_string();
            assert!(error.starts_with("H.264 sequence header: "), "{error}");
        }
    }

    #[test]
    fn frames_before_a_sequence_header_are_ignored() {
        let mut reader = FlvReader::new();
        let video = tag(&[&[0x17, 1, 0, 0, 0], &[0, 0, 0, 1, 0x65]]);
        let why = Tag::Ignored(Ignored::NoSequenceHeader);
        assert_eq!(reader.video(0, video).unwrap(), why);
        assert_eq!(reader.audio(0, tag(&[&[0xAF, 1, 7]])).unwrap(), why);
    }

    #[test]
    fn other_codecs_are_refused_by_name() {
        let mut reader = FlvReader::new();
        let video = [
            (tag(&[&[0x90], b"hvc1"]), "HEVC"),
            (tag(&[&[0x90], b"av01"]), "AV1"),
            (tag(&[&[0x90], b"\0\xffx1"]), "??x1"),
            (tag(&[&[0x12, 0]]), "H.263"),
            (tag(&[&[0x1C, 0]]), "HEVC"),
        ];
        for (body, name) in video {
            let error = reader.video(0, body).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("video codec {name} is not supported, use H.264")
            );
        }
        let audio = [
            (tag(&[&[0x90], b"Opus"]), "Opus"),
            (tag(&[&[0x2F, 0]]), "MP3"),
            (tag(&[&[0xB6, 0]]), "Speex"),
        ];
        for (body, name) in audio {
            let error = reader.audio(0, body).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("audio codec {name} is not supported, use AAC")
            );
        }
    }

    #[test]
    fn extra_tracks_are_ignored() {
        let mut reader = configured();
        let video = tag(&[&[0x96, 0x01], b"avc1", &[1, 0, 0, 0]]);
        let audio = tag(&[&[0x95, 0x01], b"Opus", &[1, 0, 0, 0]]);
        let ignored = Tag::Ignored(Ignored::ExtraTrack);
        assert_eq!(reader.video(0, video).unwrap(), ignored);
        assert_eq!(reader.audio(0, audio).unwrap(), ignored);
    }

    proptest! {
        #[test]
        fn damaged_sequence_headers_never_panic(
            damage in prop::collection::vec((0..AVCC.len(), any::<u8>()), 0..4),
            length in 0..=AVCC.len(),
        ) {
            let mut record = AVCC.to_vec();
            for (at, to) in damage {
                record[at] = to;
            }
            let body = tag(&[&[0x17, 0, 0, 0, 0], &record[..length]]);
            let _ = FlvReader::new().video(0, body);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = configured();
            let _ = reader.video(0, bytes.clone().into());
            let _ = reader.audio(0, bytes.into());
        }
    }
}
