//! What is encoded.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::measure::run;

/// The ladder of the comparison: name, width, height, bits per second.
pub(crate) const RUNGS: [(&str, u32, u32, u32); 4] = [
    ("1080p", 1920, 1080, 5_000_000),
    ("720p", 1280, 720, 2_800_000),
    ("480p", 854, 480, 1_400_000),
    ("360p", 640, 360, 800_000),
];

/// Bits per second of the sound: AAC, from a tone.
pub(crate) const SOUND_BIT_RATE: u32 = 128_000;

/// Frames from one key frame to the next: 2 s.
pub(crate) const GOP: u32 = 60;

pub(crate) struct Clip {
    pub(crate) path: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) frames: usize,
}

impl Clip {
    pub(crate) fn prepare(
        input: Option<&Path>,
        seconds: u32,
        folder: &Path,
    ) -> Result<Self, Box<dyn Error>> {
        let path = match input {
            Some(path) => path.to_owned(),
            None => make(seconds, folder)?,
        };
        let counted = run(Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", "v:0", "-count_packets"])
            .args(["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"])
            .arg(&path))?;
        let frames: usize = String::from_utf8_lossy(&counted).trim().parse()?;
        let clip = Self {
            path,
            folder: folder.to_owned(),
            frames,
        };
        clip.scale()?;
        clip.sound_of(frames)?;
        Ok(clip)
    }

    /// As long as the pictures: 48 kHz, stereo, 16 bits, in a WAVE file.
    pub(crate) fn sound(&self) -> PathBuf {
        self.folder.join("sound.wav")
    }

    fn sound_of(&self, frames: usize) -> Result<(), Box<dyn Error>> {
        let seconds = frames as f64 / 30.0;
        run(Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"])
            .arg(format!(
                "sine=frequency=440:sample_rate=48000:duration={seconds}"
            ))
            .args(["-ac", "2", "-c:a", "pcm_s16le", "-bitexact"])
            .arg(self.sound()))?;
        Ok(())
    }

    /// The clip's pictures, scaled with libswscale's bicubic filter: what encoders alone
    /// are given, and what quality is measured against.
    pub(crate) fn scaled(&self, rung: &str) -> PathBuf {
        self.folder.join(format!("{rung}.yuv"))
    }

    fn scale(&self) -> Result<(), Box<dyn Error>> {
        let mut command = Command::new("ffmpeg");
        command
            .args(["-nostdin", "-v", "error", "-y", "-i"])
            .arg(&self.path);
        for (name, width, height, _) in RUNGS {
            command
                .args(["-map", "0:v", "-vf"])
                .arg(format!("scale={width}:{height}:flags=bicubic"))
                .args([
                    "-pix_fmt",
                    "yuv420p",
                    "-fps_mode",
                    "passthrough",
                    "-f",
                    "rawvideo",
                ])
                .arg(self.scaled(name));
        }
        run(&mut command)?;
        Ok(())
    }
}

/// Fine detail that moves, flat areas, text and a little noise, as a broadcaster would
/// send it.
fn make(seconds: u32, folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let path = folder.join("clip.mp4");
    let picture = format!(
        "mandelbrot=size=1920x1080:rate=30:end_scale=0.05:end_pts={},trim=duration={seconds}[m];\
         testsrc2=size=640x360:rate=30:duration={seconds}[t];\
         [m][t]overlay=x='640+600*sin(t)':y='360+300*cos(t*1.3)',\
         noise=alls=5:allf=t,format=yuv420p",
        30 * seconds.max(1)
    );
    run(Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"])
        .arg(picture)
        .args([
            "-c:v", "libx264", "-preset", "veryfast", "-b:v", "8M", "-maxrate", "8M",
        ])
        .args(["-bufsize", "8M", "-bf", "2", "-sc_threshold", "0", "-g"])
        .arg(GOP.to_string())
        .args([
            "-color_primaries",
            "bt709",
            "-color_trc",
            "bt709",
            "-colorspace",
            "bt709",
        ])
        .args(["-color_range", "tv"])
        .arg(&path))?;
    Ok(path)
}
