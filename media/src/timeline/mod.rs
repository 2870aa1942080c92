//! From wire timestamps to numbered segments.
//!
//! A [`Timeline`] stands between every protocol and the registry of live
//! publications. Frames go in as the wire gives them; out come frames on one clock,
//! in decoding order across tracks, the first of each segment marked with the
//! segment's number. Nothing behind it decides or counts segments.
//!
//! Frames pass four steps, each a file of this folder:
//!
//! 1. `clock`: timestamps are unwrapped and mended, audio is timed by its samples.
//! 2. `interleave`: tracks are merged in order of decoding time.
//! 3. `probe`: an epoch's first group of pictures is held back until its tracks, its
//!    target duration and its fitness for passthrough are known.
//! 4. `cut`: segments are cut and numbered.

mod clock;
mod cut;
mod interleave;
mod probe;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use self::clock::{AudioClock, VideoClock};
use self::cut::Cutter;
use self::interleave::Interleave;
use self::probe::Probe;
use crate::{Codec, Epoch, EpochNumber, Frame, Micros, SegmentNumber, Timestamp, TrackKind};

/// Where a timeline begins: what the stream's row says is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbering {
    /// The first epoch's number.
    pub epoch: EpochNumber,
    /// The first segment's number.
    pub segment: SegmentNumber,
    /// The end of the stream's previous epoch: media time never goes back.
    pub not_before: Timestamp,
}

/// What bounds a timeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// A segment is cut at the first key frame at or after this.
    pub target: Micros,
    /// The longest group of pictures that is passed through, and the longest step of
    /// a track's clock that is not a jump.
    pub longest_gop: Micros,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            target: Micros::from_secs(2),
            longest_gop: Micros::from_secs(4),
        }
    }
}

/// How long video may run without a key frame before the publication is refused.
pub const KEY_FRAME_WAIT: Micros = Micros::from_secs(10);

/// How long one track waits for the other, in media time.
const TRACK_WAIT: Micros = Micros::from_secs(1);

/// One access unit as a protocol delivers it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WireFrame {
    /// Which track it belongs to.
    pub track: TrackKind,
    /// Decoding time in milliseconds, as on the wire: wraps at 2^32.
    pub timestamp: u32,
    /// Presentation time minus decoding time in milliseconds.
    pub composition_offset: i32,
    /// Whether decoding can start here.
    pub key: bool,
    /// As [`Frame::data`].
    pub data: Bytes,
}

/// What comes out of a timeline, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// A new epoch: the frames that follow belong to it.
    EpochStarted(Arc<Epoch>),
    /// The next frame, in order of decoding time across tracks.
    Frame(Frame),
    /// No more frames of the current epoch.
    EpochEnded,
}

/// Why a publication cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimelineError {
    /// Video came, but nothing to start decoding from.
    #[error("no key frame within {} s of video", .0.as_secs_f64())]
    NoKeyFrame(Micros),
}

/// A frame on the publication's own clock, microseconds from an arbitrary origin.
#[derive(Clone, Debug)]
struct Placed {
    track: TrackKind,
    dts: Micros,
    pts: Micros,
    duration: Option<Micros>,
    key: bool,
    data: Bytes,
}

/// Mends and unwraps timestamps, pins them to Unix time, and marks the frame that
/// starts each segment. Sequence headers go to [`Timeline::configure`], frames to
/// [`Timeline::push`]; after each, [`Timeline::poll`] until it is empty.
#[derive(Debug)]
pub struct Timeline {
    limits: Limits,
    numbering: Numbering,
    video: Option<Codec>,
    audio: Option<Codec>,
    video_clock: VideoClock,
    audio_clock: AudioClock,
    interleave: Interleave,
    stage: Stage,
    /// A track turned up that the epoch does not have: the next key frame begins one
    /// that has it.
    restart: bool,
    /// Set once a group of pictures outran the target duration: what its epoch was.
    outran: Option<Arc<Epoch>>,
    output: VecDeque<Output>,
}

#[derive(Debug)]
enum Stage {
    /// No epoch: waiting for a frame that can begin one.
    Waiting {
        /// Arrival of the first video frame that could not.
        video_since: Option<Timestamp>,
        /// Audio held until it is clear that there is no video.
        audio: VecDeque<Placed>,
    },
    Probing(Probe),
    Running(Cutter),
}

impl Stage {
    fn waiting() -> Self {
        Self::Waiting {
            video_since: None,
            audio: VecDeque::new(),
        }
    }
}

impl Timeline {
    /// A timeline whose first epoch and segment are `numbering`'s.
    pub fn new(limits: Limits, numbering: Numbering) -> Self {
        Self {
            limits,
            numbering,
            video: None,
            audio: None,
            video_clock: VideoClock::default(),
            audio_clock: AudioClock::default(),
            interleave: Interleave::default(),
            stage: Stage::waiting(),
            restart: false,
            outran: None,
            output: VecDeque::new(),
        }
    }

    /// A sequence header: the decoder configuration of the frames that follow. The
    /// same one again changes nothing; a different one ends the epoch, and the next key
    /// frame begins another.
    pub fn configure(&mut self, now: Timestamp, codec: Codec) -> Result<(), TimelineError> {
        let current = match codec {
            Codec::Avc(_) => &self.video,
            Codec::Aac(_) => &self.audio,
        };
        if current.as_ref() == Some(&codec) {
            return Ok(());
        }
        self.drain(now)?;
        self.end_epoch();
        self.outran = None;
        match codec {
            Codec::Avc(_) => {
                self.interleave.expect(TrackKind::Video);
                self.video = Some(codec);
            }
            Codec::Aac(ref aac) => {
                self.interleave.expect(TrackKind::Audio);
                self.audio_clock.configure(aac);
                self.audio = Some(codec);
            }
        }
        Ok(())
    }

    /// The next frame from the wire, which arrived at `now`. A frame of a track that
    /// has no sequence header yet is dropped.
    pub fn push(&mut self, now: Timestamp, frame: WireFrame) -> Result<(), TimelineError> {
        match frame.track {
            TrackKind::Video if self.video.is_some() => self.push_video(now, frame),
            TrackKind::Audio if self.audio.is_some() => self.push_audio(now, frame),
            TrackKind::Video | TrackKind::Audio => Ok(()),
        }
    }

    /// No more input: everything held back comes out, and the epoch ends.
    pub fn finish(&mut self, now: Timestamp) -> Result<(), TimelineError> {
        self.drain(now)?;
        if let Stage::Waiting { audio, .. } = &self.stage
            && !audio.is_empty()
        {
            self.start_audio_only(now);
        }
        self.end_epoch();
        Ok(())
    }

    /// The next output, if one is ready.
    pub fn poll(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    fn push_video(&mut self, now: Timestamp, frame: WireFrame) -> Result<(), TimelineError> {
        let first = !self.video_clock.started();
        let time = self.video_clock.place(
            frame.timestamp,
            self.audio_clock.last(),
            self.limits.longest_gop,
        );
        if time.jumped {
            // The reference was set anew: what epoch there was is over, and audio has
            // to find its place again.
            self.drain(now)?;
            self.end_epoch();
        }
        if time.jumped || (first && self.audio_clock.disagrees(time.wire)) {
            self.audio_clock.suspend(now);
        }
        let offset = Micros::from_millis(i64::from(frame.composition_offset));
        self.interleave.push(Placed {
            track: TrackKind::Video,
            dts: time.dts,
            pts: (time.wire + offset).max(time.dts),
            duration: None,
            key: frame.key,
            data: frame.data,
        });
        self.release(now)
    }

    fn push_audio(&mut self, now: Timestamp, frame: WireFrame) -> Result<(), TimelineError> {
        let video = self.video_clock.last();
        let longest_step = self.limits.longest_gop;
        if video.is_none() && self.audio_clock.jumps(frame.timestamp, longest_step) {
            self.drain(now)?;
            self.end_epoch();
        }
        let Some(time) = self
            .audio_clock
            .place(now, frame.timestamp, video, longest_step)
        else {
            return Ok(());
        };
        self.interleave.push(Placed {
            track: TrackKind::Audio,
            dts: time.dts,
            pts: time.dts,
            duration: Some(time.duration),
            key: true,
            data: frame.data,
        });
        self.release(now)
    }

    fn release(&mut self, now: Timestamp) -> Result<(), TimelineError> {
        while let Some(frame) = self.interleave.pop_ready() {
            self.advance(now, frame)?;
        }
        Ok(())
    }

    fn drain(&mut self, now: Timestamp) -> Result<(), TimelineError> {
        while let Some(frame) = self.interleave.pop() {
            self.advance(now, frame)?;
        }
        Ok(())
    }

    /// One frame, in decoding order, through probe and cut.
    fn advance(&mut self, now: Timestamp, frame: Placed) -> Result<(), TimelineError> {
        match &mut self.stage {
            Stage::Waiting { .. } => return self.wait(now, frame),
            Stage::Probing(probe) => {
                if probe.push(frame, self.limits) {
                    self.decide();
                }
            }
            Stage::Running(cutter) => {
                let epoch = cutter.epoch();
                let unknown = !epoch.has(frame.track);
                self.restart |= unknown;
                let begins = frame.track == TrackKind::Video && frame.key;
                if begins && (self.restart || cutter.outran()) {
                    self.outran = cutter.outran().then(|| epoch.clone());
                    self.end_epoch();
                    return self.wait(now, frame);
                }
                if !unknown && let Some(frame) = cutter.push(frame) {
                    self.output.push_back(Output::Frame(frame));
                }
            }
        }
        Ok(())
    }

    fn wait(&mut self, now: Timestamp, frame: Placed) -> Result<(), TimelineError> {
        let Stage::Waiting { video_since, audio } = &mut self.stage else {
            return Ok(());
        };
        match frame.track {
            TrackKind::Video if frame.key => self.start_probe(now, frame),
            TrackKind::Video => {
                let since = *video_since.get_or_insert(now);
                if now - since > KEY_FRAME_WAIT {
                    return Err(TimelineError::NoKeyFrame(KEY_FRAME_WAIT));
                }
            }
            // Sound before the first picture has nothing to be shown with.
            TrackKind::Audio if self.video_clock.started() => {}
            TrackKind::Audio => {
                let first = audio.front().map_or(frame.dts, |held| held.dts);
                let waited = frame.dts - first;
                audio.push_back(frame);
                if waited >= TRACK_WAIT {
                    self.start_audio_only(now);
                }
            }
        }
        Ok(())
    }

    fn start_audio_only(&mut self, now: Timestamp) {
        let Stage::Waiting { audio, .. } = &mut self.stage else {
            return;
        };
        let mut held = std::mem::take(audio);
        let (Some(last), Some(first)) = (held.back().map(|frame| frame.dts), held.pop_front())
        else {
            return;
        };
        let base = now - (last - first.dts);
        let mut probe = Probe::new(base.max(self.numbering.not_before), first, None);
        for frame in held {
            probe.push(frame, self.limits);
        }
        self.stage = Stage::Probing(probe);
        self.decide();
    }

    fn start_probe(&mut self, now: Timestamp, first: Placed) {
        let inherited = self.outran.take();
        let decided = inherited.is_some();
        let base = now.max(self.numbering.not_before);
        self.stage = Stage::Probing(Probe::new(base, first, inherited));
        if decided {
            self.decide();
        }
    }

    /// Ends the probe: what was held back becomes the epoch's beginning.
    fn decide(&mut self) {
        if !matches!(self.stage, Stage::Probing(_)) {
            return;
        }
        let Stage::Probing(probe) = std::mem::replace(&mut self.stage, Stage::waiting()) else {
            return;
        };
        let tracks = (self.video.as_ref(), self.audio.as_ref());
        let probed = probe.decide(self.numbering, self.limits, tracks);
        self.output
            .push_back(Output::EpochStarted(probed.epoch.clone()));
        let mut cutter = Cutter::new(probed.epoch, probed.origin, self.limits);
        for frame in probed.held {
            if let Some(frame) = cutter.push(frame) {
                self.output.push_back(Output::Frame(frame));
            }
        }
        self.stage = Stage::Running(cutter);
    }

    fn end_epoch(&mut self) {
        self.decide();
        self.restart = false;
        if let Stage::Running(cutter) = std::mem::replace(&mut self.stage, Stage::waiting()) {
            self.numbering = cutter.finish();
            self.output.push_back(Output::EpochEnded);
        }
    }
}
