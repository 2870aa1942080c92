//! JPEGs of key frames: posters, thumbnails and the sprites of storyboards.
//!
//! - [`Pictures`] has them made by one child process, which is started when it is first
//!   needed and ends when nobody has needed it for a while.
//! - [`pictures_main`] is that child: it decodes what strangers send.

mod error;
mod harmful;
mod maker;
mod message;
#[cfg(feature = "ffmpeg")]
mod process;

pub use error::PicturesError;
pub use maker::{Pictures, PicturesCommand, QUEUE};
#[cfg(feature = "ffmpeg")]
pub(crate) use message::Layout;
#[cfg(feature = "ffmpeg")]
pub use process::pictures_main;

/// The entry of the pictures process in a build without the FFmpeg engine.
#[cfg(not(feature = "ffmpeg"))]
pub fn pictures_main() -> std::process::ExitCode {
    eprintln!("pictures: this build has no engine `ffmpeg`");
    std::process::ExitCode::FAILURE
}
