//! A plan's decisions in one line.

use super::rates::Cap;
use super::{Decided, Decisions, LeftOut, Unfit};
use crate::RungCodec;

/// Every decision, and why it was made.
pub(super) fn sentence(decisions: &Decisions) -> String {
    let source = &decisions.source;
    let mut text = format!(
        "{}x{} at {} fps, {} kb/s: ",
        source.shape.width,
        source.shape.height,
        rate(decisions.source_rate()),
        source.bit_rate / 1_000
    );
    match source.unfit {
        None => text.push_str("source passes through"),
        Some(Unfit::Gop) => {
            text.push_str("source encoded again: its key frames are too far apart");
        }
        Some(Unfit::Form) => {
            text.push_str("source encoded again: players cannot show it as it is");
        }
        Some(Unfit::Profile(profile)) => text.push_str(&format!(
            "source encoded again: browsers cannot play its H.264 profile {profile}"
        )),
    }
    let rungs: Vec<_> = decisions.rungs.iter().map(rung).collect();
    if rungs.is_empty() {
        text.push_str("; no smaller step in the ladder");
    } else {
        text.push_str("; encoding ");
        text.push_str(&rungs.join(", "));
    }
    for why in [
        LeftOut::NotSmaller,
        LeftOut::Repeated,
        LeftOut::TooMany,
        LeftOut::NoRate,
    ] {
        let steps = decisions.left_out.iter().filter(|(_, left)| *left == why);
        let names: Vec<_> = steps.map(|(step, _)| format!("{}p", step.height)).collect();
        if !names.is_empty() {
            text.push_str(&format!("; without {}: {}", names.join(", "), says(why)));
        }
    }
    text
}

fn rung(decided: &Decided) -> String {
    let rung = &decided.rung;
    let codec = match rung.codec {
        RungCodec::H264 => String::new(),
        other => format!(" as {}", other.name()),
    };
    let mut text = format!(
        "{}{codec} at {} fps with {} kb/s",
        rung.name,
        rate(decided.frame_rate),
        rung.bit_rate / 1_000
    );
    let mut why = Vec::new();
    if rung.frame_step > 1 {
        why.push(format!("one picture in {}", rung.frame_step));
    }
    why.extend(decided.cap.map(|cap| match cap {
        Cap::Source => "capped by the source's".to_owned(),
        Cap::Still => {
            "half of what was asked for: the source began with a still picture".to_owned()
        }
        Cap::Above => "kept below the rung above".to_owned(),
    }));
    if !why.is_empty() {
        text.push_str(&format!(" ({})", why.join(", ")));
    }
    text
}

fn says(why: LeftOut) -> &'static str {
    match why {
        LeftOut::NotSmaller => "not smaller than the source",
        LeftOut::Repeated => "no other size than the rung above",
        LeftOut::TooMany => "more than a worker takes",
        LeftOut::NoRate => "no rate left below the rung above",
    }
}

/// `60`, `59.94`.
fn rate(frames_per_second: f64) -> String {
    let text = format!("{frames_per_second:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
