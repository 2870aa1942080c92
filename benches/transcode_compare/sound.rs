//! The sound of Nova's own contestant.

use std::error::Error;
use std::path::Path;

use bytes::Bytes;
use media::{Micros, Timestamp};
use transcode::{AudioSource, AudioTranscoder};

/// Bytes before the samples of a WAVE file that has nothing else in it.
const HEADER: usize = 44;

/// Samples of each channel in a packet.
const PACKET: usize = 1_024;

/// Encodes a WAVE file of 48 kHz, stereo, 16 bits. Fails if nothing comes out.
pub(crate) fn encode(path: &Path) -> Result<(), Box<dyn Error>> {
    let file = std::fs::read(path)?;
    let samples = file.get(HEADER..).ok_or("no WAVE file")?;
    let source = AudioSource {
        codec: "pcm_s16le".parse()?,
        record: Bytes::new(),
        sample_rate: 48_000,
        channels: 2,
        tag: 0,
        block_align: 4,
        bits_per_sample: 16,
    };
    let start = Timestamp::from_micros(0);
    let mut made = 0;
    let mut take = |frame: media::Frame| made += frame.data.len();
    let mut transcoder = AudioTranscoder::open(&source, start)?;
    for (index, packet) in (0..).zip(samples.chunks(4 * PACKET)) {
        let at = start + Micros::from_ticks(index * PACKET as i64, 48_000);
        transcoder.push(at, packet, &mut take)?;
    }
    transcoder.finish(&mut take)?;
    if made == 0 {
        return Err("no sound was encoded".into());
    }
    Ok(())
}
