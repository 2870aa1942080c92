//! Rungs that are shed, and rungs that show fewer pictures than the source.

use media::{Frame, SourceFit};
use tokio::time::timeout;
use transcode::{EngineName, Job, Output, RungSet, WorkerOutput, all_engines};

use crate::rig::{DEADLINE, Made, Recording, start, transcode};

const LARGE: &str = "180p";
const SMALL: &str = "120p";

fn job(recording: &Recording, engine: EngineName) -> Job {
    Job {
        engine,
        ..recording.job(SourceFit::Passthrough)
    }
}

/// Reads until `rung` has a frame at the time of `last`.
async fn read_to(output: &mut WorkerOutput, made: &mut Made, rung: &str, last: &Frame) {
    let read = async {
        while made
            .frames
            .get(rung)
            .and_then(|frames| frames.last())
            .map(|f| f.pts)
            != Some(last.pts)
        {
            made.take(output.next().await.unwrap().expect("it goes on"));
        }
    };
    timeout(DEADLINE, read).await.unwrap();
}

#[tokio::test]
async fn a_shed_rung_stops_and_returns_at_a_mark_with_a_key_frame() {
    for &engine in all_engines() {
        shed_and_returns(engine).await;
    }
}

async fn shed_and_returns(engine: EngineName) {
    let recording = Recording::of_test_picture(150, 30).marked_every(30);
    let frames = &recording.frames;
    let (mut input, mut output) = start(&job(&recording, engine));
    let control = input.control();
    let mut made = Made::default();
    for frame in &frames[..45] {
        input.send(frame).await.unwrap();
    }
    read_to(&mut output, &mut made, LARGE, &frames[44]).await;
    read_to(&mut output, &mut made, SMALL, &frames[44]).await;

    control.select(RungSet::ALL.without(0));
    for frame in &frames[45..100] {
        input.send(frame).await.unwrap();
    }
    read_to(&mut output, &mut made, SMALL, &frames[99]).await;
    assert_eq!(made.frames[LARGE].len(), 45, "{engine}: it stops at once");

    control.select(RungSet::ALL);
    for frame in &frames[100..] {
        input.send(frame).await.unwrap();
    }
    input.finish().await.unwrap();
    while let Some(next) = timeout(DEADLINE, output.next()).await.unwrap().unwrap() {
        made.take(next);
    }
    let large = &made.frames[LARGE];
    let back = &large[45];
    assert_eq!(
        (back.pts, back.starts),
        (frames[120].pts, frames[120].starts)
    );
    assert!(back.key);
    assert_eq!(large.len(), 45 + 30);
    assert_eq!(made.frames[SMALL].len(), 150, "the other does not notice");
}

#[tokio::test]
async fn all_rungs_can_be_shed_before_the_first_frame() {
    for &engine in all_engines() {
        shed_before_the_first_frame(engine).await;
    }
}

async fn shed_before_the_first_frame(engine: EngineName) {
    let recording = Recording::of_test_picture(60, 30).marked_every(30);
    let frames = &recording.frames;
    let (mut input, mut output) = start(&job(&recording, engine));
    let control = input.control();
    control.select(RungSet::NONE);
    for frame in &frames[..20] {
        input.send(frame).await.unwrap();
    }
    let all_taken = async {
        while control.backlog().oldest().is_some() {
            // Reading makes it go on; only tracks come.
            let next = timeout(std::time::Duration::from_millis(50), output.next()).await;
            assert!(
                !matches!(next, Ok(Ok(Some(Output::Frame { .. })) | Ok(None) | Err(_))),
                "{next:?}"
            );
        }
    };
    timeout(DEADLINE, all_taken).await.unwrap();
    control.select(RungSet::NONE.with(1));
    for frame in &frames[20..] {
        input.send(frame).await.unwrap();
    }
    input.finish().await.unwrap();
    let mut made = Made::default();
    let mut rest = Vec::new();
    while let Some(next) = timeout(DEADLINE, output.next()).await.unwrap().unwrap() {
        if let Output::Frame { rung, frame } = next {
            assert_eq!(rung.as_str(), SMALL);
            rest.push(frame);
        } else {
            made.take(next);
        }
    }
    assert_eq!(rest.len(), 30);
    assert_eq!(rest[0].starts, frames[30].starts);
}

#[tokio::test]
async fn a_rung_of_every_second_picture_keeps_the_marks() {
    for &engine in all_engines() {
        every_second_picture(engine).await;
    }
}

async fn every_second_picture(engine: EngineName) {
    // An odd number of pictures from mark to mark.
    let recording = Recording::of_test_picture(93, 31).marked_every(31);
    let mut job = job(&recording, engine);
    job.rungs[1].frame_step = 2;
    let made = transcode(&job, &recording.frames).await.unwrap();
    assert_eq!(made.frames[LARGE].len(), 93);
    let small = &made.frames[SMALL];
    assert_eq!(small.len(), 3 * 16);
    for (index, frame) in small.iter().enumerate() {
        let source = &recording.frames[index / 16 * 31 + index % 16 * 2];
        assert_eq!((frame.pts, frame.starts), (source.pts, source.starts));
        assert_eq!(frame.key, source.starts.is_some());
    }
    let duration = |name: &str| made.tracks[name].frame_duration.as_micros();
    assert_eq!(duration(SMALL), 2 * duration(LARGE));
}
