//! The beginning of an epoch, held back until it is known what the epoch is.

use std::sync::Arc;

use super::{Limits, Numbering, Placed, TRACK_WAIT};
use crate::{Codec, Epoch, Micros, SourceFit, Timestamp, Track, TrackKind};

/// The most media held back, in bytes: 4 s at 64 Mb/s.
const MAX_HELD: usize = 32 << 20;
/// Slack between a segment's usual length and what TARGETDURATION allows it.
const TARGET_SLACK: Micros = Micros::from_millis(250);
/// The step of a track that has sent one frame.
const ONLY_FRAME: Micros = Micros::from_millis(33);
/// How much earlier than the target a key frame may come and still end a segment:
/// timestamps in milliseconds make a group of pictures of 2 s 1.999 s long.
pub(super) const EARLY_KEY_FRAME: Micros = Micros::from_millis(100);

/// Holds the first group of pictures. From it come the tracks (none is announced that
/// did not send frames), the target duration, and whether the source's groups of
/// pictures are short enough to be segments.
#[derive(Debug)]
pub(super) struct Probe {
    /// The Unix time of the first frame.
    base: Timestamp,
    /// Presentation time of the first frame on the publication's clock.
    origin: Micros,
    held: Vec<Placed>,
    bytes: usize,
    gop: Option<Micros>,
    has_audio: bool,
    has_video: bool,
    /// The epoch before, when its groups of pictures outran the target duration:
    /// there is nothing left to find out.
    inherited: Option<Arc<Epoch>>,
}

/// What a probe found.
pub(super) struct Probed {
    pub(super) epoch: Arc<Epoch>,
    /// Add to a time on the publication's clock to get Unix time.
    pub(super) origin: Micros,
    pub(super) held: Vec<Placed>,
}

impl Probe {
    pub(super) fn new(base: Timestamp, first: Placed, inherited: Option<Arc<Epoch>>) -> Self {
        Self {
            base,
            origin: first.pts,
            bytes: first.data.len(),
            gop: None,
            has_audio: first.track == TrackKind::Audio,
            has_video: first.track == TrackKind::Video,
            held: vec![first],
            inherited,
        }
    }

    /// Takes a frame; true when enough is known.
    pub(super) fn push(&mut self, frame: Placed, limits: Limits) -> bool {
        let span = frame.pts - self.origin;
        match frame.track {
            // Sound from before the first picture.
            TrackKind::Audio if span < Micros::ZERO => return false,
            TrackKind::Audio => self.has_audio = true,
            TrackKind::Video => {
                if frame.key && self.gop.is_none() {
                    self.gop = Some(span);
                }
            }
        }
        self.bytes += frame.data.len();
        self.held.push(frame);
        let gop_known = self.gop.is_some() && (self.has_audio || span >= TRACK_WAIT);
        gop_known || span >= limits.longest_gop || self.bytes >= MAX_HELD
    }

    pub(super) fn decide(
        self,
        numbering: Numbering,
        limits: Limits,
        (video, audio): (Option<&Codec>, Option<&Codec>),
    ) -> Probed {
        let span = self.span();
        let source_fit = match (self.gop, span >= limits.longest_gop) {
            _ if self.inherited.is_some() => SourceFit::GopTooLong,
            (Some(gop), _) if gop <= limits.longest_gop => SourceFit::Passthrough,
            (None, false) => SourceFit::Passthrough,
            _ if !self.has_video => SourceFit::Passthrough,
            _ => SourceFit::GopTooLong,
        };
        let segment = match (self.gop, source_fit) {
            (Some(gop), SourceFit::Passthrough) if gop > Micros::ZERO => {
                let wanted = (limits.target - EARLY_KEY_FRAME).as_micros();
                let gops = (wanted + gop.as_micros() - 1) / gop.as_micros();
                Micros::new(gop.as_micros() * gops.max(1))
            }
            _ => limits.target,
        };
        let track = |codec: Option<&Codec>, kind, present| match &self.inherited {
            Some(before) => before.track(kind).cloned(),
            None => codec.filter(|_| present).map(|codec| Track {
                codec: codec.clone(),
                bit_rate: self.bit_rate(kind, span),
                frame_duration: self.frame_duration(kind, codec),
            }),
        };
        let (video, audio) = (
            track(video, TrackKind::Video, self.has_video),
            track(audio, TrackKind::Audio, self.has_audio),
        );
        let by_time = source_fit == SourceFit::GopTooLong || video.is_none();
        // Cut by time, a segment ends with the first frame after it.
        let late = match video.as_ref().or(audio.as_ref()) {
            Some(lead) if by_time => lead.frame_duration,
            _ => Micros::ZERO,
        };
        let target_duration = match &self.inherited {
            Some(before) => before.target_duration,
            None => whole_seconds(segment + late - TARGET_SLACK),
        };
        let epoch = Epoch {
            number: numbering.epoch,
            first_segment: numbering.segment,
            start: self.base,
            target_duration,
            video,
            audio,
            source_fit,
        };
        Probed {
            epoch: Arc::new(epoch),
            origin: self.origin,
            held: self.held,
        }
    }

    fn span(&self) -> Micros {
        let last = self.held.iter().map(|frame| frame.pts).max();
        last.unwrap_or(self.origin) - self.origin
    }

    fn of(&self, kind: TrackKind) -> impl Iterator<Item = &Placed> {
        self.held.iter().filter(move |frame| frame.track == kind)
    }

    fn bit_rate(&self, kind: TrackKind, span: Micros) -> u32 {
        let bits: u64 = self.of(kind).map(|frame| frame.data.len() as u64 * 8).sum();
        let micros = span.as_micros().max(1_000_000).unsigned_abs();
        u32::try_from(bits.saturating_mul(1_000_000) / micros).unwrap_or(u32::MAX)
    }

    /// The usual step between frames, or a frame's own length. The wire counts
    /// milliseconds, so steps that differ by one are the same step: their mean is it.
    fn frame_duration(&self, kind: TrackKind, codec: &Codec) -> Micros {
        if let Codec::Aac(aac) = codec {
            return Micros::from_ticks(i64::from(aac.frame_length), aac.sample_rate);
        }
        let times: Vec<_> = self.of(kind).map(|frame| frame.dts).collect();
        let mut steps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_unstable();
        let Some(&median) = steps.get(steps.len() / 2) else {
            return ONLY_FRAME;
        };
        steps.retain(|step| (*step - median).abs() <= Micros::from_millis(1));
        let sum: i64 = steps.iter().map(|step| step.as_micros()).sum();
        Micros::new(sum / steps.len() as i64)
    }
}

/// Seconds, rounded up, at least 1.
fn whole_seconds(span: Micros) -> u32 {
    let seconds = (span.as_micros() + 999_999).div_euclid(1_000_000);
    u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
}
