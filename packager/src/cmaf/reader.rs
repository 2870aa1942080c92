//! An independent reader of chunks, for tests.

use bytes::Bytes;
use mp4_atom::{Decode, Mdat, Moof};

use super::{Sample, SampleDefaults, TRACK_ID};

#[derive(PartialEq, Eq, Debug)]
pub(crate) struct ReadChunk {
    pub(crate) sequence: u32,
    pub(crate) decode_time: u64,
    pub(crate) samples: Vec<Sample>,
}

/// What a reader that knows `trex` makes of a chunk. Fails on anything unexpected.
pub(crate) fn read_chunk(bytes: &Bytes, defaults: SampleDefaults) -> ReadChunk {
    let mut rest = &bytes[..];
    let moof = Moof::decode(&mut rest).unwrap();
    let moof_size = bytes.len() - rest.len();
    let mdat = Mdat::decode(&mut rest).unwrap();
    assert!(rest.is_empty());
    let [traf] = &moof.traf[..] else {
        panic!("expected one track");
    };
    assert!(traf.tfhd.default_base_is_moof);
    assert_eq!(traf.tfhd.track_id, TRACK_ID);
    let [trun] = &traf.trun[..] else {
        panic!("expected one run");
    };
    assert_eq!(trun.data_offset, Some(moof_size as i32 + 8));
    let mut at = 0;
    let mut samples = Vec::new();
    for entry in &trun.samples {
        let size = entry.size.or(traf.tfhd.default_sample_size).unwrap() as usize;
        let duration = entry.duration.or(traf.tfhd.default_sample_duration);
        samples.push(Sample {
            data: Bytes::copy_from_slice(&mdat.data[at..at + size]),
            duration: duration.unwrap_or(defaults.duration),
            composition_offset: entry.cts.unwrap_or(0) as i32,
            sync: entry.flags.unwrap_or(defaults.flags) == 0x0200_0000,
        });
        at += size;
    }
    assert_eq!(at, mdat.data.len());
    ReadChunk {
        sequence: moof.mfhd.sequence_number,
        decode_time: traf.tfdt.as_ref().unwrap().base_media_decode_time,
        samples,
    }
}
