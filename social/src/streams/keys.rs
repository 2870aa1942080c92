//! The keys of a stream: what its encoders prove themselves with.

use media::{Micros, StreamKeyId, Timestamp};
use serde::{Deserialize, Serialize};
use storage::rows::stream_keys::{self, KeyChanged, NewKey, StreamKeyRow};

use super::fields;
use crate::caller::Caller;
use crate::idempotency::Repeatable;
use crate::model::{
    CreateStreamKeyInput, CreatedStreamKey, Moment, RotateStreamKeyInput, StreamKey,
};
use crate::operation::Operation;
use crate::{ServiceError, Services};

/// The longest that a key is good beside the one that takes its place, in seconds: a week.
pub(crate) const MAX_GRACE_SECONDS: u32 = 7 * 24 * 3_600;

/// What is kept of a key's making, for who asks again: not the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MadeKey {
    id: String,
    name: String,
    created_at: i64,
}

impl MadeKey {
    pub(super) fn of(row: &StreamKeyRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            created_at: row.created_at.as_micros(),
        }
    }

    /// As it was when it was made.
    pub(super) fn shown(self) -> StreamKey {
        StreamKey {
            id: self.id.into(),
            name: self.name,
            created_at: Timestamp::from_micros(self.created_at).into(),
            expires_at: None,
            last_used_at: None,
        }
    }
}

/// Which of a stream's keys is to be replaced, for what is kept of it.
#[derive(Serialize)]
struct Rotation<'a> {
    stream: &'a str,
    key: &'a str,
    input: &'a RotateStreamKeyInput,
}

/// Which stream is to have another key, likewise.
#[derive(Serialize)]
struct Making<'a> {
    stream: &'a str,
    input: &'a CreateStreamKeyInput,
}

impl Services {
    /// The keys of a stream of the caller's that are good, the newest first.
    pub async fn list_stream_keys(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<Vec<StreamKey>, ServiceError> {
        let actor = self.begin_known(caller, Operation::ListStreamKeys)?;
        let found = self.find_own_stream(caller, actor, name).await?;
        let keys = stream_keys::of_stream(&self.db, found.stream.id, self.now()).await?;
        Ok(keys.into_iter().map(shown).collect())
    }

    /// Gives a stream of the caller's another key.
    pub async fn create_stream_key(
        &self,
        caller: &Caller,
        name: &str,
        input: CreateStreamKeyInput,
        idempotency_key: Option<&str>,
    ) -> Result<CreatedStreamKey, ServiceError> {
        let operation = Operation::CreateStreamKey;
        let actor = self.begin_known(caller, operation)?;
        let found = self.find_own_stream(caller, actor, name).await?;
        let asked = Making {
            stream: name,
            input: &input,
        };
        let request = Repeatable::new(actor.user, idempotency_key, operation, &asked)?;
        let request = request.as_ref();
        if let Some(made) = self.earlier::<MadeKey>(request).await? {
            return Ok(created(made, None));
        }
        let called = fields::key_name(input.name.as_deref())?;
        let secret = generate()?;
        let new = NewKey {
            key: &secret,
            name: &called,
        };
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let stream = found.stream.id;
        let KeyChanged { key, event } =
            stream_keys::create(db, &mut transaction, stream, new, now).await?;
        let made = MadeKey::of(&key);
        match self.commit_once(transaction, request, &made).await? {
            Some(earlier) => Ok(created(earlier, None)),
            None => {
                self.publish(vec![event]).await;
                Ok(created(made, Some(secret.reveal())))
            }
        }
    }

    /// Puts another key in the place of one, which is good for some time still, or revoked at
    /// once.
    pub async fn rotate_stream_key(
        &self,
        caller: &Caller,
        name: &str,
        id: &str,
        input: RotateStreamKeyInput,
        idempotency_key: Option<&str>,
    ) -> Result<CreatedStreamKey, ServiceError> {
        let operation = Operation::RotateStreamKey;
        let actor = self.begin_known(caller, operation)?;
        let found = self.find_own_stream(caller, actor, name).await?;
        let asked = Rotation {
            stream: name,
            key: id,
            input: &input,
        };
        let request = Repeatable::new(actor.user, idempotency_key, operation, &asked)?;
        let request = request.as_ref();
        if let Some(made) = self.earlier::<MadeKey>(request).await? {
            return Ok(created(made, None));
        }
        let id = parse(id)?;
        if input.grace_seconds > MAX_GRACE_SECONDS {
            let expected = format!("expected 0 to {MAX_GRACE_SECONDS} seconds");
            return Err(ServiceError::invalid("grace_seconds", expected));
        }
        let secret = generate()?;
        let (db, now) = (&self.db, self.now());
        let until = now + Micros::from_secs(input.grace_seconds.into());
        let mut transaction = db.write().await?;
        let stream = found.stream.id;
        let rotated =
            stream_keys::rotate(db, &mut transaction, stream, id, &secret, until, now).await;
        let KeyChanged { key, event } = rotated?;
        let made = MadeKey::of(&key);
        match self.commit_once(transaction, request, &made).await? {
            Some(earlier) => Ok(created(earlier, None)),
            None => {
                self.publish(vec![event]).await;
                Ok(created(made, Some(secret.reveal())))
            }
        }
    }

    /// Revokes a key of a stream of the caller's: what is published with it ends.
    pub async fn revoke_stream_key(
        &self,
        caller: &Caller,
        name: &str,
        id: &str,
    ) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::RevokeStreamKey)?;
        let found = self.find_own_stream(caller, actor, name).await?;
        let id = parse(id)?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let stream = found.stream.id;
        let revoked = stream_keys::revoke(db, &mut transaction, stream, id, now).await?;
        transaction.commit().await?;
        self.publish(vec![revoked.event]).await;
        Ok(())
    }
}

/// What is no id is no key's.
fn parse(id: &str) -> Result<StreamKeyId, ServiceError> {
    id.parse()
        .map_err(|_| ServiceError::NotFound("stream key".into()))
}

fn generate() -> Result<stream_keys::StreamKey, ServiceError> {
    let key = stream_keys::StreamKey::generate();
    key.map_err(|error| ServiceError::internal("stream key", error))
}

pub(crate) fn shown(row: StreamKeyRow) -> StreamKey {
    StreamKey {
        id: row.id.to_string().into(),
        name: row.name,
        created_at: row.created_at.into(),
        expires_at: row.expires_at.map(Moment::from),
        last_used_at: row.last_used_at.map(Moment::from),
    }
}

fn created(made: MadeKey, secret: Option<&str>) -> CreatedStreamKey {
    CreatedStreamKey {
        key: secret.map(str::to_owned),
        stream_key: made.shown(),
    }
}
