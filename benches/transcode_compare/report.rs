//! What is printed.

use transcode::Latency;

use crate::clip::Clip;
use crate::contestants::{Contestant, Kind};
use crate::measure::Measured;
use crate::quality::Quality;

pub(crate) fn print(
    clip: &Clip,
    latency: Latency,
    contestants: &[Contestant],
    medians: &[Measured],
    qualities: &[Vec<Quality>],
) {
    println!("{} frames, latency {latency:?}\n", clip.frames);
    println!(
        "{:<28} {:>8} {:>8} {:>12} {:>10}",
        "", "CPU s", "wall s", "frames/CPU s", "peak MB"
    );
    for (contestant, measured) in contestants.iter().zip(medians) {
        let cpu = measured.cpu.as_secs_f64();
        println!(
            "{:<28} {:>8.2} {:>8.2} {:>12.1} {:>10.0}",
            contestant.name,
            cpu,
            measured.wall.as_secs_f64(),
            clip.frames as f64 / cpu.max(0.001),
            measured.peak_memory as f64 / 1e6,
        );
    }
    println!(
        "\n{:<28} {:>6} {:>9} {:>9} {:>10}",
        "", "rung", "PSNR dB", "SSIM", "kb/s"
    );
    for (contestant, qualities) in contestants.iter().zip(qualities) {
        for quality in qualities {
            let seconds = clip.frames as f64 / 30.0;
            println!(
                "{:<28} {:>6} {:>9.3} {:>9.5} {:>10.0}",
                contestant.name,
                quality.rung,
                quality.psnr,
                quality.ssim,
                quality.bytes as f64 * 8.0 / 1_000.0 / seconds,
            );
        }
    }
    let all: Vec<_> = contestants
        .iter()
        .zip(medians)
        .map(|(contestant, measured)| (contestant, measured.cpu.as_secs_f64()))
        .collect();
    ratios(&all);
    nearness(contestants, qualities);
}

/// Every ladder of ours, compared with the sum of its parts, with the others' ladders,
/// and with its own passthrough.
fn ratios(all: &[(&Contestant, f64)]) {
    let sum = |kind| -> f64 {
        all.iter()
            .filter(|(contestant, _)| contestant.kind == kind)
            .map(|(_, cpu)| cpu)
            .sum()
    };
    let parts = sum(Kind::Decoding) + sum(Kind::Encoding) - sum(Kind::Reading);
    println!("\nThe parts (decoding, and every encoder on scaled pictures): {parts:.2} CPU s");
    let is_ours = |contestant: &Contestant| contestant.name.starts_with("nova");
    let ladders = || all.iter().filter(|(one, _)| one.kind == Kind::Ladder);
    for (ladder, cpu) in ladders().filter(|(one, _)| is_ours(one)) {
        println!("\n{}, CPU time against:", ladder.name);
        if parts > 0.0 {
            println!("  {:<36} {:.3}", "the sum of its parts", cpu / parts);
        }
        for (other, others) in ladders().filter(|(one, _)| !is_ours(one)) {
            println!("  {:<36} {:.3}", other.name, cpu / others);
        }
        let engine = ladder.name.split(',').next().unwrap_or_default();
        let passthrough = all
            .iter()
            .find(|(one, _)| one.kind == Kind::Passthrough && one.name.starts_with(engine));
        if let Some((_, passthrough)) = passthrough {
            println!(
                "  {:<36} {:.3}",
                "its passthrough ladder, the other way",
                passthrough / cpu
            );
        }
    }
}

/// How much nearer to the scaled source our rungs are than the program's.
fn nearness(contestants: &[Contestant], qualities: &[Vec<Quality>]) {
    let of = |name: &str| {
        contestants
            .iter()
            .position(|contestant| contestant.name == name)
            .map(|index| &qualities[index])
    };
    let Some(theirs) = of("ffmpeg") else {
        return;
    };
    for (contestant, ours) in contestants.iter().zip(qualities) {
        if contestant.kind != Kind::Ladder || !contestant.name.starts_with("nova") {
            continue;
        }
        println!("\n{}, PSNR above that of ffmpeg:", contestant.name);
        for (ours, theirs) in ours.iter().zip(theirs) {
            println!("  {:<6} {:+.3} dB", ours.rung, ours.psnr - theirs.psnr);
        }
    }
}
