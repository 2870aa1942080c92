//! What the demuxing process says on its standard output: messages as of a worker, a length,
//! a kind and a body, integers big-endian.

use bytes::{Buf, BufMut, Bytes};
use media::{Frame, Micros, Timestamp, TrackKind};
use serde::{Deserialize, Serialize};

use super::Packet;
use crate::wire::{Encoded, WireError, check_size, cut_reason, get_reason};
use crate::{MAX_FRAME, VideoSource};

/// The largest description of a file, in bytes.
const MAX_INFO: usize = 1 << 20;

/// What the process is asked to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Describe the file, then every packet of both tracks, without their bytes.
    Scan {
        /// The file.
        file: String,
    },
    /// The frames of one track, as far as somebody reads.
    Read {
        /// The file.
        file: String,
        /// Whether its pictures or its sound.
        track: TrackKind,
        /// Presentation and decoding time of the key frame to begin with, in microseconds;
        /// `None`: the beginning.
        from_us: Option<(i64, i64)>,
    },
    /// The sound as AAC: as it is, or encoded again from there on, in microseconds.
    Sound {
        /// The file.
        file: String,
        /// Where encoded sound begins; what the file has not is silence.
        from_us: i64,
    },
}

/// What a file has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its pictures: what decodes them.
    pub video: Option<VideoSource>,
    /// Its sound: `AudioSpecificConfig` of [`Task::Sound`]'s frames.
    pub aac: Option<Bytes>,
}

/// What comes of a file.
#[derive(Clone, PartialEq, Debug)]
pub enum Demuxed {
    /// The first message of a scan.
    Info(FileInfo),
    /// A packet of a scan.
    Packet(TrackKind, Packet),
    /// A frame. Times are the file's own.
    Frame(Frame),
}

/// As [`Demuxed`], and the end.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Message {
    Demuxed(Demuxed),
    End,
    /// The file cannot be used, and why.
    Failed(String),
    /// The machine kept the process from reading it, and how.
    Hindered(String),
}

mod kind {
    pub(super) const INFO: u8 = 64;
    pub(super) const PACKET: u8 = 65;
    pub(super) const FRAME: u8 = 66;
    pub(super) const END: u8 = 67;
    pub(super) const FAILED: u8 = 68;
    pub(super) const HINDERED: u8 = 69;
}

const KEY: u8 = 1;
const AUDIO: u8 = 2;
const HIDDEN: u8 = 4;
const TIMES: usize = 8 + 8 + 1;

impl Message {
    /// Fails on what is over a limit.
    #[cfg_attr(not(feature = "ffmpeg"), expect(dead_code, reason = "the process's"))]
    pub(super) fn encode(&self) -> Result<Encoded, WireError> {
        let empty = Bytes::new();
        Ok(match self {
            Self::Demuxed(Demuxed::Info(info)) => {
                let document = serde_json::to_vec(info)?;
                check_size("a description", document.len(), MAX_INFO)?;
                Encoded::new(kind::INFO, &[], document.into())
            }
            Self::Demuxed(Demuxed::Packet(track, packet)) => {
                let mut fixed = times(*track, packet.dts, packet.pts, packet.key);
                if packet.hidden
                    && let Some(flags) = fixed.last_mut()
                {
                    *flags |= HIDDEN;
                }
                fixed.put_u32(packet.size);
                Encoded::new(kind::PACKET, &fixed, empty)
            }
            Self::Demuxed(Demuxed::Frame(frame)) => {
                check_size("a frame", frame.data.len(), MAX_FRAME)?;
                let zero = Timestamp::default();
                let fixed = times(frame.track, frame.dts - zero, frame.pts - zero, frame.key);
                Encoded::new(kind::FRAME, &fixed, frame.data.clone())
            }
            Self::End => Encoded::new(kind::END, &[], empty),
            Self::Failed(reason) => Encoded::new(kind::FAILED, &[], cut_reason(reason)),
            Self::Hindered(how) => Encoded::new(kind::HINDERED, &[], cut_reason(how)),
        })
    }

    pub(super) fn decode(kind: u8, mut body: Bytes) -> Result<Self, WireError> {
        match kind {
            kind::INFO => {
                check_size("a description", body.len(), MAX_INFO)?;
                let info = serde_json::from_slice(&body)?;
                Ok(Self::Demuxed(Demuxed::Info(info)))
            }
            kind::PACKET if body.len() == TIMES + 4 => {
                let hidden = body[TIMES - 1] & HIDDEN != 0;
                let (track, dts, pts, key) = read_times(&mut body)?;
                let packet = Packet {
                    dts,
                    pts,
                    key,
                    hidden,
                    size: body.get_u32(),
                };
                Ok(Self::Demuxed(Demuxed::Packet(track, packet)))
            }
            kind::FRAME if body.len() >= TIMES => {
                let (track, dts, pts, key) = read_times(&mut body)?;
                check_size("a frame", body.len(), MAX_FRAME)?;
                Ok(Self::Demuxed(Demuxed::Frame(Frame {
                    track,
                    dts: Timestamp::default() + dts,
                    pts: Timestamp::default() + pts,
                    duration: None,
                    key,
                    starts: None,
                    data: body,
                })))
            }
            kind::END if body.is_empty() => Ok(Self::End),
            kind::FAILED => Ok(Self::Failed(get_reason(&body)?)),
            kind::HINDERED => Ok(Self::Hindered(get_reason(&body)?)),
            kind::PACKET | kind::FRAME | kind::END => Err(WireError::Body("demuxer's")),
            kind => Err(WireError::Kind(kind)),
        }
    }
}

fn times(track: TrackKind, dts: Micros, pts: Micros, key: bool) -> Vec<u8> {
    let mut fixed = Vec::with_capacity(TIMES);
    fixed.put_i64(dts.as_micros());
    fixed.put_i64(pts.as_micros());
    let key = if key { KEY } else { 0 };
    let audio = if track == TrackKind::Audio { AUDIO } else { 0 };
    fixed.put_u8(key | audio);
    fixed
}

fn read_times(body: &mut Bytes) -> Result<(TrackKind, Micros, Micros, bool), WireError> {
    let (dts, pts) = (Micros::new(body.get_i64()), Micros::new(body.get_i64()));
    let flags = body.get_u8();
    if flags & !(KEY | AUDIO | HIDDEN) != 0 {
        return Err(WireError::Body("demuxer's"));
    }
    let track = match flags & AUDIO {
        0 => TrackKind::Video,
        _ => TrackKind::Audio,
    };
    Ok((track, dts, pts, flags & KEY != 0))
}

#[cfg(all(test, feature = "ffmpeg"))]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;
    use crate::{ColourDescription, Rotation, SourceCodec, wire};

    fn round_trip(message: &Message) -> Message {
        let Encoded { head, data } = message.encode().unwrap();
        let mut bytes = BytesMut::from(&head[..]);
        bytes.extend_from_slice(&data);
        let (kind, body) = wire::split(&mut bytes).unwrap().unwrap();
        assert!(bytes.is_empty());
        Message::decode(kind, body).unwrap()
    }

    #[test]
    fn messages_are_read_as_they_are_written() {
        let source = VideoSource {
            codec: SourceCodec::h264(),
            record: Bytes::from_static(b"x"),
            width: 4,
            height: 2,
            sample_aspect: Some((4, 3)),
            rotation: Rotation::MirroredLeft,
            reorder: 2,
            colour: ColourDescription::UNSPECIFIED,
            tag: 7,
        };
        let info = FileInfo {
            video: Some(source),
            aac: Some(Bytes::from_static(&[0x11, 0x90])),
        };
        let packet = Packet {
            dts: Micros::new(-80_000),
            pts: Micros::new(7),
            key: true,
            hidden: true,
            size: 70_000,
        };
        let frame = Frame {
            track: TrackKind::Video,
            dts: Timestamp::from_micros(-80_000),
            pts: Timestamp::from_micros(5),
            duration: None,
            key: false,
            starts: None,
            data: Bytes::from_static(b"picture"),
        };
        for message in [
            Message::Demuxed(Demuxed::Info(info)),
            Message::Demuxed(Demuxed::Packet(TrackKind::Audio, packet)),
            Message::Demuxed(Demuxed::Frame(frame)),
            Message::End,
            Message::Failed("no".into()),
            Message::Hindered("not now".into()),
        ] {
            assert_eq!(round_trip(&message), message);
        }
    }

    proptest! {
        #[test]
        fn nonsense_is_an_error_and_no_panic(kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Message::decode(kind, body.into());
        }
    }
}
