//! What a rendition takes on the wire.

use media::{Codec, Micros, Rendition, Segment};

use super::epochs::Member;
use super::track::Track;
use crate::PartTarget;
use crate::playlist::Variant;

/// Bytes of `moof` and `mdat` before any field of a sample (see [`crate::cmaf::chunk`]).
const CHUNK_BYTES: i64 = 108;

/// As [`measured`], of a rendition in the window.
pub(crate) fn variant(member: &Member, track: Option<&Track>) -> Variant {
    let entries = track.into_iter().flat_map(Track::listed);
    let segments = entries.map(|entry| &entry.segment);
    measured(&member.rendition, member.part_target, segments)
}

/// `BANDWIDTH` and `AVERAGE-BANDWIDTH` (RFC 8216bis 4.4.6.2): what the codec was declared
/// or measured to take, with the container, or what segments really took if that is more.
pub(crate) fn measured<'a>(
    rendition: &Rendition,
    part_target: PartTarget,
    segments: impl IntoIterator<Item = &'a Segment>,
) -> Variant {
    let declared = u64::from(rendition.bit_rate) + container_bit_rate(rendition, part_target);
    let (mut peak, mut bytes, mut time) = (0_u64, 0_u64, Micros::ZERO);
    for segment in segments {
        // The last segment of an epoch can be too short to tell.
        if !segment.is_gap() && segment.duration >= Micros::from_millis(500) {
            peak = peak.max(bit_rate(segment.size, segment.duration));
            bytes += segment.size;
            time += segment.duration;
        }
    }
    let average = if bytes == 0 {
        declared
    } else {
        bit_rate(bytes, time)
    };
    Variant {
        rendition: rendition.clone(),
        bandwidth: declared.max(peak),
        average_bandwidth: average,
    }
}

fn bit_rate(bytes: u64, time: Micros) -> u64 {
    let micros = time.as_micros().max(1).unsigned_abs();
    (u128::from(bytes) * 8_000_000 / u128::from(micros)) as u64
}

/// Each part's header, and of each sample its size, for video also its duration and
/// composition offset.
fn container_bit_rate(rendition: &Rendition, part_target: PartTarget) -> u64 {
    let sample_bytes = match rendition.codec {
        Codec::Avc(_) | Codec::Hevc(_) => 12,
        Codec::Aac(_) => 4,
    };
    let per_second = |bytes: i64, every: Micros| bytes * 8_000_000 / every.as_micros().max(1_000);
    let chunks = per_second(CHUNK_BYTES, part_target.duration());
    let samples = per_second(sample_bytes, rendition.frame_duration);
    (chunks + samples).unsigned_abs()
}
