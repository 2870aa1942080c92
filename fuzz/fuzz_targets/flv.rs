//! Tag bodies: a first one that may configure a decoder, then another.
#![no_main]

use bytes::Bytes;
use ingest::flv::{FlvReader, Tag};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: Vec<(bool, &[u8])>| {
    let mut reader = FlvReader::new();
    for (is_video, body) in input {
        let body = Bytes::copy_from_slice(body);
        let tag = if is_video {
            reader.video(0, body.clone())
        } else {
            reader.audio(0, body.clone())
        };
        if let Ok(Tag::Frame(frame)) = tag {
            assert!(!frame.data.is_empty() && frame.data.len() < body.len());
        }
    }
});
