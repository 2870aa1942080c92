//! What posts show beside their texts: pictures, a video or a stream.

use std::collections::HashMap;
use std::fmt::Display;

use async_graphql::ID;
use media::{ImageId, PostId, StreamId, Timestamp, UserId, VideoId};
use storage::rows::Transaction;
use storage::rows::images::{self, IMAGES_AT_MOST, ImageRow};
use storage::rows::post_videos::{self, ShownVideo};
use storage::rows::posts::Shows;
use storage::rows::videos::{self, VideoState};

use super::images::shown;
use crate::caller::Caller;
use crate::model::{CreatePostInput, Image, PostVideo};
use crate::streams::Played;
use crate::{ServiceError, Services};

/// What a new post is to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attached {
    Nothing,
    Images(Vec<ImageId>),
    Video(VideoId),
    Stream(StreamId),
}

impl Attached {
    pub(super) fn is_something(&self) -> bool {
        *self != Self::Nothing
    }

    pub(super) fn shows(&self) -> Shows<'_> {
        match self {
            Self::Nothing => Shows::Nothing,
            Self::Images(images) => Shows::Images(images),
            Self::Video(video) => Shows::Video(*video),
            Self::Stream(stream) => Shows::Stream(*stream),
        }
    }
}

impl Services {
    /// What a post is asked to show, if it can be: one of the three.
    pub(super) async fn attached(
        &self,
        caller: &Caller,
        input: &CreatePostInput,
    ) -> Result<Attached, ServiceError> {
        match (input.images.as_slice(), &input.video, &input.stream) {
            ([], None, None) => Ok(Attached::Nothing),
            ([], None, Some(name)) => {
                let found = self.find_stream(caller, name).await?;
                Ok(Attached::Stream(found.stream.id))
            }
            ([], Some(id), None) => {
                let id = id.parse().map_err(|_| no_id("video", "a video", id))?;
                Ok(Attached::Video(id))
            }
            (ids, None, None) => Ok(Attached::Images(read_ids(ids)?)),
            _ => Err(ServiceError::invalid(
                "",
                "expected pictures, a video or a stream, and not two of them",
            )),
        }
    }

    /// Sees whether a video that is to be shown is `author`'s, and ready for it: before there is a
    /// transaction, which looks again as it makes the post.
    pub(super) async fn check_attached_video(
        &self,
        author: UserId,
        attached: &Attached,
    ) -> Result<(), ServiceError> {
        let Attached::Video(id) = attached else {
            return Ok(());
        };
        let found = videos::get(&self.db, *id).await?;
        let found = found.filter(|video| video.state != VideoState::Cancelled);
        let refused = |why: String| Err(ServiceError::invalid("video", why));
        match found {
            None => refused(format!("there is no video {id}")),
            Some(video) if video.owner != author => {
                refused(format!("video {id} is somebody else's"))
            }
            Some(video) if video.state != VideoState::Ready => {
                let state = video.state;
                refused(format!("video {id} is not ready: it is {state}"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Sees whether pictures that are to be shown are `author`'s, and free for it. They are locked
    /// until the end of the transaction.
    pub(super) async fn check_attached_images(
        &self,
        transaction: &mut Transaction,
        author: UserId,
        attached: &Attached,
    ) -> Result<(), ServiceError> {
        let Attached::Images(wanted) = attached else {
            return Ok(());
        };
        let rows = images::lock(&self.db, transaction, wanted).await?;
        for id in wanted {
            let row = rows.iter().find(|row| row.id == *id);
            check_image(author, *id, row)?;
        }
        Ok(())
    }

    /// The pictures of these posts, in their order.
    pub(crate) async fn post_images(
        &self,
        ids: &[PostId],
    ) -> Result<HashMap<PostId, Vec<Image>>, ServiceError> {
        let mut of: HashMap<_, Vec<_>> = HashMap::new();
        if ids.is_empty() {
            return Ok(of);
        }
        for row in images::of_posts(&self.db, ids).await? {
            if let Some(post) = row.post {
                of.entry(post).or_default().push(shown(&row));
            }
        }
        Ok(of)
    }

    /// The videos of these posts that play, and that are for whoever asks: with a token that is
    /// theirs, where one is needed.
    pub(crate) async fn post_videos(
        &self,
        caller: &Caller,
        ids: &[PostId],
    ) -> Result<HashMap<PostId, PostVideo>, ServiceError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        // Before the rows are read: what bars somebody afterwards bars these tokens.
        let asked_at = self.now();
        let rows = post_videos::of_posts(&self.db, ids, caller.user()).await?;
        let shown = rows
            .iter()
            .map(|row| Ok((row.post, self.post_video(caller, row, asked_at)?)));
        shown.collect()
    }

    fn post_video(
        &self,
        caller: &Caller,
        row: &ShownVideo,
        asked_at: Timestamp,
    ) -> Result<PostVideo, ServiceError> {
        let played = Played {
            owner: row.owner,
            visibility: row.visibility,
        };
        let playback = self.video_playback(caller, played, row.id, asked_at)?;
        Ok(PostVideo {
            id: row.id.to_string().into(),
            title: row.title.clone(),
            duration: row.duration.map(|span| span.to_duration().as_secs_f64()),
            stream: row.stream.as_ref().map(ToString::to_string),
            playlist: playback.playlist,
            manifest: playback.manifest,
            poster: playback.poster,
        })
    }
}

fn read_ids(ids: &[ID]) -> Result<Vec<ImageId>, ServiceError> {
    let given = ids.len();
    if given > IMAGES_AT_MOST {
        let many = format!("expected at most {IMAGES_AT_MOST} pictures: there are {given}");
        return Err(ServiceError::invalid("images", many));
    }
    let mut read: Vec<ImageId> = Vec::with_capacity(given);
    for id in ids {
        let image = id.parse().map_err(|_| no_id("images", "a picture", id))?;
        if read.contains(&image) {
            let twice = format!("picture {image} is there twice");
            return Err(ServiceError::invalid("images", twice));
        }
        read.push(image);
    }
    Ok(read)
}

fn no_id(field: &str, what: &str, given: &ID) -> ServiceError {
    let given: String = given.chars().take(40).collect();
    ServiceError::invalid(field, format!("{given:?} is no id of {what}"))
}

fn check_image(author: UserId, id: ImageId, row: Option<&ImageRow>) -> Result<(), ServiceError> {
    let refused = |why: &dyn Display| Err(ServiceError::invalid("images", why));
    match row {
        None => refused(&format!("there is no picture {id}")),
        Some(row) if row.owner != author => refused(&format!("picture {id} is somebody else's")),
        Some(row) if row.let_go_at.is_some() => {
            let gone = "was posted nowhere for too long, or its post is deleted: send it again";
            refused(&format!("picture {id} {gone}"))
        }
        Some(row) if row.post.is_some() => {
            refused(&format!("picture {id} is on a post already: send it again"))
        }
        Some(_) => Ok(()),
    }
}
