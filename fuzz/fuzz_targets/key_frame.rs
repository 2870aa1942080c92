//! The beginning of a stored segment, as much of it as is asked for.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use packager::cmaf::{Beginning, first_key_frame};

fuzz_target!(|segment: &[u8]| {
    let segment = Bytes::copy_from_slice(segment);
    let mut have = 0;
    loop {
        match first_key_frame(&segment.slice(..have)) {
            Ok(Beginning::Whole(sample)) => {
                assert!(!sample.is_empty() && sample.len() < have);
                return;
            }
            Ok(Beginning::Needs(needs)) if needs <= segment.len() => {
                assert!(needs > have, "it needs more than it had");
                have = needs;
            }
            Ok(Beginning::Needs(_)) | Err(_) => return,
        }
    }
});
