//! How near a rung's pictures are to the scaled source.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use crate::clip::{Clip, RUNGS};
use crate::contestants::Contestant;

/// Of one rung.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality {
    pub(crate) rung: &'static str,
    /// Decibels, over all planes.
    pub(crate) psnr: f64,
    /// 0 to 1, over all planes.
    pub(crate) ssim: f64,
    /// Bytes of the whole rung.
    pub(crate) bytes: u64,
}

/// Of every rung that a contestant has left behind.
pub(crate) fn of(contestant: &Contestant, clip: &Clip) -> Result<Vec<Quality>, Box<dyn Error>> {
    contestant
        .rungs
        .iter()
        .map(|(rung, path)| {
            let (psnr, ssim) = measure(path, rung, clip)?;
            Ok(Quality {
                rung,
                psnr,
                ssim,
                bytes: std::fs::metadata(path)?.len(),
            })
        })
        .collect()
}

fn measure(path: &Path, rung: &str, clip: &Clip) -> Result<(f64, f64), Box<dyn Error>> {
    let (_, width, height, _) = RUNGS
        .into_iter()
        .find(|(name, ..)| *name == rung)
        .ok_or("a rung of no ladder")?;
    let output = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-hide_banner",
            "-v",
            "info",
            "-nostats",
            "-r",
            "30",
            "-i",
        ])
        .arg(path)
        .args([
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuv420p",
            "-r",
            "30",
            "-video_size",
        ])
        .arg(format!("{width}x{height}"))
        .arg("-i")
        .arg(clip.scaled(rung))
        .args([
            "-lavfi",
            "[0:v]split[a][b];[1:v]split[c][d];[a][c]psnr;[b][d]ssim",
        ])
        .args(["-f", "null", "-"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let figure = |filter: &str, key: &str| -> Option<f64> {
        let line = said.lines().find(|line| line.contains(filter))?;
        let (_, rest) = line.split_once(key)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    figure("Parsed_psnr", "average:")
        .zip(figure("Parsed_ssim", "All:"))
        .ok_or_else(|| format!("ffmpeg measures no quality of {}: {said}", path.display()).into())
}
