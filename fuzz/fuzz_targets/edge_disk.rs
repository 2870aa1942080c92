//! The disk tier's journal and files: any bytes are read, and what is taken for whole was
//! written so.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| edge::read_any_bytes(bytes));
