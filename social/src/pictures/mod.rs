//! Pictures of people, made anew: what somebody sends is read within limits, and nothing of it
//! goes on but its pixels.

mod jpeg;
mod remaking;
mod webp;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::ServiceError;
pub use remaking::{Kind, Remade, Unusable, remake};

/// The largest picture that is taken, in bytes.
pub const MAX_BYTES: usize = 5 * 1024 * 1024;

/// Pixels of a side of a picture that is taken.
pub const MAX_SIDE: u32 = 8_192;

/// Pixels of a side of what is made of it, at most.
pub const SIDE: u32 = 512;

/// What reading one picture may take, in bytes.
pub const MEMORY: u64 = 256 * 1024 * 1024;

/// Pictures that are read at once: each takes [`MEMORY`] at worst.
const AT_ONCE: usize = 1;

/// Pictures that are sent or wait at once: each takes [`MAX_BYTES`] at worst.
const PLACES: usize = 16;

/// How long somebody may take to send one.
pub(crate) const SENT_WITHIN: Duration = Duration::from_secs(120);

/// How long a picture waits for its turn.
const WAIT: Duration = Duration::from_secs(30);

/// Makes pictures anew, one after the other.
#[derive(Debug)]
pub(crate) struct Pictures {
    places: Semaphore,
    turns: Arc<Semaphore>,
}

impl Default for Pictures {
    fn default() -> Self {
        Self {
            places: Semaphore::new(PLACES),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Pictures {
    /// A place for a picture that is about to be sent. It is held until the picture is made.
    pub(crate) fn place(&self) -> Result<SemaphorePermit<'_>, ServiceError> {
        self.places.try_acquire().map_err(|_| ServiceError::Busy)
    }

    /// Makes a picture anew, on a thread that may be busy with it.
    pub(crate) async fn remake(&self, given: Bytes) -> Result<Remade, ServiceError> {
        let turn = timeout(WAIT, self.turns.clone().acquire_owned()).await;
        let turn = turn
            .map_err(|_| ServiceError::Busy)?
            .map_err(|error| ServiceError::internal("picture", error))?;
        let working = tokio::task::spawn_blocking(move || {
            let made = remake(&given);
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

fn unusable(why: impl fmt::Display) -> ServiceError {
    ServiceError::invalid("picture", why)
}
