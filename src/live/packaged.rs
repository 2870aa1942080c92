//! One rendition of one epoch on its way into the live window and the archive.

use std::sync::Arc;

use media::{EpochNumber, Frame, Rendition, RenditionName, SegmentNumber};
use packager::live::LiveError;
use packager::segmenter::Output;
use packager::{LiveStream, PartTarget, Segmenter};

use super::archive::Archive;
use super::measure::EpochMeter;

/// Where renditions of an epoch go.
#[derive(Debug, Clone)]
pub(super) struct Outlet {
    pub(super) window: Arc<LiveStream>,
    pub(super) archive: Archive,
    pub(super) epoch: EpochNumber,
    pub(super) meter: Arc<EpochMeter>,
}

/// A rendition being cut into parts and segments.
#[derive(Debug)]
pub(super) struct Packaged {
    outlet: Outlet,
    rendition: Rendition,
    segmenter: Segmenter,
    /// The newest segment that a frame has started.
    started: Option<SegmentNumber>,
}

impl Packaged {
    /// A rendition that the window knows already; its init segment is archived.
    pub(super) fn start(outlet: &Outlet, rendition: Rendition) -> Self {
        if let Some(init) = outlet.window.init(outlet.epoch, &rendition.name) {
            outlet
                .archive
                .rendition(outlet.epoch, rendition.clone(), init);
        }
        outlet.meter.announced(&rendition);
        Self {
            outlet: outlet.clone(),
            segmenter: segmenter(&rendition),
            started: None,
            rendition,
        }
    }

    pub(super) fn rendition(&self) -> &Rendition {
        &self.rendition
    }

    pub(super) fn name(&self) -> &RenditionName {
        &self.rendition.name
    }

    /// The next frame in decoding order.
    pub(super) fn push(&mut self, frame: Frame) {
        self.started = self.started.max(frame.starts);
        self.outlet.meter.packaged(&self.rendition.name, &frame);
        if let Err(error) = self.segmenter.push(frame) {
            tracing::warn!(rendition = %self.rendition.name, %error, "frame refused");
            metrics::counter!("nova_live_frames_refused_total").increment(1);
        }
        self.deliver();
    }

    /// No more frames: the open segment ends.
    pub(super) fn finish(&mut self) {
        self.segmenter.finish();
        self.deliver();
    }

    /// The stream's segment `number` has ended and this track has not begun it: nothing
    /// comes any more. Its playlist goes on with gaps until something does.
    pub(super) fn stop_behind(&mut self, number: SegmentNumber) {
        if self.started < Some(number) {
            self.finish();
            self.abandon();
            self.outlet.window.lose(&self.rendition.name);
            self.outlet.meter.lost(&self.rendition.name);
        }
    }

    /// What was open is lost: the next frame starts afresh, with the same init segment.
    pub(super) fn abandon(&mut self) {
        self.segmenter = segmenter(&self.rendition);
    }

    fn deliver(&mut self) {
        let Outlet {
            window,
            archive,
            epoch,
            ..
        } = &self.outlet;
        let name = &self.rendition.name;
        while let Some(output) = self.segmenter.poll() {
            let delivered = match output {
                Output::Part(part) => window.push_part(name, part),
                Output::Segment(segment) => window
                    .push_segment(name, segment.clone())
                    .map(|bytes| archive.segment(*epoch, name.clone(), segment, bytes)),
            };
            if let Err(error) = delivered {
                self.refused(&error);
            }
        }
    }

    fn refused(&self, error: &LiveError) {
        tracing::warn!(rendition = %self.rendition.name, %error, "media refused");
        metrics::counter!("nova_live_media_refused_total").increment(1);
    }
}

fn segmenter(rendition: &Rendition) -> Segmenter {
    Segmenter::new(rendition, PartTarget::of(rendition))
}
