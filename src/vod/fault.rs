//! Why a video is not made.

use packager::cmaf::InitSegmentError;
use packager::segmenter::SegmenterError;
use storage::ObjectError;
use storage::rows::RowError;
use transcode::WorkerError;
use transcode::vod::DemuxError;

/// Why a video is not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The file is at fault: no other attempt will do better.
    #[error("{0}")]
    Refused(String),
    /// Its plan is of a version that is not known here.
    #[error("a newer version of Nova began to transcode it: it waits for one")]
    Newer,
    /// The video was cancelled.
    #[error("the video is not wanted any more")]
    Unwanted,
    /// A file that cannot be read any further, or the process that reads it.
    #[error(transparent)]
    Demuxer(DemuxError),
    /// A worker.
    #[error(transparent)]
    Worker(WorkerError),
    /// Objects.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Rows.
    #[error(transparent)]
    Row(#[from] RowError),
    /// Scratch space.
    #[error("scratch space: {0}")]
    Scratch(#[from] std::io::Error),
}

impl Fault {
    /// Whether another attempt may do better.
    pub(super) fn is_worth_a_retry(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Unwanted)
    }
}

impl From<WorkerError> for Fault {
    fn from(error: WorkerError) -> Self {
        match error {
            // It would give up on the same frames again.
            WorkerError::GaveUp { reason } => Self::Refused(reason),
            error => Self::Worker(error),
        }
    }
}

impl From<DemuxError> for Fault {
    fn from(error: DemuxError) -> Self {
        match error {
            DemuxError::Refused(reason) => Self::Refused(reason),
            error => Self::Demuxer(error),
        }
    }
}

impl From<InitSegmentError> for Fault {
    fn from(error: InitSegmentError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<SegmenterError> for Fault {
    fn from(error: SegmenterError) -> Self {
        Self::Refused(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_lacks_is_tried_again() {
        for (error, expected) in [
            (DemuxError::Hindered("no space left on device".into()), true),
            (DemuxError::Stalled, true),
            (DemuxError::Refused("no media file".into()), false),
        ] {
            let said = error.to_string();
            assert_eq!(Fault::from(error).is_worth_a_retry(), expected, "{said}");
        }
    }
}
