//! Writing posts, and sharing them.

use media::{PostId, SessionId, StreamId, Timestamp, UserId};

use super::super::error::check_size;
use super::super::post_events::{PostChange, PostEvent};
use super::super::sql::{FromRow, Row, query};
use super::super::streams::stream_shown;
use super::super::{Database, Entity, RowError, Transaction, users};
use super::{BODY_BYTES_AT_MOST, PostRow, Visibility, post_columns, tags, visible};

/// What a post shows beside its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Shows {
    /// Nothing.
    #[default]
    Nothing,
    /// A stream that the author may see.
    Stream(StreamId),
    /// A stream of the author's that has gone live, and that it has: one broadcast makes one
    /// post.
    Beginning(SessionId),
}

/// A post, a comment or a quote to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewPost<'a> {
    /// Who writes it.
    pub author: UserId,
    /// What it answers; `None`: nothing, it is not a comment.
    pub parent: Option<PostId>,
    /// What it quotes; `None`: nothing.
    pub quote_of: Option<PostId>,
    /// What it shows.
    pub shows: Shows,
    /// Whom it is for. A comment gets its root's.
    pub visibility: Visibility,
    /// Plain text.
    pub body: &'a str,
    /// Whom it mentions. Who is not there is left out.
    pub mentions: &'a [UserId],
    /// Its hashtags, without `#` and folded.
    pub hashtags: &'a [String],
}

/// What came of making a post.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Created {
    /// The post.
    pub post: PostRow,
    /// Whether it is new. Else it is the one that was there: the same share, or the post that
    /// announces the same broadcast, which may have been edited or deleted since.
    pub is_new: bool,
}

/// Makes a post, a comment or a quote.
///
/// [`RowError::NotFound`]: of the author, who may be suspended; of a post to answer or quote,
/// which the author may not see; of a stream; of a broadcast, which may be somebody else's.
/// [`RowError::TooMany`] and [`RowError::TooLarge`] when there are too many mentions or
/// hashtags, or a text is too long.
pub async fn create(
    db: &Database,
    transaction: &mut Transaction,
    new: &NewPost<'_>,
    now: Timestamp,
) -> Result<Created, RowError> {
    check_size("text of a post", new.body.len(), BODY_BYTES_AT_MOST)?;
    tags::check(new.mentions, new.hashtags)?;
    check_active(transaction, new.author).await?;
    let parent = match new.parent {
        Some(parent) => Some(target(transaction, new.author, parent).await?),
        None => None,
    };
    let quoted = match new.quote_of {
        Some(quoted) => Some(target(transaction, new.author, quoted).await?.id),
        None => None,
    };
    let (stream, session) = shown(transaction, new).await?;
    let id = PostId::new();
    let post: PostRow = query(concat!(
        "INSERT INTO posts (id, author_id, parent_id, root_id, quote_of_id, stream_id,
                            live_session_id, visibility, body, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (live_session_id) DO UPDATE SET revision = posts.revision
         RETURNING ",
        post_columns!()
    ))
    .bind(id)
    .bind(new.author)
    .bind(parent.map(|parent| parent.id))
    .bind(parent.map(|parent| parent.root))
    .bind(quoted)
    .bind(stream)
    .bind(session)
    .bind(
        parent
            .map_or(new.visibility, |parent| parent.visibility)
            .to_string(),
    )
    .bind(new.body)
    .bind(now)
    .one(&mut *transaction)
    .await?;
    let is_new = post.id == id;
    if is_new {
        tags::replace(db, transaction, id, new.mentions, new.hashtags).await?;
        let event = PostEvent {
            change: PostChange::Created,
            post: id,
            user: new.author,
        };
        event.tell(db, transaction, now).await?;
    }
    Ok(Created { post, is_new })
}

/// Shares a post, once: who does it again gets the share that is there. A share of a share is
/// one of the original. [`RowError::NotFound`] when `user` may not see the post.
pub async fn share(
    db: &Database,
    transaction: &mut Transaction,
    user: UserId,
    post: PostId,
    now: Timestamp,
) -> Result<Created, RowError> {
    check_active(transaction, user).await?;
    let original = target(transaction, user, post).await?.id;
    let id = PostId::new();
    let post: PostRow = query(concat!(
        "INSERT INTO posts (id, author_id, share_of_id, visibility, body, created_at)
         VALUES ($1, $2, $3, $4, '', $5)
         ON CONFLICT (share_of_id, author_id) WHERE share_of_id IS NOT NULL
             DO UPDATE SET revision = posts.revision
         RETURNING ",
        post_columns!()
    ))
    .bind(id)
    .bind(user)
    .bind(original)
    .bind(Visibility::Public.to_string())
    .bind(now)
    .one(&mut *transaction)
    .await?;
    let is_new = post.id == id;
    if is_new {
        let event = PostEvent {
            change: PostChange::Shared,
            post: original,
            user,
        };
        event.tell(db, transaction, now).await?;
    }
    Ok(Created { post, is_new })
}

/// Whether `author` announced a broadcast of `stream` after `since`: among the newest posts, of
/// which one writes no more in such a time.
pub async fn announced(
    db: &Database,
    author: UserId,
    stream: StreamId,
    since: Timestamp,
) -> Result<bool, RowError> {
    query(
        "SELECT 1 FROM (SELECT stream_id, live_session_id, created_at FROM posts
                        WHERE author_id = $1 ORDER BY id DESC LIMIT 200) AS p
         WHERE p.stream_id = $2 AND p.live_session_id IS NOT NULL AND p.created_at > $3
         LIMIT 1",
    )
    .bind(author)
    .bind(stream)
    .bind(since)
    .exists(db)
    .await
}

/// Who is suspended or deleted writes and likes nothing.
pub(in crate::rows) async fn check_active(
    transaction: &mut Transaction,
    user: UserId,
) -> Result<(), RowError> {
    let row = users::by_id(transaction, user).await?;
    match row.is_some_and(|row| row.is_active()) {
        true => Ok(()),
        false => Err(RowError::NotFound(Entity::User)),
    }
}

/// The stream, and the broadcast that is announced.
async fn shown(
    transaction: &mut Transaction,
    new: &NewPost<'_>,
) -> Result<(Option<StreamId>, Option<SessionId>), RowError> {
    match new.shows {
        Shows::Nothing => Ok((None, None)),
        Shows::Stream(stream) => {
            let is_there = query(concat!(
                "SELECT 1 FROM streams s WHERE s.id = $2 AND ",
                stream_shown!("s")
            ))
            .bind(new.author)
            .bind(stream)
            .exists(transaction)
            .await?;
            is_there
                .then_some((Some(stream), None))
                .ok_or(RowError::NotFound(Entity::Stream))
        }
        Shows::Beginning(session) => {
            let stream: Option<(StreamId,)> = query(
                "SELECT l.stream_id FROM live_sessions l JOIN streams s ON s.id = l.stream_id
                 WHERE l.id = $1 AND s.owner_id = $2",
            )
            .bind(session)
            .bind(new.author)
            .optional(transaction)
            .await?;
            let (stream,) = stream.ok_or(RowError::NotFound(Entity::Parent))?;
            Ok((Some(stream), Some(session)))
        }
    }
}

/// What an answer, a quote, a share or a like is about: of a share, the original.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::rows) struct Target {
    pub(in crate::rows) id: PostId,
    /// The first post of its thread: itself, when it is no comment.
    root: PostId,
    /// The root's.
    visibility: Visibility,
}

impl FromRow for Target {
    fn from_row(row: &Row) -> Result<Self, RowError> {
        Ok(Self {
            id: row.get("id")?,
            root: row.get("first_id")?,
            visibility: row.parsed("visibility")?,
        })
    }
}

/// Finds what `user` wants to do something to. [`RowError::NotFound`] when they may not see it.
pub(in crate::rows) async fn target(
    transaction: &mut Transaction,
    user: UserId,
    post: PostId,
) -> Result<Target, RowError> {
    query(concat!(
        "SELECT original.id, root.id AS first_id, root.visibility
         FROM posts p
             JOIN posts original ON original.id = COALESCE(p.share_of_id, p.id)
             JOIN posts root ON root.id = COALESCE(original.root_id, original.id)
         WHERE p.id = $2 AND ",
        visible!()
    ))
    .bind(user)
    .bind(post)
    .optional(transaction)
    .await?
    .ok_or(RowError::NotFound(Entity::Post))
}
