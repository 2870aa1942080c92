//! How much memory a worker may have.

use crate::{Job, Latency};

/// What a process with its libraries, threads and queues takes, generously.
const BASE: u64 = 384 << 20;

/// Decoded pictures of the source at once: what H.264 lets a decoder keep (A.3.1: 16), one
/// for each of its threads, and those on their way to the rungs.
const SOURCE_PICTURES: u64 = 40;

/// Pictures that an encoder without look-ahead keeps: references with their interpolated
/// planes, and what it works on.
const RUNG_PICTURES: u64 = 60;

/// With look-ahead and B-frames.
const LOOK_AHEAD_PICTURES: u64 = 250;

/// The limit that is sized to the job: far above what it takes, so that only a leak meets
/// it. In bytes.
pub(super) fn for_job(job: &Job) -> u64 {
    let pictures = |width: u32, height: u32, count: u64| {
        // 4:2:0 of 8 bits; a source may have more of both.
        u64::from(width) * u64::from(height) * 3 / 2 * count
    };
    let source = pictures(job.source.width, job.source.height, SOURCE_PICTURES) * 2;
    let rungs = job.rungs.iter().map(|rung| {
        let count = match rung.latency {
            Latency::None => RUNG_PICTURES,
            Latency::LookAhead => LOOK_AHEAD_PICTURES,
        };
        pictures(rung.width, rung.height, count)
    });
    rungs.fold(BASE + source, u64::saturating_add)
}
