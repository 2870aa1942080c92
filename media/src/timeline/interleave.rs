//! Tracks merged in order of decoding time.

use std::collections::VecDeque;

use super::{Placed, TRACK_WAIT};
use crate::TrackKind;

/// Holds frames of one track until the other has caught up, for at most a second of
/// media time. A track that keeps the other waiting that long is not waited for
/// again until it delivers.
#[derive(Debug, Default)]
pub(super) struct Interleave {
    video: Lane,
    audio: Lane,
}

#[derive(Debug, Default)]
struct Lane {
    frames: VecDeque<Placed>,
    bytes: usize,
    expected: bool,
}

/// Bytes of a track that wait for the other at most.
const MAX_WAITING: usize = 16 << 20;

impl Lane {
    fn blocks(&self) -> bool {
        self.expected && self.frames.is_empty()
    }

    fn waited_too_long(&self) -> bool {
        match (self.frames.front(), self.frames.back()) {
            (Some(first), Some(last)) => {
                last.dts - first.dts >= TRACK_WAIT || self.bytes > MAX_WAITING
            }
            _ => false,
        }
    }

    fn pop(&mut self) -> Option<Placed> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.data.len();
        Some(frame)
    }
}

impl Interleave {
    fn lane(&mut self, track: TrackKind) -> &mut Lane {
        match track {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        }
    }

    /// Frames of this track are on their way.
    pub(super) fn expect(&mut self, track: TrackKind) {
        self.lane(track).expected = true;
    }

    pub(super) fn push(&mut self, frame: Placed) {
        let lane = self.lane(frame.track);
        lane.expected = true;
        lane.bytes += frame.data.len();
        lane.frames.push_back(frame);
    }

    /// The next frame, unless an earlier one may still come.
    pub(super) fn pop_ready(&mut self) -> Option<Placed> {
        if self.video.blocks() {
            if !self.audio.waited_too_long() {
                return None;
            }
            self.video.expected = false;
        }
        if self.audio.blocks() {
            if !self.video.waited_too_long() {
                return None;
            }
            self.audio.expected = false;
        }
        self.pop()
    }

    /// The next frame of those held.
    pub(super) fn pop(&mut self) -> Option<Placed> {
        let video = self.video.frames.front().map(|frame| frame.dts);
        let audio = self.audio.frames.front().map(|frame| frame.dts);
        match (video, audio) {
            (Some(video), Some(audio)) if audio < video => self.audio.pop(),
            (Some(_), _) => self.video.pop(),
            (None, _) => self.audio.pop(),
        }
    }
}
