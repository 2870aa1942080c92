//! Frames into a live window, as the live pipeline does it, without a ladder.

use std::error::Error;
use std::sync::Arc;

use media::timeline::{Limits, Numbering, Output, Timeline};
use media::{Epoch, EpochNumber, Frame, Rendition, RenditionName, SegmentNumber, Timestamp, Track};
use media::{TrackKind, TrackKind::Audio, TrackKind::Video};
use packager::live::{EpochPlan, Lead, LiveError};
use packager::segmenter::Output as Packaged;
use packager::{LiveStream, PartTarget, Segmenter};

use crate::recording::Event;

/// A presentation in the making. The same events at the same times make the same names and
/// bytes.
pub(crate) struct Presentation {
    window: Arc<LiveStream>,
    timeline: Timeline,
    lead: Option<(TrackKind, Lead)>,
    tracks: Vec<(TrackKind, RenditionName, Segmenter)>,
}

impl Presentation {
    /// One that goes into `window`, of which nothing is known yet.
    pub(crate) fn new(window: Arc<LiveStream>) -> Self {
        let numbering = Numbering {
            epoch: EpochNumber(1),
            segment: SegmentNumber(1),
            not_before: Timestamp::default(),
        };
        Self {
            window,
            timeline: Timeline::new(Limits::default(), numbering),
            lead: None,
            tracks: Vec::new(),
        }
    }

    /// What came at `now`.
    pub(crate) fn push(&mut self, now: Timestamp, event: Event) -> Result<(), Box<dyn Error>> {
        match event {
            Event::Codec(codec) => self.timeline.configure(now, codec)?,
            Event::Frame(frame) => self.timeline.push(now, frame)?,
        }
        self.deliver()
    }

    /// Nothing more comes: the stream ends.
    pub(crate) fn finish(&mut self, now: Timestamp) -> Result<(), Box<dyn Error>> {
        self.timeline.finish(now)?;
        self.deliver()?;
        self.window.end();
        Ok(())
    }

    fn deliver(&mut self) -> Result<(), Box<dyn Error>> {
        while let Some(output) = self.timeline.poll() {
            match output {
                Output::EpochStarted(epoch) => self.begin(&epoch)?,
                Output::Frame(frame) => self.frame(frame)?,
                Output::EpochEnded => self.end_epoch()?,
            }
        }
        Ok(())
    }

    fn begin(&mut self, epoch: &Epoch) -> Result<(), LiveError> {
        let rendition = |kind, name| {
            let Track {
                codec,
                bit_rate,
                frame_duration,
            } = epoch.track(kind)?.clone();
            let rendition = Rendition::new(name, codec, bit_rate, frame_duration);
            Some((kind, rendition))
        };
        let named = [
            (Video, RenditionName::SOURCE),
            (Audio, RenditionName::AUDIO),
        ];
        let renditions: Vec<_> = named
            .into_iter()
            .filter_map(|(kind, name)| rendition(kind, name))
            .collect();
        self.window.begin_epoch(EpochPlan {
            number: epoch.number,
            first_segment: epoch.first_segment,
            start: epoch.start,
            target_duration: epoch.target_duration,
            renditions: renditions.iter().map(|(_, one)| one.clone()).collect(),
            expected: Vec::new(),
        })?;
        self.lead = epoch
            .lead()
            .map(|(kind, track)| (kind, Lead::new(track.frame_duration)));
        let cut = |(kind, rendition): (_, Rendition)| {
            let segmenter = Segmenter::new(&rendition, PartTarget::of(&rendition));
            (kind, rendition.name, segmenter)
        };
        self.tracks = renditions.into_iter().map(cut).collect();
        Ok(())
    }

    fn frame(&mut self, frame: Frame) -> Result<(), Box<dyn Error>> {
        let cut = match &mut self.lead {
            Some((kind, lead)) if *kind == frame.track => lead.observe(&frame),
            _ => None,
        };
        let kind = frame.track;
        if let Some((_, name, segmenter)) = self.tracks.iter_mut().find(|track| track.0 == kind) {
            segmenter.push(frame)?;
            publish(&self.window, name, segmenter)?;
        }
        if let Some(cut) = cut {
            self.window.close_segment(cut);
        }
        Ok(())
    }

    fn end_epoch(&mut self) -> Result<(), LiveError> {
        for (_, name, mut segmenter) in self.tracks.drain(..) {
            segmenter.finish();
            publish(&self.window, &name, &mut segmenter)?;
        }
        if let Some(cut) = self.lead.take().and_then(|(_, mut lead)| lead.finish()) {
            self.window.close_segment(cut);
        }
        Ok(())
    }
}

fn publish(
    window: &LiveStream,
    name: &RenditionName,
    segmenter: &mut Segmenter,
) -> Result<(), LiveError> {
    while let Some(output) = segmenter.poll() {
        match output {
            Packaged::Part(part) => window.push_part(name, part)?,
            Packaged::Segment(segment) => {
                window.push_segment(name, segment)?;
            }
        }
    }
    Ok(())
}
