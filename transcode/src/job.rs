//! What a worker is asked to do.

use media::{Epoch, Micros, Timestamp};

use crate::{Encoder, EngineName, Plan, Rung, VideoSource};

/// One epoch's video and the rungs it is encoded to. The same job gives the same
/// decoder configurations, whichever worker does it: a worker that replaces another
/// needs no discontinuity.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    /// What decodes, scales and encodes.
    pub engine: EngineName,
    /// What encodes its H.264 rungs.
    pub encoder: Encoder,
    /// The source's video.
    pub source: VideoSource,
    /// What to make of it; at most [`crate::MAX_RUNGS`].
    pub rungs: Vec<Rung>,
    /// The epoch's start. Times are counted from here inside the worker.
    pub start: Timestamp,
    /// The usual time from one frame to the next.
    pub frame_duration: Micros,
}

impl Job {
    /// The job that `plan` makes of `epoch`. `None` if there is nothing to encode.
    pub fn new(epoch: &Epoch, plan: &Plan) -> Option<Self> {
        let track = epoch.video.as_ref()?;
        let source = VideoSource::of(&track.codec)?;
        if plan.rungs.is_empty() {
            return None;
        }
        Some(Self {
            engine: EngineName::default(),
            encoder: Encoder::default(),
            source,
            rungs: plan.rungs.clone(),
            start: epoch.start,
            frame_duration: track.frame_duration,
        })
    }
}
