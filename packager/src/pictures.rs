//! Who makes pictures of key frames: somebody else, since codecs are none of a packager's.

use std::error::Error;
use std::fmt;
use std::pin::Pin;

use media::{DrawnSheet, Sheet};

/// What [`PictureMaker::make`] gives.
pub type PictureFuture<'a> =
    Pin<Box<dyn Future<Output = Result<DrawnSheet, PictureError>> + Send + 'a>>;

/// Makes JPEGs of key frames.
pub trait PictureMaker: fmt::Debug + Send + Sync {
    /// Makes a JPEG of a sheet that has a key frame in it. A tile that cannot be decoded
    /// stays black; where none can, that is an error.
    fn make(&self, sheet: Sheet) -> PictureFuture<'_>;
}

/// Why there is no JPEG.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// None of its key frames can be decoded.
    #[error("{0}")]
    Undecodable(String),
    /// A limit: others wait already.
    #[error("{0}")]
    Busy(#[source] Box<dyn Error + Send + Sync>),
    /// The maker is at fault. Another attempt may do better.
    #[error("{0}")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}
