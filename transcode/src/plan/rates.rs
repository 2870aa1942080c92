//! How many bits and pictures a second a rung has.

use media::VideoShape;

use super::{LadderSource, LadderStep};

/// A rung's rate, and what held it down.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rate {
    /// Bits per second, whole kilobits.
    pub(super) bits: u32,
    pub(super) cap: Option<Cap>,
}

/// What held a rung's rate below the one that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cap {
    /// The source spends no more on as many pixels.
    Source,
    /// The source was measured to spend so little that it must have been a still picture:
    /// half of what was asked for.
    Still,
    /// The rung above it has no more.
    Above,
}

/// The least and the most bits per second of any rung.
const LEAST: f64 = 50e3;
const MOST: f64 = 100e6;

/// A step asks for its rate at up to so many pictures per second.
const USUAL_FRAME_RATE: f64 = 40.0;

/// Rungs of fewer lines have no more than 30 pictures per second.
const SMALL: u32 = 540;

impl Rate {
    /// The same, kept below the rung above: no player would choose it otherwise. `None`
    /// if nothing is left.
    pub(super) fn below(self, above: u32) -> Option<Self> {
        if self.bits < above {
            return Some(self);
        }
        let bits = kilobits(f64::from(above) * 0.8);
        (bits < above).then_some(Self {
            bits,
            cap: Some(Cap::Above),
        })
    }
}

/// The configured rate, but no more than the source spends on as many pixels in a second:
/// the bits that pictures need grow a little slower than their area and their number.
pub(super) fn of_step(
    step: LadderStep,
    shape: VideoShape,
    (frame_rate, frame_step): (f64, u32),
    source: &LadderSource,
) -> Rate {
    let wanted = f64::from(step.bit_rate) * frame_rate_factor(frame_rate);
    let share = (pixels(shape) / pixels(source.shape) / f64::from(frame_step.max(1))).powf(0.75);
    capped(wanted, f64::from(source.bit_rate) * share)
}

/// A tenth of a bit for every pixel at 30 pictures per second, but no more than the
/// source itself spends.
pub(super) fn of_source(shape: VideoShape, frame_rate: f64, spent: u32) -> Rate {
    let wanted = (pixels(shape) * 3.0).clamp(300e3, 20e6) * frame_rate_factor(frame_rate);
    capped(wanted, f64::from(spent))
}

/// `wanted`, at most `spent`. What the source spends is known from one group of pictures,
/// which can be a still image before the show begins: nothing that moves is encoded with
/// less than an eighth of `wanted`, and half of it is enough for what comes then.
fn capped(wanted: f64, spent: f64) -> Rate {
    let (bits, cap) = if spent <= 0.0 || spent >= wanted {
        (wanted, None)
    } else if spent < wanted / 8.0 {
        (wanted / 2.0, Some(Cap::Still))
    } else {
        (spent, Some(Cap::Source))
    };
    Rate {
        bits: kilobits(bits),
        cap,
    }
}

fn kilobits(bits: f64) -> u32 {
    ((bits.clamp(LEAST, MOST) / 1e3).round() * 1e3) as u32
}

fn frame_rate_factor(frame_rate: f64) -> f64 {
    if frame_rate > USUAL_FRAME_RATE {
        1.5
    } else {
        1.0
    }
}

fn pixels(shape: VideoShape) -> f64 {
    f64::from(shape.width) * f64::from(shape.height)
}

/// Every so many pictures of a source with `frame_rate` are shown at this size. A rate
/// that was measured may be a little off.
pub(super) fn frame_step(frame_rate: f64, shape: VideoShape) -> u32 {
    let small = shape.width.min(shape.height) < SMALL;
    let most = if small && frame_rate > USUAL_FRAME_RATE {
        30.0
    } else {
        60.0
    };
    // A source of a thousand pictures per second was not measured but made up.
    (frame_rate / (most * 1.02)).ceil().clamp(1.0, 16.0) as u32
}
