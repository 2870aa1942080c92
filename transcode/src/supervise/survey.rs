//! What there is to encode with. It is found out in processes of their own: plugins and
//! drivers are read in to be asked, and may crash.

use std::process::ExitStatus;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use media::{Frame, Micros, RenditionName, SegmentNumber, StreamName, Timestamp, TrackKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::error::WorkerError;
use super::stderr::Stderr;
use super::{Output, Process, Worker, WorkerCommand};
use crate::wire::{self, Reply, Request, WireError};
use crate::{Device, Encoder, EngineName, EngineReport, Job, Rung, SourceCodec, VideoSource};

/// How long a survey may take: the first scan of GStreamer's plugins reads all of them.
const SURVEY_LIMIT: Duration = Duration::from_secs(60);

/// Memory of a survey, in bytes: a plugin is read in to be asked.
const SURVEY_MEMORY: u64 = 1 << 30;

/// How long a device may take to encode one picture.
const TRIAL_LIMIT: Duration = Duration::from_secs(10);

/// What is asked of it said, a worker is given this long to end.
const EXIT_LIMIT: Duration = Duration::from_secs(2);

/// One key frame of colour bars with its parameter sets, as a byte stream.
const TRIAL_PICTURE: &[u8] = include_bytes!("trial.h264");

/// The trial picture's sides.
const TRIAL_SIZE: media::VideoShape = media::VideoShape {
    width: 320,
    height: 240,
};

/// What the log calls the stream of a survey or a trial.
fn nobodys_stream() -> StreamName {
    "trial".parse().expect("a stream's name")
}

/// Asks a worker what `engine` finds on this machine.
pub async fn survey(
    command: &WorkerCommand,
    engine: EngineName,
) -> Result<EngineReport, WorkerError> {
    let Process {
        mut child,
        mut stdin,
        mut stdout,
        stderr,
    } = command.spawn(SURVEY_MEMORY)?;
    let mut stderr = Stderr::read(stderr, |line| tracing::warn!("transcode worker: {line}"));
    let asked = timeout(SURVEY_LIMIT, ask(engine, &mut stdin, &mut stdout)).await;
    // It ends when nobody speaks to it.
    drop(stdin);
    let status = wait_or_kill(&mut child).await?;
    match asked {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(Silence::Ended)) => Err(WorkerError::Ended {
            status,
            last_words: stderr.last_words().await,
        }),
        Ok(Err(Silence::GaveUp(reason))) => Err(WorkerError::GaveUp { reason }),
        Ok(Err(Silence::Nonsense(source))) => Err(WorkerError::Nonsense {
            source,
            last_words: stderr.last_words().await,
        }),
        Err(_) => Err(WorkerError::Stalled {
            limit: SURVEY_LIMIT,
            waiting: 0,
            last_words: stderr.last_words().await,
        }),
    }
}

/// Why there is no answer.
enum Silence {
    Ended,
    GaveUp(String),
    Nonsense(WireError),
}

async fn ask(
    engine: EngineName,
    stdin: &mut ChildStdin,
    stdout: &mut ChildStdout,
) -> Result<EngineReport, Silence> {
    let request = Request::Survey(engine)
        .encode()
        .map_err(Silence::Nonsense)?;
    // A worker that is gone already is noticed by its silence.
    let _ = stdin.write_all(&request.head).await;
    let _ = stdin.write_all(&request.data).await;
    let mut buffer = BytesMut::new();
    loop {
        while let Some((kind, body)) = wire::split(&mut buffer).map_err(Silence::Nonsense)? {
            match Reply::decode(kind, body).map_err(Silence::Nonsense)? {
                Reply::Hello { version } => {
                    wire::check_version(version).map_err(Silence::Nonsense)?;
                }
                Reply::Survey { report } => {
                    return serde_json::from_slice(&report)
                        .map_err(|error| Silence::Nonsense(WireError::Survey(error)));
                }
                Reply::Failed { reason } => return Err(Silence::GaveUp(reason)),
                _ => return Err(Silence::Nonsense(WireError::Order("survey"))),
            }
        }
        match stdout.read_buf(&mut buffer).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Err(Silence::Ended),
        }
    }
}

async fn wait_or_kill(child: &mut Child) -> Result<ExitStatus, WorkerError> {
    if let Ok(status) = timeout(EXIT_LIMIT, child.wait()).await {
        return Ok(status?);
    }
    child.start_kill()?;
    Ok(child.wait().await?)
}

/// Has `engine` encode one picture on `device`. Whatever the driver does, it does to a
/// process of its own; the error says what that was.
pub async fn try_device(
    command: &WorkerCommand,
    engine: EngineName,
    device: Device,
) -> Result<(), WorkerError> {
    let command = WorkerCommand {
        stall_limit: TRIAL_LIMIT,
        ..command.clone()
    };
    let job = trial_job(engine, device);
    let (mut input, mut output) = Worker::start(&command, &nobodys_stream(), &job)?;
    let frame = Frame {
        track: TrackKind::Video,
        dts: job.start,
        pts: job.start,
        duration: None,
        key: true,
        starts: Some(SegmentNumber(0)),
        data: Bytes::from_static(TRIAL_PICTURE),
    };
    // If it takes nothing, its output says why.
    if input.send(&frame).await.is_ok() {
        let _ = input.finish().await;
    }
    let mut encoded = false;
    while let Some(next) = output.next().await? {
        encoded |= matches!(next, Output::Frame { .. });
    }
    if encoded {
        Ok(())
    } else {
        Err(WorkerError::GaveUp {
            reason: format!("{device} gave nothing for a picture"),
        })
    }
}

fn trial_job(engine: EngineName, device: Device) -> Job {
    let name = RenditionName::try_from("trial".to_owned()).expect("a rendition's name");
    Job {
        engine,
        encoder: Encoder::Trial(device),
        source: VideoSource::plain(
            SourceCodec::h264(),
            Bytes::new(),
            (TRIAL_SIZE.width, TRIAL_SIZE.height),
        ),
        rungs: vec![Rung::live(name, TRIAL_SIZE, 500_000)],
        start: Timestamp::from_micros(0),
        frame_duration: Micros::new(33_333),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_a_job_that_a_worker_takes() {
        assert_eq!(nobodys_stream().as_str(), "trial");
        for device in Device::ALL {
            let request = Request::Job(trial_job(EngineName::Ffmpeg, device));
            assert!(request.encode().is_ok());
        }
    }
}
