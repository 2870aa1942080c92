//! DASH manifests of what does not grow (ISO/IEC 23009-1, `@type` static).

use media::{Micros, SegmentNumber};
use serde::Serialize;

use super::mpd::{Period, PeriodElement, document, duration, longest_segment};

/// A static MPD. Its timeline begins at zero and has no holes: each Period begins where the
/// one before ends, and `@presentationTimeOffset` takes its media, whose times are what
/// they are, there.
#[derive(Clone, PartialEq, Debug)]
pub struct StaticMpd {
    /// `EXT-X-TARGETDURATION` in seconds.
    pub target_duration: u32,
    /// In order. Each has an end, and segments of one run in every representation.
    pub periods: Vec<Period>,
}

impl StaticMpd {
    /// The manifest. `None` if it cannot be written as XML, which text without control
    /// characters always can.
    pub fn render(&self) -> Option<String> {
        document(&self.root())
    }

    fn root(&self) -> Root {
        let mut at = Micros::ZERO;
        let periods = self.periods.iter().map(|period| {
            let mut element = period.element(true);
            let end = period.end.or(period.last_end());
            let length = end.map_or(Micros::ZERO, |end| (end - period.start).max(Micros::ZERO));
            // An epoch can be several Periods.
            element.id = format!("e{}n{}", period.epoch, first_number(period));
            element.start = duration(at);
            element.duration = Some(duration(length));
            at += length;
            element
        });
        let periods = periods.collect();
        Root {
            xmlns: "urn:mpeg:dash:schema:mpd:2011",
            profiles: "urn:mpeg:dash:profile:isoff-live:2011",
            r#type: "static",
            media_presentation_duration: duration(at),
            min_buffer_time: duration(Micros::from_secs(self.target_duration.into())),
            max_segment_duration: duration(longest_segment(&self.periods)),
            periods,
        }
    }
}

fn first_number(period: &Period) -> SegmentNumber {
    let firsts = period.representations.iter();
    let firsts = firsts.filter_map(|one| one.segments.first());
    firsts
        .map(|segment| segment.number)
        .min()
        .unwrap_or_default()
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
    #[serde(rename = "@mediaPresentationDuration")]
    media_presentation_duration: String,
    #[serde(rename = "@minBufferTime")]
    min_buffer_time: String,
    #[serde(rename = "@maxSegmentDuration")]
    max_segment_duration: String,
    #[serde(rename = "Period")]
    periods: Vec<PeriodElement>,
}
