//! Posts: what people write, be it a post, a comment, a share or a quote.
//!
//! A comment has a parent, and its thread's first post as its root. A share says nothing of
//! its own and points at another post; what is done to a share (an answer, a quote, another
//! share, a like) is done to that post, so that nothing ever refers to a share. A quote points
//! at another post and says something too.
//!
//! **Who sees what** is one piece of SQL, in `audience`, which stands inside every query that
//! gives posts to somebody: no page has gaps.
//!
//! Pages are read by id, which is the order of making. Whoever asks for one gives the id that
//! the page before ended with. A page looks at [`LOOKED_AT_MOST`](super::LOOKED_AT_MOST) posts, so that it costs no more
//! where the reader may see none of them; then it is short, and says where the next goes on.

mod audience;
mod change;
mod create;
mod erasure;
mod pages;
#[cfg(test)]
mod plans;
pub mod removal;
mod tags;

use media::{PostId, SessionId, StreamId, Timestamp, UserId};
use uuid::Uuid;

use super::sql::{FromRow, Row};
pub use super::words::InvalidWord;
use super::words::words;
use super::{Page, RowError};

pub use change::{EDITS_AT_MOST, Edit, Edited, delete, edit, unshare};
pub use create::{Created, NewPost, Shows, announced, create, share};
pub use pages::{
    AuthorPosts, RevisionRow, all_by_ids, by_ids, comments_of, find, find_emptied, of_author,
    quotes_of, revisions, shared_among, thread, with_hashtag,
};
pub use tags::{HASHTAGS_AT_MOST, MENTIONS_AT_MOST, hashtags_of, mentions_of};

pub(super) use audience::{
    audience, author_open, author_shown, not_blocked, not_muted, visible, visible_alone,
};
pub(super) use create::{check_active, target};
pub(super) use erasure::erase;

/// The longest text of a post that is kept, in bytes: a guard. What people may write is less,
/// and is checked before.
pub const BODY_BYTES_AT_MOST: usize = 64 * 1024;

/// The longest hashtag that is kept, in bytes.
pub const HASHTAG_BYTES_AT_MOST: usize = 400;

words! {
    /// Whom a post is for.
    Visibility, "public or followers":
    /// Everybody; of a private account, its followers.
    Public = "public",
    /// Who follows its author, and was accepted.
    Followers = "followers"
}

/// A post.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PostRow {
    /// Id.
    pub id: PostId,
    /// Who wrote it; `None`: their account is gone.
    pub author: Option<UserId>,
    /// What a comment answers.
    pub parent: Option<PostId>,
    /// The first post of a comment's thread.
    pub root: Option<PostId>,
    /// What a share shares.
    pub share_of: Option<PostId>,
    /// What a quote quotes.
    pub quote_of: Option<PostId>,
    /// The stream that it shows.
    pub stream: Option<StreamId>,
    /// The broadcast whose beginning it announces.
    pub live_session: Option<SessionId>,
    /// Whom it is for; a comment has its root's.
    pub visibility: Visibility,
    /// Plain text as it was written.
    pub body: String,
    /// How often it was edited.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted. Only who writes sees one that was.
    pub deleted_at: Option<Timestamp>,
}

impl FromRow for PostRow {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            author: row.get("author_id")?,
            parent: row.get("parent_id")?,
            root: row.get("root_id")?,
            share_of: row.get("share_of_id")?,
            quote_of: row.get("quote_of_id")?,
            stream: row.get("stream_id")?,
            live_session: row.get("live_session_id")?,
            visibility: row.parsed("visibility")?,
            body: row.get("body")?,
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            edited_at: row.get("edited_at")?,
            deleted_at: row.get("deleted_at")?,
        })
    }
}

/// A page of posts.
pub type PostPage = Page<PostRow, PostId>;

/// The columns of a [`PostRow`]; `e`, `p`: of the table that is called so.
macro_rules! post_columns {
    () => {
        "id, author_id, parent_id, root_id, share_of_id, quote_of_id, stream_id,
         live_session_id, visibility, body, revision, created_at, edited_at, deleted_at"
    };
    (e) => {
        "e.id, e.author_id, e.parent_id, e.root_id, e.share_of_id, e.quote_of_id, e.stream_id,
         e.live_session_id, e.visibility, e.body, e.revision, e.created_at, e.edited_at,
         e.deleted_at"
    };
    (p) => {
        "p.id, p.author_id, p.parent_id, p.root_id, p.share_of_id, p.quote_of_id, p.stream_id,
         p.live_session_id, p.visibility, p.body, p.revision, p.created_at, p.edited_at,
         p.deleted_at"
    };
}

pub(super) use post_columns;

pub(super) fn uuids(ids: &[PostId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.as_uuid()).collect()
}

/// The viewer as the queries ask for them. Nobody has the id of who is not logged in.
pub(super) fn viewer_id(viewer: Option<UserId>) -> Uuid {
    viewer.map_or(Uuid::nil(), |viewer| viewer.as_uuid())
}
