//! The ladder: frames per second of all its rungs, of those that a passed-through source
//! leaves, and of each alone, on every engine, each in its worker process; and of what
//! stands around the codecs: framing, scaling, planning.

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use media::{
    AvcConfig, Codec, Epoch, EpochNumber, Frame, Micros, RenditionName, SegmentNumber, SourceFit,
    Timestamp, Track, TrackKind, VideoShape,
};
use tokio::runtime::Runtime;
use transcode::bench::{Framing, Scaling};
use transcode::source::{self, AtEnd};
use transcode::{
    Encoder, EngineName, Job, LadderConfig, Rung, VideoSource, Worker, WorkerCommand, all_engines,
    plan,
};

/// Name, width, height, bits per second.
const RUNGS: [(&str, u32, u32, u32); 4] = [
    ("1080p", 1920, 1080, 5_000_000),
    ("720p", 1280, 720, 2_800_000),
    ("480p", 854, 480, 1_400_000),
    ("360p", 640, 360, 800_000),
];

/// Frames of the clip: two seconds, one group of pictures.
const FRAMES: usize = 60;

/// A clip of 1920x1080 at 30 frames per second.
struct Clip {
    avc: AvcConfig,
    frames: Vec<Frame>,
}

impl Clip {
    fn make() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("clip.mp4");
        let made = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i"])
            .arg("mandelbrot=size=1920x1080:rate=30,trim=duration=2,noise=alls=5:allf=t")
            .args([
                "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast",
            ])
            .args(["-b:v", "8M", "-g", "60", "-bf", "2"])
            .arg(&path)
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "ffmpeg makes a clip"
        );
        Self::read(&path)
    }

    fn read(path: &Path) -> Self {
        let mut source = source::file(path, AtEnd::Stop).expect("a readable clip");
        let codec = source.codecs().first().cloned();
        let Some(Codec::Avc(avc)) = codec else {
            panic!("H.264 comes first");
        };
        let begin = Timestamp::from_micros(0);
        let mut frames = Vec::new();
        while source.due().is_some() {
            for frame in source.next(begin).expect("a readable clip") {
                let dts = begin + Micros::from_millis(frame.timestamp.into());
                frames.push(Frame {
                    track: TrackKind::Video,
                    dts,
                    pts: dts + Micros::from_millis(frame.composition_offset.into()),
                    duration: None,
                    key: frame.key,
                    starts: None,
                    data: frame.data,
                });
            }
        }
        assert_eq!(frames.len(), FRAMES);
        frames[0].starts = Some(SegmentNumber(0));
        Self { avc, frames }
    }

    fn job(&self, engine: EngineName, rungs: &[(&str, u32, u32, u32)]) -> Job {
        let rungs = rungs.iter().map(|&(name, width, height, bit_rate)| {
            let name = RenditionName::try_from(name.to_owned()).expect("a name");
            Rung::live(name, VideoShape { width, height }, bit_rate)
        });
        Job {
            engine,
            encoder: Encoder::Software,
            source: VideoSource::from(&self.avc),
            rungs: rungs.collect(),
            start: self.frames[0].pts,
            frame_duration: Micros::new(33_333),
        }
    }
}

async fn transcode(job: &Job, frames: &[Frame]) -> usize {
    let command = WorkerCommand::this_program().expect("an engine");
    let stream = "bench".parse().expect("a name");
    let (mut input, mut output) = Worker::start(&command, &stream, job).expect("a worker");
    let feed = async {
        for frame in frames {
            input.send(frame).await.expect("a worker that reads");
        }
        input.finish().await.expect("a worker that reads");
    };
    let read = async {
        let mut outputs = 0;
        while output.next().await.expect("a worker that works").is_some() {
            outputs += 1;
        }
        outputs
    };
    tokio::join!(feed, read).1
}

fn ladder(c: &mut Criterion, clip: &Clip) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("transcode ladder");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(1))
        .throughput(Throughput::Elements(FRAMES as u64));
    for &engine in all_engines() {
        let mut run = |name: &str, rungs: &[(&str, u32, u32, u32)]| {
            let job = clip.job(engine, rungs);
            group.bench_function(BenchmarkId::new(name, engine), |b| {
                b.iter(|| runtime.block_on(transcode(&job, &clip.frames)));
            });
        };
        run("full", &RUNGS);
        run("passthrough", &RUNGS[1..]);
        for rung in &RUNGS {
            run(rung.0, std::slice::from_ref(rung));
        }
    }
    group.finish();
}

fn framing(c: &mut Criterion) {
    let frame = Frame {
        track: TrackKind::Video,
        dts: Timestamp::from_micros(0),
        pts: Timestamp::from_micros(66_667),
        duration: None,
        key: false,
        starts: None,
        data: Bytes::from(vec![0x55; 20_000]),
    };
    let mut framing = Framing::default();
    println!(
        "worker framing: {} copies of a frame's bytes from one side of the pipe to the other, \
         besides the kernel's two",
        framing.copies(&frame)
    );
    let mut group = c.benchmark_group("transcode framing");
    group.throughput(Throughput::Bytes(frame.data.len() as u64));
    group.bench_function("write and read a frame of 20 kB", |b| {
        b.iter(|| framing.round_trip(black_box(&frame)));
    });
    group.finish();
}

fn scaling(c: &mut Criterion) {
    let mut group = c.benchmark_group("transcode scaling");
    group.sample_size(20).throughput(Throughput::Elements(1));
    for (name, sizes) in [
        ("1080p to 720p", &[(1280, 720)][..]),
        ("1080p to 480p", &[(854, 480)]),
        ("1080p to 360p", &[(640, 360)]),
        (
            "1080p to 720p, 480p and 360p, one from the other",
            &[(1280, 720), (854, 480), (640, 360)],
        ),
    ] {
        let mut scaling = Scaling::new((1920, 1080), sizes).expect("picture memory");
        group.bench_function(name, |b| {
            b.iter(|| scaling.run().expect("a scaled picture"))
        });
    }
    group.finish();
}

fn planner(c: &mut Criterion, clip: &Clip) {
    let epoch = Epoch {
        number: EpochNumber(0),
        first_segment: SegmentNumber(0),
        start: Timestamp::from_micros(0),
        target_duration: 2,
        video: Some(Track {
            codec: Codec::Avc(clip.avc.clone()),
            bit_rate: 6_000_000,
            frame_duration: Micros::new(33_333),
        }),
        audio: None,
        source_fit: SourceFit::GopTooLong,
    };
    let config = LadderConfig::default();
    c.bench_function("transcode planner", |b| {
        b.iter(|| plan(black_box(&epoch), black_box(&config)));
    });
}

fn main() -> ExitCode {
    // The worker processes are this program again.
    if std::env::args().nth(1).as_deref() == Some("worker") {
        return transcode::worker::main();
    }
    let clip = Clip::make();
    let mut criterion = Criterion::default().configure_from_args();
    planner(&mut criterion, &clip);
    framing(&mut criterion);
    scaling(&mut criterion);
    ladder(&mut criterion, &clip);
    criterion.final_summary();
    ExitCode::SUCCESS
}
