//! Who watches: viewers that say so, and say so again.

use media::{StreamId, StreamName, ViewerId};
use sha2::{Digest, Sha256};
use storage::rows::streams::{self, ListedStream};
use storage::rows::viewers::{self, Saying, Turn, Watcher};

use crate::caller::Caller;
use crate::limits::Key;
use crate::model::ViewerSession;
use crate::operation::Operation;
use crate::{ServiceError, Services};

impl Services {
    /// Whoever asks watches a stream from now on.
    pub async fn join_stream(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<ViewerSession, ServiceError> {
        self.begin(caller, Operation::JoinStream)?;
        let limit = &self.limiter.viewers;
        limit.take(Key::of(caller), &caller.standings)?;
        let stream = self.find_live_stream(caller, name).await?;
        if viewers::is_full(&self.db, stream.stream.id).await? {
            let most = viewers::SESSIONS_AT_MOST;
            let why = format!("{most} viewers of one stream are the most that are told apart");
            return Err(ServiceError::Conflict(why.into()));
        }
        let watcher = self.watcher(caller, stream.stream.id);
        let turn = Turn::Join(watcher);
        match self.say(stream.stream.id, ViewerId::new(), turn).await? {
            Some(viewer) => Ok(self.viewer(&stream, viewer)),
            None => Err(refused(watcher)),
        }
    }

    /// Who joins the stream, so far as to tell whether they are the same again. In another stream
    /// they are another.
    fn watcher(&self, caller: &Caller, stream: StreamId) -> Watcher {
        let mut hash = Sha256::new_with_prefix(stream.as_uuid());
        match caller.user() {
            Some(user) => hash.update(user.as_uuid()),
            None => hash.update(caller.network().to_string()),
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hash.finalize()[..8]);
        let hash = i64::from_be_bytes(first);
        match caller.user() {
            Some(_) => Watcher::Account(hash),
            None => Watcher::Network(hash, self.limiter.viewers.quota()),
        }
    }

    /// They still do.
    pub async fn stay_in_stream(
        &self,
        caller: &Caller,
        name: &str,
        viewer: &str,
    ) -> Result<ViewerSession, ServiceError> {
        self.begin(caller, Operation::StayInStream)?;
        let stream = self.find_live_stream(caller, name).await?;
        let gone = || ServiceError::NotFound("viewer session".into());
        let viewer: ViewerId = viewer.parse().map_err(|_| gone())?;
        match self.say(stream.stream.id, viewer, Turn::Beat).await? {
            Some(viewer) => Ok(self.viewer(&stream, viewer)),
            None => Err(gone()),
        }
    }

    /// They do no more. Nobody is asked who they are: whoever has the id began with it.
    pub async fn leave_stream(
        &self,
        caller: &Caller,
        name: &str,
        viewer: &str,
    ) -> Result<(), ServiceError> {
        self.begin(caller, Operation::LeaveStream)?;
        let viewer: ViewerId = viewer
            .parse()
            .map_err(|_| ServiceError::NotFound("viewer session".into()))?;
        // What is no name is no stream; who watched one that is gone has left it.
        let Ok(name) = name.parse::<StreamName>() else {
            return Ok(());
        };
        if let Some(stream) = streams::by_name(&self.db, &name).await? {
            self.say(stream.id, viewer, Turn::Leave).await?;
        }
        Ok(())
    }

    /// The viewer's session, if it is there.
    async fn say(
        &self,
        stream: StreamId,
        viewer: ViewerId,
        turn: Turn,
    ) -> Result<Option<ViewerId>, ServiceError> {
        let saying = Saying {
            stream,
            viewer,
            turn,
        };
        self.viewer_writes.say(saying).await
    }

    async fn find_live_stream(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<ListedStream, ServiceError> {
        let found = self.find_stream(caller, name).await?;
        match found.is_live() {
            true => Ok(found),
            false => Err(ServiceError::Conflict("the stream is not live".into())),
        }
    }

    fn viewer(&self, stream: &ListedStream, viewer: ViewerId) -> ViewerSession {
        ViewerSession {
            id: viewer.to_string().into(),
            beat_seconds: viewers::BEAT.to_duration().as_secs() as u32,
            viewers: stream.viewers(self.now()),
        }
    }
}

fn refused(watcher: Watcher) -> ServiceError {
    match watcher {
        // It has a session always, or begins one.
        Watcher::Account(_) => ServiceError::Busy,
        Watcher::Network(_, most) => {
            let why = format!(
                "{most} viewers of one network are the most that are counted of one stream, unless they log in"
            );
            ServiceError::Conflict(why.into())
        }
    }
}
