//! What B-frames do to time.

use media::{Frame, Micros, Timestamp};

/// The reorder delay of an epoch: how long before its presentation the first key frame
/// is decoded. Constant for the epoch; later key frames of a steady encoder have the same.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct ReorderDelay(Option<Micros>);

impl ReorderDelay {
    pub(crate) fn known(delay: Micros) -> Self {
        Self(Some(delay))
    }

    /// Where a segment that begins with `frame` starts: the frame's presentation. The
    /// first frame of a gap may be any picture; its shifted decoding time tells.
    pub(crate) fn start(&mut self, frame: &Frame) -> Timestamp {
        if frame.key {
            self.0.get_or_insert(frame.pts - frame.dts);
            frame.pts
        } else if self.0.is_some() {
            self.decode_time(frame)
        } else {
            frame.pts
        }
    }

    /// The decoding time, later by the delay.
    pub(crate) fn decode_time(&self, frame: &Frame) -> Timestamp {
        frame.dts + self.0.unwrap_or_default()
    }
}
