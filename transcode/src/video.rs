//! The video that a worker decodes.

mod rotation;

use bytes::Bytes;
use media::{AvcConfig, Codec, HevcConfig};
use serde::{Deserialize, Serialize};

pub use rotation::Rotation;

/// What a decoder needs to know before the first access unit. Of a live stream it is
/// H.264 as `media` describes it; of a file it can be anything that the engine decodes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VideoSource {
    /// Which codec.
    pub codec: SourceCodec,
    /// The decoder configuration as the container keeps it: `avcC`, `hvcC` or `av1C`
    /// without the box, Matroska's `CodecPrivate`. Empty where the access units carry
    /// everything. H.264 and HEVC without a record come as byte streams (Annex B).
    pub record: Bytes,
    /// Pixels across, as coded after cropping: before rotation and sample aspect.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// The shape of a pixel as the container has it, width to height; `None` leaves it
    /// to the bitstream.
    pub sample_aspect: Option<(u32, u32)>,
    /// How the picture is turned before it is shown.
    pub rotation: Rotation,
    /// Pictures that are decoded before one that is shown earlier, at most, by the
    /// container's word: H.264 without `bitstream_restriction` does not say it itself, and
    /// a decoder that finds out loses a picture. 0 leaves it to the bitstream.
    pub reorder: u8,
    /// The container's word on colours, for bitstreams that say nothing.
    pub colour: ColourDescription,
    /// The container's four-character code, read as little-endian; 0 for none. Some
    /// codecs have variants that only this tells.
    pub tag: u32,
}

/// A codec by the name of its libavcodec descriptor: `h264`, `hevc`, `av1`, `vp9`,
/// `mpeg2video`, `prores`. At most [`SourceCodec::MAX_NAME`] bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceCodec(String);

/// Not a codec's name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a codec's name has 1 to {max} lower case letters, digits and `_`", max = SourceCodec::MAX_NAME)]
pub struct InvalidCodecName;

impl SourceCodec {
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 32;

    /// H.264.
    pub fn h264() -> Self {
        Self("h264".to_owned())
    }

    /// HEVC.
    pub fn hevc() -> Self {
        Self("hevc".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SourceCodec {
    type Error = InvalidCodecName;

    fn try_from(name: String) -> Result<Self, InvalidCodecName> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if (1..=Self::MAX_NAME).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            Err(InvalidCodecName)
        }
    }
}

impl From<SourceCodec> for String {
    fn from(codec: SourceCodec) -> Self {
        codec.0
    }
}

impl std::str::FromStr for SourceCodec {
    type Err = InvalidCodecName;

    fn from_str(name: &str) -> Result<Self, InvalidCodecName> {
        name.to_owned().try_into()
    }
}

impl std::fmt::Display for SourceCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Code points of ISO/IEC 23091-2 (H.273), the same in every codec and container.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ColourDescription {
    /// `ColourPrimaries`; 2 is unspecified.
    pub primaries: u8,
    /// `TransferCharacteristics`; 2 is unspecified.
    pub transfer: u8,
    /// `MatrixCoefficients`; 2 is unspecified.
    pub matrix: u8,
    /// `VideoFullRangeFlag`, where it is known.
    pub full_range: Option<bool>,
}

impl ColourDescription {
    /// Nothing is said.
    pub const UNSPECIFIED: Self = Self {
        primaries: 2,
        transfer: 2,
        matrix: 2,
        full_range: None,
    };
}

impl VideoSource {
    /// The video of a live stream. `None` for a codec that is not video.
    pub fn of(codec: &Codec) -> Option<Self> {
        match codec {
            Codec::Avc(avc) => Some(avc.into()),
            Codec::Hevc(hevc) => Some(hevc.into()),
            Codec::Aac(_) => None,
        }
    }

    /// Of which nothing is known but what the decoder needs.
    pub fn plain(codec: SourceCodec, record: Bytes, (width, height): (u32, u32)) -> Self {
        Self {
            codec,
            record,
            width,
            height,
            sample_aspect: None,
            rotation: Rotation::None,
            reorder: 0,
            colour: ColourDescription::UNSPECIFIED,
            tag: 0,
        }
    }

    /// Width and height in pixels as shown, after rotation.
    pub fn upright(&self) -> (u32, u32) {
        if self.rotation.swaps_sides() {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        }
    }
}

impl From<&AvcConfig> for VideoSource {
    fn from(avc: &AvcConfig) -> Self {
        Self::plain(
            SourceCodec::h264(),
            avc.record.clone(),
            (avc.width, avc.height),
        )
    }
}

impl From<&HevcConfig> for VideoSource {
    fn from(hevc: &HevcConfig) -> Self {
        Self::plain(
            SourceCodec::hevc(),
            hevc.record.clone(),
            (hevc.width, hevc.height),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codecs_name_is_a_word() {
        assert!("mpeg2video".parse::<SourceCodec>().is_ok());
        for name in ["", "H264", "h264\0", "a name", &"x".repeat(33)] {
            assert!(name.parse::<SourceCodec>().is_err(), "{name:?}");
        }
    }
}
