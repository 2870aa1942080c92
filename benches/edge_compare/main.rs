//! Compares the hit path of `nova serve --role edge` with that of nginx, Varnish and Apache
//! Traffic Server: the same objects, the same `wrk`, rounds interleaved, medians.
//!
//! What is compared is requests per second of the server's processor time: `wrk` needs a
//! processor of its own, so that rates on the wall say little on a small machine.
//!
//! ```sh
//! cargo build --profile dist && cargo run --release -p benches --bin edge_compare -- --nova target/dist/nova
//! ```

mod bare_hyper;
mod contestants;
mod load;
mod origin;
mod report;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use contestants::Contestant;
use load::Load;
use origin::Origin;
use report::Measured;

const USAGE: &str = "\
usage: edge_compare --nova FILE [--seconds N] [--rounds N] [--connections N] [--only NAME,NAME]

  --nova FILE       the server, built as it is shipped: --profile dist
  --seconds N       length of each run; default 5
  --rounds N        default 3
  --connections N   of wrk; default 64
  --only NAMES      of nova, nova-threads, bare-hyper, nginx, varnish,
                    trafficserver; default: all";

/// What is asked for.
struct Settings {
    nova: PathBuf,
    seconds: u32,
    rounds: u32,
    connections: u32,
    only: Vec<String>,
}

impl Settings {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self {
            nova: PathBuf::new(),
            seconds: 5,
            rounds: 3,
            connections: 64,
            only: Vec::new(),
        };
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value\n\n{USAGE}"))?;
            let number = || match value.parse() {
                Ok(0) | Err(_) => Err(format!("{name}: expected a number from 1: {value}")),
                Ok(number) => Ok(number),
            };
            match name.as_str() {
                "--nova" => settings.nova = value.into(),
                "--seconds" => settings.seconds = number()?,
                "--rounds" => settings.rounds = number()?,
                "--connections" => settings.connections = number()?,
                "--only" => settings.only = value.split(',').map(Into::into).collect(),
                _ => return Err(format!("{name} is not an option\n\n{USAGE}")),
            }
        }
        match settings.nova.as_os_str().is_empty() {
            true => Err(format!("--nova is missing\n\n{USAGE}")),
            false => Ok(settings),
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments
        .peek()
        .is_some_and(|first| matches!(first.as_str(), "--help" | "-h"))
    {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if arguments.next_if_eq(bare_hyper::ARGUMENT).is_some() {
        return done(bare_hyper::serve(&arguments.next().unwrap_or_default()));
    }
    let outcome = Settings::read(arguments)
        .map_err(Into::into)
        .and_then(|settings| compare(&settings));
    done(outcome)
}

fn done(outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("edge_compare: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn compare(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let origin = Origin::start().await?;
    let mut contestants = Vec::new();
    for start in contestants::ALL {
        let is_asked_for =
            settings.only.is_empty() || settings.only.iter().any(|only| only == start.name);
        if is_asked_for {
            let contestant = Contestant::start(start, &settings.nova, &origin, folder.path());
            contestants.push(contestant.await?);
        }
    }
    let load = Load {
        seconds: settings.seconds,
        connections: settings.connections,
    };
    let mut measured = Vec::new();
    for round in 1..=settings.rounds {
        for object in &origin::OBJECTS {
            for contestant in &contestants {
                eprintln!(
                    "round {round} of {}: {}, {}",
                    settings.rounds, contestant.name, object.name
                );
                let before = contestant.processor_time()?;
                let loaded = load.run(&contestant.url(object)).await?;
                measured.push(Measured {
                    contestant: contestant.name,
                    object: object.name,
                    processor: contestant.processor_time()? - before,
                    loaded,
                });
            }
        }
    }
    // Each object was asked for once by each contestant when it was started.
    let asked = origin.requests();
    let ask = contestants.iter();
    let ask = ask.filter(|contestant| contestant.name != contestants::BARE_HYPER);
    let expected = (ask.count() * origin::OBJECTS.len()) as u64;
    if asked != expected {
        eprintln!("the origin was asked {asked} times, not {expected}: not all were hits");
    }
    report::print(&measured);
    Ok(())
}
