//! Pictures: made of stored segments when they are asked for, and kept by the cache in front
//! only.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use media::{
    EpochNumber, KeyFrame, Rendition, SegmentNumber, Sheet, StreamId, VideoId, VideoShape,
};
use storage::rows::segments;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::{Answer, Freshness, Refusal};
use super::shot::{Media, Missed, Shot};
use super::video::freshness;
use super::{Inner, OriginLimits, polled};
use crate::live::{LiveStream, SegmentState};
use crate::object_key;
use crate::pictures::{PictureError, PictureMaker};
use crate::storyboard::{Bounds, COLUMNS, ROWS};
use crate::vod::Still;

/// Sheets that are with the maker at one time: one is made, the next is there.
const SHEETS: usize = 2;
/// How long a sheet waits for its turn.
const WAIT: Duration = Duration::from_secs(3);
/// How long the object store has for the key frames of a sheet.
const FETCH: Duration = Duration::from_secs(3);
/// Requests that a sprite counts as: it has the key frames of many in memory.
const SPRITE: u32 = 4;

/// How long a picture of what is live may be kept: a viewer who opens a page sees what
/// somebody else saw a few seconds before.
const LIVE: Freshness = Freshness::Seconds(4);

/// What makes pictures, and for how many at one time.
#[derive(Debug)]
pub(super) struct Pictures {
    maker: Arc<dyn PictureMaker>,
    requests: Semaphore,
    /// Of those, how many may be for videos: some are kept back for what is live.
    videos: Semaphore,
    sheets: Semaphore,
    /// How long a request may take.
    time: Duration,
}

/// A request that was let in, until a moment.
struct Leave<'a> {
    pictures: &'a Pictures,
    until: Instant,
    _request: SemaphorePermit<'a>,
    _video: Option<SemaphorePermit<'a>>,
}

impl Pictures {
    pub(super) fn new(maker: Arc<dyn PictureMaker>, limits: OriginLimits) -> Self {
        let requests = limits.pictures.min(Semaphore::MAX_PERMITS);
        Self {
            maker,
            requests: Semaphore::new(requests),
            videos: Semaphore::new(requests - requests / 4),
            sheets: Semaphore::new(SHEETS),
            time: limits.picture_time,
        }
    }

    fn for_live(&self) -> Result<Leave<'_>, Refusal> {
        let request = self.requests.try_acquire();
        Ok(self.leave(request.map_err(|_| Refusal::TooManyPictures)?, None))
    }

    /// For what counts as so many requests.
    fn for_video(&self, count: u32) -> Result<Leave<'_>, Refusal> {
        let video = self.videos.try_acquire_many(count);
        let video = video.map_err(|_| Refusal::TooManyPictures)?;
        let request = self.requests.try_acquire_many(count);
        let request = request.map_err(|_| Refusal::TooManyPictures)?;
        Ok(self.leave(request, Some(video)))
    }

    fn leave<'a>(
        &'a self,
        request: SemaphorePermit<'a>,
        video: Option<SemaphorePermit<'a>>,
    ) -> Leave<'a> {
        Leave {
            pictures: self,
            until: Instant::now() + self.time,
            _request: request,
            _video: video,
        }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let turn = timeout(WAIT, self.sheets.acquire()).await;
        let turn = turn.map_err(|_| Refusal::TooManyPictures)?;
        // Nobody closes it.
        turn.map_err(|_| Refusal::TooManyPictures)
    }
}

impl Leave<'_> {
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let done = timeout_at(self.until, work).await;
        done.unwrap_or(Err(Refusal::NotInTime))
    }
}

/// A JPEG, and whether the picture of every tile that should have one is in it.
struct Picture {
    jpeg: Bytes,
    is_whole: bool,
}

impl Inner {
    pub(super) async fn live_poster(
        &self,
        stream: &LiveStream,
        bounds: Bounds,
    ) -> Result<Answer, Refusal> {
        self.maker()?;
        let none = || no_picture(stream);
        let (epoch, number) = stream.newest_picture().ok_or_else(none)?;
        let jpeg = self.live_picture(stream, epoch, number, bounds).await?;
        Ok(Answer::picture(jpeg, LIVE))
    }

    pub(super) async fn live_thumbnail(
        &self,
        stream: &LiveStream,
        epoch: EpochNumber,
        number: SegmentNumber,
    ) -> Result<Answer, Refusal> {
        let jpeg = self.live_picture(stream, epoch, number, Bounds::TILE);
        Ok(Answer::picture(jpeg.await?, Freshness::Immutable))
    }

    pub(super) fn live_storyboard(&self, stream: &LiveStream) -> Result<Answer, Refusal> {
        self.maker()?;
        let storyboard = stream.storyboard().ok_or_else(|| no_picture(stream))?;
        Ok(Answer::web_vtt(storyboard.render(), polled(stream)))
    }

    async fn live_picture(
        &self,
        stream: &LiveStream,
        epoch: EpochNumber,
        number: SegmentNumber,
        bounds: Bounds,
    ) -> Result<Bytes, Refusal> {
        let leave = self.maker()?.for_live()?;
        let mut found = stream.pictures(epoch, number);
        if found.is_empty() {
            let older = self.older_pictures(stream.id(), epoch, number);
            found = leave.in_time(older).await?;
        }
        let chosen = bounds.choose(found, |(rendition, _)| rendition);
        let (rendition, state) = chosen.ok_or(Refusal::NoSuchMedia)?;
        let media = match state {
            SegmentState::Ready(bytes) => Media::Here(bytes),
            SegmentState::Stored => {
                let key = object_key::segment(stream.id(), epoch, &rendition.name, number);
                Media::Stored(key)
            }
            SegmentState::Missing => return Err(Refusal::NoSuchMedia),
        };
        let shot = Shot { rendition, media };
        let picture = self.single(&leave, stream.name(), shot, bounds);
        Ok(leave.in_time(picture).await?.jpeg)
    }

    /// What rows tell of a segment that has left the window.
    async fn older_pictures(
        &self,
        stream: StreamId,
        epoch: EpochNumber,
        number: SegmentNumber,
    ) -> Result<Vec<(Rendition, SegmentState)>, Refusal> {
        let Some(database) = &self.database else {
            return Ok(Vec::new());
        };
        let renditions = segments::renditions_of(database, stream, epoch, number).await;
        let renditions = renditions.map_err(|error| {
            tracing::warn!(%stream, %error, "the rows of a stream cannot be read");
            Refusal::Database
        })?;
        let stored = renditions.into_iter();
        Ok(stored.map(|one| (one, SegmentState::Stored)).collect())
    }

    pub(super) async fn video_poster(&self, video: VideoId) -> Result<Answer, Refusal> {
        let leave = self.maker()?.for_video(1)?;
        let presentation = leave.in_time(self.presentation(video)).await?;
        if presentation.is_sound() {
            return Err(Refusal::NoPictures);
        }
        // A beginning in the dark has little to compress.
        let (mut best, mut freshness) = (Bytes::new(), Freshness::Video);
        let mut refusal = Refusal::NoSuchMedia;
        for still in presentation.posters() {
            let drawn = async {
                let shot = self.shot(video, still).await?;
                self.single(&leave, &video, shot, Bounds::POSTER).await
            };
            match leave.in_time(drawn).await {
                Ok(picture) if picture.jpeg.len() > best.len() => best = picture.jpeg,
                Ok(_) => {}
                Err(found @ (Refusal::Undecodable | Refusal::NoSuchMedia)) => refusal = found,
                // What there is will do until another attempt.
                Err(other) => {
                    (refusal, freshness) = (other, Freshness::Moment);
                    break;
                }
            }
        }
        match best.is_empty() {
            true => Err(refusal),
            false => Ok(Answer::picture(best, freshness)),
        }
    }

    pub(super) async fn video_storyboard(&self, video: VideoId) -> Result<Answer, Refusal> {
        self.maker()?;
        let presentation = self.presentation(video).await?;
        if presentation.is_sound() {
            return Err(Refusal::NoPictures);
        }
        let text = presentation.storyboard().render();
        Ok(Answer::web_vtt(text, freshness(&presentation)))
    }

    pub(super) async fn video_sprite(
        &self,
        video: VideoId,
        epoch: EpochNumber,
        first: SegmentNumber,
        step: u64,
    ) -> Result<Answer, Refusal> {
        let leave = self.maker()?.for_video(SPRITE)?;
        let presentation = leave.in_time(self.presentation(video)).await?;
        let (tile, stills) = presentation
            .sprite(epoch, first, step)
            .ok_or(Refusal::NoSuchMedia)?;
        let drawn = async {
            let place = self.place(video, epoch).await?;
            let shots = stills.into_iter();
            let shots = shots.map(|still| Some(Shot::of_video(video, place, still?)));
            let shots = shots.collect();
            self.draw(&leave, &video, (COLUMNS, ROWS), tile, shots)
                .await
        };
        let picture = leave.in_time(drawn).await?;
        let freshness = match (presentation.is_final(), picture.is_whole) {
            (true, true) => Freshness::Immutable,
            (true, false) => Freshness::Video,
            (false, _) => Freshness::Moment,
        };
        Ok(Answer::picture(picture.jpeg, freshness))
    }

    async fn shot(&self, video: VideoId, still: Still) -> Result<Shot, Refusal> {
        let place = self.place(video, still.epoch).await?;
        Ok(Shot::of_video(video, place, still))
    }

    fn maker(&self) -> Result<&Pictures, Refusal> {
        self.pictures.as_ref().ok_or(Refusal::NoPictureMaker)
    }

    /// A picture that stands alone. `name` is told in the log.
    async fn single(
        &self,
        leave: &Leave<'_>,
        name: &(dyn Display + Sync),
        shot: Shot,
        bounds: Bounds,
    ) -> Result<Picture, Refusal> {
        let size = shot.rendition.display_size().ok_or(Refusal::NoPictures)?;
        let (layout, tile) = ((1, 1), bounds.fit(size));
        self.draw(leave, name, layout, tile, vec![Some(shot)]).await
    }

    /// A sheet of so many columns and rows.
    async fn draw(
        &self,
        leave: &Leave<'_>,
        name: &(dyn Display + Sync),
        (columns, rows): (u16, u16),
        tile: VideoShape,
        shots: Vec<Option<Shot>>,
    ) -> Result<Picture, Refusal> {
        let wanted = shots.iter().flatten().count();
        // Whoever waits for the store is in nobody's way.
        let tiles = timeout(FETCH, self.key_frames(name, shots)).await;
        let tiles = tiles.unwrap_or_else(|_| {
            tracing::warn!(of = %name, limit = ?FETCH, "the object store gives no key frames");
            Err(Refusal::ObjectStore)
        })?;
        let found = tiles.iter().flatten().count();
        let sheet = Sheet {
            columns,
            rows,
            tile,
            tiles,
        };
        let _turn = leave.pictures.turn().await?;
        let drawn = leave.pictures.maker.make(sheet).await.map_err(|error| {
            tracing::warn!(of = %name, "no picture: {error}");
            match error {
                PictureError::Undecodable(_) => Refusal::Undecodable,
                PictureError::Busy(_) => Refusal::TooManyPictures,
                PictureError::Failed(_) => Refusal::PictureMaker,
            }
        })?;
        for (tile, why) in &drawn.undecodable {
            tracing::warn!(of = %name, tile, "a tile stays black: {why}");
        }
        Ok(Picture {
            jpeg: drawn.jpeg,
            is_whole: found == wanted && drawn.undecodable.is_empty(),
        })
    }

    /// The key frames of all shots, at least one; those that are gone or damaged are left
    /// out.
    async fn key_frames(
        &self,
        name: &(dyn Display + Sync),
        shots: Vec<Option<Shot>>,
    ) -> Result<Vec<Option<KeyFrame>>, Refusal> {
        let mut tiles = vec![None; shots.len()];
        let mut loads = JoinSet::new();
        for (index, shot) in shots.into_iter().enumerate() {
            let Some(shot) = shot else { continue };
            let objects = Arc::clone(&self.objects);
            loads.spawn(async move { (index, shot.key_frame(&*objects).await) });
        }
        let mut refusal = Refusal::NoSuchMedia;
        while let Some(loaded) = loads.join_next().await {
            let (index, outcome) = loaded.map_err(|error| {
                tracing::error!(of = %name, %error, "a key frame was not fetched");
                Refusal::PictureMaker
            })?;
            match outcome {
                Ok(key_frame) => {
                    if let Some(tile) = tiles.get_mut(index) {
                        *tile = Some(key_frame);
                    }
                }
                Err(Missed::Gone) => {
                    tracing::warn!(of = %name, tile = index, "the segment of a picture is gone");
                }
                Err(Missed::Damaged(error)) => {
                    tracing::warn!(of = %name, tile = index, %error, "the segment of a picture");
                    refusal = Refusal::Undecodable;
                }
                Err(Missed::Store(error)) => {
                    tracing::warn!(of = %name, %error, "object store");
                    return Err(Refusal::ObjectStore);
                }
            }
        }
        match tiles.iter().any(Option::is_some) {
            true => Ok(tiles),
            false => Err(refusal),
        }
    }
}

fn no_picture(stream: &LiveStream) -> Refusal {
    match stream.is_sound() {
        true => Refusal::NoPictures,
        false => Refusal::NoSuchMedia,
    }
}
