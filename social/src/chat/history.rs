//! What was said before.

use media::Timestamp;
use storage::rows::Page;
use storage::rows::chat::{self, ChatMessageRow, Direction};
use storage::rows::streams::StreamRow;
use uuid::Uuid;

use super::may_watch;
use super::shown::{mentioned, message};
use crate::caller::Caller;
use crate::model::{ChatMessage, MediaTime};
use crate::operation::Operation;
use crate::paging::{PageRequest, Paged, Place};
use crate::{ServiceError, Services};

impl Services {
    /// What was said in a stream's chat and is there, the newest first, or the oldest.
    pub async fn list_chat_messages(
        &self,
        caller: &Caller,
        stream: &str,
        oldest_first: bool,
        page: PageRequest,
    ) -> Result<Paged<ChatMessage>, ServiceError> {
        self.begin(caller, Operation::ListChatMessages)?;
        let stream = may_watch(self, caller, stream).await?;
        let direction = match oldest_first {
            true => Direction::Forwards,
            false => Direction::Backwards,
        };
        let after = page.after_place().map(sequence);
        let limit = page.limit();
        let found =
            chat::history(&self.db, stream.id, caller.user(), direction, after, limit).await?;
        let place = |row: &ChatMessageRow| row.sequence;
        self.show_messages(&stream, page, found, place).await
    }

    /// What was said while what is at `from` and behind it was seen, by media time; backwards, what
    /// was said before that, from there back.
    pub async fn replay_chat(
        &self,
        caller: &Caller,
        stream: &str,
        from: Option<MediaTime>,
        backwards: bool,
        page: PageRequest,
    ) -> Result<Paged<ChatMessage>, ServiceError> {
        self.begin(caller, Operation::ReplayChat)?;
        let stream = may_watch(self, caller, stream).await?;
        let (direction, end) = match backwards {
            true => (Direction::Backwards, i64::MAX),
            false => (Direction::Forwards, 0),
        };
        let from = from.map_or(Timestamp::from_micros(end), Timestamp::from);
        let after = page
            .after_place()
            .map(|place| (Timestamp::from_micros(place.key), sequence(place)));
        let (viewer, limit) = (caller.user(), page.limit());
        let found =
            chat::replay(&self.db, stream.id, viewer, direction, from, after, limit).await?;
        let place = |row: &ChatMessageRow| (row.media_at, row.sequence);
        self.show_messages(&stream, page, found, place).await
    }

    async fn show_messages<P: Into<Place>>(
        &self,
        stream: &StreamRow,
        page: PageRequest,
        found: Page<ChatMessageRow, P>,
        place: impl Fn(&ChatMessageRow) -> P,
    ) -> Result<Paged<ChatMessage>, ServiceError> {
        let names = mentioned(&self.db, &found.rows).await?;
        let moderators = chat::Moderators {
            owner: stream.owner,
        };
        Ok(page.looked_at(found, place, |row| message(&row, moderators, &names)))
    }
}

impl From<u64> for Place {
    fn from(sequence: u64) -> Self {
        Uuid::from_u128(sequence.into()).into()
    }
}

impl From<(Timestamp, u64)> for Place {
    fn from((media_at, sequence): (Timestamp, u64)) -> Self {
        Self {
            key: media_at.as_micros(),
            ..sequence.into()
        }
    }
}

/// A place in a room, as cursors have it. What is none is behind everything that a database has.
fn sequence(place: Place) -> u64 {
    u64::try_from(place.rest.as_u128())
        .unwrap_or(u64::MAX)
        .min(i64::MAX as u64)
}
