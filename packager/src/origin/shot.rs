//! A picture that is wanted, from a segment to its key frame.

use bytes::Bytes;
use media::{KeyFrame, Rendition, VideoId};
use storage::rows::videos::playback::MediaPlace;
use storage::{ObjectError, ObjectStore};

use crate::cmaf::{Beginning, KeyFrameError, first_key_frame};
use crate::object_key;
use crate::vod::Still;

/// Bytes of a segment that are fetched first. Most key frames are in them.
const FIRST_BYTES: u64 = 128 << 10;

/// A segment whose first picture is wanted.
pub(super) struct Shot {
    pub(super) rendition: Rendition,
    pub(super) media: Media,
}

/// Where a segment's bytes are.
pub(super) enum Media {
    Here(Bytes),
    /// Under this key of the object store.
    Stored(String),
}

/// Why a shot gives no key frame.
pub(super) enum Missed {
    /// There is no such object.
    Gone,
    Damaged(KeyFrameError),
    /// The store failed.
    Store(ObjectError),
}

impl Shot {
    /// Of what is stored of a video, at this place.
    pub(super) fn of_video(video: VideoId, place: MediaPlace, still: Still) -> Self {
        let Still {
            epoch,
            number,
            rendition,
        } = still;
        let name = &rendition.name;
        let key = match place {
            MediaPlace::Stream(stream) => object_key::segment(stream, epoch, name, number),
            MediaPlace::Own => object_key::video_segment(video, epoch, name, number),
        };
        Self {
            rendition,
            media: Media::Stored(key),
        }
    }

    /// Its key frame. Of a stored segment only the beginning is read.
    pub(super) async fn key_frame(self, objects: &dyn ObjectStore) -> Result<KeyFrame, Missed> {
        let data = match self.media {
            Media::Here(segment) => match first_key_frame(&segment).map_err(Missed::Damaged)? {
                Beginning::Whole(data) => data,
                Beginning::Needs(_) => return Err(Missed::Damaged(KeyFrameError::CutShort)),
            },
            Media::Stored(key) => stored_key_frame(objects, &key).await?,
        };
        Ok(KeyFrame {
            codec: self.rendition.codec,
            data,
        })
    }
}

async fn stored_key_frame(objects: &dyn ObjectStore, key: &str) -> Result<Bytes, Missed> {
    let mut wanted = FIRST_BYTES;
    loop {
        let range = objects.get_range(key, 0..wanted).await;
        let range = range.map_err(|error| match error {
            ObjectError::NotFound(_) => Missed::Gone,
            ObjectError::RangeNotSatisfiable { .. } => Missed::Damaged(KeyFrameError::CutShort),
            error => Missed::Store(error),
        })?;
        let needs = match first_key_frame(&range.data).map_err(Missed::Damaged)? {
            Beginning::Whole(data) => return Ok(data),
            Beginning::Needs(needs) => needs as u64,
        };
        // What it needs is more than there was, and has a limit.
        if needs > range.size || needs <= wanted {
            return Err(Missed::Damaged(KeyFrameError::CutShort));
        }
        wanted = needs;
    }
}
