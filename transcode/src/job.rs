//! What a worker is asked to do.

use media::{AvcConfig, Codec, Epoch, Micros, Timestamp};

use crate::{Plan, Rung};

/// One epoch's video and the rungs it is encoded to. The same job gives the same
/// decoder configurations, whichever worker does it: a worker that replaces another
/// needs no discontinuity.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    /// The source's video.
    pub source: AvcConfig,
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
        let Codec::Avc(source) = &track.codec else {
            return None;
        };
        if plan.rungs.is_empty() {
            return None;
        }
        Some(Self {
            source: source.clone(),
            rungs: plan.rungs.clone(),
            start: epoch.start,
            frame_duration: track.frame_duration,
        })
    }
}
