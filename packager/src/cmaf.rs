//! CMAF (ISO/IEC 23000-19): init segments, and chunks of one `moof` and its `mdat`.

mod chunk;
mod init;
mod key_frame;
#[cfg(test)]
pub(crate) mod reader;

pub(crate) use chunk::{Sample, SampleDefaults, chunk};
pub use init::{InitSegmentError, init_segment};
pub use key_frame::{Beginning, KeyFrameError, first_key_frame};

/// Every CMAF track stands alone in its file.
const TRACK_ID: u32 = 1;
