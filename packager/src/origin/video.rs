//! Requests for videos: manifests are made of rows, media come from the object store.

use media::{EpochNumber, VideoId};
use storage::rows::RowError;
use storage::rows::videos::playback::{self, Audience, MediaPlace, Playback};

use super::Inner;
use super::answer::{Answer, Freshness, Refusal};
use super::route::VodResource;
use crate::object_key;
use crate::vod::Presentation;

/// Segments that manifests list at most, of all renditions: 25 h of four renditions in
/// segments of 2 s are 180,000.
const MAX_SEGMENTS: u32 = 300_000;

impl Inner {
    pub(super) async fn video(
        &self,
        video: VideoId,
        resource: VodResource,
    ) -> Result<Answer, Refusal> {
        match resource {
            VodResource::Multivariant => {
                let presentation = self.presentation(video).await?;
                let text = presentation.multivariant().render();
                Ok(Answer::hls(text, freshness(&presentation)))
            }
            VodResource::MediaPlaylist(rendition) => {
                let presentation = self.presentation(video).await?;
                let playlist = presentation.media_playlist(&rendition);
                let text = playlist.ok_or(Refusal::NoSuchMedia)?.render();
                Ok(Answer::hls(text, freshness(&presentation)))
            }
            VodResource::Mpd => {
                let presentation = self.presentation(video).await?;
                let text = presentation.mpd().render().ok_or(Refusal::Unrenderable)?;
                Ok(Answer::dash(text, freshness(&presentation)))
            }
            VodResource::Init(epoch, rendition) => {
                let key = match self.place(video, epoch).await? {
                    MediaPlace::Stream(stream) => object_key::init(stream, epoch, &rendition),
                    MediaPlace::Own => object_key::video_init(video, epoch, &rendition),
                };
                self.stored(&key).await.map(Answer::init)
            }
            VodResource::Segment(epoch, rendition, number) => {
                let key = match self.place(video, epoch).await? {
                    MediaPlace::Stream(stream) => {
                        object_key::segment(stream, epoch, &rendition, number)
                    }
                    MediaPlace::Own => object_key::video_segment(video, epoch, &rendition, number),
                };
                self.stored(&key).await.map(Answer::segment)
            }
            VodResource::Poster => self.video_poster(video).await,
            VodResource::Storyboard => self.video_storyboard(video).await,
            VodResource::Sprite(epoch, first, step) => {
                self.video_sprite(video, epoch, first, step).await
            }
        }
    }

    /// For whom a video is.
    pub(super) async fn audience(&self, video: VideoId) -> Result<Audience, Refusal> {
        let database = self.database.as_ref().ok_or(Refusal::NoVideos)?;
        let audience = playback::audience(database, video).await;
        audience
            .map_err(|error| unreadable(video, &error))?
            .ok_or(Refusal::UnknownVideo)
    }

    pub(super) async fn presentation(&self, video: VideoId) -> Result<Presentation, Refusal> {
        let database = self.database.as_ref().ok_or(Refusal::NoVideos)?;
        let loaded = playback::load(database, video, MAX_SEGMENTS).await;
        let stored = match loaded.map_err(|error| unreadable(video, &error))? {
            Playback::Unknown => return Err(Refusal::UnknownVideo),
            Playback::NotReady(_) => return Err(Refusal::VideoNotReady),
            Playback::Ready(stored) => stored,
        };
        if stored.is_cut {
            tracing::warn!(%video, limit = MAX_SEGMENTS, "a video is listed without its end");
        }
        Presentation::new(stored).ok_or(Refusal::NoSuchMedia)
    }

    pub(super) async fn place(
        &self,
        video: VideoId,
        epoch: EpochNumber,
    ) -> Result<MediaPlace, Refusal> {
        let database = self.database.as_ref().ok_or(Refusal::NoVideos)?;
        let place = playback::media_place(database, video, epoch).await;
        place
            .map_err(|error| unreadable(video, &error))?
            .ok_or(Refusal::NoSuchMedia)
    }
}

fn unreadable(video: VideoId, error: &RowError) -> Refusal {
    tracing::warn!(%video, %error, "the rows of a video cannot be read");
    Refusal::Database
}

pub(super) fn freshness(presentation: &Presentation) -> Freshness {
    match presentation.is_final() {
        true => Freshness::Video,
        false => Freshness::Moment,
    }
}
