//! Contract tests of the packager.

mod coming;
mod feed;
mod ffprobe;
mod fixture;
mod history;
mod live_window;
mod manifests;
mod origin;
mod pictures;
mod video_pictures;
mod vod;
