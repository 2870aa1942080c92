//! Compares Nova's ladder with the `ffmpeg` program and `gst-launch-1.0` on one clip, and
//! with the sum of its own parts. Rounds are interleaved, because a shared machine drifts;
//! medians and ratios are printed.
//!
//! ```sh
//! cargo run --release -p benches --bin transcode_compare -- --seconds 30 --rounds 3
//! ```

mod clip;
mod contestants;
mod ladder;
mod measure;
mod quality;
mod report;
mod sound;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clip::Clip;
use contestants::Contestant;
use transcode::Latency;

const USAGE: &str = "\
usage: transcode_compare [--input FILE] [--seconds N] [--rounds N] [--latency none|look-ahead]
                         [--only NAME,NAME]

  --input FILE     H.264 in a container that ffmpeg reads; default: a made clip of
                   1920x1080 at 30 frames per second
  --seconds N      length of the clip that is made; default 30
  --rounds N       default 3
  --latency L      look-ahead: x264 as it is by itself, the default;
                   none: as live streams are encoded (x264's zerolatency)
  --only NAMES     contestants whose name begins with one of these";

/// What is asked for.
struct Settings {
    input: Option<PathBuf>,
    seconds: u32,
    rounds: usize,
    latency: Latency,
    only: Vec<String>,
}

impl Settings {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            input: None,
            seconds: 30,
            rounds: 3,
            latency: Latency::LookAhead,
            only: Vec::new(),
        };
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value\n\n{USAGE}"))?;
            let number = || {
                value
                    .parse()
                    .map_err(|_| format!("{name}: not a number: {value}"))
            };
            match name.as_str() {
                "--input" => settings.input = Some(value.into()),
                "--seconds" => settings.seconds = number()?,
                "--rounds" => settings.rounds = number()?.max(1) as usize,
                "--latency" => settings.latency = latency(&value)?,
                "--only" => settings.only = value.split(',').map(Into::into).collect(),
                _ => return Err(format!("{name} is not an option\n\n{USAGE}")),
            }
        }
        Ok(settings)
    }
}

fn latency(name: &str) -> Result<Latency, String> {
    match name {
        "none" => Ok(Latency::None),
        "look-ahead" => Ok(Latency::LookAhead),
        _ => Err(format!("--latency: {name} is neither none nor look-ahead")),
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    // The contestants that are ours are this program again, so that their processor time
    // can be told from that of the comparison.
    let outcome = match arguments.next().as_deref() {
        Some("worker") => return transcode::worker::main(),
        Some("ladder") => ladder::main(arguments),
        Some("--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        first => Settings::read(first.map(Into::into).into_iter().chain(arguments))
            .map_err(Into::into)
            .and_then(|settings| compare(&settings)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("transcode_compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in(scratch())?;
    let clip = Clip::prepare(settings.input.as_deref(), settings.seconds, folder.path())?;
    let mut contestants = Contestant::all(&clip, settings.latency)?;
    if !settings.only.is_empty() {
        let wanted = |name: &str| settings.only.iter().any(|only| name.starts_with(only));
        contestants.retain(|contestant| wanted(&contestant.name));
    }
    let mut measured = vec![Vec::new(); contestants.len()];
    for round in 1..=settings.rounds {
        for (contestant, measured) in contestants.iter().zip(&mut measured) {
            eprintln!("round {round} of {}: {}", settings.rounds, contestant.name);
            measured.push(contestant.run()?);
        }
    }
    let medians: Vec<_> = measured.into_iter().map(measure::median).collect();
    // Minutes were spent on the figures: they are shown, whatever a comparison says.
    let (mut qualities, mut outcome) = (Vec::new(), Ok(()));
    for contestant in &contestants {
        let quality = quality::of(contestant, &clip);
        qualities.push(quality.unwrap_or_else(|error| {
            outcome = Err(error);
            Vec::new()
        }));
    }
    report::print(&clip, settings.latency, &contestants, &medians, &qualities);
    outcome
}

/// Memory rather than a disk: scaled pictures of 30 s take 5 GB.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}
