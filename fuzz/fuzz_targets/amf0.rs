//! The AMF0 decoder; what it reads, the encoder writes back.
#![no_main]

use ingest::amf0::{Amf0Limits, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Amf0Limits::default();
    if let Ok(values) = decode(bytes, limits) {
        let encoded = encode(&values);
        let longer = Amf0Limits {
            // A byte that is not UTF-8 becomes a character of three.
            bytes: limits.bytes * 4,
            ..limits
        };
        if let Ok(again) = decode(&encoded, longer) {
            // Bytes, not values: NaN is not equal to itself.
            assert_eq!(encode(&again), encoded);
        }
    }
});
