//! A stretch of a file, transcoded: a demuxing process reads it, a worker encodes it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use media::{Frame, Micros, RenditionName, SegmentNumber, StreamName, Timestamp, TrackKind};
use storage::rows::videos::imports::{self, ChunkRow};
use transcode::vod::{Demuxed, Demuxer, Task};
use transcode::{Encoder, Job, Output, Worker, WorkerError, WorkerInput, WorkerOutput};

use super::fault::Fault;
use super::job::Work;
use super::plan::START;
use super::shelf::Shelf;

/// How often a chunk is tried in one attempt of its job.
const TRIES: u32 = 3;
/// The pause before another try.
const PAUSE: Duration = Duration::from_millis(500);

/// Makes what is missing of a chunk.
pub(super) async fn run(work: &Work, chunk: ChunkRow) -> Result<(), Fault> {
    let mut tries = 1;
    loop {
        let outcome = match work.plan.kind_of(&chunk) {
            TrackKind::Video => pictures(work, &chunk).await,
            TrackKind::Audio => sound(work, &chunk).await,
        };
        match outcome {
            Ok(()) => break,
            Err(fault) if fault.is_worth_a_retry() && tries < TRIES => {
                let (video, number) = (work.video, chunk.number);
                tracing::warn!(%video, chunk = number, %fault, "a chunk is tried again");
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(fault) => return Err(fault),
        }
    }
    let parts = &work.parts;
    let now = parts.clock.now();
    imports::finish_chunk(&parts.database, work.video, chunk.number, now).await?;
    Ok(())
}

/// What of a chunk is stored.
type Stored = BTreeMap<RenditionName, BTreeSet<SegmentNumber>>;

async fn stored(work: &Work, chunk: &ChunkRow) -> Result<Stored, Fault> {
    let (first, count) = (chunk.first_segment, chunk.segments);
    let database = &work.parts.database;
    let rows = imports::finished_segments(database, work.video, first, count).await?;
    let mut stored = Stored::new();
    for (number, rendition) in rows {
        stored.entry(rendition).or_default().insert(number);
    }
    Ok(stored)
}

fn last_of(chunk: &ChunkRow) -> SegmentNumber {
    SegmentNumber(chunk.first_segment.0 + u64::from(chunk.segments.max(1)) - 1)
}

/// Puts marks on the frames of a file.
struct Marks<'a> {
    work: &'a Work,
    /// The next number.
    next: SegmentNumber,
}

impl Marks<'_> {
    /// The presentation time of the first frame of a segment; `None` behind the last.
    fn time(&self, number: SegmentNumber) -> Option<Micros> {
        let at = usize::try_from(number.0).ok()?;
        Some(self.work.plan.cuts.marks.get(at)?.at)
    }
}

async fn pictures(work: &Work, chunk: &ChunkRow) -> Result<(), Fault> {
    let stored = stored(work, chunk).await?;
    let names = work.plan.video_renditions();
    let (first, last) = (chunk.first_segment, last_of(chunk));
    let is_missing = |number: &SegmentNumber| {
        let has = |name| {
            stored
                .get(name)
                .is_some_and(|numbers| numbers.contains(number))
        };
        !names.iter().all(has)
    };
    let Some(from) = (first.0..=last.0).map(SegmentNumber).find(is_missing) else {
        return Ok(());
    };
    let at = usize::try_from(from.0).unwrap_or(usize::MAX);
    let (Some(mark), Some(source)) = (work.plan.cuts.marks.get(at), &work.plan.video) else {
        return Err(Fault::Refused("its plan has no such segment".into()));
    };
    let demuxer = Demuxer::start(
        &work.parts.demuxer,
        &Task::Read {
            file: work.file.clone(),
            track: TrackKind::Video,
            from_us: Some((mark.from.as_micros(), mark.seek.as_micros())),
        },
    )?;
    let of = |name: &RenditionName| stored.get(name).cloned().unwrap_or_default();
    let passthrough = match work.plan.source_rendition()? {
        Some(rendition) => {
            let there = of(&rendition.name);
            Some(Shelf::open(work, rendition, there, last).await?)
        }
        None => None,
    };
    let marks = Marks { work, next: from };
    if work.plan.rungs.is_empty() {
        return feed(marks, last, demuxer, passthrough, None).await;
    }
    let job = Job {
        engine: super::ENGINE,
        // What is kept is made for its quality, which software's is better.
        encoder: Encoder::Software,
        source: source.clone(),
        rungs: work.plan.rungs.clone(),
        start: START,
        frame_duration: work.plan.cuts.frame_duration,
    };
    let name: StreamName = format!("video-{}", work.video)
        .parse()
        .map_err(|error: media::InvalidName| Fault::Refused(error.to_string()))?;
    let (input, output) = Worker::start(&work.parts.worker, &name, &job)?;
    let encode = collect(work, output, last, &stored);
    tokio::try_join!(feed(marks, last, demuxer, passthrough, Some(input)), encode)?;
    Ok(())
}

/// Gives the chunk's frames to the worker and to the rendition that is taken as it is, and
/// the first one behind it, which ends the last segment.
async fn feed(
    mut marks: Marks<'_>,
    last: SegmentNumber,
    mut demuxer: Demuxer,
    mut passthrough: Option<Shelf<'_>>,
    mut input: Option<WorkerInput>,
) -> Result<(), Fault> {
    let plan = &marks.work.plan;
    let end = marks.time(last.next());
    while let Some(demuxed) = demuxer.next().await? {
        let Demuxed::Frame(mut frame) = demuxed else {
            continue;
        };
        let (dts, pts) = file_times(&frame);
        frame.dts = plan.media_time(dts);
        frame.pts = plan.media_time(pts);
        if marks.next <= last.next() && marks.time(marks.next) == Some(pts) {
            frame.starts = Some(marks.next);
            marks.next = marks.next.next();
        }
        let is_behind = frame.starts > Some(last);
        if let Some(worker) = &mut input {
            match worker.send(&frame).await {
                // Its output tells why.
                Err(WorkerError::Closed) => return Ok(()),
                sent => sent?,
            }
        }
        if let Some(shelf) = &mut passthrough {
            shelf.push(frame).await?;
            if is_behind {
                passthrough = None;
            }
        }
        // What is shown before the end is decoded before it.
        if end.is_some_and(|end| dts >= end) {
            break;
        }
    }
    if marks.next <= last {
        return Err(Fault::Refused(format!(
            "the frame that segment {} starts with is not found again",
            marks.next
        )));
    }
    if let Some(mut shelf) = passthrough {
        shelf.finish().await?;
    }
    match input {
        Some(worker) => match worker.finish().await {
            Err(WorkerError::Closed) => Ok(()),
            finished => Ok(finished?),
        },
        None => Ok(()),
    }
}

/// Stores what a worker makes, up to and including `last`.
async fn collect(
    work: &Work,
    mut output: WorkerOutput,
    last: SegmentNumber,
    stored: &Stored,
) -> Result<(), Fault> {
    let mut shelves: BTreeMap<RenditionName, Option<Shelf<'_>>> = BTreeMap::new();
    while let Some(made) = output.next().await? {
        match made {
            Output::Track(rendition) => {
                let name = rendition.name.clone();
                let there = stored.get(&name).cloned().unwrap_or_default();
                let shelf = Shelf::open(work, rendition, there, last).await?;
                shelves.insert(name, Some(shelf));
            }
            Output::Frame { rung, frame } => {
                let Some(slot) = shelves.get_mut(&rung) else {
                    continue;
                };
                let is_behind = frame.starts > Some(last);
                if let Some(shelf) = slot {
                    shelf.push(frame).await?;
                }
                if is_behind {
                    *slot = None;
                }
            }
            // Software alone encodes videos.
            Output::DeviceFailed { .. } => {}
        }
    }
    for shelf in shelves.values_mut().flatten() {
        shelf.finish().await?;
    }
    Ok(())
}

/// All of the sound: AAC as it is, all else encoded again.
async fn sound(work: &Work, chunk: &ChunkRow) -> Result<(), Fault> {
    let Some(rendition) = work.plan.audio_rendition()? else {
        return Ok(());
    };
    let stored = stored(work, chunk).await?;
    let there = stored.get(&rendition.name).cloned().unwrap_or_default();
    let (frame_duration, last) = (rendition.frame_duration, last_of(chunk));
    let half = Micros::new(frame_duration.as_micros() / 2);
    let mut demuxer = Demuxer::start(
        &work.parts.demuxer,
        &Task::Sound {
            file: work.file.clone(),
            from_us: work.plan.first_time().as_micros(),
        },
    )?;
    let mut marks = (0..)
        .map(SegmentNumber)
        .zip(work.plan.cuts.of_its_sound())
        .peekable();
    let mut shelf = Shelf::open(work, rendition, there, last).await?;
    while let Some(demuxed) = demuxer.next().await? {
        let Demuxed::Frame(mut frame) = demuxed else {
            continue;
        };
        let (_, pts) = file_times(&frame);
        // The frame nearest to where the pictures are cut.
        while let Some((number, _)) = marks.next_if(|(_, at)| pts + half >= *at) {
            frame.starts = Some(number);
        }
        frame.pts = work.plan.media_time(pts);
        frame.dts = frame.pts;
        frame.duration = Some(frame_duration);
        frame.key = true;
        shelf.push(frame).await?;
    }
    shelf.finish().await
}

fn file_times(frame: &Frame) -> (Micros, Micros) {
    let zero = Timestamp::default();
    (frame.dts - zero, frame.pts - zero)
}
