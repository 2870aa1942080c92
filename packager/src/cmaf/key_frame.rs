//! The key frame that a segment begins with. The bytes are ours, but an object can be
//! damaged: whatever is not as [`super::chunk`] writes it is an error.

use bytes::Bytes;

use super::chunk::{
    DATA_OFFSET, DEFAULT_SAMPLE_DURATION, DEFAULT_SAMPLE_SIZE, FIRST_SAMPLE_FLAGS,
    SAMPLE_COMPOSITION_OFFSET, SAMPLE_DURATION, SAMPLE_FLAGS, SAMPLE_SIZE, SYNC,
};
use crate::segmenter::MAX_FRAME_BYTES;

/// The largest `moof`, in bytes: a segment of 4 s at 240 frames per second has a quarter.
const MAX_MOOF: usize = 64 << 10;

/// What the beginning of a segment has of its first sample.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Beginning {
    /// All of it: a slice of what was given.
    Whole(Bytes),
    /// So many bytes of the segment are needed to go on.
    Needs(usize),
}

/// Why a segment gives no key frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyFrameError {
    /// It ends before its first sample does.
    #[error("a segment that ends within its first sample")]
    CutShort,
    /// Another box, or none, where one has to be.
    #[error("no {0} box where a segment has one")]
    Missing(&'static str),
    /// A box whose fields lead out of it.
    #[error("a {0} box that cannot be read")]
    Unreadable(&'static str),
    /// Decoding cannot start there.
    #[error("a segment that does not begin with a key frame")]
    NotAKeyFrame,
    /// Over a limit, in bytes.
    #[error("a {what} of {size} bytes; at most {limit} are read")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
}

/// The first sample of a video segment that begins with `bytes`.
pub fn first_key_frame(bytes: &Bytes) -> Result<Beginning, KeyFrameError> {
    let Some((size, kind)) = header(bytes) else {
        return Ok(Beginning::Needs(HEADER));
    };
    if kind != *b"moof" || size < HEADER {
        return Err(KeyFrameError::Missing("moof"));
    }
    check_size("moof box", size, MAX_MOOF)?;
    let Some(moof) = bytes.get(HEADER..size) else {
        return Ok(Beginning::Needs(size + HEADER));
    };
    let sample = first_sample(moof)?;
    check_size("key frame", sample.size, MAX_FRAME_BYTES)?;
    // The first sample is what the media data begins with (`data_offset`).
    if sample.offset != size + HEADER {
        return Err(KeyFrameError::Unreadable("trun"));
    }
    let Some((mdat_size, mdat)) = bytes.get(size..).and_then(header) else {
        return Ok(Beginning::Needs(size + HEADER));
    };
    if mdat != *b"mdat" {
        return Err(KeyFrameError::Missing("mdat"));
    }
    if sample.size == 0 || mdat_size < HEADER + sample.size {
        return Err(KeyFrameError::Unreadable("mdat"));
    }
    let end = sample.offset + sample.size;
    Ok(match bytes.len() < end {
        true => Beginning::Needs(end),
        false => Beginning::Whole(bytes.slice(sample.offset..end)),
    })
}

/// Where the first sample of a chunk is.
struct FirstSample {
    /// From the beginning of the `moof`.
    offset: usize,
    size: usize,
}

fn first_sample(moof: &[u8]) -> Result<FirstSample, KeyFrameError> {
    let traf = find(moof, b"traf").ok_or(KeyFrameError::Missing("traf"))?;
    let tfhd = find(traf, b"tfhd").ok_or(KeyFrameError::Missing("tfhd"))?;
    let trun = find(traf, b"trun").ok_or(KeyFrameError::Missing("trun"))?;
    let default_size = default_size(tfhd).ok_or(KeyFrameError::Unreadable("tfhd"))?;
    let run = Run::read(trun).ok_or(KeyFrameError::Unreadable("trun"))?;
    if run.flags != Some(SYNC) {
        return Err(KeyFrameError::NotAKeyFrame);
    }
    let size = run.size.or(default_size);
    Ok(FirstSample {
        offset: run.offset,
        size: size.ok_or(KeyFrameError::Unreadable("tfhd"))?,
    })
}

/// `default_sample_size` of a `tfhd`, the outer `None`: it is cut short.
fn default_size(tfhd: &[u8]) -> Option<Option<usize>> {
    let mut fields = Fields(tfhd);
    let flags = fields.next()?;
    let _track = fields.next()?;
    if flags & DEFAULT_SAMPLE_DURATION != 0 {
        fields.next()?;
    }
    match flags & DEFAULT_SAMPLE_SIZE {
        0 => Some(None),
        _ => Some(Some(fields.next()? as usize)),
    }
}

/// What a `trun` says of its first sample.
struct Run {
    offset: usize,
    size: Option<usize>,
    /// `None`: those of all samples, which are no key frames.
    flags: Option<u32>,
}

impl Run {
    fn read(trun: &[u8]) -> Option<Self> {
        let mut fields = Fields(trun);
        let present = fields.next()?;
        let count = fields.next()?;
        if count == 0 || present & DATA_OFFSET == 0 {
            return None;
        }
        let offset = usize::try_from(fields.next()?).ok()?;
        let mut run = Self {
            offset,
            size: None,
            flags: None,
        };
        if present & FIRST_SAMPLE_FLAGS != 0 {
            run.flags = Some(fields.next()?);
        }
        for field in [
            SAMPLE_DURATION,
            SAMPLE_SIZE,
            SAMPLE_FLAGS,
            SAMPLE_COMPOSITION_OFFSET,
        ] {
            if present & field == 0 {
                continue;
            }
            let value = fields.next()?;
            match field {
                SAMPLE_SIZE => run.size = Some(value as usize),
                SAMPLE_FLAGS => run.flags = Some(value),
                _ => {}
            }
        }
        Some(run)
    }
}

/// 32-bit fields one after another.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next(&mut self) -> Option<u32> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*field))
    }
}

/// Bytes of a box's size and type.
const HEADER: usize = 8;

/// Size, header included, and type of the box at the front.
fn header(bytes: &[u8]) -> Option<(usize, [u8; 4])> {
    let (size, rest) = bytes.split_first_chunk()?;
    let kind = rest.first_chunk()?;
    Some((u32::from_be_bytes(*size) as usize, *kind))
}

/// The payload of the first box of this type.
fn find<'a>(mut boxes: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    loop {
        let (size, kind) = header(boxes)?;
        let payload = boxes.get(HEADER..size)?;
        if kind == *wanted {
            return Some(payload);
        }
        boxes = boxes.get(size..)?;
    }
}

fn check_size(what: &'static str, size: usize, limit: usize) -> Result<(), KeyFrameError> {
    match size <= limit {
        true => Ok(()),
        false => Err(KeyFrameError::TooLarge { what, size, limit }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cmaf::{Sample, SampleDefaults, chunk};
    use crate::segmenter::fixture;

    fn sample(size: usize, sync: bool) -> Sample {
        Sample {
            data: vec![size as u8; size].into(),
            duration: 3_000,
            composition_offset: 0,
            sync,
        }
    }

    fn segment(samples: &[Sample]) -> Bytes {
        chunk(
            7,
            90_000,
            samples,
            SampleDefaults::of(&fixture::video(30.0)),
        )
    }

    /// Reads as from a store: the beginning, then what is asked for.
    fn read(segment: &Bytes, first: usize) -> Result<Bytes, KeyFrameError> {
        let mut have = first;
        loop {
            let given = segment.slice(..have.min(segment.len()));
            match first_key_frame(&given)? {
                Beginning::Whole(sample) => return Ok(sample),
                Beginning::Needs(needs) if needs > segment.len() => {
                    return Err(KeyFrameError::CutShort);
                }
                Beginning::Needs(needs) => {
                    assert!(needs > have, "it needs more than it had");
                    have = needs;
                }
            }
        }
    }

    #[test]
    fn the_first_sample_is_found_however_the_run_is_written() {
        let varied = Sample {
            duration: 3_003,
            composition_offset: 6_000,
            ..sample(40, true)
        };
        for samples in [
            vec![sample(50, true)],
            vec![sample(50, true), sample(50, false), sample(50, false)],
            vec![sample(50, true), sample(20, false)],
            vec![sample(50, true), sample(20, true), sample(10, false)],
            vec![varied, sample(20, false), sample(9, false)],
        ] {
            let segment = segment(&samples);
            for first in [0, 1, 8, 60, 1_000] {
                assert_eq!(read(&segment, first).unwrap(), samples[0].data, "{first}");
            }
        }
    }

    #[test]
    fn what_does_not_begin_with_a_key_frame_is_refused() {
        for samples in [
            vec![sample(50, false)],
            vec![sample(50, false), sample(20, true)],
        ] {
            let error = read(&segment(&samples), 0).unwrap_err();
            assert_eq!(error, KeyFrameError::NotAKeyFrame);
        }
    }

    #[test]
    fn what_is_no_segment_is_refused_by_name() {
        let whole = segment(&[sample(50, true)]);
        assert_eq!(
            read(&whole.slice(..whole.len() - 1), 0).unwrap_err(),
            KeyFrameError::CutShort
        );
        assert_eq!(read(&Bytes::new(), 0).unwrap_err(), KeyFrameError::CutShort);
        let page = Bytes::from_static(b"<html>a proxy's error page</html>");
        let error = read(&page, 100).unwrap_err();
        assert_eq!(error.to_string(), "no moof box where a segment has one");
        let mut large = whole.to_vec();
        large[..4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
        let error = read(&large.into(), 100).unwrap_err().to_string();
        assert!(error.contains("2147483647 bytes; at most 65536"), "{error}");
    }

    proptest! {
        #[test]
        fn damage_is_an_error_or_a_slice(at in 0_usize..150, to in any::<u8>(), length in 0_usize..300) {
            let mut bytes = segment(&[sample(50, true), sample(20, false)]).to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
            bytes.truncate(length);
            let bytes = Bytes::from(bytes);
            if let Ok(Beginning::Whole(sample)) = first_key_frame(&bytes) {
                prop_assert!(!sample.is_empty() && sample.len() < bytes.len());
            }
        }

        #[test]
        fn nonsense_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = first_key_frame(&bytes.into());
        }
    }
}
