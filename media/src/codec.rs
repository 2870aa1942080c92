//! Codecs and their decoder configurations, read from the bytes a decoder gets,
//! never from what metadata claims.

mod aspect;
mod hevc;

use std::collections::HashSet;

use bytes::Bytes;
use h264_reader::avcc::AvcDecoderConfigurationRecord;

use crate::TrackKind;
pub use hevc::HevcConfig;

/// A codec with its decoder configuration. Two are equal when a decoder could not
/// tell them apart, so a repeated sequence header is no change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Codec {
    /// H.264.
    Avc(AvcConfig),
    /// HEVC, parameter sets in the decoder configuration only (`hvc1`).
    Hevc(HevcConfig),
    /// AAC.
    Aac(AacConfig),
}

impl Codec {
    /// The `codecs` parameter of RFC 6381, as in `CODECS` and `@codecs`.
    pub fn rfc6381(&self) -> String {
        match self {
            Self::Avc(avc) => format!(
                "avc1.{:02X}{:02X}{:02X}",
                avc.profile, avc.constraints, avc.level
            ),
            Self::Hevc(hevc) => hevc.rfc6381(),
            Self::Aac(aac) => format!("mp4a.40.{}", aac.object_type),
        }
    }

    /// What a track of this codec carries.
    pub fn kind(&self) -> TrackKind {
        match self {
            Self::Avc(_) | Self::Hevc(_) => TrackKind::Video,
            Self::Aac(_) => TrackKind::Audio,
        }
    }

    /// The shape of a pixel, width to height in lowest terms: (1, 1) is square, and so is
    /// one of which nothing is said, and sound.
    pub fn sample_aspect(&self) -> (u32, u32) {
        let said = match self {
            Self::Avc(avc) => avc.sample_aspect(),
            Self::Hevc(hevc) => hevc.sample_aspect(),
            Self::Aac(_) => None,
        };
        said.map_or((1, 1), aspect::reduced)
    }

    /// Ticks per second of the track's `mdhd`: 90 kHz for video, the sample rate for
    /// audio, so that a frame's duration is a whole number.
    pub fn timescale(&self) -> u32 {
        match self {
            Self::Avc(_) | Self::Hevc(_) => 90_000,
            Self::Aac(aac) => aac.sample_rate,
        }
    }
}

/// What is wrong with a decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Not an `AVCDecoderConfigurationRecord` with a usable sequence parameter set.
    #[error("H.264 sequence header: {0}")]
    Avc(String),
    /// Not an `HEVCDecoderConfigurationRecord` with a usable sequence parameter set.
    #[error("HEVC decoder configuration: {0}")]
    Hevc(&'static str),
    /// Not an `AudioSpecificConfig` we can play.
    #[error("AAC sequence header: {0}")]
    Aac(&'static str),
}

/// H.264 decoder configuration (ISO/IEC 14496-15 5.3.3.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AvcConfig {
    /// The `AVCDecoderConfigurationRecord`, the payload of `avcC`.
    pub record: Bytes,
    /// Picture width in pixels after cropping.
    pub width: u32,
    /// Picture height in pixels after cropping.
    pub height: u32,
    /// `profile_idc`.
    pub profile: u8,
    /// The constraint flags byte.
    pub constraints: u8,
    /// `level_idc`.
    pub level: u8,
    /// Bytes of a NAL unit's length prefix: 1, 2 or 4.
    pub nal_length_size: u8,
}

/// The largest picture side taken, in pixels.
const MAX_SIDE: u32 = 16_384;

impl AvcConfig {
    /// Reads an `AVCDecoderConfigurationRecord` and its first sequence parameter set.
    pub fn parse(record: Bytes) -> Result<Self, CodecError> {
        let fail = |what: &str, detail: String| CodecError::Avc(format!("{what}: {detail}"));
        let parsed = AvcDecoderConfigurationRecord::try_from(&record[..])
            .map_err(|e| fail("not a decoder configuration record", format!("{e:?}")))?;
        // The parser takes a parameter set's first byte without looking for one.
        if has_empty_parameter_set(&record) {
            return Err(CodecError::Avc("an empty parameter set in it".into()));
        }
        let nal_length_size = match record[4] & 3 {
            0 => 1,
            1 => 2,
            3 => 4,
            _ => {
                return Err(CodecError::Avc(
                    "lengthSizeMinusOne is 2, expected 0, 1 or 3".into(),
                ));
            }
        };
        let context = parsed
            .create_context()
            .map_err(|e| fail("unreadable parameter set", format!("{e:?}")))?;
        let sps = context
            .sps()
            .next()
            .ok_or_else(|| CodecError::Avc("no sequence parameter set in it".into()))?;
        if context.pps().next().is_none() {
            return Err(CodecError::Avc("no picture parameter set in it".into()));
        }
        let (width, height) = sps
            .pixel_dimensions()
            .map_err(|e| fail("picture size", format!("{e:?}")))?;
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(CodecError::Avc(format!(
                "picture of {width}x{height}, expected sides of 1 to {MAX_SIDE}"
            )));
        }
        let (profile, constraints, level) = (record[1], record[2], record[3]);
        Ok(Self {
            record,
            width,
            height,
            profile,
            constraints,
            level,
            nal_length_size,
        })
    }

    /// The shape of a pixel, width to height, where the sequence parameter set has it.
    fn sample_aspect(&self) -> Option<(u32, u32)> {
        let record = AvcDecoderConfigurationRecord::try_from(&self.record[..]).ok()?;
        let context = record.create_context().ok()?;
        let usability = context.sps().next()?.vui_parameters.as_ref()?;
        let (across, down) = usability.aspect_ratio_info.as_ref()?.get()?;
        Some((across.into(), down.into())).filter(|_| across > 0 && down > 0)
    }

    /// Whether a decoder that has this configuration can decode what needs `other`: all
    /// parameter sets of `other` are here, byte for byte.
    pub fn includes(&self, other: &Self) -> bool {
        let sets = |config: &Self| -> Option<HashSet<Vec<u8>>> {
            let record = AvcDecoderConfigurationRecord::try_from(&config.record[..]).ok()?;
            let sps = record.sequence_parameter_sets().map(|set| set.ok());
            let pps = record.picture_parameter_sets().map(|set| set.ok());
            sps.chain(pps).map(|set| set.map(<[u8]>::to_vec)).collect()
        };
        self.nal_length_size == other.nal_length_size
            && sets(self)
                .zip(sets(other))
                .is_some_and(|(here, needed)| here.is_superset(&needed))
    }
}

/// Whether a parameter set has no bytes. `record` has been found to be complete.
fn has_empty_parameter_set(record: &[u8]) -> bool {
    let mut rest = record.get(5..).unwrap_or_default();
    for count_mask in [0x1f, 0xff] {
        let Some((&count, sets)) = rest.split_first() else {
            return false;
        };
        rest = sets;
        for _ in 0..count & count_mask {
            let Some((length, after)) = rest.split_first_chunk::<2>() else {
                return false;
            };
            let length = usize::from(u16::from_be_bytes(*length));
            if length == 0 {
                return true;
            }
            rest = after.get(length..).unwrap_or_default();
        }
    }
    false
}

/// AAC decoder configuration (ISO/IEC 14496-3 1.6.2.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AacConfig {
    /// The `AudioSpecificConfig`.
    pub config: Bytes,
    /// Audio object type: 2 AAC-LC, 5 HE-AAC, 29 HE-AAC v2.
    pub object_type: u8,
    /// Samples per second of the core coder.
    pub sample_rate: u32,
    /// Channels of the core coder.
    pub channels: u32,
    /// Samples per channel in a frame of the core coder: 1024 or 960.
    pub frame_length: u32,
}

impl AacConfig {
    /// Reads an `AudioSpecificConfig`.
    pub fn parse(config: Bytes) -> Result<Self, CodecError> {
        let mut bits = Bits::new(&config);
        let object_type = object_type(&mut bits)?;
        let sample_rate = sample_rate(&mut bits)?;
        let channels = bits.read(4)?;
        let mut core_type = object_type;
        if object_type == 5 || object_type == 29 {
            sample_rate_extension(&mut bits)?;
            core_type = self::object_type(&mut bits)?;
        }
        if !matches!(core_type, 1..=4) {
            return Err(CodecError::Aac(
                "audio object type is not Main, LC, SSR or LTP",
            ));
        }
        let frame_length = if bits.read(1)? == 1 { 960 } else { 1024 };
        let channels = match channels {
            1..=6 => channels,
            7 => 8,
            _ => {
                return Err(CodecError::Aac(
                    "channelConfiguration is not one of the layouts 1 to 7",
                ));
            }
        };
        Ok(Self {
            object_type,
            sample_rate,
            channels,
            frame_length,
            config,
        })
    }
}

fn object_type(bits: &mut Bits<'_>) -> Result<u8, CodecError> {
    let value = match bits.read(5)? {
        31 => 32 + bits.read(6)?,
        value => value,
    };
    Ok(value as u8)
}

fn sample_rate_extension(bits: &mut Bits<'_>) -> Result<(), CodecError> {
    sample_rate(bits).map(drop)
}

fn sample_rate(bits: &mut Bits<'_>) -> Result<u32, CodecError> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000, 7_350,
    ];
    let rate = match bits.read(4)? {
        15 => bits.read(24)?,
        index => *RATES
            .get(index as usize)
            .ok_or(CodecError::Aac("reserved samplingFrequencyIndex"))?,
    };
    if (7_350..=96_000).contains(&rate) {
        Ok(rate)
    } else {
        Err(CodecError::Aac("sample rate outside 7350 to 96000 Hz"))
    }
}

/// Reads up to 24 bits at a time, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn read(&mut self, count: usize) -> Result<u32, CodecError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self
                .bytes
                .get(self.at / 8)
                .ok_or(CodecError::Aac("ends too early"))?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 1280x720 High 3.1 from x264.
    pub(crate) const AVCC_720P: &[u8] = &[
        0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40,
        0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0,
        0xf1, 0x83, 0x19, 0x60, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8,
        0xf8, 0x00,
    ];

    #[test]
    fn reads_avcc() {
        let avc = AvcConfig::parse(Bytes::from_static(AVCC_720P)).unwrap();
        assert_eq!((avc.width, avc.height, avc.nal_length_size), (1280, 720, 4));
        assert_eq!(Codec::Avc(avc).rfc6381(), "avc1.64001F");
    }

    #[test]
    fn an_empty_parameter_set_is_refused() {
        // The picture parameter set's length, 6, becomes 0.
        let mut bytes = AVCC_720P[..37].to_vec();
        bytes[36] = 0;
        let error = AvcConfig::parse(Bytes::from(bytes)).unwrap_err();
        assert!(error.to_string().contains("empty parameter set"), "{error}");
    }

    #[test]
    fn reads_aac() {
        let parse = |bytes: &'static [u8]| AacConfig::parse(Bytes::from_static(bytes));
        let lc = parse(&[0x12, 0x10]).unwrap();
        assert_eq!(
            (lc.sample_rate, lc.channels, lc.frame_length),
            (44_100, 2, 1024)
        );
        assert_eq!(Codec::Aac(lc).rfc6381(), "mp4a.40.2");
        let he = parse(&[0x2b, 0x11, 0x88, 0x00]).unwrap();
        assert_eq!((he.object_type, he.sample_rate), (5, 24_000));
        assert_eq!(
            parse(&[0x12]).unwrap_err(),
            CodecError::Aac("ends too early")
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let bytes = Bytes::from(bytes);
            let _ = AvcConfig::parse(bytes.clone());
            let _ = AacConfig::parse(bytes);
        }

        #[test]
        fn damaged_avcc_never_panics(at in 0..AVCC_720P.len(), to in any::<u8>(), len in 0..AVCC_720P.len()) {
            let mut bytes = AVCC_720P.to_vec();
            bytes[at] = to;
            bytes.truncate(len.max(1));
            let _ = AvcConfig::parse(Bytes::from(bytes));
        }
    }
}
