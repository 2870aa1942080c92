//! Asking again without doing it again: `Idempotency-Key`
//! (draft-ietf-httpapi-idempotency-key-header).

use media::{Micros, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::rows::idempotency_keys::{self, KEY_BYTES_AT_MOST, Once};
use storage::rows::{RowError, Transaction, Unique};

use crate::operation::Operation;
use crate::{ServiceError, Services};

/// How long an answer is kept.
const KEPT: Micros = Micros::from_secs(24 * 3_600);

/// What is kept of what was made, for who asks again: it is shown as it is then.
#[derive(Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) id: String,
}

/// A request that may come again under its key.
#[derive(Debug)]
pub(crate) struct Repeatable {
    user: UserId,
    key: String,
    request_hash: [u8; 32],
}

impl Repeatable {
    /// The request under the key, if there is one.
    pub(crate) fn new(
        user: UserId,
        key: Option<&str>,
        operation: Operation,
        input: &impl Serialize,
    ) -> Result<Option<Self>, ServiceError> {
        check_key(key)?;
        let Some(key) = key else { return Ok(None) };
        let input = serde_json::to_vec(input)
            .map_err(|error| ServiceError::internal("idempotency key", error))?;
        let mut hash = Sha256::new_with_prefix(operation.graphql());
        hash.update([0]);
        hash.update(input);
        Ok(Some(Self {
            user,
            key: key.to_owned(),
            request_hash: hash.finalize().into(),
        }))
    }
}

/// Whether it is 1 to so many printable ASCII characters.
pub(crate) fn is_key(key: &str, bytes_at_most: usize) -> bool {
    (1..=bytes_at_most).contains(&key.len())
        && key.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Refuses what can be no key.
pub(crate) fn check_key(key: Option<&str>) -> Result<(), ServiceError> {
    match key.is_none_or(|key| is_key(key, KEY_BYTES_AT_MOST)) {
        true => Ok(()),
        false => Err(ServiceError::invalid(
            "Idempotency-Key",
            format_args!("expected 1 to {KEY_BYTES_AT_MOST} printable ASCII characters"),
        )),
    }
}

impl Services {
    /// What was answered under the key, if it was asked before.
    pub(crate) async fn earlier<T: DeserializeOwned>(
        &self,
        request: Option<&Repeatable>,
    ) -> Result<Option<T>, ServiceError> {
        let Some(request) = request else {
            return Ok(None);
        };
        let (user, key) = (request.user, &request.key);
        let Some(answer) = idempotency_keys::find(&self.db, user, key, self.now()).await? else {
            return Ok(None);
        };
        if answer.request_hash != request.request_hash[..] {
            return Err(ServiceError::IdempotencyKeyReused);
        }
        let answer = serde_json::from_slice(&answer.response)
            .map_err(|error| ServiceError::internal("kept answer", error))?;
        Ok(Some(answer))
    }

    /// The request, for whoever makes a row in a transaction of their own: they keep [`Made`] in it.
    pub(crate) fn once<'a>(&self, request: Option<&'a Repeatable>) -> Option<Once<'a>> {
        request.map(|request| Once {
            user: request.user,
            key: &request.key,
            request_hash: &request.request_hash,
            expires_at: self.now() + KEPT,
        })
    }

    /// What another request under the key was answered, which was faster, where that is why this
    /// one is `refused`.
    pub(crate) async fn faster<T: DeserializeOwned>(
        &self,
        request: Option<&Repeatable>,
        refused: ServiceError,
    ) -> Result<T, ServiceError> {
        self.earlier(request).await?.ok_or(refused)
    }

    /// Commits the work with its answer, which has no secrets. Where another request under the
    /// key was faster, nothing was done, and the answer is that one's.
    pub(crate) async fn commit_once<T: Serialize + DeserializeOwned>(
        &self,
        mut transaction: Transaction,
        request: Option<&Repeatable>,
        answer: &T,
    ) -> Result<Option<T>, ServiceError> {
        let Some(once) = self.once(request) else {
            transaction.commit().await?;
            return Ok(None);
        };
        let response =
            serde_json::to_vec(answer).map_err(|error| ServiceError::internal("answer", error))?;
        let kept = once.keep(&mut transaction, response.into(), self.now());
        match kept.await {
            Ok(()) => {
                transaction.commit().await?;
                Ok(None)
            }
            Err(RowError::Taken(Unique::IdempotencyKey)) => {
                drop(transaction);
                let earlier = self.earlier(request).await?;
                Ok(Some(earlier.ok_or(ServiceError::Busy)?))
            }
            Err(error) => Err(error.into()),
        }
    }
}
