//! Which rungs a source gets: see [`plan()`].

mod profile;
mod rates;
mod reason;

use media::{AvcConfig, Codec, Epoch, FrameRate, Micros, RenditionName, SourceFit, VideoShape};
use serde::Serialize;

pub use profile::{InvalidProfile, LadderConfig, LadderStep, Preset, Profile, Steps};

use crate::rung::{MAX_RUNGS, Rung};
use rates::{Cap, Rate};

/// What is encoded for a source, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Plan {
    /// Whether the source's own video is a rendition as it came.
    pub passthrough: bool,
    /// What a worker encodes, the largest first. Empty: no worker is needed.
    pub rungs: Vec<Rung>,
    /// One line for the log and the stream's health: every decision, with its reason.
    pub reason: String,
}

/// What a ladder is planned for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LadderSource {
    /// The picture as it is shown, upright.
    pub shape: VideoShape,
    /// Bits per second that it spends; 0 if nobody knows.
    pub bit_rate: u32,
    /// From one picture to the next.
    pub frame_duration: Micros,
    /// What speaks against serving it as it came.
    pub unfit: Option<Unfit>,
}

/// What speaks against serving the source as it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// Its key frames are not where segments have to start.
    Gop,
    /// It is of another codec than H.264, turned, or shaped otherwise than its bitstream
    /// says.
    Form,
    /// H.264 with more than 8 bits, other than 4:2:0, or data partitions (`profile_idc`,
    /// H.264 A.2): browsers decode Baseline, Main and High.
    Profile(u8),
}

/// Why a step of the ladder is no rung.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LeftOut {
    /// Pictures are never enlarged, nor made twice at one size.
    NotSmaller,
    /// A step of the same height came before.
    Repeated,
    /// [`MAX_RUNGS`].
    TooMany,
    /// Next to the rung above there would be nothing left of its rate.
    NoRate,
}

/// A rung, and what was decided about it.
struct Decided {
    rung: Rung,
    cap: Option<Cap>,
    /// Of what it shows, not of the source.
    frame_rate: f64,
}

/// All decisions about a source.
struct Decisions {
    source: LadderSource,
    rungs: Vec<Decided>,
    left_out: Vec<(LadderStep, LeftOut)>,
}

/// Which rungs the video of `epoch` gets: every step of `config` that is smaller than
/// the source, and the source itself where it cannot be passed through. Pictures are
/// never enlarged; sizes and rates strictly descend.
///
/// Rungs below 540 lines of a source above 40 frames per second leave out so many pictures
/// that 30 a second are left at most, as Apple's authoring specification has it (HLS Authoring Specification,
/// table of recommended variants) and Twitch does it; none has more than 60.
pub fn plan(epoch: &Epoch, config: &LadderConfig) -> Plan {
    let nothing = |reason| Plan {
        passthrough: true,
        rungs: Vec::new(),
        reason,
    };
    let Some(track) = &epoch.video else {
        return nothing("no video, nothing to encode".into());
    };
    let Codec::Avc(avc) = &track.codec else {
        let codec = track.codec.rfc6381();
        return nothing(format!(
            "source passes through; no rungs: {codec} is not decoded here"
        ));
    };
    let source = LadderSource {
        shape: VideoShape {
            width: avc.width,
            height: avc.height,
        },
        bit_rate: track.bit_rate,
        frame_duration: track.frame_duration,
        unfit: match epoch.source_fit {
            SourceFit::GopTooLong => Some(Unfit::Gop),
            SourceFit::Passthrough => Unfit::of_profile(avc),
        },
    };
    plan_source(source, config)
}

/// As [`plan`], for a source that is no epoch: a file.
pub fn plan_source(source: LadderSource, config: &LadderConfig) -> Plan {
    let mut decisions = Decisions {
        source,
        rungs: Vec::new(),
        left_out: Vec::new(),
    };
    if source.unfit.is_some() {
        decisions.encode_source(config);
    }
    for step in sorted(&config.steps) {
        decisions.consider(step, config);
    }
    Plan {
        passthrough: source.unfit.is_none(),
        reason: reason::sentence(&decisions),
        rungs: decisions.rungs.into_iter().map(|d| d.rung).collect(),
    }
}

impl Unfit {
    /// [`Unfit::Profile`], if it is one.
    pub fn of_profile(avc: &AvcConfig) -> Option<Self> {
        /// Baseline, Main and High.
        const PLAYED: [u8; 3] = [66, 77, 100];
        (!PLAYED.contains(&avc.profile)).then_some(Self::Profile(avc.profile))
    }
}

/// The largest first.
fn sorted(steps: &[LadderStep]) -> Vec<LadderStep> {
    let mut steps = steps.to_vec();
    steps.sort_by_key(|step| std::cmp::Reverse((step.height, step.bit_rate)));
    steps
}

impl Decisions {
    fn source_rate(&self) -> f64 {
        FrameRate::nearest(self.source.frame_duration).as_f64()
    }

    fn encode_source(&mut self, config: &LadderConfig) {
        let shape = VideoShape {
            width: even(u64::from(self.source.shape.width)),
            height: even(u64::from(self.source.shape.height)),
        };
        let frame_step = rates::frame_step(self.source_rate(), shape);
        let frame_rate = self.source_rate() / f64::from(frame_step);
        let rate = rates::of_source(shape, frame_rate, self.source.bit_rate);
        self.add(RenditionName::SOURCE, shape, rate, frame_step, config);
    }

    fn consider(&mut self, step: LadderStep, config: &LadderConfig) {
        if let Err(why) = self.try_step(step, config) {
            self.left_out.push((step, why));
        }
    }

    fn try_step(&mut self, step: LadderStep, config: &LadderConfig) -> Result<(), LeftOut> {
        let short_side = self.source.shape.width.min(self.source.shape.height);
        let above = self.rungs.last().map(|above| &above.rung);
        if step.height < 2 || step.height >= short_side {
            return Err(LeftOut::NotSmaller);
        }
        let shape = fit(self.source.shape, step.height);
        if above.is_some_and(|above| shape.height >= above.height || shape.width >= above.width) {
            // The same height, or one that comes to the same even number.
            return Err(LeftOut::Repeated);
        }
        // One is left for the source: it may have to be encoded again in a later epoch.
        let steps = self.rungs.len() - usize::from(self.source.unfit.is_some());
        if steps >= MAX_RUNGS - 1 {
            return Err(LeftOut::TooMany);
        }
        let frame_step = rates::frame_step(self.source_rate(), shape);
        let frame_rate = self.source_rate() / f64::from(frame_step);
        let pace = (frame_rate, frame_step);
        let rate = rates::of_step(step, shape, pace, &self.source);
        let rate = match above {
            Some(above) => rate.below(above.bit_rate).ok_or(LeftOut::NoRate)?,
            None => rate,
        };
        let Ok(name) = RenditionName::try_from(format!("{}p", step.height)) else {
            // A height is digits.
            return Err(LeftOut::NotSmaller);
        };
        self.add(name, shape, rate, frame_step, config);
        if let Some(added) = self.rungs.last_mut() {
            added.rung.codec = step.codec;
        }
        Ok(())
    }

    fn add(
        &mut self,
        name: RenditionName,
        shape: VideoShape,
        rate: Rate,
        frame_step: u32,
        config: &LadderConfig,
    ) {
        let mut rung = Rung::live(name, shape, rate.bits);
        rung.speed = config.speed;
        rung.frame_step = frame_step;
        self.rungs.push(Decided {
            rung,
            cap: rate.cap,
            frame_rate: self.source_rate() / f64::from(frame_step),
        });
    }
}

/// `source` with its shorter side made `short_side` pixels, or one less, the other to the
/// nearest even number.
fn fit(source: VideoShape, short_side: u32) -> VideoShape {
    let short_side = even(u64::from(short_side));
    let scaled = |long: u32, short: u32| {
        let long = u64::from(long) * u64::from(short_side);
        let short = u64::from(short.max(1));
        even((long + short) / (2 * short) * 2)
    };
    if source.width >= source.height {
        VideoShape {
            width: scaled(source.width, source.height),
            height: short_side,
        }
    } else {
        VideoShape {
            width: short_side,
            height: scaled(source.height, source.width),
        }
    }
}

/// The next lower even number, at least 2: 4:2:0 has one chroma sample for two pixels.
fn even(pixels: u64) -> u32 {
    u32::try_from(pixels.max(2) & !1).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests;
