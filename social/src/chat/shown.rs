//! What was said, as it is shown.

use std::collections::BTreeSet;

use storage::rows::chat::{ChatMessageRow, Moderators};
use storage::rows::users::{self, UserRow};
use storage::rows::{Database, RowError};

use crate::model::{ChatAuthor, ChatMessage};
use crate::people::{avatar_url, shown_name};
use crate::posts::parts;
use crate::posts::text::{Kind, pieces};

/// Mentions of one message that are looked up. The others are text.
const MENTIONS_AT_MOST: usize = 10;

/// A message. `names` are of accounts that it may mention.
pub(crate) fn message(
    row: &ChatMessageRow,
    moderators: Moderators,
    names: &[String],
) -> ChatMessage {
    ChatMessage {
        id: row.id.to_string().into(),
        event: row.sequence,
        author: author(&row.author, moderators),
        text: row.body.clone(),
        parts: parts(&row.body, names),
        reply_to: row.reply_to.map(|id| id.to_string().into()),
        media_time: row.media_at.into(),
        created_at: row.created_at.into(),
    }
}

/// Somebody in a room.
pub(crate) fn author(row: &UserRow, moderators: Moderators) -> ChatAuthor {
    ChatAuthor {
        id: row.id.to_string().into(),
        name: row.name.clone(),
        display_name: shown_name(row).to_owned(),
        avatar_url: avatar_url(row),
        is_moderator: moderators.has(row),
    }
}

/// Names of accounts that are mentioned in these: one query for all of them.
pub(crate) async fn mentioned(
    db: &Database,
    rows: &[ChatMessageRow],
) -> Result<Vec<String>, RowError> {
    let mut names = BTreeSet::new();
    for row in rows {
        let kinds = pieces(&row.body).into_iter().map(|piece| piece.kind);
        let mentions = kinds.filter_map(|kind| match kind {
            Kind::Mention(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        names.extend(mentions.take(MENTIONS_AT_MOST));
    }
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<_> = names.into_iter().collect();
    let people = users::by_names(db, &names).await?;
    let people = people.into_iter().filter(UserRow::is_active);
    Ok(people.map(|row| row.name).collect())
}
