//! `nova stream set` and `nova stream show`: what a stream keeps, what it is encoded to,
//! and what it has.

use std::error::Error;

use media::{Clock, Micros, StreamId, SystemClock};
use storage::Database;
use storage::retention::Rules;
use storage::rows::retention::{self, Stored};
use storage::rows::sessions;
use storage::rows::streams::{self, StreamRow};

use crate::cli::{SetStream, Switch};
use crate::config::Config;
use crate::quantities::{Amount, Span};

/// Changes what was named, and shows the result.
pub async fn set(
    database: &Database,
    config: &Config,
    change: SetStream,
) -> Result<(), Box<dyn Error>> {
    if let (Some(Switch::On), true) = (change.recording, change.delete_recording) {
        return Err("--delete-recording goes with --recording off".into());
    }
    let stream = find(database, &change.name).await?;
    if let (Some(Switch::Off), false) = (change.recording, change.delete_recording) {
        must_lose_nothing(database, config, &change, &stream).await?;
    }
    if let Some(policy) = change.takeover {
        streams::set_takeover(database, stream.id, policy.into()).await?;
    }
    if let Some(ladder) = &change.ladder {
        let text = ladder.0.as_ref().map(ToString::to_string);
        streams::set_ladder(database, stream.id, text.as_deref()).await?;
    }
    retention::change_rules(database, stream.id, |rules| apply(rules, &change)).await?;
    show(database, config, &change.name).await
}

fn apply(rules: &mut Rules, change: &SetStream) {
    if let Some(recording) = change.recording {
        rules.recording = matches!(recording, Switch::On);
    }
    if let Some(keep_for) = change.keep_for {
        rules.keep_for = keep_for.0.map(|span| span.0);
    }
    if let Some(byte_quota) = change.byte_quota {
        rules.byte_quota = byte_quota.0.map(|amount| amount.0);
    }
    if let Some(live_window) = change.live_window {
        rules.live_window = live_window.0.map(|span| span.0);
    }
}

/// Without recording a stream keeps its live window, and no recording.
async fn must_lose_nothing(
    database: &Database,
    config: &Config,
    change: &SetStream,
    stream: &StreamRow,
) -> Result<(), Box<dyn Error>> {
    let mut rules = retention::rules(database, stream.id).await?;
    if !rules.recording {
        return Ok(());
    }
    apply(&mut rules, change);
    let window = rules.live_window.unwrap_or(default_window(config));
    let stored = retention::stored(database, stream.id).await?;
    let recorded = stored
        .start
        .is_some_and(|start| SystemClock.now() - start > window);
    if recorded {
        return Err(format!(
            "{} has a recording ({}); without recording only the last {} are kept: add --delete-recording if that is meant",
            stream.name,
            Amount(stored.bytes),
            Span(window),
        )
        .into());
    }
    Ok(())
}

/// What a stream keeps, and what it has.
pub async fn show(database: &Database, config: &Config, name: &str) -> Result<(), Box<dyn Error>> {
    let stream = find(database, name).await?;
    let rules = retention::rules(database, stream.id).await?;
    let stored = retention::stored(database, stream.id).await?;
    println!("name         {}", stream.name);
    println!("state        {}", state(database, stream.id).await?);
    println!("takeover     {}", stream.takeover);
    match &stream.ladder {
        Some(ladder) => println!("ladder       {ladder}"),
        None => println!("ladder       default ({})", config.transcode.ladder),
    }
    println!(
        "recording    {}",
        if rules.recording { "on" } else { "off" }
    );
    let keep_for = rules.keep_for.map(|span| Span(span).to_string());
    println!("keep-for     {}", keep_for.as_deref().unwrap_or("forever"));
    let quota = rules.byte_quota.map(|bytes| Amount(bytes).to_string());
    println!("byte-quota   {}", quota.as_deref().unwrap_or("none"));
    match rules.live_window {
        Some(window) => println!("live-window  {}", Span(window)),
        None => println!("live-window  default ({})", Span(default_window(config))),
    }
    print_stored(&stored);
    Ok(())
}

fn print_stored(stored: &Stored) {
    println!(
        "stored       {} in {} segments, {} gaps",
        Amount(stored.bytes),
        stored.segments,
        stored.gaps
    );
    if let (Some(start), Some(end)) = (stored.start, stored.end) {
        println!("from         {}", start.to_rfc3339());
        println!("to           {}", end.to_rfc3339());
    }
}

async fn state(database: &Database, stream: StreamId) -> Result<String, Box<dyn Error>> {
    let Some(session) = sessions::open_session_of(database, stream).await? else {
        return Ok("offline".to_owned());
    };
    let since = session.started_at.to_rfc3339();
    Ok(match session.publisher_left_at {
        None => format!("live since {since}"),
        Some(left) => format!(
            "live since {since}, without a publisher since {}",
            left.to_rfc3339()
        ),
    })
}

async fn find(database: &Database, name: &str) -> Result<StreamRow, Box<dyn Error>> {
    let stream = streams::by_name(database, &name.parse()?).await?;
    Ok(
        stream
            .ok_or_else(|| format!("there is no stream {name:?}; list them: nova stream list"))?,
    )
}

fn default_window(config: &Config) -> Micros {
    Micros::from_secs(config.live.keep_seconds.into())
}
