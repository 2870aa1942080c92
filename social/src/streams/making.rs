//! Making, changing, stopping and deleting streams.

use serde::{Deserialize, Serialize};
use storage::events::Event;
use storage::rows::stream_keys::{NewKey, StreamKey};
use storage::rows::streams::{self, Changed, NewStream, TakeoverPolicy};
use storage::rows::{Transaction, users, videos};

use super::keys::MadeKey;
use super::{fields, shown};
use crate::caller::Caller;
use crate::idempotency::Repeatable;
use crate::model::{CreateStreamInput, CreatedStream, Stream, StreamVisibility, UpdateStreamInput};
use crate::operation::{Actor, Operation};
use crate::{ServiceError, Services};

/// The subject of the event that there is a purge, which wakes caches.
const PURGED: &str = "edge.purge";

/// What is kept of a stream's making, for who asks again: the stream is shown as it is then.
#[derive(Serialize, Deserialize)]
struct Made {
    name: String,
    key: MadeKey,
}

impl Services {
    /// Makes a stream and its first key.
    pub async fn create_stream(
        &self,
        caller: &Caller,
        input: CreateStreamInput,
        idempotency_key: Option<&str>,
    ) -> Result<CreatedStream, ServiceError> {
        let operation = Operation::CreateStream;
        let actor = self.begin_known(caller, operation)?;
        let request = Repeatable::new(actor.user, idempotency_key, operation, &input)?;
        let request = request.as_ref();
        if let Some(made) = self.earlier(request).await? {
            return self.show_made(caller, made, None).await;
        }
        let (name, said) = fields::read_new(&input, &*self.media)?;
        let mut change = said.change();
        if change.visibility.is_none() && self.is_private(actor).await? {
            change.visibility = Some(StreamVisibility::Followers.into());
        }
        let secret = StreamKey::generate();
        let secret = secret.map_err(|error| ServiceError::internal("stream key", error))?;
        let new = NewStream {
            owner: actor.user,
            name: &name,
            takeover: TakeoverPolicy::default(),
        };
        let key = NewKey {
            key: &secret,
            name: "",
        };
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let created = streams::create_owned(db, &mut transaction, new, &change, key, now).await?;
        let made = Made {
            name: name.to_string(),
            key: MadeKey::of(&created.key),
        };
        match self.commit_once(transaction, request, &made).await? {
            Some(earlier) => self.show_made(caller, earlier, None).await,
            None => {
                self.publish(vec![created.event]).await;
                self.show_made(caller, made, Some(secret.reveal())).await
            }
        }
    }

    async fn show_made(
        &self,
        caller: &Caller,
        made: Made,
        secret: Option<&str>,
    ) -> Result<CreatedStream, ServiceError> {
        let row = self.find_stream(caller, &made.name).await?;
        Ok(CreatedStream {
            stream: shown(&row, caller.user(), self.now()),
            key: secret.map(str::to_owned),
            stream_key: made.key.shown(),
        })
    }

    async fn is_private(&self, actor: Actor) -> Result<bool, ServiceError> {
        let row = users::by_id(&self.db, actor.user).await?;
        row.map(|row| row.is_private)
            .ok_or(ServiceError::Unauthenticated)
    }

    /// Changes a stream of the caller's.
    pub async fn update_stream(
        &self,
        caller: &Caller,
        name: &str,
        input: UpdateStreamInput,
    ) -> Result<Stream, ServiceError> {
        let actor = self.begin_known(caller, Operation::UpdateStream)?;
        let mut found = self.find_own_stream(caller, actor, name).await?;
        let said = fields::read_change(&input, &*self.media)?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        if said.recording == Some(false) && found.stream.recording && !input.delete_recordings {
            let stream = found.stream.id;
            if videos::has_recordings(&mut transaction, stream).await? || found.is_live() {
                let why = "the stream has recordings, which go when it does not record: \
                           say delete_recordings if that is meant";
                return Err(ServiceError::Conflict(why.into()));
            }
        }
        let change = said.change();
        let changed = streams::change(db, &mut transaction, found.stream.id, &change, now).await?;
        found.stream = changed.stream.clone();
        self.commit_and_tell(transaction, changed).await?;
        Ok(shown(&found, caller.user(), now))
    }

    /// Ends what a stream of the caller's broadcasts, and lets nobody publish to it.
    pub async fn stop_stream(&self, caller: &Caller, name: &str) -> Result<Stream, ServiceError> {
        let actor = self.begin_known(caller, Operation::StopStream)?;
        let mut found = self.find_own_stream(caller, actor, name).await?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let stopped = streams::stop(db, &mut transaction, found.stream.id, now).await?;
        found.stream = stopped.stream.clone();
        self.commit_and_tell(transaction, stopped).await?;
        Ok(shown(&found, caller.user(), now))
    }

    /// Lets whoever has a key publish to a stream of the caller's again.
    pub async fn start_stream(&self, caller: &Caller, name: &str) -> Result<Stream, ServiceError> {
        let actor = self.begin_known(caller, Operation::StartStream)?;
        let mut found = self.find_own_stream(caller, actor, name).await?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let started = streams::start(db, &mut transaction, found.stream.id, now).await?;
        found.stream = started.stream.clone();
        self.commit_and_tell(transaction, started).await?;
        Ok(shown(&found, caller.user(), now))
    }

    /// Deletes a stream of the caller's: what is live ends, and what was recorded goes.
    pub async fn delete_stream(&self, caller: &Caller, name: &str) -> Result<(), ServiceError> {
        let actor = self.begin_known(caller, Operation::DeleteStream)?;
        let found = self.find_own_stream(caller, actor, name).await?;
        let (db, now) = (&self.db, self.now());
        let mut transaction = db.write().await?;
        let deleted = streams::delete(db, &mut transaction, found.stream.id, now).await?;
        self.commit_and_tell(transaction, deleted).await
    }

    async fn commit_and_tell(
        &self,
        transaction: Transaction,
        changed: Changed,
    ) -> Result<(), ServiceError> {
        transaction.commit().await?;
        let Changed {
            mut events,
            is_purged,
            ..
        } = changed;
        if is_purged {
            let subject = PURGED.parse();
            let subject = subject.map_err(|error| ServiceError::internal("purge", error))?;
            events.push(Event::new(subject, bytes::Bytes::new()));
        }
        self.publish(events).await;
        Ok(())
    }
}
