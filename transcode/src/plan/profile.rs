//! Which ladder a stream has: a preset, or steps of its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::rung::{MAX_RUNGS, RungCodec, Speed};

/// The ladder as it is configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LadderConfig {
    /// The steps below the source. Those that are not smaller than the source are left
    /// out.
    pub steps: Vec<LadderStep>,
    /// How much time the encoder takes for a picture of any rung.
    pub speed: Speed,
}

/// One step of the ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LadderStep {
    /// Pixels of the picture's shorter side: 720 is 1280x720 of a landscape source and
    /// 720x1280 of a portrait one. Gives the rendition its name, `720p`.
    pub height: u32,
    /// Bits per second at up to 40 frames per second; half as much again above that.
    pub bit_rate: u32,
    /// What it is encoded to.
    pub codec: RungCodec,
}

impl Default for LadderConfig {
    fn default() -> Self {
        Profile::default().ladder()
    }
}

/// What a stream's ladder is to be: `economy`, `standard`, `quality`, or steps as in
/// `1080p:3M:hevc,720p:2.8M`, the largest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Profile {
    /// One that has a name.
    Preset(Preset),
    /// Both sizes and rates strictly descend; see [`InvalidProfile`] for the limits.
    Steps(Steps),
}

/// Steps that were checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Steps(Vec<LadderStep>);

/// A ladder with a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preset {
    /// Two rungs and the fastest encoding: for small machines and many streams.
    Economy,
    /// What most streams want.
    #[default]
    Standard,
    /// More and better rungs, which cost more.
    Quality,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Economy, Self::Standard, Self::Quality];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Economy => "economy",
            Self::Standard => "standard",
            Self::Quality => "quality",
        }
    }

    fn speed(self) -> Speed {
        match self {
            Self::Economy => Speed::Superfast,
            Self::Standard => Speed::Veryfast,
            Self::Quality => Speed::Faster,
        }
    }

    /// Heights, and kilobits per second.
    fn steps(self) -> &'static [(u32, u32)] {
        match self {
            Self::Economy => &[(480, 1_000), (240, 350)],
            Self::Standard => &[(1080, 5_000), (720, 2_800), (480, 1_400), (360, 800)],
            Self::Quality => &[
                (1440, 9_000),
                (1080, 6_000),
                (720, 3_500),
                (540, 2_200),
                (432, 1_400),
                (360, 900),
                (240, 450),
            ],
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::Preset(Preset::default())
    }
}

impl Profile {
    /// What it asks for.
    pub fn ladder(&self) -> LadderConfig {
        match self {
            Self::Preset(preset) => LadderConfig {
                steps: preset
                    .steps()
                    .iter()
                    .map(|&(height, kilobits)| LadderStep {
                        height,
                        bit_rate: kilobits * 1_000,
                        codec: RungCodec::default(),
                    })
                    .collect(),
                speed: preset.speed(),
            },
            Self::Steps(Steps(steps)) => LadderConfig {
                steps: steps.clone(),
                speed: Speed::default(),
            },
        }
    }
}

/// Steps of a ladder: one rung is left for the source, should it be encoded again.
const MAX_STEPS: usize = MAX_RUNGS - 1;

/// The smallest and the largest height of a step.
const HEIGHTS: [u32; 2] = [90, 2_160];

/// The least and the most bits per second of a step.
const BIT_RATES: [u32; 2] = [100_000, 40_000_000];

/// The most bits per second of all steps together.
pub(crate) const MAX_TOTAL: u32 = 80_000_000;

/// Why a text is no [`Profile`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidProfile {
    /// Neither a name nor steps.
    #[error(
        "there is no ladder {0:?}: expected economy, standard, quality, or steps such as 1080p:5000k,720p:2800k"
    )]
    Unknown(String),
    /// A step that is no HEIGHTp:RATE or HEIGHTp:RATE:CODEC.
    #[error(
        "step {0:?} cannot be read: expected HEIGHTp:RATE with the rate in k or M, such as 720p:2800k or 720p:2.8M, and :hevc behind it for HEVC instead of H.264"
    )]
    Step(String),
    /// A size that nobody plays, or that cannot be encoded.
    #[error(
        "step {0:?} is not possible: expected an even height from {min}p to {max}p",
        min = HEIGHTS[0],
        max = HEIGHTS[1]
    )]
    Height(String),
    /// A rate that no picture can live on, or that no viewer has.
    #[error(
        "step {0:?} is not possible: expected a rate from {min}k to {max}M",
        min = BIT_RATES[0] / 1_000,
        max = BIT_RATES[1] / 1_000_000
    )]
    Rate(String),
    /// A player would have no reason to choose one of the two.
    #[error(
        "step {below:?} does not go below {above:?}: expected the largest step first, each with a smaller height and a lower rate than the one before"
    )]
    Order {
        /// The step before.
        above: String,
        /// The step.
        below: String,
    },
    /// A worker has a limit.
    #[error("{0} steps are too many: expected {MAX_STEPS} at most")]
    TooMany(usize),
    /// Encoders and viewers' disks have a limit.
    #[error(
        "the steps come to {0} kb/s together: expected {max} kb/s at most",
        max = MAX_TOTAL / 1_000
    )]
    Total(u32),
}

impl FromStr for Profile {
    type Err = InvalidProfile;

    fn from_str(text: &str) -> Result<Self, InvalidProfile> {
        let text = text.trim();
        let named = Preset::ALL
            .into_iter()
            .find(|preset| text.eq_ignore_ascii_case(preset.name()));
        if let Some(preset) = named {
            return Ok(Self::Preset(preset));
        }
        if !text.contains(':') {
            return Err(InvalidProfile::Unknown(text.chars().take(64).collect()));
        }
        Steps::parse(text).map(Self::Steps)
    }
}

impl Steps {
    fn parse(text: &str) -> Result<Self, InvalidProfile> {
        let count = text.split(',').count();
        if count > MAX_STEPS {
            return Err(InvalidProfile::TooMany(count));
        }
        let mut steps: Vec<LadderStep> = Vec::with_capacity(count);
        let mut total = 0;
        for text in text.split(',').map(str::trim) {
            let step = parse_step(text)?;
            if let Some(above) = steps.last()
                && (step.height >= above.height || step.bit_rate >= above.bit_rate)
            {
                return Err(InvalidProfile::Order {
                    above: above.to_string(),
                    below: text.to_owned(),
                });
            }
            // MAX_STEPS of the highest rate fit.
            total += step.bit_rate;
            steps.push(step);
        }
        if total > MAX_TOTAL {
            return Err(InvalidProfile::Total(total / 1_000));
        }
        Ok(Self(steps))
    }
}

fn parse_step(text: &str) -> Result<LadderStep, InvalidProfile> {
    let shown: String = text.chars().take(64).collect();
    let unreadable = || InvalidProfile::Step(shown.clone());
    let (height, rate) = text.split_once(':').ok_or_else(unreadable)?;
    let (rate, codec) = match rate.split_once(':') {
        Some((rate, codec)) => (rate, parse_codec(codec.trim()).ok_or_else(unreadable)?),
        None => (rate, RungCodec::default()),
    };
    let height = height.trim().strip_suffix(['p', 'P']).unwrap_or_default();
    let height: u32 = whole(height).ok_or_else(unreadable)?;
    let bit_rate = parse_rate(rate.trim()).ok_or_else(unreadable)?;
    if !(HEIGHTS[0]..=HEIGHTS[1]).contains(&height) || !height.is_multiple_of(2) {
        return Err(InvalidProfile::Height(shown));
    }
    if !(BIT_RATES[0]..=BIT_RATES[1]).contains(&bit_rate) {
        return Err(InvalidProfile::Rate(shown));
    }
    Ok(LadderStep {
        height,
        bit_rate,
        codec,
    })
}

fn parse_codec(text: &str) -> Option<RungCodec> {
    [RungCodec::H264, RungCodec::Hevc]
        .into_iter()
        .find(|codec| text.eq_ignore_ascii_case(codec.name()))
}

/// Digits and nothing else.
fn whole(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// `2800k`, `2.8M`: whole kilobits. Without a unit a slip of a thousand would pass.
fn parse_rate(text: &str) -> Option<u32> {
    if let Some(kilobits) = text.strip_suffix(['k', 'K']) {
        return whole(kilobits)?.checked_mul(1_000);
    }
    let megabits = text.strip_suffix(['m', 'M'])?;
    let (megabits, fraction) = megabits.split_once('.').unwrap_or((megabits, "0"));
    if fraction.len() > 3 {
        return None;
    }
    let thousandths = whole(&format!("{fraction:0<3}"))?;
    whole(megabits)?
        .checked_mul(1_000)?
        .checked_add(thousandths)?
        .checked_mul(1_000)
}

impl fmt::Display for LadderStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}p:{}k", self.height, self.bit_rate / 1_000)?;
        match self.codec {
            RungCodec::H264 => Ok(()),
            RungCodec::Hevc => write!(f, ":{}", self.codec.name()),
        }
    }
}

/// As it is parsed.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preset(preset) => f.write_str(preset.name()),
            Self::Steps(Steps(steps)) => {
                for (index, step) in steps.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{step}")?;
                }
                Ok(())
            }
        }
    }
}

impl TryFrom<String> for Profile {
    type Error = InvalidProfile;

    fn try_from(text: String) -> Result<Self, InvalidProfile> {
        text.parse()
    }
}

impl From<Profile> for String {
    fn from(profile: Profile) -> Self {
        profile.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_steps_are_read_and_written() {
        for (text, written) in [
            ("economy", "economy"),
            (" Standard ", "standard"),
            ("QUALITY", "quality"),
            ("1080p:5000k,720p:2800k", "1080p:5000k,720p:2800k"),
            (
                "1080P:5M, 720p:2.8M, 480p:1.25m",
                "1080p:5000k,720p:2800k,480p:1250k",
            ),
            ("2160p:40M", "2160p:40000k"),
            ("90p:100k", "90p:100k"),
            (
                "1080p:3M:HEVC, 720p:2.8M:h264",
                "1080p:3000k:hevc,720p:2800k",
            ),
        ] {
            let profile: Profile = text.parse().unwrap();
            assert_eq!(profile.to_string(), written);
            assert_eq!(written.parse(), Ok(profile));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_expected() {
        for (text, wrong, expected) in [
            ("", "\"\"", "economy, standard, quality"),
            ("fast", "\"fast\"", "economy, standard, quality"),
            ("720:2800k", "\"720:2800k\"", "HEIGHTp:RATE"),
            ("p:2800k", "\"p:2800k\"", "HEIGHTp:RATE"),
            ("+720p:2800k", "\"+720p:2800k\"", "HEIGHTp:RATE"),
            ("720p:2800", "\"720p:2800\"", "k or M"),
            ("720p:2.8k", "\"720p:2.8k\"", "k or M"),
            ("720p:2.8123M", "\"720p:2.8123M\"", "k or M"),
            ("720p:-1k", "\"720p:-1k\"", "k or M"),
            ("720p:1M:av1", "\"720p:1M:av1\"", ":hevc"),
            ("720p:1M:hevc:", "\"720p:1M:hevc:\"", ":hevc"),
            ("720p:9999999999k", "9999999999k", "k or M"),
            ("720p:5000000k", "5000000k", "k or M"),
            ("720p:2800k,", "\"\"", "HEIGHTp:RATE"),
            (
                "721p:2800k",
                "\"721p:2800k\"",
                "even height from 90p to 2160p",
            ),
            ("80p:200k", "\"80p:200k\"", "90p to 2160p"),
            ("4320p:30M", "\"4320p:30M\"", "90p to 2160p"),
            ("720p:99k", "\"720p:99k\"", "100k to 40M"),
            ("720p:41M", "\"720p:41M\"", "100k to 40M"),
            ("480p:1M,720p:2M", "\"720p:2M\"", "largest step first"),
            ("720p:2M,720p:1M", "\"720p:1M\"", "smaller height"),
            ("720p:2M,480p:2M", "\"480p:2M\"", "lower rate"),
            (
                "2160p:40M,1440p:39M,1080p:38M",
                "117000 kb/s",
                "80000 kb/s at most",
            ),
            (
                "1080p:8M,720p:7M,540p:6M,480p:5M,432p:4M,360p:3M,240p:2M,144p:1M",
                "8 steps",
                "7 at most",
            ),
        ] {
            let error = text.parse::<Profile>().unwrap_err().to_string();
            assert!(error.contains(wrong), "{text}: {error}");
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn presets_keep_to_the_rules_of_steps() {
        for preset in Preset::ALL {
            let steps = Profile::Preset(preset).ladder().steps;
            let text: Vec<_> = steps.iter().map(LadderStep::to_string).collect();
            let profile: Profile = text.join(",").parse().unwrap();
            assert_eq!(profile.ladder().steps, steps, "{}", preset.name());
        }
    }

    #[test]
    fn a_long_text_is_not_repeated_in_full() {
        let text = "x".repeat(10_000);
        assert!(text.parse::<Profile>().unwrap_err().to_string().len() < 300);
        let text = format!("{text}:1");
        assert!(text.parse::<Profile>().unwrap_err().to_string().len() < 300);
    }

    proptest! {
        #[test]
        fn any_text_is_a_profile_or_an_error(text in ".{0,80}") {
            if let Ok(profile) = text.parse::<Profile>() {
                prop_assert_eq!(profile.to_string().parse::<Profile>(), Ok(profile));
            }
        }

        #[test]
        fn what_looks_like_steps_is_kept_or_refused_whole(
            text in "([0-9]{1,4}p:[0-9]{1,5}(\\.[0-9])?[kM](:hevc)?,?){1,8}"
        ) {
            if let Ok(profile) = text.parse::<Profile>() {
                let steps = profile.ladder().steps;
                prop_assert!(steps.len() <= MAX_STEPS);
                let descends = |pair: &[LadderStep]| {
                    pair[1].height < pair[0].height && pair[1].bit_rate < pair[0].bit_rate
                };
                prop_assert!(steps.windows(2).all(descends));
                prop_assert!(steps.iter().map(|step| step.bit_rate).sum::<u32>() <= MAX_TOTAL);
            }
        }
    }
}
