//! Hardware encoders that fail, on every engine. The device is a fake: see
//! `tests/bin/worker.rs`.

use std::collections::BTreeMap;

use media::{AvcConfig, Codec, Frame, Rendition, SourceFit};
use tokio::time::timeout;
use transcode::{
    Device, Encoder, EngineName, Job, Output, Worker, WorkerCommand, WorkerError, all_engines,
    survey, try_device,
};

use crate::rig::{DEADLINE, Recording, stream, worker_command};
use crate::transcoding::decode;

fn with_fake(argument: &str) -> WorkerCommand {
    WorkerCommand {
        args: vec![argument.into()],
        ..worker_command()
    }
}

fn job(recording: &Recording, engine: EngineName, encoder: Encoder) -> Job {
    Job {
        engine,
        encoder,
        ..recording.job(SourceFit::Passthrough)
    }
}

/// What came out, in order.
#[derive(Default)]
struct Came {
    tracks: BTreeMap<String, Rendition>,
    frames: BTreeMap<String, Vec<Frame>>,
    /// Rungs whose device failed: after how many frames, and why.
    failures: BTreeMap<String, (usize, String)>,
}

async fn run(command: &WorkerCommand, job: &Job, frames: &[Frame]) -> Came {
    let (mut input, mut output) = Worker::start(command, &stream(), job).unwrap();
    let send = async {
        for frame in frames {
            input.send(frame).await.unwrap();
        }
        input.finish().await.unwrap();
    };
    let receive = async {
        let mut came = Came::default();
        while let Some(next) = output.next().await.unwrap() {
            match next {
                Output::Track(track) => {
                    let again = came.tracks.insert(track.name.to_string(), track);
                    assert!(again.is_none(), "a track is announced once");
                }
                Output::Frame { rung, frame } => {
                    came.frames.entry(rung.to_string()).or_default().push(frame);
                }
                Output::DeviceFailed { rung, reason } => {
                    let after = came.frames.get(rung.as_str()).map_or(0, Vec::len);
                    let again = came.failures.insert(rung.to_string(), (after, reason));
                    assert!(again.is_none(), "a device fails once");
                }
            }
        }
        came
    };
    let both = async { tokio::join!(send, receive).1 };
    timeout(DEADLINE, both).await.unwrap()
}

fn configuration(track: &Rendition) -> &AvcConfig {
    match &track.codec {
        Codec::Avc(avc) => avc,
        other => panic!("{other:?} is not H.264"),
    }
}

/// Every frame decodes with the configuration that was announced before the first.
fn assert_decodable(came: &Came, rung: &str) {
    let avc = configuration(&came.tracks[rung]);
    let frames = &came.frames[rung];
    let sizes = decode(&avc.record, frames);
    assert_eq!(sizes, vec![(avc.width, avc.height); frames.len()], "{rung}");
}

#[tokio::test]
async fn software_begins_at_the_next_segment_when_a_device_fails_in_the_middle() {
    let recording = Recording::of_test_picture(120, 30).marked_every(30);
    for &engine in all_engines() {
        let job = job(&recording, engine, Encoder::Device(Device::Vaapi));
        let came = run(
            &with_fake("--device-fails-after=40"),
            &job,
            &recording.frames,
        )
        .await;
        assert_eq!(came.failures.len(), 2, "{engine}: one for each rung");
        for (rung, (after, reason)) in &came.failures {
            let frames = &came.frames[rung];
            assert!((30..=40).contains(after), "{engine}: after {after} frames");
            assert!(!reason.is_empty(), "{engine}");
            let given =
                |frames: &[Frame]| -> Vec<_> { frames.iter().map(|f| (f.pts, f.starts)).collect() };
            assert_eq!(
                given(&frames[..*after]),
                given(&recording.frames[..*after]),
                "{engine}: until it fails, all that is sent comes"
            );
            assert_eq!(
                given(&frames[*after..]),
                given(&recording.frames[60..]),
                "{engine}: from the next segment on as well"
            );
            assert_decodable(&came, rung);
        }
    }
}

#[tokio::test]
async fn software_does_the_work_of_a_device_that_cannot_be_opened() {
    let recording = Recording::of_test_picture(60, 30).marked_every(30);
    for &engine in all_engines() {
        let job = job(&recording, engine, Encoder::Device(Device::Nvenc));
        let came = run(
            &with_fake("--device-fails-at-open"),
            &job,
            &recording.frames,
        )
        .await;
        assert_eq!(came.failures.len(), 2, "{engine}");
        for (rung, (after, reason)) in &came.failures {
            assert_eq!(*after, 0, "{engine}");
            assert!(reason.contains("cannot be opened"), "{engine}: {reason}");
            assert_eq!(came.frames[rung].len(), 60, "{engine}");
            assert_decodable(&came, rung);
        }
    }
}

#[tokio::test]
async fn whoever_encodes_the_announced_configuration_stays_true() {
    let recording = Recording::of_test_picture(2, 30).marked_every(1);
    for &engine in all_engines() {
        let announced = |encoder, fake: &'static str| {
            let (recording, job) = (&recording, job(&recording, engine, encoder));
            async move { run(&with_fake(fake), &job, &recording.frames).await.tracks }
        };
        let device = Encoder::Device(Device::Qsv);
        let with_device = announced(device, "--device-fails-after=1000").await;
        let without = announced(device, "--device-fails-at-open").await;
        let substitute = announced(Encoder::Substitute, "--device-fails-after=1000").await;
        assert_eq!(without, substitute, "{engine}");
        for (rung, track) in &with_device {
            let (both, software) = (configuration(track), configuration(&substitute[rung]));
            assert!(both.includes(software), "{engine} {rung}");
            assert!(!software.includes(both), "{engine} {rung}");
        }
    }
}

#[tokio::test]
async fn a_trial_tells_what_a_device_does() {
    for &engine in all_engines() {
        let works = with_fake("--device-fails-after=1000");
        let tried = try_device(&works, engine, Device::Vaapi).await;
        assert!(tried.is_ok(), "{engine}: {tried:?}");

        let fails = with_fake("--device-fails-at-open");
        let error = try_device(&fails, engine, Device::Vaapi).await.unwrap_err();
        assert!(
            matches!(&error, WorkerError::GaveUp { .. }),
            "{engine}: {error:?}"
        );
        assert!(error.to_string().contains("cannot be opened"), "{error}");
    }
}

#[tokio::test]
async fn a_survey_names_what_an_engine_needs() {
    for &engine in all_engines() {
        let report = survey(&worker_command(), engine).await.unwrap();
        assert_eq!(report.name, engine);
        let versioned = |(_, version): &(String, String)| version.contains('.');
        assert!(!report.libraries.is_empty(), "{engine}");
        assert!(report.libraries.iter().all(versioned), "{report:?}");
        assert!(report.codecs.len() > 2, "{engine}");
        let missing: Vec<_> = report.missing().collect();
        assert!(missing.is_empty(), "{engine}: {missing:?}");
        // Each that was found either works or has its reason.
        for (device, _) in report.devices {
            if let Err(error) = try_device(&worker_command(), engine, device).await {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}
