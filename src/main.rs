//! Nova: a streaming engine in one binary.
//!
//! `docs/ARCHITECTURE.md` is the map. This crate owns sequence and tasks: it reads
//! the configuration, builds the stages that a process's roles ask for, and runs the
//! live pipeline between them.

#![allow(
    unreachable_pub,
    reason = "a binary has no outside; `pub` marks a module's interface"
)]

#[macro_use]
mod output;

mod access_keys;
mod admin;
mod api;
mod background;
mod bench;
mod cdn;
mod cli;
mod commands;
mod config;
mod data_dir;
mod demo;
mod doctor;
mod edge_node;
mod encoding;
mod erasing;
mod hooks;
mod live;
mod media_path;
mod origin_node;
mod pictures;
mod playback;
mod publish;
mod quantities;
mod readiness;
mod roles;
mod routes;
mod serve;
mod stream_rules;
mod telemetry;
mod upstreams;
mod usage;
mod vod;
mod wake;
mod web;
mod welcome;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A worker handles frames on threads of its own: no runtime, no log but stderr.
    if matches!(cli.command, Command::Worker) {
        return transcode::worker::main();
    }
    if let Command::Demux { task } = &cli.command {
        return transcode::vod::demux_main(task);
    }
    if matches!(cli.command, Command::Pictures) {
        return transcode::pictures::pictures_main();
    }
    telemetry::start_logging(cli.log);
    match run(cli) {
        Ok(()) if output::is_whole() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("nova: {}", explain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(commands::run(cli));
    // Threads that still write to disk get a moment; a stuck one does not hold the exit.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

/// An error with its causes, each said once.
fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = next.source();
    }
    text
}
