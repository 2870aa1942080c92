//! Frames to publish: the test picture, or a media file.

#[cfg(feature = "ffmpeg")]
pub(crate) mod adts;
#[cfg(feature = "ffmpeg")]
mod beep;
#[cfg(feature = "ffmpeg")]
pub(crate) mod file;
#[cfg(feature = "ffmpeg")]
mod picture;
#[cfg(feature = "ffmpeg")]
mod test;

use std::path::{Path, PathBuf};

use media::timeline::WireFrame;
use media::{Codec, CodecError, Micros, Timestamp};

#[cfg(feature = "ffmpeg")]
pub use file::FileSource;
#[cfg(feature = "ffmpeg")]
pub use test::TestSource;

/// Frames at a pace that the caller keeps: wait until [`Source::due`] has passed since
/// the first frame, then take [`Source::next`].
pub trait Source: Send {
    /// The tracks: at most one of each kind, constant.
    fn codecs(&self) -> &[Codec];

    /// When the next frames are due, counted from the first. `None` at the end.
    fn due(&self) -> Option<Micros>;

    /// The frames that are due, in order of their timestamps, which begin at 0; none at
    /// the end. `now` is the time of day, for a picture that shows it. Blocks on codecs
    /// and files.
    fn next(&mut self, now: Timestamp) -> Result<Vec<WireFrame>, SourceError>;
}

/// Size and pace of the test picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TestSettings {
    /// Pixels across: even, 160 to 1280.
    pub width: u32,
    /// Pixels down: even, 90 to 720.
    pub height: u32,
    /// Pictures per second: 1 to 30.
    pub frames_per_second: u32,
    /// Pictures from one key frame to the next.
    pub key_interval: u32,
    /// Bits per second of the video.
    pub bit_rate: u32,
}

impl TestSettings {
    /// A picture of this size with a key frame every second.
    pub fn new(width: u32, height: u32, frames_per_second: u32) -> Self {
        Self {
            width,
            height,
            frames_per_second,
            key_interval: frames_per_second,
            bit_rate: 2_500_000,
        }
    }
}

impl Default for TestSettings {
    fn default() -> Self {
        Self::new(1280, 720, 30)
    }
}

/// What a file source does at the end of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtEnd {
    /// It ends.
    Stop,
    /// It begins again; timestamps go on.
    Repeat,
}

/// The test picture: colour bars, moving shapes, the wall clock, and a beep at every
/// full second.
pub fn test_picture(settings: &TestSettings) -> Result<Box<dyn Source>, SourceError> {
    #[cfg(feature = "ffmpeg")]
    return Ok(Box::new(TestSource::with_settings(settings)?));
    #[cfg(not(feature = "ffmpeg"))]
    {
        let _ = settings;
        Err(SourceError::NoEngine)
    }
}

/// The H.264 and AAC tracks of the media file at `path`.
pub fn file(path: &Path, at_end: AtEnd) -> Result<Box<dyn Source>, SourceError> {
    #[cfg(feature = "ffmpeg")]
    return Ok(Box::new(FileSource::open(path, at_end)?));
    #[cfg(not(feature = "ffmpeg"))]
    {
        let _ = (path, at_end);
        Err(SourceError::NoEngine)
    }
}

/// Why there are no frames.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// This build.
    #[error("{}", crate::engine::NO_ENGINE)]
    NoEngine,
    /// The test picture cannot be made like this.
    #[error("test picture: {what} is {given}, expected {expected}")]
    Settings {
        /// Which setting.
        what: &'static str,
        /// Its value.
        given: u32,
        /// What it can be.
        expected: &'static str,
    },
    /// An encoder or demuxer failed.
    #[error("{0}")]
    Engine(String),
    /// The file cannot be opened or read.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The file's tracks are of other codecs.
    #[error("{}: {medium} is {codec}, only {expected} can be published", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// `video` or `audio`.
        medium: &'static str,
        /// What it is.
        codec: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A decoder configuration.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

#[cfg(feature = "ffmpeg")]
impl From<crate::engine::EngineError> for SourceError {
    fn from(error: crate::engine::EngineError) -> Self {
        Self::Engine(error.to_string())
    }
}
