//! A stream, and streams in lists, as whoever asks may see them.

use media::StreamId;
use storage::rows::streams::{self, ListedStream};

use super::shown;
use crate::caller::Caller;
use crate::model::{LiveEntry, Stream};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged};
use crate::{ServiceError, Services};

/// Streams in the list of those that are live.
const LIVE_LISTED: u32 = 200;

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

    /// The streams that are live, the newest first.
    pub async fn list_live(&self, caller: &Caller) -> Result<Vec<LiveEntry>, ServiceError> {
        self.begin(caller, Operation::ListLive)?;
        let asked_at = self.now();
        let live = streams::live(&self.db, caller.user(), LIVE_LISTED).await?;
        let entries = live.iter().map(|row| {
            let playback = self.playback_of(caller, &row.stream, asked_at)?;
            Ok(LiveEntry {
                name: row.stream.name.to_string(),
                title: row.stream.called().to_owned(),
                owner: row.owner_name.clone(),
                started_at: row.live_since.unwrap_or(row.stream.created_at).into(),
                viewers: row.viewers(asked_at),
                playlist: playback.playlist,
                manifest: playback.manifest,
            })
        });
        entries.collect()
    }
}
