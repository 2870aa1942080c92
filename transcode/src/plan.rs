//! Which rungs a source gets: see [`plan()`].

use media::{Epoch, RenditionName, SourceFit, Track, VideoShape};
use serde::{Deserialize, Serialize};

use crate::rung::{MAX_RUNGS, Rung};
use media::FrameRate;

/// The ladder as it is configured.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LadderConfig {
    /// The steps below the source. Those that are not smaller than the source are left
    /// out.
    pub steps: Vec<LadderStep>,
}

/// One step of the ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderStep {
    /// Pixels of the picture's shorter side: 720 is 1280x720 of a landscape source and
    /// 720x1280 of a portrait one. Gives the rendition its name, `720p`.
    pub height: u32,
    /// Bits per second at up to 40 frames per second; half as much again above that.
    pub bit_rate: u32,
}

impl Default for LadderConfig {
    fn default() -> Self {
        let step = |height, bit_rate| LadderStep { height, bit_rate };
        Self {
            steps: vec![
                step(720, 2_800_000),
                step(480, 1_200_000),
                step(360, 700_000),
            ],
        }
    }
}

/// What is encoded for a source, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Plan {
    /// What a worker encodes, the largest first. Empty: no worker is needed.
    pub rungs: Vec<Rung>,
    /// For the log and the stream's health.
    pub reason: String,
}

/// Which rungs the video of `epoch` gets: every step of `config` that is smaller than
/// the source, and the source itself where it cannot be passed through. Pictures are
/// never enlarged.
pub fn plan(epoch: &Epoch, config: &LadderConfig) -> Plan {
    let Some(track) = &epoch.video else {
        return Plan {
            rungs: Vec::new(),
            reason: "no video, nothing to encode".into(),
        };
    };
    let media::Codec::Avc(avc) = &track.codec else {
        return Plan {
            rungs: Vec::new(),
            reason: format!("cannot decode {}", track.codec.rfc6381()),
        };
    };
    let source = VideoShape {
        width: avc.width,
        height: avc.height,
    };
    let mut rungs = Vec::new();
    if epoch.source_fit == SourceFit::GopTooLong {
        let shape = VideoShape {
            width: even(u64::from(source.width)),
            height: even(u64::from(source.height)),
        };
        let bit_rate = full_size_bit_rate(source, track);
        rungs.push(Rung::live(RenditionName::SOURCE, shape, bit_rate));
    }
    rungs.extend(steps(source, track, config));
    Plan {
        reason: reason(source, track, epoch.source_fit, &rungs),
        rungs,
    }
}

fn steps(source: VideoShape, track: &Track, config: &LadderConfig) -> Vec<Rung> {
    let short_side = source.width.min(source.height);
    let mut steps = config.steps.clone();
    steps.retain(|step| step.height >= 2 && step.height < short_side);
    steps.sort_by_key(|step| std::cmp::Reverse(step.height));
    steps.dedup_by_key(|step| step.height);
    steps.truncate(MAX_RUNGS - 1);
    steps
        .into_iter()
        .filter_map(|step| {
            let name = RenditionName::try_from(format!("{}p", step.height)).ok()?;
            let shape = fit(source, step.height);
            let bit_rate = step_bit_rate(step, source, shape, track);
            Some(Rung::live(name, shape, bit_rate))
        })
        .collect()
}

/// `source` with its shorter side made `short_side` pixels, the other to the nearest
/// even number.
fn fit(source: VideoShape, short_side: u32) -> VideoShape {
    let scaled = |long: u32, short: u32| {
        let long = u64::from(long) * u64::from(short_side);
        let short = u64::from(short.max(1));
        even((long + short) / (2 * short) * 2)
    };
    let short_side_even = even(u64::from(short_side));
    if source.width >= source.height {
        VideoShape {
            width: scaled(source.width, source.height),
            height: short_side_even,
        }
    } else {
        VideoShape {
            width: short_side_even,
            height: scaled(source.height, source.width),
        }
    }
}

/// The next lower even number, at least 2: 4:2:0 has one chroma sample for two pixels.
fn even(pixels: u64) -> u32 {
    u32::try_from(pixels.max(2) & !1).unwrap_or(u32::MAX - 1)
}

fn pixels(shape: VideoShape) -> f64 {
    f64::from(shape.width) * f64::from(shape.height)
}

/// The configured rate, but no more than the source spends on as many pixels: the
/// bits a picture needs grow a little slower than its area. Half the configured rate
/// is the least, because a measured rate of one group of pictures can be a still image.
fn step_bit_rate(step: LadderStep, source: VideoShape, shape: VideoShape, track: &Track) -> u32 {
    let wanted = f64::from(step.bit_rate) * frame_rate_factor(track);
    let spent = f64::from(track.bit_rate) * (pixels(shape) / pixels(source)).powf(0.75);
    capped(wanted, spent)
}

/// A tenth of a bit for every pixel at 30 frames per second, but no more than the
/// source itself spends.
fn full_size_bit_rate(source: VideoShape, track: &Track) -> u32 {
    let wanted = (pixels(source) * 3.0).clamp(300e3, 20e6) * frame_rate_factor(track);
    capped(wanted, f64::from(track.bit_rate))
}

fn capped(wanted: f64, spent: f64) -> u32 {
    let rate = if spent > 0.0 {
        spent.clamp(wanted / 2.0, wanted)
    } else {
        wanted
    };
    // Whole kilobits, and never nothing.
    ((rate / 1e3).round().clamp(50.0, 100e3) * 1e3) as u32
}

fn frame_rate_factor(track: &Track) -> f64 {
    if FrameRate::nearest(track.frame_duration).as_f64() > 40.0 {
        1.5
    } else {
        1.0
    }
}

fn reason(source: VideoShape, track: &Track, fit: SourceFit, rungs: &[Rung]) -> String {
    let rate = FrameRate::nearest(track.frame_duration).as_f64();
    let names: Vec<_> = rungs.iter().map(|rung| rung.name.as_str()).collect();
    let made = if names.is_empty() {
        "no smaller step in the ladder".to_owned()
    } else {
        format!("encoding {}", names.join(", "))
    };
    let fit = match fit {
        SourceFit::Passthrough => "source passes through",
        SourceFit::GopTooLong => "source encoded again: its key frames are too far apart",
    };
    format!(
        "{}x{} at {rate:.2} fps, {} kb/s: {made}; {fit}",
        source.width,
        source.height,
        track.bit_rate / 1_000
    )
}

#[cfg(test)]
mod tests;
