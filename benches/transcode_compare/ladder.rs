//! Nova's own contestant: the supervisor feeds a worker, and its rungs go to files.

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::iter;
use std::path::Path;

use media::timeline::WireFrame;
use media::{
    AvcConfig, Codec, Frame, Micros, RenditionName, SegmentNumber, Timestamp, TrackKind, VideoShape,
};
use transcode::source::{self, AtEnd, SourceError};
use transcode::{
    Encoder, EngineName, Job, Latency, Output, RateControl, Rung, VideoSource, Worker,
    WorkerCommand,
};

use crate::clip::{GOP, RUNGS};
use crate::{measure, sound};

/// `ladder ENGINE LATENCY INPUT SOUND MEMORY OUTPUT...`: as many rungs as there are outputs,
/// the smallest ones. SOUND is a WAVE file, or `-` for none. What memory this process and
/// its worker took goes to MEMORY.
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = arguments.collect();
    let [engine, latency, input, sound, memory, outputs @ ..] = &arguments[..] else {
        return Err(
            "expected an engine, a latency, an input, a sound, a memory and outputs".into(),
        );
    };
    let (avc, mut frames) = open(Path::new(input))?;
    let first = frames.next().ok_or("an empty clip")??;
    let latency = crate::latency(latency)?;
    let skipped = RUNGS.len().saturating_sub(outputs.len());
    let rungs = RUNGS[skipped..]
        .iter()
        .map(|&rung| Ok(rung_of(rung, latency)?))
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let job = Job {
        engine: engine.parse::<EngineName>()?,
        encoder: Encoder::Software,
        source: VideoSource::from(&avc),
        start: first.pts,
        frame_duration: Micros::new(33_333),
        rungs,
    };
    let mut files = HashMap::new();
    for (rung, path) in job.rungs.iter().zip(outputs) {
        let file = BufWriter::new(File::create(path)?);
        files.insert(rung.name.clone(), file);
    }
    // As in the server, sound has a thread of its own.
    std::thread::scope(|scope| {
        let sound = (sound != "-").then(|| {
            let path = Path::new(sound);
            scope.spawn(move || sound::encode(path).map_err(|error| error.to_string()))
        });
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(transcode(
                &job,
                iter::once(Ok(first)).chain(frames),
                &mut files,
            ))?;
        if let Some(sound) = sound {
            sound.join().map_err(|_| "the sound's thread panicked")??;
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    let bytes = measure::peak_memory_with_children()?;
    std::fs::write(memory, bytes.to_string())?;
    Ok(())
}

fn rung_of(
    (name, width, height, bit_rate): (&str, u32, u32, u32),
    latency: Latency,
) -> Result<Rung, media::InvalidName> {
    let live = Rung::live(
        RenditionName::try_from(name.to_owned())?,
        VideoShape { width, height },
        bit_rate,
    );
    Ok(match latency {
        Latency::None => live,
        Latency::LookAhead => Rung {
            latency,
            rate: RateControl::Average,
            buffer_bits: 2 * bit_rate,
            ..live
        },
    })
}

/// The clip's video, read when it is needed and marked every [`GOP`] frames.
fn open(
    path: &Path,
) -> Result<(AvcConfig, impl Iterator<Item = Result<Frame, SourceError>>), Box<dyn Error>> {
    let mut source = source::file(path, AtEnd::Stop)?;
    let avc = source
        .codecs()
        .iter()
        .find_map(|codec| match codec {
            Codec::Avc(avc) => Some(avc.clone()),
            _ => None,
        })
        .ok_or("no H.264 in the clip")?;
    let begin = Timestamp::from_micros(0);
    let read = iter::from_fn(move || {
        source.due()?;
        Some(source.next(begin))
    });
    let video = read.flat_map(|next| match next {
        Ok(frames) => frames.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    });
    let video = video.filter(|frame| {
        let is_video = |frame: &WireFrame| frame.track == TrackKind::Video;
        frame.as_ref().map_or(true, is_video)
    });
    let frames = (0..).zip(video).map(move |(count, frame)| {
        let frame = frame?;
        let dts = begin + Micros::from_millis(frame.timestamp.into());
        Ok(Frame {
            track: TrackKind::Video,
            dts,
            pts: dts + Micros::from_millis(frame.composition_offset.into()),
            duration: None,
            key: frame.key,
            starts: (count % GOP == 0).then(|| SegmentNumber((count / GOP).into())),
            data: frame.data,
        })
    });
    Ok((avc, frames))
}

async fn transcode(
    job: &Job,
    frames: impl Iterator<Item = Result<Frame, SourceError>>,
    files: &mut HashMap<RenditionName, BufWriter<File>>,
) -> Result<(), Box<dyn Error>> {
    let command = WorkerCommand::this_program()?;
    let (mut input, mut output) = Worker::start(&command, &"bench".parse()?, job)?;
    let feed = async {
        for frame in frames {
            if input.send(&frame?).await.is_err() {
                // The output tells why.
                return Ok(());
            }
        }
        // If it fails, the output tells why.
        let _ = input.finish().await;
        Ok(())
    };
    let write = async {
        while let Some(next) = output.next().await? {
            match next {
                Output::Track(track) => {
                    let file = files.get_mut(&track.name).ok_or("a rung of no job")?;
                    if let Codec::Avc(avc) = &track.codec {
                        file.write_all(&parameter_sets(&avc.record))?;
                    }
                }
                Output::Frame { rung, frame } => {
                    let file = files.get_mut(&rung).ok_or("a rung of no job")?;
                    write_units(file, &frame.data)?;
                }
                Output::DeviceFailed { rung, reason } => {
                    return Err(format!("{rung}: {reason}").into());
                }
            }
        }
        Ok::<_, Box<dyn Error>>(())
    };
    let (fed, written): (Result<(), SourceError>, _) = tokio::join!(feed, write);
    fed?;
    written
}

fn write_units(file: &mut impl Write, mut rest: &[u8]) -> std::io::Result<()> {
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = (u32::from_be_bytes(*length) as usize).min(after.len());
        let (unit, after) = after.split_at(length);
        file.write_all(&[0, 0, 0, 1])?;
        file.write_all(unit)?;
        rest = after;
    }
    Ok(())
}

/// The one sequence and the one picture parameter set that x264 makes, as a byte stream.
fn parameter_sets(record: &[u8]) -> Vec<u8> {
    let set = |at: usize| {
        let length = usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
        (&record[at + 2..at + 2 + length], at + 2 + length)
    };
    let (sps, end) = set(6);
    let (pps, _) = set(end + 1);
    [&[0, 0, 0, 1], sps, &[0, 0, 0, 1], pps].concat()
}
