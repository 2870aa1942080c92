//! Puts an edge in front of the origin of `http-tests/cache-tests`, the public suite for
//! HTTP caches, runs the suite's client against it, and scores it by the suite's own rules.
//!
//! ```sh
//! cargo run -p benches --bin cache_tests -- --suite PATH
//! ```

mod proxy;
mod report;
mod suite;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use suite::Suite;

const USAGE: &str = "\
usage: cache_tests [--suite DIR] [--id TEST] [--json FILE]

  --suite DIR    a clone of http-tests/cache-tests; default: it is cloned for this run
  --id TEST      this test only, with what client and origin sent and received
  --json FILE    writes the results in the form in which the suite publishes them";

/// What is asked for.
#[derive(Default)]
struct Settings {
    suite: Option<PathBuf>,
    id: Option<String>,
    json: Option<PathBuf>,
}

impl Settings {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut settings = Self::default();
        while let Some(name) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value\n\n{USAGE}"))?;
            match name.as_str() {
                "--suite" => settings.suite = Some(value.into()),
                "--id" => settings.id = Some(value),
                "--json" => settings.json = Some(value.into()),
                _ => return Err(format!("{name} is not an option\n\n{USAGE}")),
            }
        }
        Ok(settings)
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
    let outcome = Settings::read(arguments)
        .map_err(Into::into)
        .and_then(|settings| run(&settings));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cache_tests: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let suite = Suite::open(settings.suite.as_deref(), folder.path()).await?;
    let origin = suite.origin().await?;
    let proxy = proxy::start(origin.port()).await?;
    if let Some(id) = &settings.id {
        return suite.run_one(proxy.address(), id).await;
    }
    let results = suite.run(proxy.address()).await?;
    if let Some(file) = &settings.json {
        std::fs::write(file, &results)?;
    }
    report::print(&suite.score(&results).await?)
}
