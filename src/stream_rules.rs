//! `nova stream set` and `nova stream show`: what a stream keeps, what it is encoded to and
//! with, and what it has.

use std::error::Error;
use std::fmt::Display;

use media::{Clock, Micros, StreamId, SystemClock};
use storage::Database;
use storage::retention::Rules;
use storage::rows::retention::{self, Stored};
use storage::rows::sessions;
use storage::rows::streams::{self, StoredEncoding, StreamRow};
use transcode::EngineName;

use crate::cli::{SetStream, StreamEngine, Switch};
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
    if let Some(StreamEngine(Some(engine))) = change.engine {
        must_be_in(engine, transcode::all_engines())?;
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
    if let Some(engine) = &change.engine {
        let text = engine.0.map(EngineName::as_str);
        streams::set_engine(database, stream.id, text).await?;
    }
    if let Some(encoder) = &change.encoder {
        let text = encoder.0.as_ref().map(ToString::to_string);
        streams::set_encoder(database, stream.id, text.as_deref()).await?;
    }
    retention::change_rules(database, stream.id, |rules| apply(rules, &change)).await?;
    show(database, config, &change.name).await
}

/// A build can only use what it was built with.
fn must_be_in(engine: EngineName, built: &[EngineName]) -> Result<(), String> {
    if built.contains(&engine) {
        return Ok(());
    }
    let names: Vec<_> = built.iter().map(|engine| engine.as_str()).collect();
    let names = match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(" and "),
    };
    Err(format!(
        "this build has no engine {engine}: it was built without the cargo feature {engine}, and has {names}"
    ))
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
    let StoredEncoding { engine, encoder } = &stream.encoding;
    let transcode = &config.transcode;
    print_choice("ladder", &stream.ladder, &transcode.ladder);
    print_choice("engine", engine, &transcode.engine);
    print_choice("encoder", encoder, &transcode.encoder);
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

fn print_choice(name: &str, own: &Option<String>, configured: &impl Display) {
    match own {
        Some(own) => println!("{name:<12} {own}"),
        None => println!("{name:<12} default ({configured})"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_not_in_the_build_is_refused_with_the_reason() {
        let (ffmpeg, gstreamer) = (EngineName::Ffmpeg, EngineName::Gstreamer);
        assert_eq!(must_be_in(gstreamer, &[ffmpeg, gstreamer]), Ok(()));
        let refused = must_be_in(gstreamer, &[ffmpeg]).unwrap_err();
        assert!(refused.contains("no engine gstreamer"), "{refused}");
        assert!(refused.contains("has ffmpeg"), "{refused}");
        let refused = must_be_in(ffmpeg, &[]).unwrap_err();
        assert!(refused.contains("has none"), "{refused}");
    }
}
