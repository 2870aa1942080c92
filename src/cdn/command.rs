//! `nova purge`, `nova prewarm` and `nova node`.

mod prewarm;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use media::SystemClock;
use social::cdn::{Purge, Reply};
use storage::rows::Database;

use super::service::MAX_WAIT;
use super::{Cdn, CdnParts, Urls};
use crate::cli::{NodeCommand, PurgeArgs};
use crate::config::Config;

pub use prewarm::prewarm;

/// Nodes listed at a time.
const PAGE: u32 = 500;

/// `nova purge`
pub async fn purge(
    database: &Database,
    config: &Config,
    args: PurgeArgs,
) -> Result<(), Box<dyn Error>> {
    let cdn = cdn(database, config).await?;
    let (kind, subject) = args.selector();
    let wait = match args.wait {
        true => MAX_WAIT,
        false => Duration::ZERO,
    };
    let status = cdn
        .purge(Purge {
            kind,
            subject,
            soft: args.soft,
            requested_by: "nova purge",
            audited: None,
            once: None,
            wait,
        })
        .await?;
    if let Some(row) = &status.row {
        println!("purge {}", row.id);
    }
    for node in &status.nodes {
        let reply = match node.reply {
            Reply::Acknowledged(at) => format!("acknowledged\t{}", at.to_rfc3339()),
            Reply::Passed => "acknowledged".to_owned(),
            Reply::Awaited => "awaited".to_owned(),
            Reply::Away => "away".to_owned(),
        };
        println!("{}\t{reply}", node.node);
    }
    match status.is_complete || !args.wait {
        true => Ok(()),
        false => Err(format!(
            "not every node has answered within {} s; they obey as soon as they can",
            MAX_WAIT.as_secs()
        )
        .into()),
    }
}

/// `nova node`
pub async fn node(
    database: &Database,
    config: &Config,
    command: NodeCommand,
) -> Result<(), Box<dyn Error>> {
    let NodeCommand::List = command;
    let cdn = cdn(database, config).await?;
    let mut after = None;
    loop {
        let page = cdn.nodes(after, PAGE).await?;
        for node in &page {
            let state = match (node.is_live(cdn.now()), node.state.health.as_str()) {
                (false, _) => "away",
                (true, "") => "live",
                (true, health) => health,
            };
            println!(
                "{}\t{}\t{}\t{}\t{state}",
                node.id, node.url, node.region, node.version
            );
        }
        match page.last() {
            Some(last) if page.len() as u32 == PAGE => after = Some(last.id),
            _ => return Ok(()),
        }
    }
}

async fn cdn(database: &Database, config: &Config) -> Result<Cdn, Box<dyn Error>> {
    Ok(Cdn::new(CdnParts {
        database: Some(database.clone()),
        bus: storage::events::open(&config.events.url).await?,
        clock: Arc::new(SystemClock),
        edge: None,
        urls: Urls::default(),
    }))
}
