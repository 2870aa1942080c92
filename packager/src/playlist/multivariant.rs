//! Multivariant playlists (RFC 8216bis 4.4.6), written by `m3u8-rs`.

use m3u8_rs::{AlternativeMedia, AlternativeMediaType, MasterPlaylist, Resolution, VariantStream};
use media::{FrameRate, Rendition, Shape, TrackKind};

/// The group of all audio renditions.
const AUDIO_GROUP: &str = "audio";

/// A rendition with what it takes to deliver it.
#[derive(Clone, PartialEq, Debug)]
pub struct Variant {
    /// The rendition.
    pub rendition: Rendition,
    /// Peak bits per second with container.
    pub bandwidth: u64,
    /// Average bits per second with container.
    pub average_bandwidth: u64,
}

/// A multivariant playlist: its variants are the video renditions, the audio renditions
/// are one group. Without video each audio rendition is a variant.
#[derive(Clone, PartialEq, Debug)]
pub struct Multivariant {
    /// All renditions, in any order.
    pub variants: Vec<Variant>,
}

impl Multivariant {
    /// The playlist, the highest variant first.
    pub fn render(&self) -> String {
        let is_video = |variant: &&Variant| variant.rendition.codec.kind() == TrackKind::Video;
        let (mut video, mut audio): (Vec<_>, Vec<_>) = self.variants.iter().partition(is_video);
        let highest_first =
            |a: &&Variant, b: &&Variant| (pixels(b), b.bandwidth).cmp(&(pixels(a), a.bandwidth));
        video.sort_by(highest_first);
        audio.sort_by(highest_first);

        let playlist = if video.is_empty() {
            MasterPlaylist {
                variants: audio.iter().map(|only| variant_stream(only, &[])).collect(),
                ..header()
            }
        } else {
            MasterPlaylist {
                alternatives: audio.iter().enumerate().map(alternative).collect(),
                variants: video
                    .iter()
                    .map(|one| variant_stream(one, &audio))
                    .collect(),
                ..header()
            }
        };
        let mut out = Vec::with_capacity(1_024);
        // Writing to a vector cannot fail.
        let _ = playlist.write_to(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn header() -> MasterPlaylist {
    MasterPlaylist {
        version: Some(6),
        independent_segments: true,
        ..Default::default()
    }
}

fn pixels(variant: &Variant) -> u64 {
    match variant.rendition.shape {
        Shape::Video(shape) => u64::from(shape.width) * u64::from(shape.height),
        Shape::Audio(_) => 0,
    }
}

fn variant_stream(variant: &Variant, audio: &[&Variant]) -> VariantStream {
    let rendition = &variant.rendition;
    // A player may pick any rendition of the group (RFC 8216bis 4.4.6.2).
    let loudest = |figure: fn(&Variant) -> u64| audio.iter().map(|one| figure(one)).max();
    let mut codecs = vec![rendition.codec.rfc6381()];
    for codec in audio.iter().map(|one| one.rendition.codec.rfc6381()) {
        if !codecs.contains(&codec) {
            codecs.push(codec);
        }
    }
    // RFC 8216bis 4.4.6.2: the resolution at which to display it.
    let size = rendition.display_size();
    let resolution = size.map(|size| Resolution {
        width: size.width.into(),
        height: size.height.into(),
    });
    let rate = FrameRate::nearest(rendition.frame_duration).as_f64();
    let frame_rate = size.map(|_| three_decimals(rate));
    VariantStream {
        uri: format!("{}.m3u8", rendition.name),
        bandwidth: variant.bandwidth + loudest(|one| one.bandwidth).unwrap_or(0),
        average_bandwidth: Some(
            variant.average_bandwidth + loudest(|one| one.average_bandwidth).unwrap_or(0),
        ),
        codecs: Some(codecs.join(",")),
        resolution,
        frame_rate,
        audio: (!audio.is_empty()).then(|| AUDIO_GROUP.to_owned()),
        ..Default::default()
    }
}

/// RFC 8216bis 4.4.6.2: rounded to three decimal places.
fn three_decimals(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn alternative((index, variant): (usize, &&Variant)) -> AlternativeMedia {
    let rendition = &variant.rendition;
    AlternativeMedia {
        media_type: AlternativeMediaType::Audio,
        uri: Some(format!("{}.m3u8", rendition.name)),
        group_id: AUDIO_GROUP.to_owned(),
        name: rendition.name.to_string(),
        default: index == 0,
        autoselect: true,
        channels: match rendition.shape {
            Shape::Audio(shape) => Some(shape.channels.to_string()),
            Shape::Video(_) => None,
        },
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use media::{AvcConfig, Codec, Micros, RenditionName};

    use super::*;
    use crate::segmenter::fixture;

    #[test]
    fn the_resolution_is_what_a_viewer_sees() {
        let avc = AvcConfig::parse(Bytes::from_static(fixture::ANAMORPHIC_AVCC)).unwrap();
        let rendition = Rendition::new(
            RenditionName::SOURCE,
            Codec::Avc(avc),
            1_000_000,
            Micros::new(40_000),
        );
        let variant = Variant {
            rendition,
            bandwidth: 1_000_000,
            average_bandwidth: 1_000_000,
        };
        let playlist = Multivariant {
            variants: vec![variant],
        };
        let text = playlist.render();
        assert!(text.contains("RESOLUTION=1024x576"), "{text}");
        assert!(text.contains("FRAME-RATE=25"), "{text}");
    }
}
