//! The live window: what players can ask for now.

mod bandwidth;
mod epochs;
mod feed;
mod lead;
mod listing;
mod plan;
mod reload;
mod storyboard;
mod stream;
mod streams;
mod track;
mod window;

pub(crate) use bandwidth::measured;
pub use feed::{FeedCursor, FeedStep, Published};
pub use lead::{Cut, Lead};
pub(crate) use plan::MAX_PARTS;
pub use plan::{EpochPlan, LiveConfig, LiveError, RestoredEpoch, RestoredStream};
pub use reload::{ReloadState, ReloadTarget};
pub use stream::LiveStream;
pub use streams::{Coming, LiveStreams};
pub use track::PartState;
pub use window::SegmentState;
