//! A stream, and streams in lists, as whoever asks may see them.

use media::{SessionId, StreamId};
use storage::rows::Page;
use storage::rows::streams::{self, ListedStream, LiveStream};

use super::shown;
use crate::caller::Caller;
use crate::model::{LiveEntry, Stream};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::{ServiceError, Services};

impl Services {
    /// A stream, by name.
    pub async fn get_stream(&self, caller: &Caller, name: &str) -> Result<Stream, ServiceError> {
        self.begin(caller, Operation::GetStream)?;
        let found = self.find_stream(caller, name).await?;
        Ok(shown(&found, caller.user(), self.now()))
    }

    /// Somebody's streams, the newest first.
    pub async fn list_user_streams(
        &self,
        caller: &Caller,
        name: &str,
        page: PageRequest,
    ) -> Result<Paged<Stream>, ServiceError> {
        self.begin(caller, Operation::ListUserStreams)?;
        let owner = self.find_visible(caller, name).await?.row.id;
        let (viewer, before) = (caller.user(), page.after::<StreamId>());
        let rows = streams::of_owner(&self.db, owner, viewer, before, page.limit()).await?;
        let place = |row: &ListedStream| row.stream.id.as_uuid();
        let now = self.now();
        Ok(page.page(rows, place, |row| shown(&row, viewer, now)))
    }

    /// The streams that are live, the newest broadcast first.
    pub async fn list_live(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Paged<LiveEntry>, ServiceError> {
        self.begin(caller, Operation::ListLive)?;
        let asked_at = self.now();
        let (viewer, before) = (caller.user(), page.after::<SessionId>());
        let found = streams::live(&self.db, viewer, before, page.limit()).await?;
        let entries = found.rows.into_iter().map(
            |LiveStream {
                 stream: row,
                 session,
             }| {
                let playback = self.playback_of(caller, &row.stream, asked_at)?;
                let entry = LiveEntry {
                    name: row.stream.name.to_string(),
                    title: row.stream.called().to_owned(),
                    started_at: row.live_since.unwrap_or(row.stream.created_at).into(),
                    viewers: row.viewers(asked_at),
                    owner: row.owner_name,
                    playlist: playback.playlist,
                    manifest: playback.manifest,
                };
                Ok((session, entry))
            },
        );
        let rows: Result<Vec<_>, ServiceError> = entries.collect();
        let (rows, next) = (rows?, found.next);
        let found = Page { rows, next };
        Ok(page.looked_at(found, |(session, _)| *session, |(_, entry)| entry))
    }
}
