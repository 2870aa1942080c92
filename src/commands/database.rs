//! `nova db`.

use std::error::Error;
use std::fmt::Display;
use std::io::Write;

use media::{Clock, SystemClock};
use storage::rows::copy::{Limits, Options, Progress, copy};
use storage::rows::{Database, Fault, IfMissing};
use storage::without_credentials;

use super::load;
use super::objects::{self, Compared};
use crate::cli::{DbCommand, Settings};
use crate::config::Config;

/// Rows of one table between two lines about it.
const ROWS_PER_LINE: u64 = 100_000;

/// Runs it.
pub async fn database(command: DbCommand, settings: &Settings) -> Result<(), Box<dyn Error>> {
    match command {
        DbCommand::Migrate => migrate(&load(settings, false)?).await,
        DbCommand::Check => check(&load(settings, false)?).await,
        DbCommand::Copy { from, to, force } => copy_rows(&from, &to, force).await,
    }
}

async fn migrate(config: &Config) -> Result<(), Box<dyn Error>> {
    config.make_data_dir()?;
    let database = Database::open(&config.database_url(), IfMissing::Create).await?;
    let migrated = database.migrate().await?;
    database.close().await;
    for migration in &migrated {
        say(format_args!("applied {migration}"))?;
    }
    if migrated.is_empty() {
        say("nothing to do: the tables are up to date")?;
    }
    Ok(())
}

async fn check(config: &Config) -> Result<(), Box<dyn Error>> {
    let database = Database::open(&config.database_url(), IfMissing::Fail).await?;
    let found = database.check().await?;
    for fault in &found {
        say(fault)?;
    }
    let compared = if found.iter().any(prevents_comparison) {
        say("the objects were not compared with the rows")?;
        Compared::default()
    } else {
        let store = storage::objects::open(&config.objects()).await?;
        objects::compare(&database, store.as_ref(), say).await?
    };
    database.close().await;
    if compared.unsettled > 0 {
        let count = compared.unsettled;
        say(format_args!(
            "in progress: {count} objects have no row yet, of broadcasts that are not settled, videos that are not finished or pictures that are being sent, or are left of videos that failed"
        ))?;
    }
    match found.len() as u64 + compared.faults {
        0 => {
            let Compared { rows, objects, .. } = compared;
            say(format_args!(
                "sound: {rows} rows with an object and {objects} objects were compared"
            ))?;
            Ok(())
        }
        1 => Err("there is a fault, see above".into()),
        count => Err(format!("there are {count} faults, see above").into()),
    }
}

/// Whether rows cannot be read as this version reads them.
fn prevents_comparison(fault: &Fault) -> bool {
    !matches!(fault, Fault::DanglingReference { .. } | Fault::Damaged(_))
}

async fn copy_rows(from: &str, to: &str, force: bool) -> Result<(), Box<dyn Error>> {
    let source = Database::open(from, IfMissing::Fail)
        .await
        .map_err(|error| format!("--from: {error}"))?;
    let target = Database::open(to, IfMissing::Create)
        .await
        .map_err(|error| format!("--to: {error}"))?;
    let options = Options {
        source_name: without_credentials(from),
        in_use_too: force,
        limits: Limits::default(),
    };
    let mut last_line = 0;
    // A closed pipe is no reason to stop.
    let told = |progress: Progress<'_>| match progress {
        Progress::Copied { table, rows, total } => {
            let is_whole = rows >= total;
            if is_whole || rows >= last_line + ROWS_PER_LINE {
                last_line = if is_whole { 0 } else { rows };
                let _ = say(format_args!("copied {table}: {rows} of {total} rows"));
            }
        }
        Progress::Verified { table, digest } => {
            let _ = say(format_args!("verified {table}: {digest}"));
        }
    };
    let copied = copy(&source, &target, &options, SystemClock.now(), told).await?;
    source.close().await;
    target.close().await;
    say(format_args!(
        "{} rows in {} tables are the same in {}; set database.url to it",
        copied.rows,
        copied.tables,
        without_credentials(to)
    ))?;
    Ok(())
}

/// A line on standard output, at once.
fn say(line: impl Display) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
