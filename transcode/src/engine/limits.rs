//! What of a source is decoded, and how.

use media::{FrameRate, Micros};

use crate::{Job, Latency, Rung};

/// The largest picture that is decoded, in pixels: 8K. A few of them are held at once.
pub(super) const MAX_PIXELS: u32 = 7_680 * 4_320;

/// The shortest and the longest frame that encoders are told of.
const FRAMES: [Micros; 2] = [Micros::from_millis(4), Micros::from_secs(1)];

/// Whether a picture of this size is decoded; else why not.
pub(super) fn check_size(width: u32, height: u32) -> Result<(), String> {
    if u64::from(width) * u64::from(height) <= u64::from(MAX_PIXELS) {
        return Ok(());
    }
    Err(format!(
        "a picture of {width}x{height}; at most {MAX_PIXELS} pixels are decoded"
    ))
}

/// The usual rate of the job's source, as encoders are told it.
pub(super) fn frame_rate(job: &Job) -> FrameRate {
    let [shortest, longest] = FRAMES;
    FrameRate::nearest(job.frame_duration.clamp(shortest, longest))
}

/// The rate as libraries count it.
pub(super) fn rational(rate: FrameRate) -> (i32, i32) {
    // Neither part is above a thousand million, whatever a frame's duration is.
    let part = |number| i32::try_from(number).unwrap_or(i32::MAX);
    (part(rate.numerator), part(rate.denominator))
}

/// Whether the decoder may hold pictures back: if every rung does.
pub(super) fn latency(rungs: &[Rung]) -> Latency {
    if rungs.iter().all(|rung| rung.latency == Latency::LookAhead) {
        Latency::LookAhead
    } else {
        Latency::None
    }
}
