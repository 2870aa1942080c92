//! CMAF segments and parts, HLS and DASH manifests, the live window and the origin
//! that serves them.
//!
//! [`Segmenter`] makes parts and segments of frames, [`live`] keeps the last of them,
//! [`playlist`] renders what is kept, [`Origin`] answers requests for it. [`vod`] makes
//! manifests of what is stored, [`storyboard`] says which pictures are made of either.

pub mod cmaf;
pub mod live;
pub mod object_key;
pub mod origin;
pub mod pictures;
pub mod playlist;
pub mod segmenter;
pub mod storyboard;
pub mod vod;

pub use live::{LiveStream, LiveStreams};

pub use origin::Origin;
pub use pictures::PictureMaker;
pub use segmenter::{PartTarget, Segmenter};
