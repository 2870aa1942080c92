//! One publication's clock: wire timestamps unwrapped, mended, and for audio
//! replaced by a count of samples.
//!
//! Video is the reference. Its clock alone can jump; audio that does not fit video
//! is silenced for at most a second and then set beside it.

use crate::{AacConfig, Micros, Timestamp};

/// A step back further than this is a jump, not a stumble.
const STUMBLE: Micros = Micros::from_millis(1_000);
/// One tick of the wire's clock.
const TICK: Micros = Micros::from_millis(1);
/// How far first audio and first video may be apart and still share a clock.
const SAME_CLOCK: Micros = Micros::from_secs(3);
/// How long audio may be silenced while it does not fit video.
const SUSPENSION: Micros = Micros::from_secs(1);
/// Steady difference between sample count and timestamps that is put right: half of
/// what an eye notices (ITU-R BT.1359 gives 45 ms for early sound).
const STEADY_DRIFT: Micros = Micros::from_millis(20);
/// A difference in one frame that is put right at once.
const SUDDEN_DRIFT: Micros = Micros::from_millis(250);

/// The last timestamp of a track, as on the wire and unwrapped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    wire: u32,
    at: Micros,
}

impl Last {
    /// The nearest instant to this one that `wire` can mean.
    fn nearest(self, wire: u32) -> Micros {
        let step = wire.wrapping_sub(self.wire).cast_signed();
        self.at + Micros::from_millis(i64::from(step))
    }
}

fn is_jump(step: Micros, longest_step: Micros) -> bool {
    step > longest_step || step < -STUMBLE
}

#[derive(Debug, Default)]
pub(super) struct VideoClock {
    last: Option<Last>,
    dts: Micros,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct VideoTime {
    /// As the wire had it.
    pub(super) wire: Micros,
    /// Mended: later than the frame before.
    pub(super) dts: Micros,
    /// The clock was set anew.
    pub(super) jumped: bool,
}

impl VideoClock {
    pub(super) fn started(&self) -> bool {
        self.last.is_some()
    }

    pub(super) fn last(&self) -> Option<Last> {
        self.last
    }

    pub(super) fn place(
        &mut self,
        wire: u32,
        audio: Option<Last>,
        longest_step: Micros,
    ) -> VideoTime {
        let (at, jumped) = match (self.last, audio) {
            (Some(last), _) => {
                let at = last.nearest(wire);
                (at, is_jump(at - last.at, longest_step))
            }
            (None, Some(audio)) => (audio.nearest(wire), false),
            (None, None) => (Micros::from_millis(i64::from(wire)), false),
        };
        let mended = match self.last {
            Some(_) if !jumped => at.max(self.dts + TICK),
            _ => at,
        };
        self.last = Some(Last { wire, at });
        self.dts = mended;
        VideoTime {
            wire: at,
            dts: mended,
            jumped,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct AudioClock {
    sample_rate: u32,
    frame_length: u32,
    last: Option<Last>,
    /// Where the last frame that was placed ends.
    end: Option<Micros>,
    state: AudioState,
}

#[derive(Debug, Default)]
enum AudioState {
    /// The next frame sets the clock.
    #[default]
    Unset,
    /// Silenced until it fits video.
    Suspended { since: Timestamp },
    /// Frames are counted from `anchor`.
    Counting {
        anchor: Micros,
        frames: i64,
        /// Timestamps minus count, smoothed over 16 frames.
        drift: Micros,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct AudioTime {
    pub(super) dts: Micros,
    pub(super) duration: Micros,
}

impl AudioClock {
    pub(super) fn configure(&mut self, aac: &AacConfig) {
        self.sample_rate = aac.sample_rate;
        self.frame_length = aac.frame_length;
        self.state = AudioState::Unset;
    }

    pub(super) fn last(&self) -> Option<Last> {
        self.last
    }

    /// Whether video that starts at `video` and audio so far cannot share a clock.
    pub(super) fn disagrees(&self, video: Micros) -> bool {
        self.last
            .is_some_and(|last| (last.at - video).abs() > SAME_CLOCK)
    }

    /// Whether a frame with this timestamp would set the clock anew.
    pub(super) fn jumps(&self, wire: u32, longest_step: Micros) -> bool {
        self.last
            .is_some_and(|last| is_jump(last.nearest(wire) - last.at, longest_step))
    }

    fn suspend(&mut self, now: Timestamp) {
        if self.last.is_some() {
            self.state = AudioState::Suspended { since: now };
        }
    }

    /// Video's clock was set anew: sound has to find its place on it.
    pub(super) fn restart(&mut self, now: Timestamp) {
        self.end = None;
        self.suspend(now);
    }

    /// Without video: the next frame sets the clock.
    pub(super) fn forget(&mut self) {
        self.end = None;
        self.state = AudioState::Unset;
    }

    /// Where a frame belongs, or nothing when it has no place: it is silenced, or the
    /// count is ahead of the timestamps by more than a frame.
    pub(super) fn place(
        &mut self,
        now: Timestamp,
        wire: u32,
        video: Option<Last>,
        longest_step: Micros,
    ) -> Option<AudioTime> {
        if video.is_some() && self.jumps(wire, longest_step) {
            self.suspend(now);
        }
        let mut at = match (self.last, video) {
            (Some(last), _) if !matches!(self.state, AudioState::Suspended { .. }) => {
                last.nearest(wire)
            }
            (_, Some(video)) => video.nearest(wire),
            (Some(last), None) => last.nearest(wire),
            (None, None) => Micros::from_millis(i64::from(wire)),
        };
        if let AudioState::Suspended { since } = self.state {
            let apart = video.map_or(Micros::ZERO, |video| at - video.at);
            if apart.abs() > SAME_CLOCK {
                if now - since < SUSPENSION {
                    return None;
                }
                at = video.map_or(at, |video| video.at);
            }
            self.state = AudioState::Unset;
        } else if self.last.is_none()
            && let Some(video) = video
            && (at - video.at).abs() > SAME_CLOCK
        {
            self.last = Some(Last { wire, at });
            self.suspend(now);
            return None;
        }
        self.last = Some(Last { wire, at });
        // A clock that was set back must not put sound where there was sound.
        let unset = matches!(self.state, AudioState::Unset);
        if unset && self.end.is_some_and(|end| at < end) {
            return None;
        }
        let time = self.count(at)?;
        self.end = Some(time.dts + time.duration);
        Some(time)
    }

    fn count(&mut self, at: Micros) -> Option<AudioTime> {
        let length = Micros::from_ticks(i64::from(self.frame_length), self.sample_rate);
        let AudioState::Counting {
            anchor,
            frames,
            drift,
        } = &mut self.state
        else {
            self.state = AudioState::Counting {
                anchor: at,
                frames: 1,
                drift: Micros::ZERO,
            };
            return Some(AudioTime {
                dts: at,
                duration: length,
            });
        };
        let samples = *frames * i64::from(self.frame_length);
        let counted = *anchor + Micros::from_ticks(samples, self.sample_rate);
        let apart = at - counted;
        *drift += Micros::new((apart - *drift).as_micros() / 16);
        if apart > SUDDEN_DRIFT || *drift > STEADY_DRIFT {
            // Sound is missing: leave the hole where it was.
            self.state = AudioState::Counting {
                anchor: at.max(counted),
                frames: 1,
                drift: Micros::ZERO,
            };
            return Some(AudioTime {
                dts: at.max(counted),
                duration: length,
            });
        }
        if apart < -SUDDEN_DRIFT || *drift < -STEADY_DRIFT {
            // More sound than time: this frame goes.
            *drift += length;
            return None;
        }
        *frames += 1;
        Some(AudioTime {
            dts: counted,
            duration: length,
        })
    }
}
