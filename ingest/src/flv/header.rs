//! The headers in front of a tag's media: legacy and enhanced.

use bytes::{Buf, Bytes};

use super::{FlvError, Ignored};

/// What a header says of the bytes after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Packet {
    SequenceHeader,
    Frame { composition_offset: i32 },
}

/// E.4.3.1 `VIDEODATA` and `AVCVIDEOPACKET`, or `ExVideoTagHeader`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct VideoHeader {
    pub(super) key: bool,
    pub(super) packet: Packet,
}

/// E.4.2.1 `AUDIODATA` and `AACAUDIODATA`, or `ExAudioTagHeader`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct AudioHeader {
    pub(super) packet: Packet,
}

/// A header, or why there is nothing to play.
type Read<T> = Result<Result<T, Ignored>, FlvError>;

/// `FrameType`
const KEY_FRAME: u8 = 1;
const GENERATED_KEY_FRAME: u8 = 4;
const COMMAND_FRAME: u8 = 5;

/// `VideoPacketType` and `AudioPacketType` of Enhanced RTMP.
mod packet_type {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const CODED_FRAMES_X: u8 = 3;
    pub(super) const AUDIO_MULTITRACK: u8 = 5;
    pub(super) const VIDEO_MULTITRACK: u8 = 6;
    pub(super) const MOD_EX: u8 = 7;
}

impl VideoHeader {
    pub(super) fn read(body: &mut Bytes) -> Read<Self> {
        let Ok(first) = body.try_get_u8() else {
            return Ok(Err(Ignored::NotMedia));
        };
        let enhanced = first & 0x80 != 0;
        let frame_type = first >> 4 & 7;
        let key = matches!(frame_type, KEY_FRAME | GENERATED_KEY_FRAME);
        let packet = if enhanced {
            let Some(kind) = skip_modifiers(first & 0x0F, body) else {
                return Ok(Err(Ignored::Malformed));
            };
            if frame_type == COMMAND_FRAME {
                return Ok(Err(Ignored::NotMedia));
            }
            enhanced_video(kind, body)?
        } else if frame_type == COMMAND_FRAME {
            Err(Ignored::NotMedia)
        } else {
            legacy_video(first & 0x0F, body)?
        };
        Ok(packet.map(|packet| Self { key, packet }))
    }
}

fn legacy_video(codec: u8, body: &mut Bytes) -> Read<Packet> {
    const AVC: u8 = 7;
    if codec != AVC {
        let name = match codec {
            2 => "H.263",
            3 | 6 => "Screen Video",
            4 | 5 => "VP6",
            8 => "RealVideo",
            12 => "HEVC",
            13 => "AV1",
            other => return Err(unsupported_video(format!("id {other}"))),
        };
        return Err(unsupported_video(name.to_owned()));
    }
    let Ok(kind) = body.try_get_u8() else {
        return Ok(Err(Ignored::NotMedia));
    };
    let Some(composition_offset) = signed_24(body) else {
        return Ok(Err(Ignored::Malformed));
    };
    Ok(match kind {
        0 => Ok(Packet::SequenceHeader),
        1 => Ok(Packet::Frame { composition_offset }),
        _ => Err(Ignored::NotMedia),
    })
}

fn enhanced_video(kind: u8, body: &mut Bytes) -> Read<Packet> {
    if kind == packet_type::VIDEO_MULTITRACK {
        return Ok(Err(Ignored::ExtraTrack));
    }
    let Some(four_cc) = four_cc(body) else {
        return Ok(Err(Ignored::Malformed));
    };
    if &four_cc != b"avc1" {
        let name = match &four_cc {
            b"hvc1" => "HEVC".to_owned(),
            b"vvc1" => "VVC".to_owned(),
            b"av01" => "AV1".to_owned(),
            b"vp08" => "VP8".to_owned(),
            b"vp09" => "VP9".to_owned(),
            other => printable(other),
        };
        return Err(unsupported_video(name));
    }
    Ok(match kind {
        packet_type::SEQUENCE_START => Ok(Packet::SequenceHeader),
        packet_type::CODED_FRAMES => signed_24(body)
            .map(|composition_offset| Packet::Frame { composition_offset })
            .ok_or(Ignored::Malformed),
        packet_type::CODED_FRAMES_X => Ok(Packet::Frame {
            composition_offset: 0,
        }),
        _ => Err(Ignored::NotMedia),
    })
}

impl AudioHeader {
    pub(super) fn read(body: &mut Bytes) -> Read<Self> {
        const AAC: u8 = 10;
        const EX_HEADER: u8 = 9;
        let Ok(first) = body.try_get_u8() else {
            return Ok(Err(Ignored::NotMedia));
        };
        let packet = match first >> 4 {
            AAC => match body.try_get_u8() {
                Ok(0) => Ok(Packet::SequenceHeader),
                Ok(1) => Ok(Packet::Frame {
                    composition_offset: 0,
                }),
                _ => Err(Ignored::NotMedia),
            },
            EX_HEADER => match skip_modifiers(first & 0x0F, body) {
                Some(kind) => enhanced_audio(kind, body)?,
                None => Err(Ignored::Malformed),
            },
            0 | 3 => return Err(unsupported_audio("PCM".to_owned())),
            1 => return Err(unsupported_audio("ADPCM".to_owned())),
            2 | 14 => return Err(unsupported_audio("MP3".to_owned())),
            4..=6 => return Err(unsupported_audio("Nellymoser".to_owned())),
            7 | 8 => return Err(unsupported_audio("G.711".to_owned())),
            11 => return Err(unsupported_audio("Speex".to_owned())),
            other => return Err(unsupported_audio(format!("id {other}"))),
        };
        Ok(packet.map(|packet| Self { packet }))
    }
}

fn enhanced_audio(kind: u8, body: &mut Bytes) -> Read<Packet> {
    if kind == packet_type::AUDIO_MULTITRACK {
        return Ok(Err(Ignored::ExtraTrack));
    }
    let Some(four_cc) = four_cc(body) else {
        return Ok(Err(Ignored::Malformed));
    };
    if &four_cc != b"mp4a" {
        let name = match &four_cc {
            b"ac-3" => "AC-3".to_owned(),
            b"ec-3" => "E-AC-3".to_owned(),
            b"fLaC" => "FLAC".to_owned(),
            b".mp3" => "MP3".to_owned(),
            other => printable(other),
        };
        return Err(unsupported_audio(name));
    }
    Ok(match kind {
        packet_type::SEQUENCE_START => Ok(Packet::SequenceHeader),
        packet_type::CODED_FRAMES => Ok(Packet::Frame {
            composition_offset: 0,
        }),
        _ => Err(Ignored::NotMedia),
    })
}

/// Skips `ModEx` packets, which carry nothing we need (nanosecond offsets), and gives
/// the packet type behind them. `None` when the tag ends within.
fn skip_modifiers(mut kind: u8, body: &mut Bytes) -> Option<u8> {
    while kind == packet_type::MOD_EX {
        let size = match usize::from(body.try_get_u8().ok()?) + 1 {
            256 => usize::from(body.try_get_u16().ok()?) + 1,
            size => size,
        };
        if body.len() < size {
            return None;
        }
        body.advance(size);
        kind = body.try_get_u8().ok()? & 0x0F;
    }
    Some(kind)
}

fn signed_24(body: &mut Bytes) -> Option<i32> {
    if body.len() < 3 {
        return None;
    }
    // At most 24 bits.
    Some(body.get_int(3) as i32)
}

fn four_cc(body: &mut Bytes) -> Option<[u8; 4]> {
    let four_cc = *body.first_chunk()?;
    body.advance(4);
    Some(four_cc)
}

fn printable(four_cc: &[u8; 4]) -> String {
    let character = |&byte: &u8| match byte {
        b'!'..=b'~' => char::from(byte),
        _ => '?',
    };
    four_cc.iter().map(character).collect()
}

fn unsupported_video(codec: String) -> FlvError {
    FlvError::Unsupported {
        kind: "video",
        codec,
        instead: "H.264",
    }
}

fn unsupported_audio(codec: String) -> FlvError {
    FlvError::Unsupported {
        kind: "audio",
        codec,
        instead: "AAC",
    }
}
