//! `nova vod`: videos, on the command line.

use std::error::Error;

use media::{Micros, VideoId};
use storage::rows::videos::playback::{self, Playback};
use storage::rows::videos::{self, VideoRow, imports};
use storage::rows::{Database, Entity, RowError};

use crate::cli::VodCommand;
use crate::quantities::Amount;

/// Videos listed at a time.
const PAGE: u32 = 500;
/// Segments that are read to tell how long a recording is.
const SEGMENTS: u32 = 300_000;

/// Runs the command.
pub async fn run(command: VodCommand, database: &Database) -> Result<(), Box<dyn Error>> {
    match command {
        VodCommand::List => list(database).await?,
        VodCommand::Show { id } => show(database, id).await?,
    }
    database.close().await;
    Ok(())
}

async fn list(database: &Database) -> Result<(), Box<dyn Error>> {
    let mut after = None;
    loop {
        let page = videos::list(database, after, PAGE).await?;
        for video in &page {
            println!("{}\t{}\t{}", video.id, video.state, video.title);
        }
        match page.last() {
            Some(last) if page.len() as u32 == PAGE => after = Some(last.id),
            _ => return Ok(()),
        }
    }
}

async fn show(database: &Database, id: VideoId) -> Result<(), Box<dyn Error>> {
    let found = videos::get(database, id).await?;
    let video = found.ok_or(RowError::NotFound(Entity::Video))?;
    println!("id           {}", video.id);
    println!("title        {}", video.title);
    println!("state        {}", video.state);
    println!("made         {}", video.created_at.to_rfc3339());
    match video.session {
        Some(session) => println!("recording of {session}"),
        None => show_import(database, &video).await?,
    }
    if let Some(error) = &video.error {
        println!("error        {error}");
    }
    if let Playback::Ready(stored) = playback::load(database, id, SEGMENTS).await? {
        let bytes = stored.segments.iter().map(|row| row.segment.size).sum();
        let starts = stored.segments.iter().map(|row| row.segment.start);
        let ends = stored
            .segments
            .iter()
            .map(|row| row.segment.start + row.segment.duration);
        if let (Some(start), Some(end)) = (starts.min(), ends.max()) {
            println!("length       {}", seconds(end - start));
        }
        println!("stored       {}", Amount(bytes));
        println!("plays at     /vod/{id}/index.m3u8");
        println!("             /vod/{id}/manifest.mpd");
    }
    Ok(())
}

async fn show_import(database: &Database, video: &VideoRow) -> Result<(), Box<dyn Error>> {
    let size = video.original_size.unwrap_or_default();
    println!("imported     {}", Amount(size));
    if let (Some(planned), None) = (video.segments_planned, video.ready_at) {
        let done = imports::segment_count(database, video.id).await?;
        let percent = done.min(planned) * 100 / planned.max(1);
        println!("progress     {percent}% ({done} of {planned} segments)");
    }
    Ok(())
}

fn seconds(span: Micros) -> String {
    format!("{:.3} s", span.as_secs_f64())
}
