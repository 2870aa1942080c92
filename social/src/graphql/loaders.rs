//! What many people and posts of one answer need is fetched for all of them at once.

use std::collections::HashMap;

use async_graphql::dataloader::{DataLoader, Loader};
use media::{PostId, StreamId, UserId};
use storage::rows::follows::FollowCounts;
use storage::rows::sql::in_current_record;
use storage::rows::users::UserRow;

use crate::caller::Caller;
use crate::model::{Image, Link, PostCounts, PostStream, PostVideo, PostViewer, Viewer};
use crate::posts::SeenPost;
use crate::{ServiceError, Services};

/// People or posts that are looked up at once.
const AT_ONCE: usize = 200;

/// The loaders of one request: what they give is as whoever asks may see it.
pub(super) struct Loaders {
    pub(super) links: DataLoader<Links>,
    pub(super) counts: DataLoader<Counts>,
    pub(super) between: DataLoader<Between>,
    pub(super) people: DataLoader<People>,
    pub(super) posts: DataLoader<Posts>,
    pub(super) mentions: DataLoader<Mentions>,
    pub(super) post_counts: DataLoader<CountsOfPosts>,
    pub(super) post_viewers: DataLoader<ViewedPosts>,
    pub(super) streams: DataLoader<Streams>,
    pub(super) images: DataLoader<Images>,
    pub(super) videos: DataLoader<Videos>,
}

impl Loaders {
    pub(super) fn new(services: &Services, caller: &Caller) -> Self {
        let (services, caller) = (|| services.clone(), || caller.clone());
        Self {
            links: loader(Links(services())),
            counts: loader(Counts(services())),
            between: loader(Between(services(), caller())),
            people: loader(People(services())),
            posts: loader(Posts(services(), caller())),
            mentions: loader(Mentions(services())),
            post_counts: loader(CountsOfPosts(services())),
            post_viewers: loader(ViewedPosts(services(), caller())),
            streams: loader(Streams(services(), caller())),
            images: loader(Images(services())),
            videos: loader(Videos(services(), caller())),
        }
    }
}

fn loader<T>(of: T) -> DataLoader<T> {
    let spawn = |load| tokio::spawn(in_current_record(load));
    DataLoader::new(of, spawn).max_batch_size(AT_ONCE)
}

/// Why nothing was loaded: told once for each field that needs it.
#[derive(Debug, Clone)]
pub(super) struct LoadError {
    code: &'static str,
    told: String,
}

impl From<ServiceError> for LoadError {
    fn from(error: ServiceError) -> Self {
        Self {
            code: error.code(),
            told: error.told(),
        }
    }
}

impl From<LoadError> for async_graphql::Error {
    fn from(error: LoadError) -> Self {
        let mut extensions = async_graphql::ErrorExtensionValues::default();
        extensions.set("code", error.code);
        let mut told = Self::new(error.told);
        told.extensions = Some(extensions);
        told
    }
}

pub(super) struct Links(Services);

impl Loader<UserId> for Links {
    type Value = Vec<Link>;
    type Error = LoadError;

    async fn load(&self, of: &[UserId]) -> Result<HashMap<UserId, Vec<Link>>, LoadError> {
        Ok(self.0.links(of).await?)
    }
}

pub(super) struct Counts(Services);

impl Loader<UserId> for Counts {
    type Value = FollowCounts;
    type Error = LoadError;

    async fn load(&self, of: &[UserId]) -> Result<HashMap<UserId, FollowCounts>, LoadError> {
        Ok(self.0.counts(of).await?)
    }
}

pub(super) struct Between(Services, Caller);

impl Loader<UserId> for Between {
    type Value = Viewer;
    type Error = LoadError;

    async fn load(&self, of: &[UserId]) -> Result<HashMap<UserId, Viewer>, LoadError> {
        Ok(self.0.between(&self.1, of).await?)
    }
}

pub(super) struct People(Services);

impl Loader<UserId> for People {
    type Value = UserRow;
    type Error = LoadError;

    async fn load(&self, of: &[UserId]) -> Result<HashMap<UserId, UserRow>, LoadError> {
        Ok(self.0.people_by_id(of).await?)
    }
}

pub(super) struct Posts(Services, Caller);

impl Loader<PostId> for Posts {
    type Value = SeenPost;
    type Error = LoadError;

    async fn load(&self, of: &[PostId]) -> Result<HashMap<PostId, SeenPost>, LoadError> {
        Ok(self.0.posts_by_id(&self.1, of).await?)
    }
}

/// The names of whom posts mention.
pub(super) struct Mentions(Services);

impl Loader<PostId> for Mentions {
    type Value = Vec<String>;
    type Error = LoadError;

    async fn load(&self, of: &[PostId]) -> Result<HashMap<PostId, Vec<String>>, LoadError> {
        Ok(self.0.mentioned_in(of).await?)
    }
}

pub(super) struct CountsOfPosts(Services);

impl Loader<PostId> for CountsOfPosts {
    type Value = PostCounts;
    type Error = LoadError;

    async fn load(&self, of: &[PostId]) -> Result<HashMap<PostId, PostCounts>, LoadError> {
        Ok(self.0.post_counts(of).await?)
    }
}

pub(super) struct ViewedPosts(Services, Caller);

impl Loader<PostId> for ViewedPosts {
    type Value = PostViewer;
    type Error = LoadError;

    async fn load(&self, of: &[PostId]) -> Result<HashMap<PostId, PostViewer>, LoadError> {
        Ok(self.0.viewed_posts(&self.1, of).await?)
    }
}

pub(super) struct Streams(Services, Caller);

impl Loader<StreamId> for Streams {
    type Value = PostStream;
    type Error = LoadError;

    async fn load(&self, of: &[StreamId]) -> Result<HashMap<StreamId, PostStream>, LoadError> {
        Ok(self.0.post_streams(&self.1, of).await?)
    }
}

/// Pictures of posts.
pub(super) struct Images(Services);

impl Loader<PostId> for Images {
    type Value = Vec<Image>;
    type Error = LoadError;

    async fn load(&self, of: &[PostId]) -> Result<HashMap<PostId, Vec<Image>>, LoadError> {
        Ok(self.0.post_images(of).await?)
    }
}

/// Videos of posts.
pub(super) struct Videos(Services, Caller);

impl Loader<PostId> for Videos {
    type Value = PostVideo;
    type Error = LoadError;

    async fn load(&self, of: &[PostId]) -> Result<HashMap<PostId, PostVideo>, LoadError> {
        Ok(self.0.post_videos(&self.1, of).await?)
    }
}
