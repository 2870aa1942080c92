//! Who watches: viewers that say so, and say so again.

use media::{StreamId, StreamName, ViewerId};
use storage::rows::streams::{self, ListedStream};
use storage::rows::viewers::{self, Saying, Turn};

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
        let viewer = ViewerId::new();
        self.say(stream.stream.id, viewer, Turn::Join).await?;
        Ok(self.viewer(&stream, viewer))
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
            true => Ok(self.viewer(&stream, viewer)),
            false => Err(gone()),
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

    /// Whether the viewer's session is there.
    async fn say(
        &self,
        stream: StreamId,
        viewer: ViewerId,
        turn: Turn,
    ) -> Result<bool, ServiceError> {
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
