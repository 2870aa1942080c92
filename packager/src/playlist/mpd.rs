//! DASH manifests (ISO/IEC 23009-1), written by `quick-xml`.

use media::{
    Codec, EpochNumber, FrameRate, Micros, Rendition, Segment, SegmentNumber, Shape, Timestamp,
};
use serde::Serialize;

use super::media_playlist::Seconds;

/// A dynamic MPD as of one instant. Media time is Unix time, so it begins in 1970.
#[derive(Clone, PartialEq, Debug)]
pub struct Mpd {
    /// When it is rendered.
    pub now: Timestamp,
    /// `EXT-X-TARGETDURATION` in seconds.
    pub target_duration: u32,
    /// One for each epoch, oldest first.
    pub periods: Vec<Period>,
    /// Whether nothing comes any more.
    pub ended: bool,
}

/// An epoch.
#[derive(Clone, PartialEq, Debug)]
pub struct Period {
    /// Its number.
    pub epoch: EpochNumber,
    /// Presentation time of its first frame.
    pub start: Timestamp,
    /// Where it ends, if it has.
    pub end: Option<Timestamp>,
    /// Its renditions.
    pub representations: Vec<Representation>,
}

/// A rendition within an epoch.
#[derive(Clone, PartialEq, Debug)]
pub struct Representation {
    /// The rendition.
    pub rendition: Rendition,
    /// Peak bits per second with container.
    pub bandwidth: u64,
    /// Its last unbroken run of segments. `$Number$` counts up from the first one, so a
    /// run cannot have a gap in it.
    pub segments: Vec<Segment>,
}

impl Mpd {
    /// The manifest. `None` if it cannot be written as XML, which text without control
    /// characters always can.
    pub fn render(&self) -> Option<String> {
        document(&self.root())
    }

    fn root(&self) -> Root {
        let start = self.periods.iter().map(|period| period.start).min();
        let end = self.periods.iter().filter_map(Period::last_end).max();
        let first = self.periods.iter().filter_map(Period::first_start).min();
        let target_duration = i64::from(self.target_duration);
        let depth = match (first.or(start), end) {
            (Some(first), Some(end)) => end - first,
            _ => Micros::ZERO,
        };
        Root {
            xmlns: "urn:mpeg:dash:schema:mpd:2011",
            profiles: "urn:mpeg:dash:profile:isoff-live:2011",
            r#type: "dynamic",
            availability_start_time: "1970-01-01T00:00:00Z",
            publish_time: self.now.to_rfc3339(),
            minimum_update_period: (!self.ended)
                .then(|| duration(Micros::from_secs((target_duration / 2).max(1)))),
            media_presentation_duration: end
                .filter(|_| self.ended)
                .map(|end| duration(end - Timestamp::default())),
            min_buffer_time: duration(Micros::from_secs(target_duration)),
            time_shift_buffer_depth: duration(depth.max(Micros::from_secs(target_duration))),
            suggested_presentation_delay: duration(Micros::from_secs(3 * target_duration)),
            max_segment_duration: duration(self.max_segment_duration()),
            periods: self
                .periods
                .iter()
                .map(|period| period.element(self.ended))
                .collect(),
            utc_timing: UtcTiming {
                scheme: "urn:mpeg:dash:utc:http-xsdate:2014",
                value: "time",
            },
        }
    }

    /// Of what is listed and, as `@maxSegmentDuration` speaks of later updates too, of what
    /// will be. The target duration alone is no bound: it is rounded (RFC 8216bis 4.4.3.1).
    fn max_segment_duration(&self) -> Micros {
        longest_segment(&self.periods).max(Micros::from_secs(self.target_duration.into()))
    }
}

/// The file that a root element makes.
pub(super) fn document(root: &impl Serialize) -> Option<String> {
    let body = quick_xml::se::to_string(root).ok()?;
    Some(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}\n"
    ))
}

/// Of what is listed, in whole milliseconds.
pub(super) fn longest_segment(periods: &[Period]) -> Micros {
    let representations = periods.iter().flat_map(|period| &period.representations);
    let segments = representations.flat_map(|one| &one.segments);
    let longest = segments.map(|segment| segment.duration).max();
    let millis = longest.unwrap_or_default().as_micros().saturating_add(999) / 1_000;
    Micros::from_millis(millis)
}

impl Period {
    pub(super) fn last_end(&self) -> Option<Timestamp> {
        let last =
            |one: &Representation| one.segments.last().map(|last| last.start + last.duration);
        self.representations.iter().filter_map(last).max()
    }

    fn first_start(&self) -> Option<Timestamp> {
        let first = |one: &Representation| one.segments.first().map(|first| first.start);
        self.representations.iter().filter_map(first).min()
    }

    pub(super) fn element(&self, ended: bool) -> PeriodElement {
        let end = self.end.or(self.last_end().filter(|_| ended));
        let of = |set: Set| {
            let mut ones: Vec<_> = self
                .representations
                .iter()
                .filter(|one| Set::of(&one.rendition.codec) == set)
                .collect();
            ones.sort_by_key(|one| std::cmp::Reverse(one.bandwidth));
            ones
        };
        let (avc, hevc) = (of(Set::Avc), of(Set::Hevc));
        // A player that decodes both may go from one to the other.
        let switching = !avc.is_empty() && !hevc.is_empty();
        let set = |set: Set, ones: Vec<&Representation>| {
            let (content_type, mime_type) = match set {
                Set::Avc | Set::Hevc => ("video", "video/mp4"),
                Set::Audio => ("audio", "audio/mp4"),
            };
            (!ones.is_empty()).then(|| AdaptationSet {
                id: set as u32,
                content_type,
                mime_type,
                segment_alignment: true,
                start_with_sap: 1,
                switching: set.switches_to().filter(|_| switching).map(|other| {
                    SupplementalProperty {
                        scheme: "urn:mpeg:dash:adaptation-set-switching:2016",
                        value: other as u32,
                    }
                }),
                representations: ones
                    .into_iter()
                    .map(|one| one.element(self.epoch, self.start))
                    .collect(),
            })
        };
        PeriodElement {
            id: format!("e{}", self.epoch),
            start: duration(self.start - Timestamp::default()),
            duration: end.map(|end| duration((end - self.start).max(Micros::ZERO))),
            adaptation_sets: [
                set(Set::Avc, avc),
                set(Set::Audio, of(Set::Audio)),
                set(Set::Hevc, hevc),
            ]
            .into_iter()
            .flatten()
            .collect(),
        }
    }
}

/// What a player chooses one representation of: of one codec, which it decodes or not
/// (ISO/IEC 23009-1 5.3.3.1). The numbers are `@id`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Set {
    Avc = 1,
    Audio = 2,
    Hevc = 3,
}

impl Set {
    fn of(codec: &Codec) -> Self {
        match codec {
            Codec::Avc(_) => Self::Avc,
            Codec::Hevc(_) => Self::Hevc,
            Codec::Aac(_) => Self::Audio,
        }
    }

    fn switches_to(self) -> Option<Self> {
        match self {
            Self::Avc => Some(Self::Hevc),
            Self::Hevc => Some(Self::Avc),
            Self::Audio => None,
        }
    }
}

/// The form of DASH's `@frameRate`.
fn frame_rate_text(frame_duration: Micros) -> String {
    let rate = FrameRate::nearest(frame_duration);
    match rate.denominator {
        1 => rate.numerator.to_string(),
        denominator => format!("{}/{denominator}", rate.numerator),
    }
}

impl Representation {
    fn element(&self, epoch: EpochNumber, period_start: Timestamp) -> RepresentationElement {
        let Rendition { name, codec, .. } = &self.rendition;
        let timescale = codec.timescale();
        let (mut size, mut frame_rate, mut sample_rate, mut channels) = (None, None, None, None);
        match self.rendition.shape {
            Shape::Video(shape) => {
                size = Some(shape);
                frame_rate = Some(frame_rate_text(self.rendition.frame_duration));
            }
            Shape::Audio(shape) => {
                sample_rate = Some(shape.sample_rate);
                channels = Some(ChannelConfiguration {
                    scheme: "urn:mpeg:dash:23003:3:audio_channel_configuration:2011",
                    value: shape.channels,
                });
            }
        }
        RepresentationElement {
            id: name.to_string(),
            bandwidth: self.bandwidth,
            codecs: codec.rfc6381(),
            sar: sample_aspect(codec),
            width: size.map(|size| size.width),
            height: size.map(|size| size.height),
            frame_rate,
            audio_sampling_rate: sample_rate,
            channels,
            template: SegmentTemplate {
                timescale,
                presentation_time_offset: period_start.in_timescale(timescale),
                start_number: self
                    .segments
                    .first()
                    .map(|first| first.number)
                    .unwrap_or_default(),
                initialization: format!("{epoch}/{name}/init.mp4"),
                media: format!("{epoch}/{name}/$Number$.m4s"),
                timeline: timeline(&self.segments, timescale),
            },
        }
    }
}

/// Every entry says its time: durations are rounded, and must not add up to a drift.
fn timeline(segments: &[Segment], timescale: u32) -> SegmentTimeline {
    let entries = segments.iter().map(|segment| {
        let start = segment.start.in_timescale(timescale);
        let end = (segment.start + segment.duration).in_timescale(timescale);
        TimelineEntry {
            time: start,
            duration: (end - start).max(1),
        }
    });
    SegmentTimeline {
        entries: entries.collect(),
    }
}

/// `xs:duration`.
pub(super) fn duration(span: Micros) -> String {
    format!("PT{}S", Seconds(span))
}

#[derive(Serialize)]
#[serde(rename = "MPD")]
struct Root {
    #[serde(rename = "@xmlns")]
    xmlns: &'static str,
    #[serde(rename = "@profiles")]
    profiles: &'static str,
    #[serde(rename = "@type")]
    r#type: &'static str,
    #[serde(rename = "@availabilityStartTime")]
    availability_start_time: &'static str,
    #[serde(rename = "@publishTime")]
    publish_time: String,
    #[serde(
        rename = "@minimumUpdatePeriod",
        skip_serializing_if = "Option::is_none"
    )]
    minimum_update_period: Option<String>,
    #[serde(
        rename = "@mediaPresentationDuration",
        skip_serializing_if = "Option::is_none"
    )]
    media_presentation_duration: Option<String>,
    #[serde(rename = "@minBufferTime")]
    min_buffer_time: String,
    #[serde(rename = "@timeShiftBufferDepth")]
    time_shift_buffer_depth: String,
    #[serde(rename = "@suggestedPresentationDelay")]
    suggested_presentation_delay: String,
    #[serde(rename = "@maxSegmentDuration")]
    max_segment_duration: String,
    #[serde(rename = "Period")]
    periods: Vec<PeriodElement>,
    #[serde(rename = "UTCTiming")]
    utc_timing: UtcTiming,
}

#[derive(Serialize)]
struct UtcTiming {
    #[serde(rename = "@schemeIdUri")]
    scheme: &'static str,
    #[serde(rename = "@value")]
    value: &'static str,
}

#[derive(Serialize)]
pub(super) struct PeriodElement {
    #[serde(rename = "@id")]
    pub(super) id: String,
    #[serde(rename = "@start")]
    pub(super) start: String,
    #[serde(rename = "@duration", skip_serializing_if = "Option::is_none")]
    pub(super) duration: Option<String>,
    #[serde(rename = "AdaptationSet")]
    adaptation_sets: Vec<AdaptationSet>,
}

#[derive(Serialize)]
struct AdaptationSet {
    #[serde(rename = "@id")]
    id: u32,
    #[serde(rename = "@contentType")]
    content_type: &'static str,
    #[serde(rename = "@mimeType")]
    mime_type: &'static str,
    #[serde(rename = "@segmentAlignment")]
    segment_alignment: bool,
    #[serde(rename = "@startWithSAP")]
    start_with_sap: u32,
    #[serde(
        rename = "SupplementalProperty",
        skip_serializing_if = "Option::is_none"
    )]
    switching: Option<SupplementalProperty>,
    #[serde(rename = "Representation")]
    representations: Vec<RepresentationElement>,
}

/// `@sar` (ISO/IEC 23009-1 5.3.7.2), for pixels that are not square.
fn sample_aspect(codec: &Codec) -> Option<String> {
    match codec.sample_aspect() {
        (1, 1) => None,
        (across, down) => Some(format!("{across}:{down}")),
    }
}

#[derive(Serialize)]
struct SupplementalProperty {
    #[serde(rename = "@schemeIdUri")]
    scheme: &'static str,
    #[serde(rename = "@value")]
    value: u32,
}

#[derive(Serialize)]
struct RepresentationElement {
    #[serde(rename = "@id")]
    id: String,
    #[serde(rename = "@bandwidth")]
    bandwidth: u64,
    #[serde(rename = "@codecs")]
    codecs: String,
    #[serde(rename = "@sar", skip_serializing_if = "Option::is_none")]
    sar: Option<String>,
    #[serde(rename = "@width", skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(rename = "@height", skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(rename = "@frameRate", skip_serializing_if = "Option::is_none")]
    frame_rate: Option<String>,
    #[serde(rename = "@audioSamplingRate", skip_serializing_if = "Option::is_none")]
    audio_sampling_rate: Option<u32>,
    #[serde(
        rename = "AudioChannelConfiguration",
        skip_serializing_if = "Option::is_none"
    )]
    channels: Option<ChannelConfiguration>,
    #[serde(rename = "SegmentTemplate")]
    template: SegmentTemplate,
}

#[derive(Serialize)]
struct ChannelConfiguration {
    #[serde(rename = "@schemeIdUri")]
    scheme: &'static str,
    #[serde(rename = "@value")]
    value: u32,
}

#[derive(Serialize)]
struct SegmentTemplate {
    #[serde(rename = "@timescale")]
    timescale: u32,
    #[serde(rename = "@presentationTimeOffset")]
    presentation_time_offset: i64,
    #[serde(rename = "@startNumber")]
    start_number: SegmentNumber,
    #[serde(rename = "@initialization")]
    initialization: String,
    #[serde(rename = "@media")]
    media: String,
    #[serde(rename = "SegmentTimeline")]
    timeline: SegmentTimeline,
}

#[derive(Serialize)]
struct SegmentTimeline {
    #[serde(rename = "S")]
    entries: Vec<TimelineEntry>,
}

#[derive(Serialize)]
struct TimelineEntry {
    #[serde(rename = "@t")]
    time: i64,
    #[serde(rename = "@d")]
    duration: i64,
}
