//! How much comes in how much media time.

use media::{Micros, Timestamp};

/// Samples that a rate is measured over.
const SAMPLES: usize = 2;

/// Counts of what has come until an instant of media time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    bytes: u64,
    frames: u64,
    at: Timestamp,
}

/// Bytes and frames, and how they were at the last samples. Media time makes a rate of what comes
/// in bursts, as the first group of pictures does.
#[derive(Debug)]
pub(super) struct Rate {
    frame_duration: Micros,
    bytes: u64,
    frames: u64,
    newest: Timestamp,
    /// The oldest first; none: nothing comes.
    marks: Vec<Mark>,
}

/// What [`Rate::sample`] gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// Bits per second.
    pub(super) bit_rate: u64,
    /// Frames per second; `None`: none have come.
    pub(super) frame_rate: Option<f64>,
}

impl Rate {
    pub(super) fn new(frame_duration: Micros) -> Self {
        Self {
            frame_duration,
            bytes: 0,
            frames: 0,
            newest: Timestamp::default(),
            marks: Vec::with_capacity(SAMPLES + 1),
        }
    }

    /// A frame of so many bytes, to be decoded at `dts`.
    pub(super) fn push(&mut self, bytes: usize, dts: Timestamp) {
        if self.marks.is_empty() {
            self.newest = dts - self.frame_duration;
            self.marks.push(self.mark());
        }
        self.bytes += bytes as u64;
        self.frames += 1;
        self.newest = self.newest.max(dts);
    }

    /// The rate over the last samples. What stops is 0 with the next.
    pub(super) fn sample(&mut self) -> Measured {
        let (oldest, last) = (self.marks.first().copied(), self.marks.last().copied());
        let has_stopped = last.is_some_and(|last| last.frames == self.frames);
        let measured = oldest.filter(|_| !has_stopped);
        let measured = measured.and_then(|since| self.since(since));
        if has_stopped {
            self.marks.clear();
        } else if !self.marks.is_empty() {
            self.marks.push(self.mark());
            if self.marks.len() > SAMPLES {
                self.marks.remove(0);
            }
        }
        measured.unwrap_or(Measured {
            bit_rate: 0,
            frame_rate: None,
        })
    }

    fn since(&self, mark: Mark) -> Option<Measured> {
        let seconds = (self.newest - mark.at).as_secs_f64();
        (seconds > 0.0).then(|| Measured {
            bit_rate: ((self.bytes - mark.bytes) as f64 * 8.0 / seconds) as u64,
            frame_rate: Some((self.frames - mark.frames) as f64 / seconds),
        })
    }

    fn mark(&self) -> Mark {
        Mark {
            bytes: self.bytes,
            frames: self.frames,
            at: self.newest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Micros = Micros::from_millis(40);

    fn at(frame: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000 + frame * FRAME.as_micros())
    }

    /// 25 frames a second of 5,000 bytes: 1 Mbit/s.
    fn push(rate: &mut Rate, frames: std::ops::Range<i64>) {
        for frame in frames {
            rate.push(5_000, at(frame));
        }
    }

    #[test]
    fn a_rate_is_that_of_media_time_however_it_comes() {
        let mut rate = Rate::new(FRAME);
        let expected = Measured {
            bit_rate: 1_000_000,
            frame_rate: Some(25.0),
        };
        assert_eq!(rate.sample().bit_rate, 0);
        push(&mut rate, 0..1);
        assert_eq!(rate.sample(), expected);
        push(&mut rate, 1..100);
        assert_eq!(rate.sample(), expected);
        push(&mut rate, 100..103);
        assert_eq!(rate.sample(), expected);
    }

    #[test]
    fn what_stops_is_nothing_and_begins_anew() {
        let mut rate = Rate::new(FRAME);
        push(&mut rate, 0..50);
        rate.sample();
        let nothing = Measured {
            bit_rate: 0,
            frame_rate: None,
        };
        assert_eq!(rate.sample(), nothing);
        assert_eq!(rate.sample(), nothing);
        // The time in which nothing came does not count.
        push(&mut rate, 1_000..1_025);
        assert_eq!(rate.sample().bit_rate, 1_000_000);
    }

    #[test]
    fn a_rate_follows_what_comes() {
        let mut rate = Rate::new(FRAME);
        push(&mut rate, 0..125);
        rate.sample();
        for frame in 125..250 {
            rate.push(10_000, at(frame));
        }
        assert_eq!(rate.sample().bit_rate, 1_500_000);
        for frame in 250..375 {
            rate.push(10_000, at(frame));
        }
        assert_eq!(rate.sample().bit_rate, 2_000_000);
    }
}
