//! What many people of one answer need is fetched for all of them at once.

use std::collections::HashMap;

use async_graphql::dataloader::{DataLoader, Loader};
use media::UserId;
use storage::rows::follows::FollowCounts;

use crate::caller::Caller;
use crate::model::{Link, Viewer};
use crate::{ServiceError, Services};

/// People that are looked up at once.
const AT_ONCE: usize = 200;

/// The loaders of one request: what they remember is as whoever asks may see it.
pub(super) struct Loaders {
    pub(super) links: DataLoader<Links>,
    pub(super) counts: DataLoader<Counts>,
    pub(super) between: DataLoader<Between>,
}

impl Loaders {
    pub(super) fn new(services: &Services, caller: &Caller) -> Self {
        Self {
            links: DataLoader::new(Links(services.clone()), tokio::spawn).max_batch_size(AT_ONCE),
            counts: DataLoader::new(Counts(services.clone()), tokio::spawn).max_batch_size(AT_ONCE),
            between: DataLoader::new(Between(services.clone(), caller.clone()), tokio::spawn)
                .max_batch_size(AT_ONCE),
        }
    }
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
