//! The chunk writer. The boxes are written by hand: their sizes are known beforehand,
//! so a part costs one allocation of exactly its size.

use bytes::{BufMut, Bytes};
use media::{Codec, Rendition};

use super::TRACK_ID;

/// `sample_depends_on` = 2: an I picture, or an audio frame (ISO/IEC 14496-12 8.8.3.1).
pub(super) const SYNC: u32 = 0x0200_0000;
/// `sample_depends_on` = 1 and `sample_is_non_sync_sample`.
const NON_SYNC: u32 = 0x0101_0000;

const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
pub(super) const DEFAULT_SAMPLE_DURATION: u32 = 0x08;
pub(super) const DEFAULT_SAMPLE_SIZE: u32 = 0x10;

pub(super) const DATA_OFFSET: u32 = 0x01;
pub(super) const FIRST_SAMPLE_FLAGS: u32 = 0x04;
pub(super) const SAMPLE_DURATION: u32 = 0x100;
pub(super) const SAMPLE_SIZE: u32 = 0x200;
pub(super) const SAMPLE_FLAGS: u32 = 0x400;
pub(super) const SAMPLE_COMPOSITION_OFFSET: u32 = 0x800;

const MFHD_SIZE: u32 = 16;
const TFDT_SIZE: u32 = 20;
const BOX_HEADER_SIZE: u32 = 8;

/// One sample of a chunk; times in ticks of the track's timescale.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sample {
    /// Its bytes.
    pub(crate) data: Bytes,
    /// From its decoding time to the next sample's.
    pub(crate) duration: u32,
    /// Presentation time minus decoding time; negative where the track's decoding times
    /// are shifted (see [`crate::Segmenter`]).
    pub(crate) composition_offset: i32,
    /// Whether decoding can start here.
    pub(crate) sync: bool,
}

impl Sample {
    fn flags(&self) -> u32 {
        if self.sync { SYNC } else { NON_SYNC }
    }
}

/// What `trex` says of the samples that say nothing of themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SampleDefaults {
    /// Ticks of the track's timescale.
    pub(crate) duration: u32,
    /// Sample flags (ISO/IEC 14496-12 8.8.3.1).
    pub(crate) flags: u32,
}

impl SampleDefaults {
    /// The usual frame: of audio a sync sample, of video one that is not.
    pub(crate) fn of(rendition: &Rendition) -> Self {
        let ticks = rendition
            .frame_duration
            .in_timescale(rendition.codec.timescale());
        Self {
            duration: u32::try_from(ticks).unwrap_or(0),
            flags: match rendition.codec {
                Codec::Avc(_) | Codec::Hevc(_) => NON_SYNC,
                Codec::Aac(_) => SYNC,
            },
        }
    }
}

/// The value all samples share, if they do.
fn shared<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// Which fields of `tfhd` and `trun` a run of samples needs.
struct Layout {
    default_duration: Option<u32>,
    default_size: Option<u32>,
    first_flags: Option<u32>,
    trun_flags: u32,
    sample_count: u32,
}

impl Layout {
    fn of(samples: &[Sample], defaults: SampleDefaults) -> Self {
        let mut layout = Self {
            default_duration: None,
            default_size: None,
            first_flags: None,
            trun_flags: DATA_OFFSET,
            sample_count: samples.len() as u32,
        };
        match shared(samples.iter().map(|sample| sample.duration)) {
            Some(duration) if duration == defaults.duration => {}
            Some(duration) => layout.default_duration = Some(duration),
            None => layout.trun_flags |= SAMPLE_DURATION,
        }
        match shared(samples.iter().map(|sample| sample.data.len())) {
            Some(size) => layout.default_size = Some(size as u32),
            None => layout.trun_flags |= SAMPLE_SIZE,
        }
        let usual = |sample: &Sample| sample.flags() == defaults.flags;
        if let [first, rest @ ..] = samples {
            if !rest.iter().all(usual) {
                layout.trun_flags |= SAMPLE_FLAGS;
            } else if !usual(first) {
                layout.trun_flags |= FIRST_SAMPLE_FLAGS;
                layout.first_flags = Some(first.flags());
            }
        }
        if samples.iter().any(|sample| sample.composition_offset != 0) {
            layout.trun_flags |= SAMPLE_COMPOSITION_OFFSET;
        }
        layout
    }

    fn tfhd_size(&self) -> u32 {
        16 + 4
            * (u32::from(self.default_duration.is_some()) + u32::from(self.default_size.is_some()))
    }

    fn trun_size(&self) -> u32 {
        let per_sample = SAMPLE_DURATION | SAMPLE_SIZE | SAMPLE_FLAGS | SAMPLE_COMPOSITION_OFFSET;
        let fields = (self.trun_flags & per_sample).count_ones();
        20 + 4 * u32::from(self.first_flags.is_some()) + 4 * fields * self.sample_count
    }

    fn traf_size(&self) -> u32 {
        BOX_HEADER_SIZE + self.tfhd_size() + TFDT_SIZE + self.trun_size()
    }

    fn moof_size(&self) -> u32 {
        BOX_HEADER_SIZE + MFHD_SIZE + self.traf_size()
    }
}

/// A chunk of `samples` whose first is decoded at `decode_time` ticks since the Unix
/// epoch (ISO/IEC 14496-12 8.8). `samples` must fit a 32-bit `mdat` together.
pub(crate) fn chunk(
    sequence_number: u32,
    decode_time: u64,
    samples: &[Sample],
    defaults: SampleDefaults,
) -> Bytes {
    let layout = Layout::of(samples, defaults);
    let media: usize = samples.iter().map(|sample| sample.data.len()).sum();
    let (moof_size, mdat_size) = (layout.moof_size(), BOX_HEADER_SIZE + media as u32);
    let mut out = Vec::with_capacity(moof_size as usize + mdat_size as usize);

    put_header(&mut out, moof_size, b"moof");
    put_header(&mut out, MFHD_SIZE, b"mfhd");
    out.put_u32(0);
    out.put_u32(sequence_number);
    put_header(&mut out, layout.traf_size(), b"traf");
    put_tfhd(&mut out, &layout);
    put_header(&mut out, TFDT_SIZE, b"tfdt");
    out.put_u32(1 << 24);
    out.put_u64(decode_time);
    put_trun(&mut out, &layout, samples);
    put_header(&mut out, mdat_size, b"mdat");
    for sample in samples {
        out.put_slice(&sample.data);
    }
    Bytes::from(out)
}

fn put_header(out: &mut Vec<u8>, size: u32, kind: &[u8; 4]) {
    out.put_u32(size);
    out.put_slice(kind);
}

fn put_tfhd(out: &mut Vec<u8>, layout: &Layout) {
    let mut flags = DEFAULT_BASE_IS_MOOF;
    if layout.default_duration.is_some() {
        flags |= DEFAULT_SAMPLE_DURATION;
    }
    if layout.default_size.is_some() {
        flags |= DEFAULT_SAMPLE_SIZE;
    }
    put_header(out, layout.tfhd_size(), b"tfhd");
    out.put_u32(flags);
    out.put_u32(TRACK_ID);
    for default in [layout.default_duration, layout.default_size]
        .into_iter()
        .flatten()
    {
        out.put_u32(default);
    }
}

/// Version 1: composition offsets are signed (ISO/IEC 14496-12 8.8.8).
fn put_trun(out: &mut Vec<u8>, layout: &Layout, samples: &[Sample]) {
    put_header(out, layout.trun_size(), b"trun");
    out.put_u32(1 << 24 | layout.trun_flags);
    out.put_u32(layout.sample_count);
    out.put_u32(layout.moof_size() + BOX_HEADER_SIZE);
    if let Some(flags) = layout.first_flags {
        out.put_u32(flags);
    }
    for sample in samples {
        if layout.trun_flags & SAMPLE_DURATION != 0 {
            out.put_u32(sample.duration);
        }
        if layout.trun_flags & SAMPLE_SIZE != 0 {
            out.put_u32(sample.data.len() as u32);
        }
        if layout.trun_flags & SAMPLE_FLAGS != 0 {
            out.put_u32(sample.flags());
        }
        if layout.trun_flags & SAMPLE_COMPOSITION_OFFSET != 0 {
            out.put_i32(sample.composition_offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cmaf::reader::{ReadChunk, read_chunk};

    const DEFAULTS: SampleDefaults = SampleDefaults {
        duration: 3_000,
        flags: NON_SYNC,
    };

    fn sample(size: usize, duration: u32, composition_offset: i32, sync: bool) -> Sample {
        Sample {
            data: Bytes::from(vec![size as u8; size]),
            duration,
            composition_offset,
            sync,
        }
    }

    #[test]
    fn p10_what_samples_share_is_written_once() {
        let usual = vec![sample(10, 3_000, 0, false); 5];
        let bytes = chunk(7, 1 << 40, &usual, DEFAULTS);
        assert_eq!(bytes.len(), 50 + 100, "no field per sample");
        let mut keyed = usual.clone();
        keyed[0] = sample(11, 3_000, 0, true);
        let bytes = chunk(7, 1 << 40, &keyed, DEFAULTS);
        assert_eq!(bytes.len(), 51 + 100 + 4 * 5, "one size per sample");
    }

    proptest! {
        #[test]
        fn an_independent_reader_gets_the_samples_back(
            sequence in any::<u32>(),
            decode_time in any::<u64>(),
            samples in proptest::collection::vec(
                (0_usize..40, 1_u32..5, -3_i32..3, any::<bool>()), 1..12)
        ) {
            let samples: Vec<_> = samples
                .into_iter()
                .map(|(size, duration, offset, sync)| sample(size, duration * 1_000, offset, sync))
                .collect();
            let bytes = chunk(sequence, decode_time, &samples, DEFAULTS);
            let expected = ReadChunk { sequence, decode_time, samples };
            prop_assert_eq!(read_chunk(&bytes, DEFAULTS), expected);
        }
    }
}
