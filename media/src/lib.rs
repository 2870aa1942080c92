//! The vocabulary every stage speaks: ids, time, codecs, frames, the timeline
//! that numbers segments, and what a segment and its parts are.
//!
//! No IO, no runtime, no clock of its own: whatever needs the time of day takes
//! it as an argument, so that everything here is tested without sleeping.

mod address_range;
mod codec;
pub mod feed;
mod frame;
mod frame_rate;
mod ids;
mod rendition;
mod segment;
mod sheet;
mod time;
pub mod timeline;

pub use address_range::{AddressRange, InvalidAddressRange};
pub use codec::{AacConfig, AvcConfig, Codec, CodecError, HevcConfig};
pub use frame::{Epoch, Frame, SourceFit, Track, TrackKind};
pub use frame_rate::FrameRate;
pub use ids::{
    ApiTokenId, AssetId, AuditEntryId, ChatMessageId, EpochNumber, ImageId, InvalidName, JobId,
    LoginSessionId, NodeId, NotificationId, PartIndex, PostId, PrewarmId, PurgeId, RegistrationId,
    RenditionName, ReportId, SegmentNumber, SessionId, StreamId, StreamKeyId, StreamName, UserId,
    VideoId, ViewerId,
};
pub use rendition::{AudioShape, Rendition, Shape, VideoShape};
pub use segment::{Part, Segment};
pub use sheet::{DrawnSheet, KeyFrame, Sheet};
pub use time::{Clock, ManualClock, Micros, SystemClock, Timestamp};
