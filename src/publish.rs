//! `nova publish`: a broadcaster in a box.

use std::error::Error;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ingest::{PublishClient, PublishUrl, StreamKey};
use media::timeline::WireFrame;
use media::{Clock, SystemClock};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use transcode::source::{self, AtEnd, Source, SourceError, TestSettings};

use crate::cli::Publish;

/// Where the key is looked for when the URL has none.
const KEY_VARIABLE: &str = "NOVA_STREAM_KEY";
/// Frames that wait for the network: about a second. Beyond it the source waits.
const MAX_WAITING: usize = 64;

/// Publishes until the input ends, the server refuses, or a signal comes.
pub async fn publish(args: Publish) -> Result<(), Box<dyn Error>> {
    let mut url: PublishUrl = args.url.parse()?;
    if !url.has_key() {
        let key = std::env::var(KEY_VARIABLE).map_err(|_| {
            format!("no stream key: expected rtmp://HOST/APP/KEY, or the key in {KEY_VARIABLE}")
        })?;
        url = url.with_key(StreamKey::new(key));
    }
    let at_end = if args.repeat {
        AtEnd::Repeat
    } else {
        AtEnd::Stop
    };
    let source = match args.input.as_str() {
        "test" => source::test_picture(&TestSettings::default())?,
        path => source::file(Path::new(path), at_end)?,
    };
    let mut client = PublishClient::connect(&url).await?;
    for codec in source.codecs() {
        client.send_config(codec).await?;
    }
    tracing::info!("publishing");
    let (sender, mut frames) = mpsc::channel(MAX_WAITING);
    let player = thread::Builder::new()
        .name("source".to_owned())
        .spawn(move || play(source, &sender))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
        };
        let Some(frame) = frame else { break };
        client.send(&frame).await?;
    }
    drop(frames);
    client.finish().await?;
    match player.join() {
        Ok(result) => Ok(result?),
        Err(_) => Err("the source failed".into()),
    }
}

/// Gives frames when they are due. Ends with the source or with the receiver.
fn play(mut source: Box<dyn Source>, sender: &mpsc::Sender<WireFrame>) -> Result<(), SourceError> {
    let started = Instant::now();
    while let Some(due) = source.due() {
        let early = due.to_duration().saturating_sub(started.elapsed());
        if early > Duration::ZERO {
            thread::sleep(early);
        }
        for frame in source.next(SystemClock.now())? {
            if sender.blocking_send(frame).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
