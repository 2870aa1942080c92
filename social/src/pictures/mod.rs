//! Pictures of people and of posts, made anew: what somebody sends is read within limits, and nothing of it
//! goes on but its pixels.

mod jpeg;
mod remaking;
mod webp;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use media::UserId;
use storage::ObjectError;
use storage::objects::{ErrorKind, ObjectStore, PutOptions};
use storage::rows::images::MediaType;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::ServiceError;
pub use remaking::{Posted, Remade, Unusable, remake, remake_for_post};

/// The largest picture that is taken, in bytes.
pub const MAX_BYTES: usize = 5 * 1024 * 1024;

/// Pixels of a side of a picture that is taken.
pub const MAX_SIDE: u32 = 8_192;

/// Pixels of a side of a picture of somebody, at most.
pub const SIDE: u32 = 512;

/// Pixels of a side of a picture of a post, at most,
pub const POSTED_SIDE: u32 = 2_048;
/// and of its preview.
pub const PREVIEW_SIDE: u32 = 960;

/// Bytes of a file of a picture of a post, at most.
pub const POSTED_BYTES: usize = 4 * 1024 * 1024;

/// What reading one picture may take, in bytes.
pub const MEMORY: u64 = 256 * 1024 * 1024;

/// Pictures that are read at once: each takes [`MEMORY`] at worst, and its file once more.
const AT_ONCE: usize = 1;

/// Pictures that are sent or wait at once: each takes twice [`MAX_BYTES`] at worst, while its
/// parts become one.
const PLACES: usize = 16;

/// Of these, what one user has at once.
const PLACES_OF_ONE: usize = 2;

/// How long the object store may take to keep one. Long before it would be too late to show it.
const PUT_WITHIN: Duration = Duration::from_secs(60);

/// How long somebody may take to send one.
pub(crate) const SENT_WITHIN: Duration = Duration::from_secs(120);

/// How long a picture waits for its turn.
const WAIT: Duration = Duration::from_secs(30);

/// Files of pictures that are read from their store at once: each takes [`POSTED_BYTES`] at worst.
const READ_AT_ONCE: usize = 32;

/// How long whoever wants to see one waits for that.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Makes pictures anew, one after the other, and reads those that were made.
#[derive(Debug)]
pub(crate) struct Pictures {
    places: Arc<Places>,
    turns: Arc<Semaphore>,
    reads: Semaphore,
    read_within: Duration,
}

impl Default for Pictures {
    fn default() -> Self {
        Self {
            places: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            reads: Semaphore::new(READ_AT_ONCE),
            read_within: READ_WITHIN,
        }
    }
}

impl Pictures {
    /// A place for a picture that `user` is about to send. It is held until the picture is made.
    pub(crate) fn place(&self, user: UserId) -> Result<Place, ServiceError> {
        let mut taken = self.places.taken();
        let of_one = taken.get(&user).copied().unwrap_or_default();
        if of_one >= PLACES_OF_ONE || taken.values().sum::<usize>() >= PLACES {
            return Err(ServiceError::Busy);
        }
        taken.insert(user, of_one + 1);
        drop(taken);
        Ok(Place {
            user,
            places: self.places.clone(),
        })
    }

    /// A picture's file. Whoever comes when too many are read, and go on being, is told
    /// [`ServiceError::Busy`].
    pub(crate) async fn read(
        &self,
        objects: &dyn ObjectStore,
        key: &str,
    ) -> Result<Bytes, ServiceError> {
        let Ok(turn) = timeout(self.read_within, self.reads.acquire()).await else {
            metrics::counter!("nova_api_pictures_refused_total", "reason" => "busy").increment(1);
            return Err(ServiceError::Busy);
        };
        let _turn = turn.map_err(|error| ServiceError::internal("picture", error))?;
        objects.get(key).await.map_err(missing)
    }

    /// Makes something of a picture, on a thread that may be busy with it.
    pub(crate) async fn remake<T: Send + 'static>(
        &self,
        given: Bytes,
        how: fn(&[u8]) -> Result<T, Unusable>,
    ) -> Result<T, ServiceError> {
        let turn = timeout(WAIT, self.turns.clone().acquire_owned()).await;
        let turn = turn
            .map_err(|_| ServiceError::Busy)?
            .map_err(|error| ServiceError::internal("picture", error))?;
        let working = tokio::task::spawn_blocking(move || {
            let made = how(&given);
            // Who asked may have left: the memory was taken until now all the same.
            drop(turn);
            made
        });
        match working.await {
            Ok(made) => made.map_err(unusable),
            Err(error) if error.is_panic() => {
                // A fault of the reader, which bytes of a stranger have found.
                tracing::error!(%error, "a picture could not be read");
                Err(unusable(Unusable::Broken("the reader failed".to_owned())))
            }
            Err(error) => Err(ServiceError::internal("picture", error)),
        }
    }
}

/// All of a picture that is being sent.
pub(crate) async fn received<E: From<ServiceError>>(
    picture: impl Future<Output = Result<Bytes, E>>,
) -> Result<Bytes, E> {
    timeout(SENT_WITHIN, picture).await.map_err(|_| {
        let seconds = SENT_WITHIN.as_secs();
        ServiceError::invalid("picture", format!("expected all of it within {seconds} s"))
    })?
}

/// Puts a picture's file into the store.
pub(crate) async fn put(
    objects: &dyn ObjectStore,
    key: &str,
    file: Bytes,
    media_type: MediaType,
) -> Result<(), ServiceError> {
    let options = PutOptions {
        content_type: Some(media_type.as_str()),
        sha256: None,
    };
    timeout(PUT_WITHIN, objects.put_with(key, file, options))
        .await
        .map_err(|_| ServiceError::Busy)?
        .map_err(unstored)
}

/// Why a picture's file cannot be given.
pub(crate) fn missing(error: ObjectError) -> ServiceError {
    match error {
        ObjectError::NotFound(_) => ServiceError::NotFound("picture".into()),
        error => unstored(error),
    }
}

/// A store that fails for a while, or is full, is the operator's concern, and worth another try.
pub(crate) fn unstored(error: ObjectError) -> ServiceError {
    if error.is_transient() || error.kind() == ErrorKind::Full {
        tracing::warn!(%error, "pictures");
        return ServiceError::Busy;
    }
    ServiceError::internal("pictures", error)
}

/// How many places each user has, who has any: at most [`PLACES`] of them.
#[derive(Debug, Default)]
struct Places(Mutex<HashMap<UserId, usize>>);

impl Places {
    fn taken(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place of somebody's, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    user: UserId,
    places: Arc<Places>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get_mut(&self.user) {
            Some(left) if *left > 1 => *left -= 1,
            _ => {
                taken.remove(&self.user);
            }
        }
    }
}

fn unusable(why: impl fmt::Display) -> ServiceError {
    ServiceError::invalid("picture", why)
}

#[cfg(test)]
mod tests {
    use storage::objects::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn so_many_files_are_read_at_once_and_no_more() {
        let pictures = Pictures {
            read_within: Duration::ZERO,
            ..Pictures::default()
        };
        let store = MemoryStore::default();
        let file = Bytes::from_static(b"a picture");
        put(&store, "images/x", file.clone(), MediaType::Png)
            .await
            .unwrap();
        let all = u32::try_from(READ_AT_ONCE).unwrap();
        let others = pictures.reads.acquire_many(all).await.unwrap();
        let refused = pictures.read(&store, "images/x").await;
        assert!(matches!(refused, Err(ServiceError::Busy)));
        drop(others);
        let read = pictures.read(&store, "images/x").await;
        assert_eq!(read.unwrap(), file);
        let gone = pictures.read(&store, "images/y").await;
        assert!(matches!(gone, Err(ServiceError::NotFound(_))));
    }

    #[test]
    fn places_are_given_back_and_nobody_has_all() {
        let pictures = Pictures::default();
        let ada = UserId::new();
        let first = pictures.place(ada).unwrap();
        let second = pictures.place(ada).unwrap();
        assert!(pictures.place(ada).is_err());
        drop(first);
        let third = pictures.place(ada).unwrap();
        let others: Vec<_> = (0..PLACES - 2)
            .map(|_| pictures.place(UserId::new()).unwrap())
            .collect();
        assert!(pictures.place(UserId::new()).is_err());
        drop((second, third, others));
        assert!(pictures.places.taken().is_empty());
    }
}
