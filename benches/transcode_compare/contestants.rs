//! Who is compared.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use transcode::{Latency, all_engines};

use crate::clip::{Clip, GOP, RUNGS, SOUND_BIT_RATE};
use crate::measure::{Measured, measure};

/// Something that takes processor time.
pub(crate) struct Contestant {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Where its rungs go, one file each; empty for a part.
    pub(crate) rungs: Vec<(&'static str, PathBuf)>,
    /// Where it says what memory it took, if it is more than one process.
    memory: Option<PathBuf>,
    program: PathBuf,
    arguments: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// All rungs.
    Ladder,
    /// Without the largest, which passes through.
    Passthrough,
    /// Decoding alone.
    Decoding,
    /// One encoder alone, on pictures that are read from a file.
    Encoding,
    /// Reading those pictures: to be taken off.
    Reading,
}

impl Contestant {
    pub(crate) fn run(&self) -> Result<Measured, Box<dyn Error>> {
        let measured = measure(Command::new(&self.program).args(&self.arguments))?;
        Ok(match &self.memory {
            Some(path) => Measured {
                peak_memory: std::fs::read_to_string(path)?.trim().parse()?,
                ..measured
            },
            None => measured,
        })
    }

    fn new(name: impl Into<String>, kind: Kind, program: &str, arguments: Vec<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            rungs: Vec::new(),
            memory: None,
            program: program.into(),
            arguments,
        }
    }

    pub(crate) fn all(clip: &Clip, latency: Latency) -> Result<Vec<Self>, Box<dyn Error>> {
        let mut all = Vec::new();
        for engine in all_engines() {
            all.push(ours(engine.as_str(), Kind::Ladder, clip, latency)?);
            all.push(ours(engine.as_str(), Kind::Passthrough, clip, latency)?);
        }
        all.push(command_line(clip, latency));
        all.push(gst_launch(clip, latency));
        let input = clip.path.display().to_string();
        let decode = words("-nostdin -v error -threads 1 -i")
            .chain([input])
            .chain(words("-map 0:v -f null -"));
        all.push(Self::new(
            "decoding",
            Kind::Decoding,
            "ffmpeg",
            decode.collect(),
        ));
        let sound = words("-nostdin -v error -i")
            .chain([clip.sound().display().to_string()])
            .chain(aac())
            .chain(words("-f null -"));
        all.push(Self::new(
            "encoding sound",
            Kind::Encoding,
            "ffmpeg",
            sound.collect(),
        ));
        for rung in RUNGS {
            let (name, width, height, _) = rung;
            let raw = clip.scaled(name).display().to_string();
            let read = words("-nostdin -v error -f rawvideo -pix_fmt yuv420p -r 30").chain([
                "-video_size".into(),
                format!("{width}x{height}"),
                "-i".into(),
                raw,
            ]);
            let encode = read
                .clone()
                .chain(x264(rung, latency))
                .chain(words("-f null -"));
            all.push(Self::new(
                format!("encoding {name}"),
                Kind::Encoding,
                "ffmpeg",
                encode.collect(),
            ));
            let read = read.chain(words("-f null -"));
            all.push(Self::new(
                format!("reading {name}"),
                Kind::Reading,
                "ffmpeg",
                read.collect(),
            ));
        }
        Ok(all)
    }
}

fn words(text: &str) -> impl Iterator<Item = String> + Clone {
    text.split_whitespace().map(str::to_owned)
}

fn ours(
    engine: &str,
    kind: Kind,
    clip: &Clip,
    latency: Latency,
) -> Result<Contestant, Box<dyn Error>> {
    let skipped = usize::from(kind == Kind::Passthrough);
    let what = if skipped == 0 {
        "ladder"
    } else {
        "passthrough"
    };
    let outputs: Vec<_> = RUNGS
        .iter()
        .skip(skipped)
        .map(|(name, ..)| {
            let file = clip
                .folder
                .join(format!("nova-{engine}-{what}-{name}.h264"));
            (*name, file)
        })
        .collect();
    let mut arguments = vec![
        "ladder".to_owned(),
        engine.to_owned(),
        match latency {
            Latency::None => "none",
            Latency::LookAhead => "look-ahead",
        }
        .to_owned(),
        clip.path.display().to_string(),
    ];
    // With the source's pictures, its sound passes through as well.
    let sound = match kind {
        Kind::Ladder => clip.sound().display().to_string(),
        _ => "-".to_owned(),
    };
    let memory = clip.folder.join(format!("nova-{engine}-{what}.memory"));
    arguments.extend([sound, memory.display().to_string()]);
    arguments.extend(outputs.iter().map(|(_, path)| path.display().to_string()));
    Ok(Contestant {
        name: format!("nova {engine}, {what}"),
        kind,
        rungs: outputs,
        memory: Some(memory),
        program: std::env::current_exe()?,
        arguments,
    })
}

/// The settings of every x264 here: the ones that `Rung::live` and the engines use.
fn x264(
    (_, _, _, bit_rate): (&str, u32, u32, u32),
    latency: Latency,
) -> impl Iterator<Item = String> {
    let (tune, buffer) = match latency {
        Latency::None => ("-tune zerolatency", bit_rate / 2),
        Latency::LookAhead => ("", bit_rate * 2),
    };
    let text = format!(
        "-c:v libx264 -preset veryfast {tune} -b:v {bit_rate} -maxrate {bit_rate} \
         -bufsize {buffer} -g {GOP} -keyint_min {GOP} -sc_threshold 0 -threads 1"
    );
    words(&text).collect::<Vec<_>>().into_iter()
}

fn aac() -> impl Iterator<Item = String> {
    let text = format!("-c:a aac -b:a {SOUND_BIT_RATE}");
    words(&text).collect::<Vec<_>>().into_iter()
}

fn outputs(clip: &Clip, who: &str) -> Vec<(&'static str, PathBuf)> {
    RUNGS
        .iter()
        .map(|(name, ..)| (*name, clip.folder.join(format!("{who}-{name}.h264"))))
        .collect()
}

/// One process, `split` and `scale`.
fn command_line(clip: &Clip, latency: Latency) -> Contestant {
    let rungs = outputs(clip, "ffmpeg");
    let mut arguments: Vec<_> = words("-nostdin -v error -y -threads 1 -i").collect();
    arguments.push(clip.path.display().to_string());
    arguments.extend(["-i".to_owned(), clip.sound().display().to_string()]);
    let mut graph = "[0:v]split=4[v0][s1][s2][s3]".to_owned();
    for (index, (_, width, height, _)) in RUNGS.iter().enumerate().skip(1) {
        graph.push_str(&format!(
            ";[s{index}]scale={width}:{height}:flags=bicubic[v{index}]"
        ));
    }
    arguments.extend(["-filter_complex".to_owned(), graph]);
    for (index, (rung, (_, path))) in RUNGS.into_iter().zip(&rungs).enumerate() {
        arguments.extend(["-map".to_owned(), format!("[v{index}]")]);
        arguments.extend(x264(rung, latency));
        arguments.extend([
            "-f".to_owned(),
            "h264".to_owned(),
            path.display().to_string(),
        ]);
    }
    arguments.extend(words("-map 1:a").chain(aac()));
    let sound = clip.folder.join("ffmpeg.aac").display().to_string();
    arguments.extend(["-f".to_owned(), "adts".to_owned(), sound]);
    Contestant {
        rungs,
        ..Contestant::new("ffmpeg", Kind::Ladder, "ffmpeg", arguments)
    }
}

/// The same as a pipeline. Without `colorimetry` it would convert the small rungs to
/// BT.601.
fn gst_launch(clip: &Clip, latency: Latency) -> Contestant {
    let rungs = outputs(clip, "gstreamer");
    let mut pipeline = format!(
        "filesrc location={} ! qtdemux ! h264parse ! avdec_h264 max-threads=1 ! tee name=t",
        clip.path.display()
    );
    for ((_, width, height, bit_rate), (_, path)) in RUNGS.into_iter().zip(&rungs) {
        let (tune, buffer) = match latency {
            Latency::None => ("tune=zerolatency", 500),
            Latency::LookAhead => ("", 2_000),
        };
        pipeline.push_str(&format!(
            " t. ! queue max-size-buffers=2 max-size-time=0 max-size-bytes=0 \
             ! videoscale method=catrom add-borders=false n-threads=1 \
             ! video/x-raw,format=I420,width={width},height={height},colorimetry=bt709 \
             ! x264enc speed-preset=veryfast {tune} bitrate={} vbv-buf-capacity={buffer} \
             key-int-max={GOP} threads=1 byte-stream=true option-string=scenecut=0:min-keyint={GOP} \
             ! video/x-h264,profile=high,stream-format=byte-stream ! filesink async=false location={}",
            bit_rate / 1_000,
            path.display()
        ));
    }
    pipeline.push_str(&format!(
        " filesrc location={} ! wavparse ! audioconvert ! avenc_aac bitrate={SOUND_BIT_RATE} \
         ! filesink async=false location={}",
        clip.sound().display(),
        clip.folder.join("gstreamer.aac").display()
    ));
    let arguments = words("--quiet").chain(words(&pipeline)).collect();
    Contestant {
        rungs,
        ..Contestant::new("gst-launch", Kind::Ladder, "gst-launch-1.0", arguments)
    }
}
