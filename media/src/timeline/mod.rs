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
/// How long sound waits for a picture whose sequence header is there, in media time.
const PICTURE_WAIT: Micros = Micros::from_secs(3);
/// How long a publication may send media of which nothing can be played.
pub const STALL_LIMIT: Micros = Micros::from_secs(30);
/// The largest audio frame taken, in bytes; AAC's own limit is 768 for each channel.
pub const MAX_AUDIO_FRAME: usize = 64 << 10;
/// The most media of one segment, in bytes: half a gigabit per second.
pub const MAX_SEGMENT: usize = 128 << 20;

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
    /// Media came, but none that has a place on the timeline.
    #[error("no playable media within {} s", .0.as_secs_f64())]
    Stalled(Micros),
    /// More media than a segment holds.
    #[error("more than {0} bytes of media in one segment")]
    TooMuchMedia(usize),
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
    /// The tracks are not those of the epoch any more: the next key frame begins another.
    restart: bool,
    /// Sound has a new decoder configuration that comes into force with the next epoch.
    muted: bool,
    /// Arrival of the first picture since the last that decoding could start at.
    keyless_since: Option<Timestamp>,
    /// Arrival of the last frame that was let out, or of the first that came.
    moved_at: Option<Timestamp>,
    /// Decoding time of the last picture.
    last_picture: Micros,
    /// Set once a group of pictures outran the target duration: what its epoch was.
    outran: Option<Arc<Epoch>>,
    output: VecDeque<Output>,
}

#[derive(Debug)]
enum Stage {
    /// No epoch: waiting for a frame that can begin one.
    Waiting {
        /// Audio held until it is clear that there is no video.
        audio: VecDeque<Placed>,
    },
    Probing(Probe),
    Running(Cutter),
}

impl Stage {
    fn waiting() -> Self {
        Self::Waiting {
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
            muted: false,
            keyless_since: None,
            moved_at: None,
            last_picture: Micros::ZERO,
            outran: None,
            output: VecDeque::new(),
        }
    }

    /// A sequence header: the decoder configuration of the frames that follow. The
    /// same one again changes nothing. Another one for pictures ends the epoch, and the
    /// next key frame begins another; until then another one for sound silences it.
    pub fn configure(&mut self, now: Timestamp, codec: Codec) -> Result<(), TimelineError> {
        let current = match codec {
            Codec::Avc(_) | Codec::Hevc(_) => &self.video,
            Codec::Aac(_) => &self.audio,
        };
        if current.as_ref() == Some(&codec) {
            return Ok(());
        }
        let changed = current.is_some();
        self.drain(now)?;
        match codec {
            Codec::Avc(_) | Codec::Hevc(_) => {
                if changed {
                    self.end_epoch();
                    self.outran = None;
                }
                self.interleave.expect(TrackKind::Video);
                self.video = Some(codec);
            }
            Codec::Aac(ref aac) => {
                if changed && matches!(self.stage, Stage::Running(_)) && self.video_clock.started()
                {
                    self.restart = true;
                    self.muted = true;
                } else if changed {
                    self.end_epoch();
                }
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
        let since = *self.moved_at.get_or_insert(now);
        match frame.track {
            TrackKind::Video if self.video.is_some() => self.push_video(now, frame)?,
            TrackKind::Audio if self.audio.is_some() && frame.data.len() <= MAX_AUDIO_FRAME => {
                self.push_audio(now, frame)?;
            }
            TrackKind::Video | TrackKind::Audio => {}
        }
        if !self.output.is_empty() {
            self.moved_at = Some(now);
        } else if now - since > STALL_LIMIT {
            return Err(TimelineError::Stalled(STALL_LIMIT));
        }
        match &self.stage {
            Stage::Running(cutter) if cutter.segment_bytes() > MAX_SEGMENT => {
                Err(TimelineError::TooMuchMedia(MAX_SEGMENT))
            }
            _ => Ok(()),
        }
    }

    /// No more input: everything held back comes out, and the epoch ends.
    pub fn finish(&mut self, now: Timestamp) -> Result<(), TimelineError> {
        self.drain(now)?;
        if let Stage::Waiting { audio } = &self.stage
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
        if time.jumped || (first && self.audio_clock.disagrees(time.wire)) {
            // The reference was set anew: what epoch there was is over, and audio has
            // to find its place again.
            self.drain(now)?;
            self.end_epoch();
            self.stage = Stage::waiting();
            self.audio_clock.restart(now);
        }
        if frame.key {
            self.keyless_since = None;
        }
        self.last_picture = time.dts;
        let offset = Micros::from_millis(i64::from(frame.composition_offset));
        // No encoder reorders over more than a group of pictures: garbage.
        let offset = if offset > self.limits.longest_gop {
            Micros::ZERO
        } else {
            offset
        };
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
        if self.muted {
            return Ok(());
        }
        let video = self.video_clock.last();
        let longest_step = self.limits.longest_gop;
        if video.is_none() && self.audio_clock.jumps(frame.timestamp, longest_step) {
            self.drain(now)?;
            self.end_epoch();
            self.audio_clock.forget();
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
                let since_picture = frame.dts - self.last_picture;
                if frame.track == TrackKind::Audio
                    && epoch.video.is_some()
                    && since_picture > self.limits.longest_gop
                {
                    // Pictures have stopped; sound goes on without them.
                    self.end_epoch();
                    self.video_clock = VideoClock::default();
                    return self.wait(now, frame);
                }
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
        let Stage::Waiting { audio } = &mut self.stage else {
            return Ok(());
        };
        match frame.track {
            TrackKind::Video if frame.key => self.start_probe(now, frame),
            TrackKind::Video => {
                let since = *self.keyless_since.get_or_insert(now);
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
                let patience = match self.video {
                    Some(_) => PICTURE_WAIT,
                    None => TRACK_WAIT,
                };
                if waited >= patience {
                    self.start_audio_only(now);
                }
            }
        }
        Ok(())
    }

    fn start_audio_only(&mut self, now: Timestamp) {
        let Stage::Waiting { audio } = &mut self.stage else {
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
        self.muted = false;
        if let Stage::Running(cutter) = std::mem::replace(&mut self.stage, Stage::waiting()) {
            self.numbering = cutter.finish();
            self.output.push_back(Output::EpochEnded);
        }
    }
}
