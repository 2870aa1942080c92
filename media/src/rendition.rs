//! One encoding of the source among those a player chooses from.

use crate::{Codec, Micros, RenditionName};

/// One encoding of the source's video or audio. CMAF tracks hold one medium, so a
/// rendition is either pictures or sound.
#[derive(Clone, PartialEq, Debug)]
pub struct Rendition {
    /// As it stands in URLs.
    pub name: RenditionName,
    /// Codec and its decoder configuration.
    pub codec: Codec,
    /// Peak bits per second of the media, without the container.
    pub bit_rate: u32,
    /// What the medium looks or sounds like.
    pub shape: Shape,
    /// The usual time from one frame to the next.
    pub frame_duration: Micros,
}

/// Size of the picture, or layout of the sound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Pictures.
    Video(VideoShape),
    /// Sound.
    Audio(AudioShape),
}

/// Size in pixels after cropping. Where they are not square, [`Rendition::display_size`] is
/// what a viewer sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VideoShape {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// Rate and channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AudioShape {
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
}

impl Rendition {
    /// A rendition of `codec`, its shape taken from the decoder configuration.
    pub fn new(name: RenditionName, codec: Codec, bit_rate: u32, frame_duration: Micros) -> Self {
        let shape = match &codec {
            Codec::Avc(avc) => Shape::Video(VideoShape {
                width: avc.width,
                height: avc.height,
            }),
            Codec::Hevc(hevc) => Shape::Video(VideoShape {
                width: hevc.width,
                height: hevc.height,
            }),
            Codec::Aac(aac) => Shape::Audio(AudioShape {
                sample_rate: aac.sample_rate,
                channels: aac.channels,
            }),
        };
        Self {
            name,
            codec,
            bit_rate,
            shape,
            frame_duration,
        }
    }

    /// Width and height in square pixels, to the nearest: what is kept is the height.
    /// `None` of sound.
    pub fn display_size(&self) -> Option<VideoShape> {
        let Shape::Video(shape) = self.shape else {
            return None;
        };
        let (across, down) = self.codec.sample_aspect();
        let width = u64::from(shape.width) * u64::from(across) + u64::from(down / 2);
        Some(VideoShape {
            width: u32::try_from(width / u64::from(down.max(1))).unwrap_or(u32::MAX),
            ..shape
        })
    }
}
