//! `nova prewarm`.

use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::time::Duration;

use media::PrewarmId;
use social::cdn::{NewPrewarm, PrewarmStatus};
use storage::rows::Database;
use storage::rows::prewarms::{PrewarmProgress, PrewarmState, Requester};
use tokio::time::sleep;

use super::cdn;
use crate::cdn::Cdn;
use crate::cli::{PrewarmArgs, PrewarmCommand};
use crate::config::Config;

/// Bytes of the longest list of URLs: with their hosts, and what is not kept of them.
const MAX_LIST_BYTES: usize = 4 << 20;
/// How often it is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// `nova prewarm`
pub async fn prewarm(
    database: &Database,
    config: &Config,
    args: PrewarmArgs,
) -> Result<(), Box<dyn Error>> {
    let cdn = cdn(database, config).await?;
    match &args.command {
        Some(PrewarmCommand::Status { id }) => {
            print(&cdn.prewarm_status(*id).await?);
            return Ok(());
        }
        Some(PrewarmCommand::Cancel { id }) => {
            print(&cdn.cancel_prewarm(*id, None).await?);
            return Ok(());
        }
        None => {}
    }
    let (kind, subject) = subject(&args)?;
    let new = NewPrewarm {
        kind,
        subject: &subject,
        depth: args.depth.map(std::num::NonZeroU32::get),
        renditions: &args.rendition,
        nodes: &args.node,
        requester: Requester::named("nova prewarm"),
    };
    let status = cdn.prewarm(new).await?;
    println!("prewarm {}", status.row.id);
    if !args.wait {
        return Ok(());
    }
    let status = wait(&cdn, status.row.id).await?;
    print_nodes(&status);
    match status.row.state {
        PrewarmState::Done => Ok(()),
        state => Err(format!(
            "the prewarm is {state}: {} of {} objects are stored",
            status.row.progress.done, status.row.progress.total
        )
        .into()),
    }
}

fn subject(args: &PrewarmArgs) -> Result<(&'static str, String), Box<dyn Error>> {
    if let Some(id) = args.video {
        return Ok(("video", id.to_string()));
    }
    if let Some(url) = &args.playlist {
        return Ok(("playlist", url.clone()));
    }
    Ok(match &args.urls_from {
        Some(file) => ("urls", read(file)?),
        None => ("urls", args.urls.join("\n")),
    })
}

/// The URLs in a file, a line each.
fn read(file: &Path) -> Result<String, Box<dyn Error>> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut text = String::new();
    let most = MAX_LIST_BYTES as u64 + 1;
    let read = match file == Path::new("-") {
        true => io::stdin().take(most).read_to_string(&mut text),
        false => fs::File::open(file).and_then(|file| file.take(most).read_to_string(&mut text)),
    };
    let bytes = read.map_err(|error| named(&error))?;
    if bytes > MAX_LIST_BYTES {
        let mebibytes = MAX_LIST_BYTES >> 20;
        return Err(named(&format!("it is too long: expected {mebibytes} MiB at most")).into());
    }
    Ok(text)
}

/// Waits for its end. On a terminal it is shown how far it is.
async fn wait(cdn: &Cdn, id: PrewarmId) -> Result<PrewarmStatus, Box<dyn Error>> {
    let shows = io::stderr().is_terminal();
    loop {
        let status = cdn.prewarm_status(id).await?;
        let ended = !matches!(
            status.row.state,
            PrewarmState::Waiting | PrewarmState::Running
        );
        if shows {
            let line = figures(&status.row.progress).replace('\t', ", ");
            let end = if ended { "\n" } else { "" };
            // Whoever closed it does not want to see it.
            let _ = write!(io::stderr(), "\r\x1b[K{}: {line}{end}", status.row.state);
        }
        if ended {
            return Ok(status);
        }
        sleep(LOOK).await;
    }
}

fn print(status: &PrewarmStatus) {
    let row = &status.row;
    println!("{}\t{}\t{}", row.id, row.state, figures(&row.progress));
    print_nodes(status);
}

fn print_nodes(status: &PrewarmStatus) {
    for node in &status.nodes {
        let name = node.node.map(|id| id.to_string()).unwrap_or_default();
        let is_open = matches!(node.state, PrewarmState::Waiting | PrewarmState::Running);
        let away = if is_open && !node.is_live {
            " (away)"
        } else {
            ""
        };
        println!("{name}\t{}{away}\t{}", node.state, figures(&node.progress));
        for error in &node.errors {
            println!("\t{error}");
        }
    }
}

fn figures(progress: &PrewarmProgress) -> String {
    format!(
        "{} of {} objects\t{} failed\t{} bytes",
        progress.done, progress.total, progress.failed, progress.bytes
    )
}
