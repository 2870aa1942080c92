//! An origin that serves a recording as a live low-latency stream.
//!
//! Each frame is published when it is due, counted from an instant that is given. So
//! several of these, on several hosts, are one and the same stream in lockstep: the same
//! names, the same bytes, part by part. One that is started late catches up at once.
//!
//! ```sh
//! ffmpeg -i IN -t 60 -c:v libx264 -g 60 -sc_threshold 0 -c:a aac -f flv clip.flv
//! cargo run --example replay_origin -- clip.flv --start 1800000000000000 --bind 127.0.0.1:8081
//! ```
//!
//! Its standard output is a line of JSON when it listens, and one for each request and each
//! answer.

mod presentation;
mod recording;

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use media::{Clock, Micros, StreamId, StreamName, SystemClock, Timestamp};
use packager::live::LiveConfig;
use packager::origin::{OriginBody, OriginLimits, OriginParts};
use packager::{LiveStream, LiveStreams, Origin};
use serde_json::json;
use storage::objects::FileStore;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower_service::Service;

use presentation::Presentation;
use recording::Recording;

/// Serves a recording as a live stream
#[derive(Debug, Parser)]
struct Arguments {
    /// FLV with H.264 and AAC
    recording: PathBuf,
    /// When the recording begins, in microseconds of Unix time
    #[arg(long)]
    start: i64,
    /// Where to listen
    #[arg(long)]
    bind: SocketAddr,
    /// The name in the stream's URLs
    #[arg(long, default_value = "garden")]
    stream: StreamName,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let recording = Recording::open(&arguments.recording)
        .map_err(|error| format!("{}: {error}", arguments.recording.display()))?;
    let streams = Arc::new(LiveStreams::new());
    let config = LiveConfig {
        // What is out of the window is not stored anywhere else.
        spare_segments: 32,
        ..LiveConfig::default()
    };
    let window = LiveStream::new(arguments.stream, StreamId::new(), config);
    let window = streams.insert(window);
    let origin = Origin::new(OriginParts {
        streams,
        objects: Arc::new(FileStore::open(
            &arguments.recording.with_extension("objects"),
        )?),
        clock: Arc::new(SystemClock),
        database: None,
        pictures: None,
        limits: OriginLimits::default(),
    });
    let listener = TcpListener::bind(arguments.bind).await?;
    say(json!({ "event": "listening", "address": listener.local_addr()? }));
    let start = Timestamp::from_micros(arguments.start);
    tokio::select! {
        played = play(recording, Presentation::new(window), start) => played?,
        never = serve(listener, origin) => match never? {},
    }
    Ok(())
}

/// Publishes what is due, and never returns after the end: the stream has ended, and is
/// served.
async fn play(
    recording: Recording,
    mut presentation: Presentation,
    start: Timestamp,
) -> Result<(), Box<dyn Error>> {
    let mut now = start;
    for (due, event) in recording.events {
        now = start + due;
        let early = now - SystemClock.now();
        if early > Micros::ZERO {
            tokio::time::sleep(early.to_duration()).await;
        }
        presentation.push(now, event)?;
    }
    presentation.finish(now)?;
    std::future::pending().await
}

async fn serve(listener: TcpListener, origin: Origin) -> std::io::Result<Infallible> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, client) = listener.accept().await?;
        stream.set_nodelay(true)?;
        connections.spawn(converse(stream, client, origin.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(stream: TcpStream, client: SocketAddr, origin: Origin) {
    let service = service_fn(|request| answer(client, request, origin.clone()));
    // A client may go as it likes.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    client: SocketAddr,
    request: Request<Incoming>,
    mut origin: Origin,
) -> Result<Response<OriginBody>, Infallible> {
    let client = client.ip();
    let target = request.uri().to_string();
    say(json!({ "event": "asked", "client": client, "target": target }));
    let response = origin.call(request.map(drop)).await?;
    let status = response.status().as_u16();
    say(json!({ "event": "answered", "client": client, "target": target, "status": status }));
    Ok(response)
}

fn say(line: serde_json::Value) {
    println!("{line}");
}
