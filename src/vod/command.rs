//! `nova vod`: videos, on the command line.

use std::error::Error;
use std::path::Path;

use media::{Clock, Micros, SystemClock, VideoId};
use storage::rows::jobs;
use storage::rows::users;
use storage::rows::videos::imports::{QUEUE, VideoCancellation};
use storage::rows::videos::playback::{self, Playback};
use storage::rows::videos::{self, VideoRow, imports};
use storage::rows::{Database, Entity, RowError};

use super::import;
use crate::cli::VodCommand;
use crate::config::Config;
use crate::quantities::Amount;

/// Videos listed at a time.
const PAGE: u32 = 500;
/// Segments that are read to tell how long a recording is.
const SEGMENTS: u32 = 300_000;

/// Runs the command.
pub async fn run(
    command: VodCommand,
    config: &Config,
    database: &Database,
) -> Result<(), Box<dyn Error>> {
    match command {
        VodCommand::Import { file, owner, title } => {
            let title = title.unwrap_or_else(|| name_of(&file));
            let owner = users::find_by_name(database, &owner)
                .await?
                .ok_or_else(|| format!("there is no user {owner:?}; make one: nova user create"))?;
            let objects = storage::objects::open(&config.objects()).await?;
            let clock = SystemClock;
            let (objects, owner) = (objects.as_ref(), owner.id);
            let id = import::import(database, objects, &clock, &file, owner, &title).await?;
            println!("video {id}");
        }
        VodCommand::Cancel { id } => cancel(database, id).await?,
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
    if video.ready_at.is_none()
        && let Some(job) = jobs::unfinished(database, QUEUE, &video.id.to_string()).await?
        && let Some(error) = &job.error
    {
        println!(
            "attempts     {} of {} failed",
            job.failures, job.max_attempts
        );
        println!("last error   {error}");
    }
    Ok(())
}

/// First the video, to which nothing is added from then on, then its job.
async fn cancel(database: &Database, id: VideoId) -> Result<(), Box<dyn Error>> {
    let mut transaction = database.write().await?;
    match imports::cancel(&mut transaction, id).await? {
        VideoCancellation::Cancelled => transaction.commit().await?,
        VideoCancellation::TooLate => {
            return Err(format!("video {id} plays: it is too late to cancel it").into());
        }
    }
    if let Some(job) = jobs::unfinished(database, QUEUE, &id.to_string()).await? {
        jobs::cancel(database, job.id, SystemClock.now()).await?;
    }
    println!("video {id} cancelled");
    Ok(())
}

fn name_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str());
    name.to_string_lossy().into_owned()
}

fn seconds(span: Micros) -> String {
    format!("{:.3} s", span.as_secs_f64())
}
