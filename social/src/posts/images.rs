//! Pictures of posts: sent, shown to whoever has their id, and taken away.
//!
//! An id is as good as a password: it has 74 random bits, and is told to those who see the post, and
//! nobody else. So a picture's URL needs no login, whomever the post is for. What it names is looked
//! up each time: with the post, or while its owner is kept out, it is gone at once.

use std::future::ready;
use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use media::{ImageId, Micros};
use serde::Serialize;
use sha2::{Digest, Sha256};
use storage::rows::RowError;
use storage::rows::images::{self, ImageRow, MediaType, NewImage, Size};
use storage::rows::jobs::{self, Attempt, Options};
use storage::rows::leases::{self, Terms};
use tokio_util::sync::CancellationToken;

use super::text;
use crate::caller::Caller;
use crate::idempotency::{Made, Repeatable, check_key};
use crate::model::Image;
use crate::operation::{Actor, Operation};
use crate::pictures::{self, Place, Posted, received, remake_for_post};
use crate::{ServiceError, Services};

/// The longest description of a picture, in characters.
pub const MAX_DESCRIPTION: usize = 1_500;

/// How long a process that was killed keeps its jobs, and its turn to sweep.
const SILENCE: Micros = Micros::from_secs(30);

/// How often it is looked for pictures that can go.
const SWEPT_EVERY: Duration = Duration::from_secs(30);

/// Pictures that go in one round.
const SWEPT_AT_ONCE: u32 = 100;

/// What is sent, for what is kept of it.
#[derive(Serialize)]
struct Sending<'a> {
    picture: [u8; 32],
    description: &'a str,
}

impl Services {
    /// Takes a picture for a post. `begin` gives the place that it has and the picture, which is
    /// sent when all else is known to be right: whoever may not sends it in vain.
    pub(crate) async fn upload_image<E: From<ServiceError>, P>(
        &self,
        caller: &Caller,
        description: &str,
        idempotency_key: Option<&str>,
        begin: impl FnOnce() -> Result<(Place, P), E>,
    ) -> Result<Image, E>
    where
        P: Future<Output = Result<Bytes, E>>,
    {
        let operation = Operation::UploadImage;
        let actor = self.begin_known(caller, operation)?;
        let description = description.trim();
        check_description(description)?;
        check_key(idempotency_key)?;
        let (_place, picture) = begin()?;
        let given = received(picture).await?;
        // That took a while, in which the login may have ended.
        self.check_revoked(&caller.identity)?;
        let sending = Sending {
            picture: Sha256::digest(&given).into(),
            description,
        };
        let request = Repeatable::new(actor.user, idempotency_key, operation, &sending)?;
        let request = request.as_ref();
        if let Some(made) = self.earlier(request).await? {
            return Ok(self.image_made(made).await?);
        }
        let picture = self.pictures.remake(given, remake_for_post).await?;
        // And that.
        self.check_revoked(&caller.identity)?;
        Ok(self
            .keep_image(actor, description, picture, request)
            .await?)
    }

    /// A picture that was sent before, unless it has gone meanwhile.
    async fn image_made(&self, made: Made) -> Result<Image, ServiceError> {
        let id = made.id.parse();
        let id: ImageId = id.map_err(|error| ServiceError::internal("kept answer", error))?;
        let rows = images::by_ids(&self.db, &[id]).await?;
        let row = rows.iter().find(|row| row.let_go_at.is_none());
        row.map(shown)
            .ok_or_else(|| ServiceError::NotFound("picture".into()))
    }

    /// The same of a picture of which all is there.
    pub async fn upload_whole_image(
        &self,
        caller: &Caller,
        description: &str,
        picture: Bytes,
    ) -> Result<Image, ServiceError> {
        let begin = || Ok((self.place_picture(caller)?, ready(Ok(picture))));
        self.upload_image(caller, description, None, begin).await
    }

    async fn keep_image(
        &self,
        actor: Actor,
        description: &str,
        made: Posted,
        request: Option<&Repeatable>,
    ) -> Result<Image, ServiceError> {
        let (id, intended_at) = (ImageId::new(), self.now());
        let mut transaction = self.db.write().await?;
        images::intend(&self.db, &mut transaction, id, intended_at).await?;
        transaction.commit().await?;
        let new = NewImage {
            id,
            owner: actor.user,
            media_type: made.media_type,
            width: made.width,
            height: made.height,
            size: (made.full.len() + made.preview.len()) as u64,
            description,
        };
        for (size, file) in [(Size::Full, made.full), (Size::Preview, made.preview)] {
            let key = images::key(id, size, new.media_type);
            pictures::put(&*self.objects, &key, file, made.media_type).await?;
        }
        let (mut transaction, now) = (self.db.write().await?, self.now());
        let row = images::insert(&mut transaction, &new, intended_at, now).await;
        let row = row.map_err(|error| match error {
            // Suspended or deleted meanwhile.
            RowError::NotFound(_) => ServiceError::Unauthenticated,
            error => error.into(),
        })?;
        let made = Made { id: id.to_string() };
        // Of two at once, the objects of the second go as those of an upload that ended half-way.
        match self.commit_once(transaction, request, &made).await? {
            Some(made) => self.image_made(made).await,
            None => Ok(shown(&row)),
        }
    }

    /// Whether the picture of that name is there for whoever asks, and whether it is on a post for
    /// everybody. Not an operation: whoever knows the name has it from a post, and a page shows
    /// many.
    pub(crate) async fn find_image(&self, name: &ImageName) -> Result<bool, ServiceError> {
        let served = images::served(&self.db, name.id).await?;
        let served = served.filter(|served| served.media_type == name.media_type);
        let served = served.ok_or_else(|| ServiceError::NotFound("picture".into()))?;
        Ok(served.is_public)
    }

    /// Takes away pictures that no post has any more, or that never got there, until `shutdown`.
    pub async fn sweep_images(self, shutdown: CancellationToken) {
        let options = Options {
            queue: images::QUEUE,
            worker: leases::this_process(),
            concurrency: NonZeroUsize::MIN,
            ttl: SILENCE,
        };
        let (db, clock) = (self.db.clone(), self.clock.clone());
        let services = self.clone();
        let handler = move |attempt: Attempt| {
            let services = services.clone();
            async move { images::settle(&services.db, &*services.objects, &attempt).await }
        };
        let terms = Terms {
            name: "image-sweeper".to_owned(),
            owner: leases::this_process(),
            ttl: SILENCE,
        };
        let sweep = |_, stop| self.sweep_let_go(stop);
        tokio::join!(
            jobs::run(db, clock, options, handler, shutdown.clone()),
            leases::run_while_held(&self.db, &*self.clock, &terms, &shutdown, sweep),
        );
    }

    async fn sweep_let_go(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let sweeping = images::sweep(&self.db, &*self.objects, self.now(), SWEPT_AT_ONCE);
            let Some(swept) = stop.run_until_cancelled(sweeping).await else {
                return;
            };
            let is_all = match swept {
                Ok(gone) => {
                    metrics::counter!("nova_api_images_swept_total").increment(gone);
                    gone < u64::from(SWEPT_AT_ONCE)
                }
                Err(error) => {
                    tracing::warn!(%error, "pictures of posts were not swept");
                    true
                }
            };
            if is_all {
                let pause = tokio::time::sleep(SWEPT_EVERY);
                stop.run_until_cancelled(pause).await;
            }
        }
    }
}

fn check_description(description: &str) -> Result<(), ServiceError> {
    let length = description.chars().count();
    if length > MAX_DESCRIPTION {
        let many = format!("expected at most {MAX_DESCRIPTION} characters: there are {length}");
        return Err(ServiceError::invalid("description", many));
    }
    text::check(description).map_err(|error| ServiceError::invalid("description", error))
}

/// A picture, as posts show it.
pub(crate) fn shown(row: &ImageRow) -> Image {
    let url = |size| format!("/{}", images::key(row.id, size, row.media_type));
    Image {
        id: row.id.to_string().into(),
        url: url(Size::Full),
        preview_url: url(Size::Preview),
        width: row.width,
        height: row.height,
        description: row.description.clone(),
    }
}

/// What names a picture's file, in its object's key and in its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageName {
    id: ImageId,
    size: Size,
    media_type: MediaType,
}

impl ImageName {
    /// That of a URL's last two segments; nothing else is one, so that no other object is named.
    pub(crate) fn parse(image: &str, file: &str) -> Option<Self> {
        let id: ImageId = image.parse().ok()?;
        let (stem, extension) = file.split_once('.')?;
        let size = Size::ALL.into_iter().find(|size| size.stem() == stem)?;
        let media_type = MediaType::of_extension(extension)?;
        (id.to_string() == image).then_some(Self {
            id,
            size,
            media_type,
        })
    }

    /// The object's key.
    pub(crate) fn key(&self) -> String {
        images::key(self.id, self.size, self.media_type)
    }

    /// What tells it from all others.
    pub(crate) fn tag(&self) -> String {
        format!("{}-{}", self.id, self.size.stem())
    }

    pub(crate) fn content_type(&self) -> &'static str {
        self.media_type.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_pictures_and_nothing_else() {
        let id = ImageId::new();
        for size in Size::ALL {
            for media_type in [MediaType::Png, MediaType::Jpeg] {
                let key = images::key(id, size, media_type);
                let [folder, of, file] = key.split('/').collect::<Vec<_>>()[..] else {
                    panic!("{key}");
                };
                assert_eq!((folder, of), ("images", id.to_string().as_str()));
                let name = ImageName::parse(of, file).unwrap();
                assert_eq!(name.key(), key);
            }
        }
        let of = id.to_string();
        for bad in [
            "full",
            "full.gif",
            "full.jpg.png",
            "FULL.jpg",
            "..",
            "",
            "original.jpg",
        ] {
            assert_eq!(ImageName::parse(&of, bad), None, "{bad}");
        }
        for bad in ["..", "", &of.to_uppercase(), &of.replace('-', "")] {
            assert_eq!(ImageName::parse(bad, "full.jpg"), None, "{bad}");
        }
    }
}
