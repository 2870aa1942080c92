//! Streams to feed workers with, and what comes out of them.

use std::collections::BTreeMap;
use std::time::Duration;

use media::timeline::WireFrame;
use media::{
    AvcConfig, Codec, Epoch, EpochNumber, Frame, Micros, Rendition, SegmentNumber, SourceFit,
    StreamName, Timestamp, Track, TrackKind,
};
use transcode::source::{Source, TestSettings, TestSource};
use transcode::{
    Job, LIVE_NICE, LadderConfig, LadderStep, Output, RungCodec, STALL_LIMIT, Worker,
    WorkerCommand, WorkerError, WorkerInput, WorkerOutput, plan,
};

/// Not a whole number of milliseconds, nor of 90 kHz ticks.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_790_000_000_123_457);

/// Long enough for a busy machine; never waited for when all is well.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn stream() -> StreamName {
    "test".parse().unwrap()
}

pub(crate) fn worker_command() -> WorkerCommand {
    WorkerCommand {
        program: env!("CARGO_BIN_EXE_transcode-test-worker").into(),
        args: Vec::new(),
        stall_limit: STALL_LIMIT,
        memory_limit: None,
        nice: LIVE_NICE,
    }
}

/// A worker that is really `program`.
pub(crate) fn impostor(program: &str, args: &[&str], stall_limit: Duration) -> WorkerCommand {
    WorkerCommand {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        stall_limit,
        memory_limit: None,
        nice: LIVE_NICE,
    }
}

/// Video as it comes from a timeline.
pub(crate) struct Recording {
    pub(crate) avc: AvcConfig,
    pub(crate) frames: Vec<Frame>,
}

impl Recording {
    /// The test picture at 320x240 and 30 frames per second.
    pub(crate) fn of_test_picture(frames: usize, key_interval: u32) -> Self {
        let mut source = TestSource::with_settings(&TestSettings {
            key_interval,
            bit_rate: 500_000,
            ..TestSettings::new(320, 240, 30)
        })
        .unwrap();
        let mut wire = Vec::new();
        while wire.len() < frames {
            let now = START + source.due().unwrap();
            let next = source.next(now).unwrap();
            wire.extend(next.into_iter().filter(|f| f.track == TrackKind::Video));
        }
        Self::of(source.codecs(), wire)
    }

    pub(crate) fn of(codecs: &[Codec], wire: Vec<WireFrame>) -> Self {
        let avc = codecs.iter().find_map(|codec| match codec {
            Codec::Avc(avc) => Some(avc.clone()),
            _ => None,
        });
        let millis = |ms: i64| START + Micros::from_millis(ms);
        Self {
            avc: avc.unwrap(),
            frames: wire
                .into_iter()
                .map(|frame| Frame {
                    track: TrackKind::Video,
                    dts: millis(i64::from(frame.timestamp)),
                    pts: millis(i64::from(frame.timestamp) + i64::from(frame.composition_offset)),
                    duration: None,
                    key: frame.key,
                    starts: None,
                    data: frame.data,
                })
                .collect(),
        }
    }

    /// Gives frames other times, all different and none of them round.
    pub(crate) fn at_uneven_times(mut self) -> Self {
        let mut at = START;
        for (index, frame) in (0_i64..).zip(&mut self.frames) {
            frame.dts = at;
            frame.pts = at;
            at = at + Micros::new(25_001 + index * 7_919 % 41_003);
        }
        self
    }

    /// Marks every `interval`th frame as the start of a segment, the first number 40.
    pub(crate) fn marked_every(mut self, interval: usize) -> Self {
        for (number, frame) in (40..).zip(self.frames.iter_mut().step_by(interval)) {
            frame.starts = Some(SegmentNumber(number));
        }
        self
    }

    /// The job of encoding it at 180 and 120 lines.
    pub(crate) fn job(&self, source_fit: SourceFit) -> Job {
        let epoch = Epoch {
            number: EpochNumber(1),
            first_segment: SegmentNumber(40),
            start: START,
            target_duration: 2,
            video: Some(Track {
                codec: Codec::Avc(self.avc.clone()),
                bit_rate: 500_000,
                frame_duration: Micros::new(33_333),
            }),
            audio: None,
            source_fit,
        };
        let step = |height| LadderStep {
            height,
            bit_rate: 300_000,
            codec: RungCodec::H264,
        };
        let config = LadderConfig {
            steps: vec![step(180), step(120)],
            ..LadderConfig::default()
        };
        Job::new(&epoch, &plan(&epoch, &config)).unwrap()
    }
}

/// All that a worker made.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) tracks: BTreeMap<String, Rendition>,
    pub(crate) frames: BTreeMap<String, Vec<Frame>>,
}

impl Made {
    pub(crate) fn take(&mut self, output: Output) {
        match output {
            Output::Track(rendition) => {
                let name = rendition.name.to_string();
                assert!(self.tracks.insert(name, rendition).is_none());
            }
            Output::Frame { rung, frame } => {
                assert!(self.tracks.contains_key(rung.as_str()), "a track first");
                self.frames.entry(rung.to_string()).or_default().push(frame);
            }
            Output::DeviceFailed { rung, reason } => panic!("{rung}: {reason}"),
        }
    }
}

pub(crate) fn start(job: &Job) -> (WorkerInput, WorkerOutput) {
    Worker::start(&worker_command(), &stream(), job).unwrap()
}

/// Sends all frames, finishes, and reads until the end.
pub(crate) async fn transcode(job: &Job, frames: &[Frame]) -> Result<Made, WorkerError> {
    let (mut input, mut output) = start(job);
    let send = async {
        for frame in frames {
            if input.send(frame).await.is_err() {
                return;
            }
        }
        let _ = input.finish().await;
    };
    let receive = async {
        let mut made = Made::default();
        while let Some(next) = output.next().await? {
            made.take(next);
        }
        Ok(made)
    };
    let both = async { tokio::join!(send, receive).1 };
    tokio::time::timeout(DEADLINE, both).await.unwrap()
}

/// Whether the process is there and not a zombie.
pub(crate) fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

pub(crate) async fn until_gone(pid: u32) {
    let gone = async {
        while is_running(pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, gone).await.unwrap();
}

pub(crate) fn kill(pid: u32) {
    send_signal(pid, "KILL");
}

/// Sends the signal of this name.
pub(crate) fn send_signal(pid: u32, name: &str) {
    // The shell's own kill: a small system has no program of that name.
    let status = std::process::Command::new("sh")
        .args(["-c", &format!("kill -s {name} {pid}")])
        .status();
    assert!(status.unwrap().success());
}
