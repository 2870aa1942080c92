//! What the server measures of a stream now.

use media::{StreamName, Timestamp};
use storage::rows::stream_status::{self, LastBroadcast};
use storage::rows::streams::{self, StreamRow};

use super::missing;
use crate::caller::{Caller, Role};
use crate::error::Missing;
use crate::model::{StreamState, StreamStatus};
use crate::operation::{Actor, Operation};
use crate::people::is_moderator;
use crate::{ServiceError, Services};

impl Services {
    /// What is measured of a stream: for its owner, and for moderators, whoever it is for.
    pub async fn get_stream_status(
        &self,
        caller: &Caller,
        name: &str,
    ) -> Result<StreamStatus, ServiceError> {
        let actor = self.begin_known(caller, Operation::GetStreamStatus)?;
        let stream = self.find_overseen_stream(caller, actor, name).await?;
        let status = stream_status::status(&self.db, stream.id, self.now()).await?;
        let (state, since) = state(status.broadcast.as_ref());
        let mut shown = StreamStatus {
            name: stream.name.to_string(),
            state,
            since: since.map(Into::into),
            measured_at: None,
            node: None,
            viewers: 0,
            ingest: None,
            worker: None,
            renditions: Vec::new(),
        };
        let Some(row) = status.measured else {
            return Ok(shown);
        };
        shown.viewers = row.viewers;
        // What another version has measured is not known here.
        if let Some(measured) = row.measured {
            shown.measured_at = Some(row.measured_at.into());
            shown.node = Some(row.node.to_string().into());
            shown.ingest = measured.ingest.map(Into::into);
            shown.worker = measured.worker.map(Into::into);
            shown.renditions = measured.renditions.into_iter().map(Into::into).collect();
        }
        Ok(shown)
    }

    /// The stream of that name, if it is the actor's own or they look after all.
    async fn find_overseen_stream(
        &self,
        caller: &Caller,
        actor: Actor,
        name: &str,
    ) -> Result<StreamRow, ServiceError> {
        if !is_moderator(caller) {
            let found = self.find_own_stream(caller, actor, name).await;
            return match found {
                Err(ServiceError::Forbidden(Missing::Ownership)) => {
                    Err(ServiceError::Forbidden(Missing::Role(Role::Moderator)))
                }
                found => Ok(found?.stream),
            };
        }
        let name: StreamName = name.parse().map_err(|_| missing())?;
        streams::by_name(&self.db, &name).await?.ok_or_else(missing)
    }
}

/// Where a stream is whose last broadcast this is, and since when.
fn state(broadcast: Option<&LastBroadcast>) -> (StreamState, Option<Timestamp>) {
    match broadcast {
        None => (StreamState::Offline, None),
        Some(LastBroadcast {
            ended_at: Some(at), ..
        }) => (StreamState::Offline, Some(*at)),
        Some(LastBroadcast {
            publisher_left_at: Some(at),
            ..
        }) => (StreamState::Waiting, Some(*at)),
        Some(broadcast) => (StreamState::Live, Some(broadcast.started_at)),
    }
}
