//! `nova bench transcode`: what a ladder costs on this machine, and how good it is.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use media::{
    Frame, Micros, RenditionName, SegmentNumber, StreamName, Timestamp, TrackKind, VideoShape,
};
use packager::segmenter::Output as Packaged;
use packager::{PartTarget, Segmenter, cmaf};
use tokio::process::Command as AsyncCommand;
use transcode::vod::{CutConfig, Cutter, DemuxCommand, Demuxed, Demuxer, Packet, Task};
use transcode::{
    Encoder, EngineName, Job, LadderConfig, LadderSource, Output, Rung, Unfit, VideoSource, Worker,
    WorkerCommand, WorkerError,
};

use crate::cli::BenchTranscode;

/// Media time of the first picture.
const START: Timestamp = Timestamp::from_micros(10_000_000);
/// Segments as a live stream has them.
const SEGMENT: Micros = Micros::from_secs(2);
/// Bytes of frames that are held: they are read before anything is measured.
const MAX_BYTES: usize = 1 << 30;

/// What is transcoded.
struct Clip {
    source: VideoSource,
    frames: Vec<Frame>,
    frame_duration: Micros,
    bit_rate: u32,
    seconds: f64,
}

/// What a job took.
struct Cost {
    pictures: usize,
    wall: Duration,
    cpu: Duration,
}

/// A rung as a file.
struct Made {
    rung: Rung,
    file: PathBuf,
    bytes: u64,
}

/// Runs the benchmark and prints it.
pub async fn transcode(options: BenchTranscode) -> Result<(), Box<dyn Error>> {
    let file = options
        .input
        .canonicalize()
        .map_err(|error| format!("{}: {error}", options.input.display()))?;
    let clip = Clip::read(&file, options.seconds).await?;
    let ladder = options.ladder.unwrap_or_default().ladder();
    let rungs = rungs(&clip, &ladder, options.source);
    if rungs.is_empty() {
        return Err(
            "no step of the ladder is smaller than the pictures: name one with --ladder, or add --source".into(),
        );
    }
    let folder = tempfile::tempdir()?;
    println!(
        "{}: {}x{} {}, {} pictures, {:.1} s, engine {}",
        file.display(),
        clip.source.width,
        clip.source.height,
        clip.source.codec,
        clip.frames.len(),
        clip.seconds,
        options.engine,
    );
    println!();
    println!(
        "{:<10} {:>8} {:>8} {:>10} {:>9} {:>8} {:>7}",
        "", "fps", "x real", "CPU s", "kb/s", "PSNR dB", "SSIM"
    );
    let (cost, made) = run(&clip, &rungs, options.engine, Some(folder.path())).await?;
    print_cost("ladder", &clip, &cost);
    println!();
    for made in &made {
        // Decoding and this rung alone.
        let alone = [made.rung.clone()];
        let (cost, _) = run(&clip, &alone, options.engine, None).await?;
        print_cost(made.rung.name.as_str(), &clip, &cost);
        let kilobits = made.bytes as f64 * 8.0 / clip.seconds / 1e3;
        print!(" {kilobits:>9.0}");
        match quality(made, &file, &clip).await {
            Ok((psnr, ssim)) => println!(" {psnr:>8.2} {ssim:>7.4}"),
            Err(error) => println!(" not compared: {error}"),
        }
    }
    println!();
    println!(
        "Each rung's row is decoding and that rung alone; the ladder decodes once. Quality is"
    );
    println!("against the source scaled by FFmpeg (bicubic).");
    Ok(())
}

fn print_cost(name: &str, clip: &Clip, cost: &Cost) {
    let wall = cost.wall.as_secs_f64();
    print!(
        "{name:<10} {:>8.1} {:>8.2} {:>10.2}",
        cost.pictures as f64 / wall,
        clip.seconds / wall,
        cost.cpu.as_secs_f64()
    );
}

/// The ladder's rungs, and with `source` the source at its own size.
fn rungs(clip: &Clip, ladder: &LadderConfig, source: bool) -> Vec<Rung> {
    let (width, height) = clip.source.upright();
    let planned = LadderSource {
        shape: VideoShape { width, height },
        bit_rate: clip.bit_rate,
        frame_duration: clip.frame_duration,
        // As if its key frames were too far apart.
        unfit: source.then_some(Unfit::Gop),
    };
    transcode::plan_source(planned, ladder).rungs
}

impl Clip {
    /// Reads so many seconds of a file's pictures.
    async fn read(file: &Path, seconds: u32) -> Result<Self, Box<dyn Error>> {
        let name = file
            .to_str()
            .ok_or("the file's name is not UTF-8")?
            .to_owned();
        let command = DemuxCommand::this_program()?;
        let mut scan = Demuxer::start(&command, &Task::Scan { file: name.clone() })?;
        let Some(Demuxed::Info(info)) = scan.next().await? else {
            return Err("the demuxer did not describe the file".into());
        };
        scan.stop().await?;
        let source = info.video.ok_or("there is no video in it")?;
        let task = Task::Read {
            file: name,
            track: TrackKind::Video,
            from_us: None,
        };
        let mut reader = Demuxer::start(&command, &task)?;
        let mut frames: Vec<Frame> = Vec::new();
        let mut cutter = Cutter::new(CutConfig {
            target: SEGMENT,
            longest: SEGMENT,
            ..CutConfig::default()
        });
        let mut bytes = 0;
        while let Some(demuxed) = reader.next().await? {
            let Demuxed::Frame(frame) = demuxed else {
                continue;
            };
            let since = frames
                .first()
                .map_or(Micros::ZERO, |first| frame.dts - first.dts);
            bytes += frame.data.len();
            if since >= Micros::from_secs(seconds.into()) || bytes > MAX_BYTES {
                break;
            }
            let zero = Timestamp::default();
            cutter.push(Packet {
                dts: frame.dts - zero,
                pts: frame.pts - zero,
                key: frame.key,
                hidden: false,
                size: u32::try_from(frame.data.len()).unwrap_or(u32::MAX),
            })?;
            frames.push(frame);
        }
        // What it took is not to be counted.
        reader.stop().await?;
        let cuts = cutter.finish()?;
        let origin = frames.iter().map(|frame| frame.pts).min();
        let origin = origin.ok_or("there are no frames in it")?;
        for frame in &mut frames {
            let at = frame.pts - Timestamp::default();
            let mark = cuts.marks.iter().position(|mark| mark.at == at);
            frame.starts = mark.map(|mark| SegmentNumber(mark as u64));
            frame.dts = START + (frame.dts - origin);
            frame.pts = START + (frame.pts - origin);
        }
        let length = cuts.duration().as_secs_f64().max(0.001);
        let bits = frames
            .iter()
            .map(|frame| frame.data.len() as f64 * 8.0)
            .sum::<f64>();
        Ok(Self {
            source,
            frames,
            frame_duration: cuts.frame_duration,
            bit_rate: (bits / length).min(f64::from(u32::MAX)) as u32,
            seconds: length,
        })
    }
}

/// Runs a worker over the clip as fast as it goes; with a folder, what it makes is kept.
async fn run(
    clip: &Clip,
    rungs: &[Rung],
    engine: EngineName,
    folder: Option<&Path>,
) -> Result<(Cost, Vec<Made>), Box<dyn Error>> {
    let job = Job {
        engine,
        encoder: Encoder::Software,
        source: clip.source.clone(),
        rungs: rungs.to_vec(),
        start: START,
        frame_duration: clip.frame_duration,
    };
    let stream: StreamName = "bench".parse()?;
    let (before, began) = (children_time()?, Instant::now());
    let (mut input, mut output) = Worker::start(&WorkerCommand::this_program()?, &stream, &job)?;
    let feeding = async {
        for frame in &clip.frames {
            match input.send(frame).await {
                // Its output tells why.
                Err(WorkerError::Closed) => return Ok(()),
                sent => sent?,
            }
        }
        match input.finish().await {
            Err(WorkerError::Closed) => Ok(()),
            finished => finished,
        }
    };
    let mut files: Vec<Recording> = Vec::new();
    let reading = async {
        while let Some(next) = output.next().await? {
            match (next, folder) {
                (Output::Track(rendition), Some(folder)) => {
                    files.push(Recording::start(folder, rendition)?);
                }
                (Output::Frame { rung, frame }, Some(_)) => {
                    if let Some(file) = files.iter_mut().find(|file| file.name == rung) {
                        file.push(frame)?;
                    }
                }
                _ => {}
            }
        }
        Ok::<_, Box<dyn Error>>(())
    };
    let feeding = async { feeding.await.map_err(Box::<dyn Error>::from) };
    tokio::try_join!(feeding, reading)?;
    let cost = Cost {
        pictures: clip.frames.len(),
        wall: began.elapsed(),
        cpu: children_time()?.saturating_sub(before),
    };
    let mut made = Vec::new();
    for file in files {
        let rung = rungs.iter().find(|rung| rung.name == file.name);
        let (path, bytes) = file.finish()?;
        if let Some(rung) = rung {
            made.push(Made {
                rung: rung.clone(),
                file: path,
                bytes,
            });
        }
    }
    Ok((cost, made))
}

/// A rung on its way into a file.
struct Recording {
    name: RenditionName,
    segmenter: Segmenter,
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl Recording {
    fn start(folder: &Path, rendition: media::Rendition) -> Result<Self, Box<dyn Error>> {
        let path = folder.join(format!("{}.mp4", rendition.name));
        let mut file = File::create(&path)?;
        file.write_all(&cmaf::init_segment(&rendition)?)?;
        Ok(Self {
            segmenter: Segmenter::new(&rendition, PartTarget::of(&rendition)),
            name: rendition.name,
            file,
            path,
            bytes: 0,
        })
    }

    fn push(&mut self, frame: Frame) -> Result<(), Box<dyn Error>> {
        self.bytes += frame.data.len() as u64;
        self.segmenter.push(frame)?;
        self.write()
    }

    fn write(&mut self) -> Result<(), Box<dyn Error>> {
        while let Some(packaged) = self.segmenter.poll() {
            if let Packaged::Part(part) = packaged {
                self.file.write_all(&part.data)?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(PathBuf, u64), Box<dyn Error>> {
        self.segmenter.finish();
        self.write()?;
        Ok((self.path, self.bytes))
    }
}

/// Processor time of child processes that have ended.
fn children_time() -> Result<Duration, Box<dyn Error>> {
    // SAFETY: all of its fields may be zero.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for the call.
    if unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs())
            + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    Ok(time(usage.ru_utime) + time(usage.ru_stime))
}

/// PSNR in decibels and SSIM from 0 to 1, over all planes.
async fn quality(made: &Made, source: &Path, clip: &Clip) -> Result<(f64, f64), String> {
    let Rung { width, height, .. } = made.rung;
    let graph = format!(
        "[0:v]settb=AVTB,setpts=PTS-STARTPTS+0.002/TB,split[a][b];\
         [1:v]scale={width}:{height}:flags=bicubic,format=yuv420p,settb=AVTB,setpts=PTS-STARTPTS,split[c][d];\
         [a][c]psnr=shortest=1;[b][d]ssim=shortest=1"
    );
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-hide_banner", "-v", "info", "-nostats", "-i"])
        .arg(&made.file)
        .args(["-t", &format!("{:.3}", clip.seconds), "-i"])
        .arg(source)
        .args(["-lavfi", &graph, "-f", "null", "-"]);
    let output = AsyncCommand::from(command)
        .output()
        .await
        .map_err(|error| format!("ffmpeg, which measures it: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let figure = |filter: &str, key: &str| -> Option<f64> {
        let line = said.lines().find(|line| line.contains(filter))?;
        let (_, rest) = line.split_once(key)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    figure("Parsed_psnr", "average:")
        .zip(figure("Parsed_ssim", "All:"))
        .ok_or_else(|| {
            let last = said.lines().last().unwrap_or_default();
            format!("ffmpeg says {last:?}")
        })
}
