//! Encoders in hardware: which there are, and what happens when one fails.
//!
//! A device that fails must cost a rendition no more than the segment it failed in. So a
//! job that asks for a device announces both parameter sets from the start, the device's
//! and, under another number, those of the software that would take its place: the
//! decoder configuration that viewers have stays true whoever encodes (ISO/IEC 14496-15
//! 5.3.3.1 has room for 31 sequence parameter sets, and an IDR picture activates any of
//! them, H.264 7.4.1.2.1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
use crate::{Latency, RungCodec};

/// A way to reach an encoder in hardware. H.264 only; HEVC rungs are encoded by software.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// VA-API: Intel and AMD graphics.
    Vaapi,
    /// NVENC: NVIDIA graphics.
    Nvenc,
    /// Quick Sync Video: Intel graphics.
    Qsv,
    /// Video4Linux memory-to-memory: small boards.
    V4l2,
}

impl Device {
    /// All, in the order in which they are preferred.
    pub const ALL: [Self; 4] = [Self::Nvenc, Self::Qsv, Self::Vaapi, Self::V4l2];

    /// As it is spelled in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vaapi => "vaapi",
            Self::Nvenc => "nvenc",
            Self::Qsv => "qsv",
            Self::V4l2 => "v4l2",
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the operator asks for: `software`, `auto`, or a [`Device`]'s name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EncoderChoice {
    /// x264.
    #[default]
    Software,
    /// The first of [`Device::ALL`] that works, else software.
    Auto,
    /// This one, else software.
    Device(Device),
}

/// Not the name of an encoder.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "no encoder is called {0:?}; there are `software`, `auto`, `vaapi`, `nvenc`, `qsv` and `v4l2`"
)]
pub struct UnknownEncoder(pub String);

impl FromStr for EncoderChoice {
    type Err = UnknownEncoder;

    fn from_str(name: &str) -> Result<Self, UnknownEncoder> {
        match name {
            "software" => Ok(Self::Software),
            "auto" => Ok(Self::Auto),
            name => Device::ALL
                .into_iter()
                .find(|device| device.as_str() == name)
                .map(Self::Device)
                .ok_or_else(|| UnknownEncoder(name.to_owned())),
        }
    }
}

impl TryFrom<String> for EncoderChoice {
    type Error = UnknownEncoder;

    fn try_from(name: String) -> Result<Self, UnknownEncoder> {
        name.parse()
    }
}

impl From<EncoderChoice> for String {
    fn from(choice: EncoderChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for EncoderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Software => "software",
            Self::Auto => "auto",
            Self::Device(device) => device.as_str(),
        })
    }
}

/// What encodes a job's H.264 rungs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoder {
    /// x264.
    #[default]
    Software,
    /// A device; when it fails, x264 from the next segment on.
    Device(Device),
    /// x264 in the place of a device that has taken its worker down: with the parameter
    /// sets that the device's renditions have announced for this.
    Substitute,
    /// A device or nothing: to try it.
    Trial(Device),
}

impl Encoder {
    /// The device for a rung, if there is to be one. Devices make live H.264: what is made
    /// with look-ahead is made for its quality, which software's is better.
    #[cfg(any(feature = "ffmpeg", feature = "gstreamer"))]
    pub(crate) fn device_for(self, codec: RungCodec, latency: Latency) -> Option<Device> {
        if codec != RungCodec::H264 || latency != Latency::None {
            return None;
        }
        match self {
            Self::Device(device) | Self::Trial(device) => Some(device),
            Self::Software | Self::Substitute => None,
        }
    }

    /// The number of x264's parameter sets. Devices give theirs 0.
    #[cfg(any(feature = "ffmpeg", feature = "gstreamer", test))]
    pub(crate) const fn software_parameter_set(self) -> u8 {
        match self {
            Self::Software => 0,
            Self::Device(_) | Self::Substitute | Self::Trial(_) => 1,
        }
    }
}

/// An encoder that fails as a device may, for tests. Only a worker that is told so by its
/// own program has one: no job, configuration or environment can ask for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FakeDevice {
    /// It cannot be opened.
    FailsAtOpen,
    /// It encodes this many pictures.
    FailsAfter(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_spelled_as_they_are_read() {
        for name in ["software", "auto", "vaapi", "nvenc", "qsv", "v4l2"] {
            let choice: EncoderChoice = name.parse().unwrap();
            assert_eq!(choice.to_string(), name);
        }
        let error = "cuda".parse::<EncoderChoice>().unwrap_err().to_string();
        assert!(
            error.contains("\"cuda\"") && error.contains("`nvenc`"),
            "{error}"
        );
    }

    #[test]
    fn software_that_may_follow_a_device_has_a_number_of_its_own() {
        assert_eq!(Encoder::Software.software_parameter_set(), 0);
        for encoder in [Encoder::Device(Device::Qsv), Encoder::Substitute] {
            assert_eq!(encoder.software_parameter_set(), 1);
        }
    }
}
