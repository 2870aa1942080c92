//! A live stream as a player sees it.

use std::time::Duration;

use super::http::resolve;
use super::{Http, MediaPlaylist, wait_for};

/// How long a stream may take from publishing to being listed with all its renditions,
/// on a busy machine.
pub(crate) const WARM_UP: Duration = Duration::from_secs(60);

/// A stream by its URLs.
#[derive(Clone)]
pub(crate) struct Stream {
    /// Where it is served.
    pub(crate) http: Http,
    /// Its name.
    pub(crate) name: String,
}

/// A rendition in the multivariant playlist.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rendition {
    /// The stem of its playlist's name.
    pub(crate) name: String,
    /// Where its media playlist is.
    pub(crate) playlist: String,
    /// Pixels across and down; `None` is sound.
    pub(crate) size: Option<(u64, u64)>,
}

impl Stream {
    /// The stream `name` that `http` serves.
    pub(crate) fn new(http: Http, name: &str) -> Self {
        let name = name.to_owned();
        Self { http, name }
    }

    /// Path of the multivariant playlist.
    pub(crate) fn hls(&self) -> String {
        format!("/live/{}/index.m3u8", self.name)
    }

    /// Path of the DASH manifest.
    pub(crate) fn dash(&self) -> String {
        format!("/live/{}/manifest.mpd", self.name)
    }

    /// What the multivariant playlist lists.
    pub(crate) fn renditions(&self) -> Result<Vec<Rendition>, String> {
        let base = self.hls();
        let text = self.http.fetch(&base)?.text();
        let playlist = m3u8_rs::parse_master_playlist_res(text.as_bytes())
            .map_err(|error| format!("{base} is no multivariant playlist: {error}\n{text}"))?;
        let video = playlist
            .variants
            .iter()
            .filter(|variant| !variant.is_i_frame);
        let video = video.map(|variant| {
            let size = variant.resolution.map(|size| (size.width, size.height));
            (variant.uri.clone(), size)
        });
        let audio = playlist
            .alternatives
            .iter()
            .filter_map(|media| media.uri.clone());
        let mut renditions = Vec::new();
        for (uri, size) in video.chain(audio.map(|uri| (uri, None))) {
            let playlist = resolve(&base, &uri);
            let name = playlist
                .rsplit('/')
                .next()
                .and_then(|file| file.split('.').next());
            let name = name.unwrap_or_default().to_owned();
            let rendition = Rendition {
                name,
                playlist,
                size,
            };
            if !renditions.contains(&rendition) {
                renditions.push(rendition);
            }
        }
        Ok(renditions)
    }

    /// The media playlist at `path`.
    pub(crate) fn media_at(&self, path: &str) -> Result<MediaPlaylist, String> {
        MediaPlaylist::parse(path, &self.http.fetch(path)?.text())
    }

    /// The media playlist of the rendition `name`.
    pub(crate) fn media(&self, name: &str) -> Result<MediaPlaylist, String> {
        self.media_at(&format!("/live/{}/{name}.m3u8", self.name))
    }

    /// Waits until exactly `names` are listed, each with at least `segments` segments.
    #[track_caller]
    pub(crate) fn wait_live(&self, names: &[&str], segments: usize) -> Vec<Rendition> {
        self.wait_listed(names, segments, |renditions| {
            let listed: Vec<_> = renditions.iter().map(|r| r.name.as_str()).collect();
            (listed.len() == names.len())
                .then_some(())
                .ok_or(format!("{listed:?} are listed"))
        })
    }

    /// Waits until `names` are listed, and maybe others, each of them with at least
    /// `segments` segments.
    #[track_caller]
    pub(crate) fn wait_live_among(&self, names: &[&str], segments: usize) -> Vec<Rendition> {
        self.wait_listed(names, segments, |_| Ok(()))
    }

    #[track_caller]
    fn wait_listed(
        &self,
        names: &[&str],
        segments: usize,
        check: impl Fn(&[Rendition]) -> Result<(), String>,
    ) -> Vec<Rendition> {
        let what = format!("{} segments of {names:?} of {}", segments, self.name);
        wait_for(&what, WARM_UP, || {
            let mut renditions = self.renditions()?;
            check(&renditions)?;
            renditions.retain(|rendition| names.contains(&rendition.name.as_str()));
            if renditions.len() != names.len() {
                return Err(format!("{renditions:?} of them are listed"));
            }
            for rendition in &renditions {
                let count = self.media_at(&rendition.playlist)?.segments.len();
                if count < segments {
                    return Err(format!("{} has {count}", rendition.name));
                }
            }
            Ok(renditions)
        })
    }
}
